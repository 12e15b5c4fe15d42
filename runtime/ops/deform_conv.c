/* deform_conv.c - DeformConv (opset 19): a convolution whose windows read the input at offsets that are
 * inputs, with linear interpolation between elements; outside of the input everything is 0.
 *
 * As in Conv, each image and group is one matrix product; the panels of the right operand are sampled here.
 */
#include "gemm_operand.h"
#include "operator_table.h"
#include "parameters.h"
#include "window.h"

#include <math.h>

enum { INPUT_X, INPUT_W, INPUT_OFFSET, INPUT_BIAS, INPUT_MASK };
enum { MAX_SPATIAL = 4, MAX_CORNERS = 1 << MAX_SPATIAL };

struct deform_parameters {
    struct md_window_options options;
    int64_t groups, offset_groups;
};

struct deformation {
    struct md_window window;
    size_t batch, groups, in_channels, out_channels; /* channels per group */
    size_t offset_groups, channels_per_offset;
    size_t kernel_count, input_plane, output_plane;
    struct md_shape output;
};

static enum md_code check_channels(const struct md_invocation *invocation)
{
    const struct deform_parameters *parameters = invocation->parameters;
    const struct md_shape *x = &md_input(invocation, INPUT_X)->shape,
                          *w = &md_input(invocation, INPUT_W)->shape;
    const struct md_tensor *bias = md_input(invocation, INPUT_BIAS);
    int64_t groups = parameters->groups, offset_groups = parameters->offset_groups;
    if (x->rank < 3 || x->rank > MAX_SPATIAL + 2 || w->rank != x->rank)
        return md_fail(invocation->error, MD_UNIMPLEMENTED,
                       "input of rank %d with weights of rank %d: 3 to %d have a kernel", (int)x->rank,
                       (int)w->rank, MAX_SPATIAL + 2);
    if (groups < 1 || x->dims[1] % groups != 0 || w->dims[0] % groups != 0 ||
        x->dims[1] / groups != w->dims[1])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input has %lld channels, weights [%lld,%lld,...], %lld groups", (long long)x->dims[1],
                       (long long)w->dims[0], (long long)w->dims[1], (long long)groups);
    if (offset_groups < 1 || x->dims[1] < offset_groups || x->dims[1] % offset_groups != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%lld channels in %lld offset groups",
                       (long long)x->dims[1], (long long)offset_groups);
    if (bias != NULL && bias->count != (size_t)w->dims[0])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "bias has %zu elements for %lld channels",
                       bias->count, (long long)w->dims[0]);
    return MD_OK;
}

/* Offset or mask: [batch, offset_groups * kernel * parts, output...]. */
static enum md_code expect_field(struct md_invocation *invocation, size_t input,
                                 const struct deformation *deformation, size_t parts)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    struct md_shape expected = deformation->output;
    size_t channels;
    char text[MD_SHAPE_TEXT_SIZE], wanted[MD_SHAPE_TEXT_SIZE];
    if (tensor == NULL)
        return MD_OK;
    if (__builtin_mul_overflow(deformation->offset_groups * parts, deformation->kernel_count, &channels))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu offset groups are too many",
                       deformation->offset_groups);
    expected.dims[1] = (int64_t)channels;
    if (md_shape_equal(&tensor->shape, &expected))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has shape %s, expected %s", input,
                   md_shape_text(&tensor->shape, text, sizeof text),
                   md_shape_text(&expected, wanted, sizeof wanted));
}

