/* resize.c - Resize (10, 11, 13, 18, 19) and its forerunner Upsample (1, 7, 9).
 *
 * The nearest mode only moves elements and takes any type. Linear and cubic modes make one pass per axis over
 * FP32 numbers (FP64 for FP64 and wide integers), with weights computed in double. */
#include "resize_axis.h"

#include "checked.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

#include <math.h>

enum resize_policy { POLICY_STRETCH, POLICY_NOT_LARGER, POLICY_NOT_SMALLER, POLICY_COUNT };

struct resize_parameters {
    struct md_resize_options options;
    enum resize_policy policy;
    float extrapolation_value;
    struct md_int_list axes;
    size_t scale_count; /* Upsample before opset 9 */
    const float *scales;
    size_t roi_input, scales_input, sizes_input; /* 0: the dialect has none */
};

struct resize {
    struct md_shape shape; /* of the output */
    struct md_resize_axis axes[MD_MAX_RANK];
    size_t taps[MD_MAX_RANK];
    bool pass[MD_MAX_RANK]; /* the axis changes */
};

/* ---- configure ---- */
static enum md_code parse_word(const struct md_configuration *configuration, const char *name,
                               const char *const *words, int count, int *out_word)
{
    struct md_span value;
    MD_TRY(md_attribute_string(configuration->attributes, name, words[0], &value, configuration->error));
    for (int i = 0; i < count; i++)
        if (md_span_equal(value, md_span_of(words[i]))) {
            *out_word = i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%s \"%.*s\" is not known", name,
                   (int)value.size, value.bytes);
}

static enum md_code parse_mode(const struct md_configuration *configuration,
                               struct resize_parameters *parameters)
{
    static const char *const modes[] = { "nearest", "linear", "cubic",
                                         "bilinear" }; /* bilinear: Upsample-1 */
    int mode;
    MD_TRY(parse_word(configuration, "mode", modes, 4, &mode));
    parameters->options.mode = mode == 3 ? MD_RESIZE_LINEAR : (enum md_resize_mode)mode;
    return MD_OK;
}

/* Resize-10 and Upsample: positions are asymmetric, and there are no other options. */
static enum md_code upsample_configure(const struct md_configuration *configuration,
                                       const void **out_parameters)
{
    struct resize_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    parameters->options.coordinates = MD_RESIZE_ASYMMETRIC;
    parameters->options.nearest = MD_RESIZE_SIMPLE;
    MD_TRY(parse_mode(configuration, parameters));
    if (configuration->opset >= 9) {
        parameters->scales_input = 1;
        return MD_OK;
    }
    if (configuration->opset >= 7)
        return md_attribute_floats(configuration->attributes, "scales", &parameters->scales,
                                   &parameters->scale_count, configuration->error);
    float *scales = md_arena_allocate_zeroed(configuration->arena, 4, sizeof *scales);
    if (scales == NULL)
        return md_fail_memory(configuration->error, "Upsample");
    scales[0] = scales[1] = 1;
    parameters->scales = scales;
    parameters->scale_count = 4;
    MD_TRY(
        md_attribute_float(configuration->attributes, "height_scale", 1, &scales[2], configuration->error));
    return md_attribute_float(configuration->attributes, "width_scale", 1, &scales[3], configuration->error);
}

