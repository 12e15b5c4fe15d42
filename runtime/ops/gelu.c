/* gelu.c - Gelu of opset 20, and the spellings of com.microsoft: Gelu, FastGelu (tanh, optional bias), BiasGelu,
 * QuickGelu (sigmoid). A bias is one row, added to every row of the input first. */
#include "elementwise.h"
#include "operator_table.h"

#include "parallel.h"
#include "parameters.h"
#include "vector_loops.h"

#include <tgmath.h>

enum gelu_kind { GELU_ERF, GELU_TANH, GELU_QUICK };

struct gelu_parameters {
    enum gelu_kind kind;
    float alpha; /* QuickGelu */
};

/* half of x times one plus erf(x / sqrt 2), or the tanh approximation, or x * sigmoid(alpha x) */
#define GELU(type)                                                                                           \
    static void gelu_##type(const struct gelu_parameters *parameters, size_t count, const type *in,          \
                            const type *bias, size_t bias_count, type *out)                                  \
    {                                                                                                        \
        const type half = (type)0.5, root_half = (type)0.70710678118654752440;                               \
        const type root = (type)0.79788456080286535588, cubic = (type)0.044715;                              \
        const type alpha = (type)parameters->alpha;                                                          \
        for (size_t start = 0; start < count; start += bias_count)                                           \
            for (size_t k = 0; k < bias_count; k++) {                                                        \
                const size_t i = start + k;                                                                  \
                const type x = bias != NULL ? in[i] + bias[k] : in[i];                                       \
                if (parameters->kind == GELU_ERF)                                                            \
                    out[i] = half * x * (1 + erf(x * root_half));                                            \
                else if (parameters->kind == GELU_TANH)                                                      \
                    out[i] = half * x * (1 + tanh(root * (x + cubic * x * x * x)));                          \
                else                                                                                         \
                    out[i] = x / (1 + exp(-alpha * x));                                                      \
            }                                                                                                \
    }

GELU(float)
GELU(double)

static enum md_code configure(const struct md_configuration *configuration, enum gelu_kind kind,
                              const void **out_parameters)
{
    struct gelu_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->kind = kind;
    *out_parameters = parameters;
    return md_attribute_float(configuration->attributes, "alpha", 1.702f, &parameters->alpha, configuration->error);
}

static enum md_code gelu_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct md_span approximate;
    MD_TRY(md_attribute_string(configuration->attributes, "approximate", "none", &approximate, configuration->error));
    if (md_span_equal(approximate, md_span_of("tanh")))
        return configure(configuration, GELU_TANH, out_parameters);
    if (md_span_equal(approximate, md_span_of("none")))
        return configure(configuration, GELU_ERF, out_parameters);
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "attribute approximate is \"%.*s\": must be \"none\" or \"tanh\"",
                   (int)(approximate.size < 40 ? approximate.size : 40), approximate.bytes);
}

static enum md_code erf_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return configure(configuration, GELU_ERF, out_parameters);
}

static enum md_code fast_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return configure(configuration, GELU_TANH, out_parameters);
}

static enum md_code quick_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return configure(configuration, GELU_QUICK, out_parameters);
}

static enum md_code gelu_prepare(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *bias = md_input(invocation, 1);
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    if (bias != NULL) {
        const int32_t rank = input->shape.rank;
        if (rank == 0 || bias->shape.rank != 1 || bias->shape.dims[0] != input->shape.dims[rank - 1])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input 1 (bias) has %zu elements: must be one row of input 0, %lld", bias->count,
                           (long long)(rank > 0 ? input->shape.dims[rank - 1] : 0));
    }
    return md_prepare_same(invocation);
}

struct map {
    enum md_float_map map;
    const float *in;
    float *out;
};

static void run_map(void *context, size_t first, size_t count, size_t slot)
{
    const struct map *map = context;
    (void)slot; /* needs no scratch */
    md_vector_loops()->map(map->map, count, map->in + first, map->out + first);
}

static enum md_code gelu_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *bias = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const void *bias_bytes = bias != NULL ? bias->bytes : NULL;
    const size_t row = bias != NULL ? bias->count : input->count;
    const struct gelu_parameters *parameters = invocation->parameters;
    if (input->datatype == MD_FP32 && bias == NULL && parameters->kind != GELU_QUICK)
        md_parallel_elements(invocation, input->count, MD_COST_FUNCTION, run_map,
                             &(struct map){ parameters->kind == GELU_ERF ? MD_MAP_GELU : MD_MAP_GELU_TANH,
                                            input->bytes, output->bytes });
    else if (input->datatype == MD_FP32)
        gelu_float(invocation->parameters, input->count, input->bytes, bias_bytes, row, output->bytes);
    else
        gelu_double(invocation->parameters, input->count, input->bytes, bias_bytes, row, output->bytes);
    return MD_OK;
}

#define MICROSOFT_ROW(name, low, high, configure)                                                            \
    { MD_MICROSOFT, name, 1, MD_OPSET_MICROSOFT, low, high, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT,       \
      MD_IN_PLACE, configure, gelu_prepare, gelu_run }

const struct md_operator md_operators_gelu[] = {
    { MD_ONNX, "Gelu", 20, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, MD_IN_PLACE,
      gelu_configure, gelu_prepare, gelu_run },
    MICROSOFT_ROW("Gelu", 1, 1, erf_configure),
    MICROSOFT_ROW("FastGelu", 1, 2, fast_configure),
    MICROSOFT_ROW("BiasGelu", 2, 2, erf_configure),
    MICROSOFT_ROW("QuickGelu", 1, 1, quick_configure),
    { 0 },
};
