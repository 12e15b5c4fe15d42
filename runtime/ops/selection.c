/* selection.c - Where and Clip: elements chosen by a condition or by bounds. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

#include <float.h>
#include <math.h>

/* ---- Where: moves elements of any type by their size ---- */
struct sixteen_bytes {
    uint64_t words[2];
};

typedef void (*where_fn)(const struct md_broadcast_loop *loop, const uint8_t *condition, const void *yes,
                         const void *no, void *output);

#define WHERE_KERNEL(name, type)                                                                             \
    static void name(const struct md_broadcast_loop *loop, const uint8_t *condition, const void *yes,        \
                     const void *no, void *output)                                                           \
    {                                                                                                        \
        const uint8_t *c = condition + loop->offsets[0];                                                     \
        const type *x = (const type *)yes + loop->offsets[1], *y = (const type *)no + loop->offsets[2];      \
        type *out = (type *)output + loop->position;                                                         \
        const size_t c_step = loop->steps[0], x_step = loop->steps[1], y_step = loop->steps[2];              \
        for (size_t i = 0; i < loop->inner; i++)                                                             \
            out[i] = c[i * c_step] ? x[i * x_step] : y[i * y_step];                                          \
    }

WHERE_KERNEL(where_1, uint8_t)
WHERE_KERNEL(where_2, uint16_t)
WHERE_KERNEL(where_4, uint32_t)
WHERE_KERNEL(where_8, uint64_t)
WHERE_KERNEL(where_16, struct sixteen_bytes)

static enum md_code where_shape(struct md_invocation *invocation, struct md_shape *out_target)
{
    const struct md_tensor *condition = md_input(invocation, 0), *x = md_input(invocation, 1),
                           *y = md_input(invocation, 2);
    struct md_shape branches;
    char texts[3][MD_SHAPE_TEXT_SIZE];
    if (md_shape_broadcast(&x->shape, &y->shape, &branches) &&
        md_shape_broadcast(&condition->shape, &branches, out_target))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s, %s and %s do not broadcast",
                   md_shape_text(&condition->shape, texts[0], sizeof texts[0]),
                   md_shape_text(&x->shape, texts[1], sizeof texts[1]),
                   md_shape_text(&y->shape, texts[2], sizeof texts[2]));
}

static enum md_code where_prepare(struct md_invocation *invocation)
{
    struct md_shape target;
    for (size_t i = 0; i < 3; i++)
        MD_TRY(md_expect_tensor(invocation, i));
    MD_TRY(md_expect_same_datatype(invocation, 1, 2));
    MD_TRY(where_shape(invocation, &target));
    return md_output(invocation, 0, md_input(invocation, 1)->datatype, &target);
}

static where_fn where_kernel(enum md_datatype datatype)
{
    switch (md_datatype_size(datatype)) {
    case 1:
        return where_1;
    case 2:
        return where_2;
    case 4:
        return where_4;
    case 8:
        return where_8;
    case 16:
        return where_16;
    default:
        return NULL;
    }
}