static enum md_code resize_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    static const char *const coordinates[] = { "half_pixel",          "half_pixel_symmetric",
                                               "pytorch_half_pixel",  "align_corners",
                                               "asymmetric",          "tf_crop_and_resize",
                                               "tf_half_pixel_for_nn" };
    static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    static const char *const policies[] = { "stretch", "not_larger", "not_smaller" };
    struct resize_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int word = 0;
    int64_t exclude, antialias;
    float cubic_a;
    MD_TRY(parse_mode(configuration, parameters));
    MD_TRY(parse_word(configuration, "coordinate_transformation_mode", coordinates,
                      MD_RESIZE_COORDINATES_COUNT, &word));
    parameters->options.coordinates = (enum md_resize_coordinates)word;
    MD_TRY(parse_word(configuration, "nearest_mode", nearest, MD_RESIZE_NEAREST_COUNT, &word));
    parameters->options.nearest = (enum md_resize_nearest)word;
    MD_TRY(parse_word(configuration, "keep_aspect_ratio_policy", policies, POLICY_COUNT, &word));
    parameters->policy = (enum resize_policy)word;
    MD_TRY(md_attribute_float(configuration->attributes, "cubic_coeff_a", -0.75f, &cubic_a,
                              configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "exclude_outside", 0, &exclude, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "antialias", 0, &antialias, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "extrapolation_value", 0,
                              &parameters->extrapolation_value, configuration->error));
    parameters->options.cubic_a = (double)cubic_a;
    parameters->options.exclude_outside = exclude != 0;
    parameters->options.antialias = antialias != 0;
    parameters->roi_input = 1;
    parameters->scales_input = 2;
    parameters->sizes_input = 3;
    return md_int_list_read(configuration, "axes", &parameters->axes);
}

/* ---- sizes and scales ---- */
/* An input tensor that is present and not empty, which stands for absent too. */
static const struct md_tensor *given(const struct md_invocation *invocation, size_t input)
{
    const struct md_tensor *tensor = input > 0 ? md_input(invocation, input) : NULL;
    return tensor != NULL && tensor->count > 0 ? tensor : NULL;
}

static enum md_code resized_axes(struct md_invocation *invocation, int32_t rank, int32_t *out_axes,
                                 size_t *out_count)
{
    const struct resize_parameters *parameters = invocation->parameters;
    size_t count = parameters->axes.present ? parameters->axes.count : (size_t)rank;
    bool used[MD_MAX_RANK] = { false };
    for (size_t i = 0; i < count; i++) {
        int32_t axis;
        MD_TRY(md_expect_axis(invocation, parameters->axes.present ? parameters->axes.values[i] : (int64_t)i,
                              rank, &axis));
        if (used[axis])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Resize lists axis %d twice", axis);
        used[axis] = true;
        out_axes[i] = axis;
    }
    *out_count = count;
    return MD_OK;
}

static enum md_code expect_entries(struct md_invocation *invocation, const char *what, size_t have,
                                   size_t wanted)
{
    if (have == wanted)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%s has %zu entries, %zu are needed", what, have,
                   wanted);
}

/* Opset 18: one scale for all resized axes, the smallest or the largest, keeps the picture's proportions. */
static void keep_proportions(enum resize_policy policy, struct resize *resize, const int32_t *axes,
                             size_t count)
{
    if (policy == POLICY_STRETCH || count == 0)
        return;
    double scale = resize->axes[axes[0]].scale;
    for (size_t i = 1; i < count; i++) {
        double other = resize->axes[axes[i]].scale;
        if (policy == POLICY_NOT_LARGER ? other < scale : other > scale)
            scale = other;
    }
    for (size_t i = 0; i < count; i++) {
        struct md_resize_axis *axis = &resize->axes[axes[i]];
        axis->scale = scale;
        double size = scale * (double)axis->in + 0.5;
        axis->out = size < (double)INT32_MAX ? (int64_t)size : INT32_MAX;
    }
}

static enum md_code set_sizes(struct md_invocation *invocation, const struct md_tensor *sizes,
                              struct resize *resize, const int32_t *axes, size_t count)
{
    const struct resize_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_datatype(invocation, parameters->sizes_input, MD_TYPE(MD_INT64)));
    MD_TRY(expect_entries(invocation, "sizes", sizes->count, count));
    for (size_t i = 0; i < count; i++) {
        struct md_resize_axis *axis = &resize->axes[axes[i]];
        axis->out = md_index_at(sizes, i);
        if (axis->out < 0 || axis->out > INT32_MAX || (axis->in == 0 && axis->out > 0))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "axis %d of size %lld cannot be resized to %lld", (int)axes[i],
                           (long long)axis->in, (long long)axis->out);
        axis->scale = axis->in > 0 ? (double)axis->out / (double)axis->in : 1;
    }
    keep_proportions(parameters->policy, resize, axes, count);
    return MD_OK;
}

