/* local_normalization.c - LRN (across channels), LpNormalization (along an axis), MeanVarianceNormalization (over any
 * set of axes). */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

#include <math.h>

/* ---- LRN ---- */
struct lrn_parameters {
    float alpha, beta, bias;
    int64_t size;
};

static enum md_code lrn_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct lrn_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_float(attributes, "alpha", 0.0001f, &parameters->alpha, configuration->error));
    MD_TRY(md_attribute_float(attributes, "beta", 0.75f, &parameters->beta, configuration->error));
    MD_TRY(md_attribute_float(attributes, "bias", 1, &parameters->bias, configuration->error));
    MD_TRY(md_attribute_int(attributes, "size", 0, &parameters->size, configuration->error));
    if (parameters->size <= 0 || parameters->size > INT32_MAX)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute size is %lld: range is [1,%d]",
                       (long long)parameters->size, INT32_MAX);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code lrn_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 2, MD_MAX_RANK));
    return md_prepare_same(invocation);
}

#define LRN(type)                                                                                            \
    static void lrn_##type(const struct lrn_parameters *parameters, const type *in, size_t channels,         \
                           size_t inner, type *out)                                                          \
    {                                                                                                        \
        const size_t before = (size_t)(parameters->size - 1) / 2, after = (size_t)parameters->size / 2;      \
        const double alpha = (double)parameters->alpha / (double)parameters->size;                           \
        for (size_t c = 0; c < channels; c++) {                                                              \
            const size_t first = c > before ? c - before : 0;                                                \
            const size_t last = c + after < channels ? c + after : channels - 1;                             \
            for (size_t i = 0; i < inner; i++) {                                                             \
                double squares = 0;                                                                          \
                for (size_t k = first; k <= last; k++)                                                       \
                    squares += (double)in[k * inner + i] * (double)in[k * inner + i];                        \
                out[c * inner + i] = (type)((double)in[c * inner + i] /                                      \
                                            pow((double)parameters->bias + alpha * squares,                  \
                                                (double)parameters->beta));                                  \
            }                                                                                                \
        }                                                                                                    \
    }

LRN(float)
LRN(double)

static enum md_code lrn_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t channels = (size_t)input->shape.dims[1];
    const size_t inner = md_shape_product(&input->shape, 2, input->shape.rank);
    for (size_t start = 0; start < input->count; start += channels * inner)
        if (input->datatype == MD_FP32)
            lrn_float(invocation->parameters, md_elements(const float, input) + start, channels, inner,
                      md_elements(float, output) + start);
        else
            lrn_double(invocation->parameters, md_elements(const double, input) + start, channels, inner,
                       md_elements(double, output) + start);
    return MD_OK;
}

/* ---- LpNormalization ---- */
struct lp_parameters {
    int64_t axis, p;
};

static enum md_code lp_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct lp_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", -1, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "p", 2, &parameters->p, configuration->error));
    if (parameters->p != 1 && parameters->p != 2)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute p is %lld: must be 1 or 2",
                       (long long)parameters->p);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code lp_prepare(struct md_invocation *invocation)
{
    const struct lp_parameters *parameters = invocation->parameters;
    int32_t axis = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_axis(invocation, parameters->axis, md_input(invocation, 0)->shape.rank, &axis));
    return md_prepare_same(invocation);
}

/* A vector of norm 0 stays 0. */
#define LP_NORMALIZE(type)                                                                                   \
    static void lp_normalize_##type(int64_t p, const type *in, size_t length, size_t stride, type *out)      \
    {                                                                                                        \
        double norm = 0;                                                                                     \
        for (size_t i = 0; i < length; i++)                                                                  \
            norm += p == 1 ? fabs((double)in[i * stride]) : (double)in[i * stride] * (double)in[i * stride]; \
        norm = p == 1 ? norm : sqrt(norm);                                                                   \
        for (size_t i = 0; i < length; i++)                                                                  \
            out[i * stride] = norm == 0 ? 0 : (type)((double)in[i * stride] / norm);                         \
    }

LP_NORMALIZE(float)
LP_NORMALIZE(double)

static enum md_code lp_run(struct md_invocation *invocation)
{
    const struct lp_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    int32_t axis = 0;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    const size_t length = (size_t)input->shape.dims[axis];
    const size_t inner = md_shape_product(&input->shape, axis + 1, input->shape.rank);
    for (size_t column = 0; column < input->count / length; column++) {
        const size_t start = column / inner * length * inner + column % inner;
        if (input->datatype == MD_FP32)
            lp_normalize_float(parameters->p, md_elements(const float, input) + start, length, inner,
                               md_elements(float, output) + start);
        else
            lp_normalize_double(parameters->p, md_elements(const double, input) + start, length, inner,
                                md_elements(double, output) + start);
    }
    return MD_OK;
}