static enum md_code where_run(struct md_invocation *invocation)
{
    const struct md_tensor *condition = md_input(invocation, 0), *x = md_input(invocation, 1),
                           *y = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    where_fn kernel = where_kernel(x->datatype);
    const struct md_shape *shapes[] = { &condition->shape, &x->shape, &y->shape };
    struct md_shape target;
    struct md_broadcast_loop loop;
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (kernel == NULL)
        return md_fail_datatype(invocation, x->datatype);
    MD_TRY(where_shape(invocation, &target));
    for (md_broadcast_loop_start(&loop, &target, 3, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
        kernel(&loop, condition->bytes, x->bytes, y->bytes, output->bytes);
    return MD_OK;
}

/* ---- Clip ---- */
/* Bounds as attributes: opsets 1 and 6. NULL parameters: bounds are inputs. */
struct clip_parameters {
    float low, high;
};

static enum md_code clip_configure_bounds(const struct md_configuration *configuration, float bound,
                                          const void **out_parameters)
{
    struct clip_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_float(configuration->attributes, "min", -bound, &parameters->low, configuration->error));
    MD_TRY(md_attribute_float(configuration->attributes, "max", bound, &parameters->high, configuration->error));
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code clip_configure_1(const struct md_configuration *configuration, const void **out_parameters)
{
    return clip_configure_bounds(configuration, INFINITY, out_parameters);
}

static enum md_code clip_configure_6(const struct md_configuration *configuration, const void **out_parameters)
{
    return clip_configure_bounds(configuration, FLT_MAX, out_parameters);
}

static enum md_code clip_prepare(struct md_invocation *invocation)
{
    for (size_t i = 1; i <= 2; i++) {
        const struct md_tensor *bound = md_input(invocation, i);
        if (bound == NULL)
            continue;
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
        if (bound->count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu (%s) has %zu elements: must have 1",
                           i, i == 1 ? "min" : "max", bound->count);
    }
    return md_prepare_same(invocation);
}

/* When min exceeds max everything becomes max (opset 13); NaN stays NaN. */
#define CLIP_KERNEL(datatype, type)                                                                          \
    static void clip_##type(size_t count, const type *in, type *out, const type *low, const type *high)      \
    {                                                                                                        \
        if (low != NULL && high != NULL) {                                                                   \
            const type lowest = *low, highest = *high;                                                       \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                             \
                const type x = in[i] < lowest ? lowest : in[i];                                              \
                out[i] = x > highest ? highest : x;                                                          \
            }                                                                                                \
            return;                                                                                          \
        }                                                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                 \
            type x = in[i];                                                                                  \
            if (low != NULL && x < *low)                                                                     \
                x = *low;                                                                                    \
            if (high != NULL && x > *high)                                                                   \
                x = *high;                                                                                   \
            out[i] = x;                                                                                      \
        }                                                                                                    \
    }

MD_FOR_EACH_NUMBER(CLIP_KERNEL)

static enum md_code clip_attributes_run(struct md_invocation *invocation)
{
    const struct clip_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const double low = (double)parameters->low, high = (double)parameters->high;
    if (output == NULL)
        return MD_OK;
    if (input->datatype == MD_FP32)
        clip_float(input->count, input->bytes, output->bytes, &parameters->low, &parameters->high);
    else
        clip_double(input->count, input->bytes, output->bytes, &low, &high);
    return MD_OK;
}

static enum md_code clip_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *low = md_input(invocation, 1),
                           *high = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const void *low_bytes = low != NULL ? low->bytes : NULL, *high_bytes = high != NULL ? high->bytes : NULL;
    if (output == NULL)
        return MD_OK;
#define CLIP_CASE(datatype, type)                                                                            \
    case datatype:                                                                                           \
        clip_##type(input->count, input->bytes, output->bytes, low_bytes, high_bytes);                       \
        return MD_OK;
    switch (input->datatype) {
        MD_FOR_EACH_NUMBER(CLIP_CASE)
    default:
        return md_fail_datatype(invocation, input->datatype);
    }
}

const struct md_operator md_operators_selection[] = {
    { MD_ONNX, "Where", 9, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPE(MD_BOOL), 0, MD_KEEP_HALF_INPUTS, NULL,
      where_prepare, where_run },
    { MD_ONNX, "Clip", 1, 5, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE, clip_configure_1,
      md_prepare_same, clip_attributes_run },
    { MD_ONNX, "Clip", 6, 10, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE, clip_configure_6,
      md_prepare_same, clip_attributes_run },
    { MD_ONNX, "Clip", 11, MD_OPSET_NEWEST, 1, 3, 1, 1, MD_TYPES_NUMBER, MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER,
      MD_IN_PLACE, NULL, clip_prepare, clip_run },
    { 0 },
};