static enum md_code set_scales(struct md_invocation *invocation, const struct md_tensor *scales,
                               struct resize *resize, const int32_t *axes, size_t count)
{
    const struct resize_parameters *parameters = invocation->parameters;
    if (scales != NULL)
        MD_TRY(md_expect_datatype(invocation, parameters->scales_input, MD_TYPE(MD_FP32)));
    MD_TRY(expect_entries(invocation, "scales", scales != NULL ? scales->count : parameters->scale_count,
                          count));
    for (size_t i = 0; i < count; i++) {
        struct md_resize_axis *axis = &resize->axes[axes[i]];
        float scale = scales != NULL ? md_elements(const float, scales)[i] : parameters->scales[i];
        float size = floorf(scale * (float)axis->in); /* in FP32, as ONNX's shape inference has it */
        if (!(scale > 0 && isfinite(scale)) || !(size < (float)INT32_MAX))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "axis %d of size %lld cannot be scaled by %g", (int)axes[i], (long long)axis->in,
                           (double)scale);
        axis->scale = (double)scale;
        axis->out = (int64_t)size;
    }
    return MD_OK;
}

static enum md_code set_roi(struct md_invocation *invocation, struct resize *resize, const int32_t *axes,
                            size_t count)
{
    const struct resize_parameters *parameters = invocation->parameters;
    const struct md_tensor *roi = given(invocation, parameters->roi_input);
    if (parameters->options.coordinates != MD_RESIZE_TF_CROP_AND_RESIZE || roi == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, parameters->roi_input, MD_TYPES_FLOAT));
    MD_TRY(expect_entries(invocation, "roi", roi->count, 2 * count));
    for (size_t i = 0; i < count; i++) {
        resize->axes[axes[i]].roi_start = md_tensor_double(roi, i);
        resize->axes[axes[i]].roi_end = md_tensor_double(roi, count + i);
    }
    return MD_OK;
}

static enum md_code resize_of(struct md_invocation *invocation, struct resize *resize)
{
    const struct resize_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    *resize = (struct resize){ .shape = *shape };
    for (int32_t i = 0; i < shape->rank; i++)
        resize->axes[i] = (struct md_resize_axis){ shape->dims[i], shape->dims[i], 1, 0, 1 };
    int32_t axes[MD_MAX_RANK];
    size_t count = 0;
    MD_TRY(resized_axes(invocation, shape->rank, axes, &count));
    const struct md_tensor *scales = given(invocation, parameters->scales_input);
    const struct md_tensor *sizes = given(invocation, parameters->sizes_input);
    if (sizes != NULL && scales != NULL)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Resize has both scales and sizes");
    MD_TRY(set_roi(invocation, resize, axes, count));
    if (sizes != NULL)
        MD_TRY(set_sizes(invocation, sizes, resize, axes, count));
    else
        MD_TRY(set_scales(invocation, scales, resize, axes, count));
    for (int32_t i = 0; i < shape->rank; i++) {
        const struct md_resize_axis *axis = &resize->axes[i];
        resize->shape.dims[i] = axis->out;
        resize->taps[i] = md_resize_taps(&parameters->options, axis);
        resize->pass[i] =
            axis->scale != 1 || axis->out != axis->in || axis->roi_start != 0 || axis->roi_end != 1;
        if (resize->taps[i] == 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "axis %d: scale %g is too small for antialias", i, axis->scale);
    }
    return MD_OK;
}

/* ---- memory ---- */
static bool works_in_double(enum md_datatype datatype)
{
    return md_datatype_in(datatype, MD_TYPE(MD_FP64) | MD_TYPE(MD_INT32) | MD_TYPE(MD_INT64) |
                                        MD_TYPE(MD_UINT32) | MD_TYPE(MD_UINT64));
}