static enum md_code describe(struct md_invocation *invocation, struct deformation *out_deformation)
{
    const struct deform_parameters *parameters = invocation->parameters;
    for (size_t i = INPUT_X; i <= INPUT_OFFSET; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    for (size_t i = INPUT_W; i <= INPUT_MASK; i++)
        MD_TRY(md_expect_same_datatype(invocation, INPUT_X, i));
    MD_TRY(check_channels(invocation));
    const struct md_shape *x = &md_input(invocation, INPUT_X)->shape,
                          *w = &md_input(invocation, INPUT_W)->shape;
    struct deformation deformation = { .groups = (size_t)parameters->groups };
    struct md_window *window = &deformation.window;
    MD_TRY(md_window_resolve(&parameters->options, x->rank - 2, x->dims + 2, w->dims + 2, window,
                             invocation->error));
    deformation.batch = (size_t)x->dims[0];
    deformation.in_channels = (size_t)w->dims[1];
    deformation.out_channels = (size_t)(w->dims[0] / parameters->groups);
    deformation.offset_groups = (size_t)parameters->offset_groups;
    deformation.channels_per_offset = (size_t)(x->dims[1] / parameters->offset_groups);
    deformation.kernel_count = md_window_count(window->rank, window->kernel);
    deformation.input_plane = md_window_count(window->rank, window->input);
    deformation.output_plane = md_window_count(window->rank, window->output);
    deformation.output = (struct md_shape){ x->rank, { x->dims[0], w->dims[0] } };
    for (int32_t i = 0; i < window->rank; i++)
        deformation.output.dims[i + 2] = window->output[i];
    MD_TRY(expect_field(invocation, INPUT_OFFSET, &deformation, (size_t)window->rank));
    MD_TRY(expect_field(invocation, INPUT_MASK, &deformation, 1));
    *out_deformation = deformation;
    return MD_OK;
}

static enum md_code deform_prepare(struct md_invocation *invocation)
{
    struct deformation deformation;
    enum md_gemm_type type;
    MD_TRY(describe(invocation, &deformation));
    (void)md_gemm_type_of(md_input(invocation, INPUT_X)->datatype,
                          &type); /* the row's native types have one */
    MD_TRY(md_output(invocation, 0, md_input(invocation, INPUT_X)->datatype, &deformation.output));
    return md_scratch(invocation,
                      md_gemm_workspace(type, deformation.in_channels * deformation.kernel_count));
}

/* One image and group, as the product's right operand. */
struct sample_source {
    const struct deformation *deformation;
    bool is_double;
    const void *input, *offsets, *mask; /* input: this group's channels; the others: this image's */
    size_t first_channel;               /* of the group, among all */
};

/* Elements of a channel that a sample mixes. */
struct corners {
    size_t count;
    size_t index[MAX_CORNERS];
    double weight[MAX_CORNERS];
};

static double real_at(bool is_double, const void *elements, size_t index)
{
    return is_double ? ((const double *)elements)[index] : (double)((const float *)elements)[index];
}

/* The point `at`, in elements of the input; corners outside are left out. */
static void find_corners(const struct md_window *window, const double *at, double scale,
                         struct corners *corners)
{
    int64_t low[MAX_SPATIAL];
    corners->count = 0;
    for (int32_t d = 0; d < window->rank; d++) {
        if (!(at[d] > -1.0 && at[d] < (double)window->input[d]))
            return;
        low[d] = (int64_t)floor(at[d]);
    }
    for (unsigned corner = 0; corner < 1u << window->rank; corner++) {
        size_t index = 0;
        double weight = scale;
        bool inside = true;
        for (int32_t d = 0; d < window->rank; d++) {
            bool upper = (corner >> d & 1u) != 0;
            int64_t position = low[d] + upper;
            double fraction = at[d] - (double)low[d];
            inside = inside && position >= 0 && position < window->input[d];
            weight *= upper ? fraction : 1.0 - fraction;
            index = index * (size_t)window->input[d] + (inside ? (size_t)position : 0);
        }
        if (!inside)
            continue;
        corners->index[corners->count] = index;
        corners->weight[corners->count++] = weight;
    }
}

/* Where kernel position `k` of offset group `group` samples for output position `o`. */
static void locate(const struct sample_source *source, size_t group, size_t k, const int64_t *kernel_position,
                   size_t o, struct corners *corners)
{
    const struct deformation *deformation = source->deformation;
    const struct md_window *window = &deformation->window;
    size_t field = group * deformation->kernel_count + k, rest = o;
    double at[MAX_SPATIAL], scale = 1.0;
    for (int32_t d = window->rank - 1; d >= 0; d--) {
        int64_t position = (int64_t)(rest % (size_t)window->output[d]);
        rest /= (size_t)window->output[d];
        size_t channel = field * (size_t)window->rank + (size_t)d;
        at[d] = (double)(position * window->stride[d] - window->pad_begin[d] +
                         kernel_position[d] * window->dilation[d]) +
                real_at(source->is_double, source->offsets, channel * deformation->output_plane + o);
    }
    if (source->mask != NULL)
        scale = real_at(source->is_double, source->mask, field * deformation->output_plane + o);
    find_corners(window, at, scale, corners);
}

static void fill_samples(const void *source_pointer, size_t first, size_t columns, size_t stride, void *panel)
{
    const struct sample_source *source = source_pointer;
    const struct deformation *deformation = source->deformation;
    const struct md_window *window = &deformation->window;
    int64_t kernel_position[MD_WINDOW_RANK] = { 0 };
    for (size_t k = 0; k < deformation->kernel_count; k++) {
        for (size_t j = 0; j < stride; j++) {
            struct corners corners = { .count = 0 };
            size_t located = SIZE_MAX;
            for (size_t channel = 0; channel < deformation->in_channels; channel++) {
                size_t group = (source->first_channel + channel) / deformation->channels_per_offset;
                size_t to = (channel * deformation->kernel_count + k) * stride + j;
                double sum = 0;
                if (j < columns && group != located) {
                    locate(source, group, k, kernel_position, first + j, &corners);
                    located = group;
                }
                for (size_t i = 0; i < corners.count; i++)
                    sum += corners.weight[i] * real_at(source->is_double, source->input,
                                                       channel * deformation->input_plane + corners.index[i]);
                if (source->is_double)
                    ((double *)panel)[to] = sum;
                else
                    ((float *)panel)[to] = (float)sum;
            }
        }
        (void)md_grid_next(window->rank, window->kernel,
                           kernel_position); /* as often as there are positions */
    }
}

static enum md_code deform_run(struct md_invocation *invocation)
{
    const struct md_tensor *x = md_input(invocation, INPUT_X), *w = md_input(invocation, INPUT_W);
    const struct md_tensor *offsets = md_input(invocation, INPUT_OFFSET),
                           *bias = md_input(invocation, INPUT_BIAS);
    const struct md_tensor *mask = md_input(invocation, INPUT_MASK);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct deformation deformation;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(describe(invocation, &deformation));
    struct sample_source source = { .deformation = &deformation, .is_double = x->datatype == MD_FP64 };
    struct md_gemm gemm = {
        .rows = deformation.out_channels,
        .columns = deformation.output_plane,
        .depth = deformation.in_channels * deformation.kernel_count,
        .fill = fill_samples,
        .fill_source = &source,
        .c_stride = deformation.output_plane,
        .finish.alpha = 1.0,
    };
    (void)md_gemm_type_of(x->datatype, &gemm.type); /* as in prepare */
    for (size_t i = 0; i < deformation.batch * deformation.groups; i++) {
        size_t image = i / deformation.groups, group = i % deformation.groups;
        source.first_channel = group * deformation.in_channels;
        source.input = md_element_at(x, i * deformation.in_channels * deformation.input_plane);
        source.offsets = md_element_at(offsets, image * (offsets->count / deformation.batch));
        source.mask = mask != NULL ? md_element_at(mask, image * (mask->count / deformation.batch)) : NULL;
        gemm.a =
            (struct md_matrix){ md_element_at(w, group * gemm.rows * gemm.depth), (ptrdiff_t)gemm.depth, 1 };
        gemm.finish.row_bias = bias != NULL ? md_element_at(bias, group * gemm.rows) : NULL;
        gemm.c = md_element_at(output, i * gemm.rows * gemm.columns);
        md_gemm(&gemm, invocation->scratch);
    }
    return MD_OK;
}

static enum md_code deform_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct deform_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_window_options_read(configuration, &parameters->options));
    MD_TRY(
        md_attribute_int(configuration->attributes, "group", 1, &parameters->groups, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "offset_group", 1, &parameters->offset_groups,
                            configuration->error));
    *out_parameters = parameters;
    return MD_OK;
}

const struct md_operator md_operators_deform_conv[] = {
    { MD_ONNX, "DeformConv", 19, MD_OPSET_NEWEST, 3, 5, 1, 1, MD_TYPES_FLOAT,
      MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64), 0, deform_configure, deform_prepare, deform_run },
    { 0 },
};