/* ---- MeanVarianceNormalization ---- */
struct mvn_parameters {
    size_t count;
    const int64_t *axes;
};

static enum md_code mvn_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    static const int64_t default_axes[] = { 0, 2, 3 };
    struct mvn_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_ints(configuration->attributes, "axes", &parameters->axes, &parameters->count,
                             configuration->error));
    if (md_attribute_find(configuration->attributes, "axes") == NULL) {
        parameters->axes = default_axes;
        parameters->count = 3;
    }
    *out_parameters = parameters;
    return MD_OK;
}

/* The shape of the means: 1 along the axes. */
static enum md_code mvn_kept(struct md_invocation *invocation, struct md_shape *out_kept)
{
    const struct mvn_parameters *parameters = invocation->parameters;
    *out_kept = md_input(invocation, 0)->shape;
    for (size_t i = 0; i < parameters->count; i++) {
        int32_t axis = 0;
        MD_TRY(md_expect_axis(invocation, parameters->axes[i], out_kept->rank, &axis));
        out_kept->dims[axis] = 1;
    }
    return MD_OK;
}

static enum md_code mvn_prepare(struct md_invocation *invocation)
{
    struct md_shape kept;
    size_t count = 0;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(mvn_kept(invocation, &kept));
    if (!md_shape_count(&kept, MD_COMPLEX128, &count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "too many means");
    MD_TRY(md_scratch(invocation, count * 2 * sizeof(double)));
    return md_prepare_same(invocation);
}

enum { EVERY_MEAN, EVERY_VARIANCE, EVERY_OUTPUT };

/* One pass over a run: sums, then squared distances, then the result. statistics: [mean, variance] pairs. */
#define MVN_RUN(type)                                                                                        \
    static void mvn_pass_##type(int pass, size_t count, const type *in, double (*statistics)[2], size_t step, \
                                type *out)                                                                   \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const double distance = (double)in[i] - statistics[i * step][0];                                 \
            if (pass == EVERY_MEAN)                                                                          \
                statistics[i * step][0] += (double)in[i];                                                    \
            else if (pass == EVERY_VARIANCE)                                                                 \
                statistics[i * step][1] += distance * distance;                                              \
            else                                                                                             \
                out[i] = (type)(distance / (sqrt(statistics[i * step][1]) + 1e-9));                          \
        }                                                                                                    \
    }

MVN_RUN(float)
MVN_RUN(double)

static enum md_code mvn_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    double(*statistics)[2] = invocation->scratch;
    struct md_shape kept;
    struct md_broadcast_loop loop;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(mvn_kept(invocation, &kept));
    const struct md_shape *shapes[] = { &kept };
    const size_t kept_count = md_shape_product(&kept, 0, kept.rank);
    memset(statistics, 0, kept_count * sizeof *statistics);
    for (int pass = EVERY_MEAN; pass <= EVERY_OUTPUT; pass++) {
        for (md_broadcast_loop_start(&loop, &input->shape, 1, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
            if (input->datatype == MD_FP32)
                mvn_pass_float(pass, loop.inner, md_elements(const float, input) + loop.position,
                               statistics + loop.offsets[0], loop.steps[0], md_elements(float, output) + loop.position);
            else
                mvn_pass_double(pass, loop.inner, md_elements(const double, input) + loop.position,
                                statistics + loop.offsets[0], loop.steps[0],
                                md_elements(double, output) + loop.position);
        for (size_t k = 0; k < kept_count && pass != EVERY_OUTPUT; k++)
            statistics[k][pass] /= (double)(input->count / kept_count);
    }
    return MD_OK;
}

#define ROW(name, from, flags, configure, prepare, run)                                                      \
    { MD_ONNX, name, from, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, flags,          \
      configure, prepare, run }

const struct md_operator md_operators_local_normalization[] = {
    ROW("LRN", 1, 0, lrn_configure, lrn_prepare, lrn_run),
    ROW("LpNormalization", 1, MD_IN_PLACE, lp_configure, lp_prepare, lp_run),
    ROW("MeanVarianceNormalization", 9, MD_IN_PLACE, mvn_configure, mvn_prepare, mvn_run),
    { 0 },
};