/* Scratch: for one axis at a time indices, weights and flags; then two buffers for what is between the
 * passes. */
struct layout {
    size_t indices, weights, flags; /* entries of the largest axis; for nearest, of all axes */
    size_t between;                 /* elements of the largest intermediate, input and output included */
};

static enum md_code layout_of(struct md_invocation *invocation, const struct resize *resize,
                              struct layout *layout, size_t *out_size)
{
    const struct resize_parameters *parameters = invocation->parameters;
    bool nearest = parameters->options.mode == MD_RESIZE_NEAREST;
    struct md_shape shape = md_input(invocation, 0)->shape;
    *layout = (struct layout){ .between = nearest ? 0 : md_input(invocation, 0)->count };
    for (int32_t i = 0; i < shape.rank; i++) {
        size_t entries, count;
        shape.dims[i] = resize->shape.dims[i];
        if (!md_checked_multiply((size_t)shape.dims[i], resize->taps[i], &entries) ||
            entries > PTRDIFF_MAX / 64 || !md_shape_count(&shape, MD_FP64, &count))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Resize of axis %d to %lld is too large",
                           i, (long long)shape.dims[i]);
        layout->indices = nearest                     ? layout->indices + entries
                          : layout->indices > entries ? layout->indices
                                                      : entries;
        layout->flags = nearest                                 ? layout->flags + entries
                        : layout->flags > (size_t)shape.dims[i] ? layout->flags
                                                                : (size_t)shape.dims[i];
        if (!nearest && count > layout->between)
            layout->between = count;
    }
    layout->weights = layout->indices;
    layout->flags = (layout->flags + 63) / 64 * 64;
    size_t element = works_in_double(md_input(invocation, 0)->datatype) ? sizeof(double) : sizeof(float),
           between;
    if (!md_checked_multiply(layout->between, 2 * element, &between) || between > PTRDIFF_MAX / 2)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Resize needs too much memory");
    *out_size =
        layout->indices * sizeof(int64_t) + layout->weights * sizeof(double) + layout->flags + between;
    return MD_OK;
}

static enum md_code resize_prepare(struct md_invocation *invocation)
{
    const struct resize_parameters *parameters = invocation->parameters;
    struct resize resize;
    struct layout layout;
    size_t size;
    MD_TRY(resize_of(invocation, &resize));
    const struct md_tensor *input = md_input(invocation, 0);
    if (parameters->options.mode != MD_RESIZE_NEAREST)
        MD_TRY(md_expect_datatype(invocation, 0, MD_TYPES_NUMBER));
    MD_TRY(layout_of(invocation, &resize, &layout, &size));
    MD_TRY(md_scratch(invocation, size));
    return md_output(invocation, 0, input->datatype, &resize.shape);
}

/* ---- nearest ---- */
static void nearest_rows(const struct md_tensor *input, struct md_tensor *output, int64_t *const *offsets,
                         uint8_t *const *outside, const void *extrapolated)
{
    int32_t last = output->shape.rank - 1;
    size_t size = md_datatype_size(input->datatype);
    int64_t position[MD_MAX_RANK] = { 0 }, columns = output->shape.dims[last];
    char *to = output->bytes;
    for (size_t row = 0; row < output->count / (size_t)columns; row++) {
        const char *from = input->bytes;
        bool out = false;
        for (int32_t i = 0; i < last; i++) {
            from += offsets[i][position[i]];
            out = out || outside[i][position[i]];
        }
        for (int64_t c = 0; c < columns; c++, to += size)
            memcpy(to, out || outside[last][c] ? extrapolated : from + offsets[last][c], size);
        for (int32_t i = last - 1; i >= 0; i--) {
            if (++position[i] < output->shape.dims[i])
                break;
            position[i] = 0;
        }
    }
}

static void run_nearest(struct md_invocation *invocation, const struct resize *resize,
                        const struct layout *layout)
{
    const struct resize_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_strided from = md_strided_of(input);
    int64_t *indices = invocation->scratch, *offsets[MD_MAX_RANK] = { NULL };
    double *weights = (double *)(indices + layout->indices);
    uint8_t *flags = (uint8_t *)(weights + layout->weights), *outside[MD_MAX_RANK] = { NULL };
    for (int32_t i = 0; i < input->shape.rank; i++) {
        offsets[i] = indices;
        outside[i] = flags;
        md_resize_axis_fill(&parameters->options, &resize->axes[i], 1, indices, weights, flags);
        for (int64_t k = 0; k < resize->axes[i].out; k++)
            *indices++ *= from.strides[i];
        flags += resize->axes[i].out;
    }
    _Alignas(16) char element[16] = { 0 };
    struct md_tensor extrapolated = { .datatype = input->datatype, .count = 1, .bytes = element };
    if (md_datatype_in(input->datatype, MD_TYPES_FLOAT)) /* integers get 0: the value need not fit */
        md_tensor_set_double(&extrapolated, 0, (double)parameters->extrapolation_value);
    nearest_rows(input, md_output_tensor(invocation, 0), offsets, outside, element);
}

/* ---- linear and cubic ---- */
struct pass {
    size_t outer, in, out, inner, taps;
    const int64_t *indices;
    const double *weights;
    const uint8_t *outside;
    double extrapolation_value;
};

#define DEFINE_PASS(type)                                                                                    \
    static void pass_##type(const struct pass *pass, const type *from, type *to)                             \
    {                                                                                                        \
        for (size_t o = 0; o < pass->outer; o++, from += pass->in * pass->inner)                             \
            for (size_t p = 0; p < pass->out; p++, to += pass->inner) {                                      \
                for (size_t i = 0; i < pass->inner; i++)                                                     \
                    to[i] = pass->outside[p] ? (type)pass->extrapolation_value : 0;                          \
                for (size_t t = 0; t < pass->taps && !pass->outside[p]; t++) {                               \
                    const type *row = from + (size_t)pass->indices[p * pass->taps + t] * pass->inner;        \
                    const type weight = (type)pass->weights[p * pass->taps + t];                             \
                    for (size_t i = 0; i < pass->inner; i++)                                                 \
                        to[i] += weight * row[i];                                                            \
                }                                                                                            \
            }                                                                                                \
    }
DEFINE_PASS(float)
DEFINE_PASS(double)

static void read_numbers(const struct md_tensor *input, bool wide, void *to)
{
    for (size_t i = 0; i < input->count; i++) {
        double value = md_tensor_double(input, i);
        if (wide)
            ((double *)to)[i] = value;
        else
            ((float *)to)[i] = (float)value;
    }
}

/* Integers are rounded to nearest and saturate. */
static void write_integers(const void *from, bool wide, struct md_tensor *output)
{
    static const struct {
        double low, high;
    } limits[MD_DATATYPE_COUNT] = {
        [MD_INT8] = { INT8_MIN, INT8_MAX },
        [MD_UINT8] = { 0, UINT8_MAX },
        [MD_INT16] = { INT16_MIN, INT16_MAX },
        [MD_UINT16] = { 0, UINT16_MAX },
        [MD_INT32] = { INT32_MIN, INT32_MAX },
        [MD_UINT32] = { 0, UINT32_MAX },
        [MD_INT64] = { -9223372036854775808.0, 9223372036854774784.0 },
        [MD_UINT64] = { 0, 18446744073709549568.0 }, /* the largest doubles that fit */
    };
    double low = limits[output->datatype].low, high = limits[output->datatype].high;
    for (size_t i = 0; i < output->count; i++) {
        double value = rint(wide ? ((const double *)from)[i] : (double)((const float *)from)[i]);
        md_tensor_set_double(output, i, !(value > low) ? low : value > high ? high : value);
    }
}

/* The passes that change something, in the order of the axes. Returns where the result is: `last` when there
 * was a pass and `last` is not NULL. */
static const void *run_passes(struct md_invocation *invocation, const struct resize *resize,
                              const struct layout *layout, const void *from, void *last)
{
    const struct resize_parameters *parameters = invocation->parameters;
    bool wide = works_in_double(md_input(invocation, 0)->datatype);
    struct md_shape shape = md_input(invocation, 0)->shape;
    int64_t *indices = invocation->scratch;
    double *weights = (double *)(indices + layout->indices);
    uint8_t *flags = (uint8_t *)(weights + layout->weights);
    char *buffers[2] = { (char *)flags + layout->flags, NULL };
    buffers[1] = buffers[0] + layout->between * (wide ? sizeof(double) : sizeof(float));
    int32_t final = -1;
    for (int32_t i = 0; i < shape.rank; i++)
        final = resize->pass[i] ? i : final;
    for (int32_t i = 0; i <= final; i++) {
        if (!resize->pass[i])
            continue;
        const struct md_resize_axis *axis = &resize->axes[i];
        md_resize_axis_fill(&parameters->options, axis, resize->taps[i], indices, weights, flags);
        struct pass pass = { .outer = md_shape_product(&shape, 0, i),
                             .in = (size_t)axis->in,
                             .out = (size_t)axis->out,
                             .inner = md_shape_product(&shape, i + 1, shape.rank),
                             .taps = resize->taps[i],
                             .indices = indices,
                             .weights = weights,
                             .outside = flags,
                             .extrapolation_value = (double)parameters->extrapolation_value };
        void *to = i == final && last != NULL ? last : from == buffers[0] ? buffers[1] : buffers[0];
        if (wide)
            pass_double(&pass, from, to);
        else
            pass_float(&pass, from, to);
        shape.dims[i] = axis->out;
        from = to;
    }
    return from;
}

static enum md_code resize_run(struct md_invocation *invocation)
{
    const struct resize_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct resize resize;
    struct layout layout;
    size_t size;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(resize_of(invocation, &resize));
    MD_TRY(layout_of(invocation, &resize, &layout, &size));
    bool real = md_datatype_in(input->datatype, MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64));
    bool wide = works_in_double(input->datatype);
    if (output->shape.rank == 0) {
        memcpy(output->bytes, input->bytes, md_datatype_size(input->datatype));
    } else if (parameters->options.mode == MD_RESIZE_NEAREST) {
        run_nearest(invocation, &resize, &layout);
    } else if (real) {
        const void *result = run_passes(invocation, &resize, &layout, input->bytes, output->bytes);
        if (result != output->bytes)
            md_copy_bytes(output->bytes, result, md_tensor_size(output));
    } else {
        size_t between = layout.between * (wide ? sizeof(double) : sizeof(float));
        char *numbers = (char *)invocation->scratch + size - between; /* the second buffer */
        read_numbers(input, wide, numbers);
        write_integers(run_passes(invocation, &resize, &layout, numbers, NULL), wide, output);
    }
    return MD_OK;
}

/* clang-format off */
enum { RESIZE_NATIVE = MD_TYPES_ALL & ~(MD_TYPE(MD_FP16) | MD_TYPE(MD_BF16)) };

const struct md_operator md_operators_resize[] = {
    { MD_ONNX, "Upsample", 1, 8, 1, 1, 1, 1, MD_TYPES_ALL, RESIZE_NATIVE, 0,
      upsample_configure, resize_prepare, resize_run },
    /* Deprecated from opset 10 on; files of opset 10 and later that still hold one mean version 9. */
    { MD_ONNX, "Upsample", 9, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, RESIZE_NATIVE, 0,
      upsample_configure, resize_prepare, resize_run },
    { MD_ONNX, "Resize", 10, 10, 2, 2, 1, 1, MD_TYPES_ALL, RESIZE_NATIVE, 0,
      upsample_configure, resize_prepare, resize_run },
    { MD_ONNX, "Resize", 11, MD_OPSET_NEWEST, 1, 4, 1, 1, MD_TYPES_ALL, RESIZE_NATIVE, 0,
      resize_configure, resize_prepare, resize_run },
    { 0 },
};
