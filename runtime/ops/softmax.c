/* softmax.c - Softmax, LogSoftmax, Hardmax.
 *
 * From opset 13 on along one axis; before that over everything from `axis` on, as if the input were a matrix. Both
 * are [outer, axis, inner]: with inner 1 the elements of one group lie together, else groups lie side by side and
 * are computed COLUMNS at a time, so that memory is read in order. Groups never influence each other. */
#include "activation.h"
#include "elementwise.h"
#include "operator_table.h"

#include "parallel.h"
#include "parameters.h"

#include <tgmath.h>

enum { COLUMNS = 32, LANES = 8 };

struct softmax_parameters {
    int64_t axis;
    bool matrix; /* opset < 13 */
};

struct groups {
    size_t outer, length, inner;
};

static enum md_code softmax_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct softmax_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->matrix = configuration->opset < 13;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", parameters->matrix ? 1 : -1, &parameters->axis,
                            configuration->error));
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code find_groups(struct md_invocation *invocation, struct groups *out_groups)
{
    const struct softmax_parameters *parameters = invocation->parameters;
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    int32_t axis = 0;
    *out_groups = (struct groups){ 1, 1, 1 };
    if (shape->rank == 0)
        return MD_OK;
    if (!parameters->matrix || parameters->axis != shape->rank)
        MD_TRY(md_expect_axis(invocation, parameters->axis, shape->rank, &axis));
    else
        axis = shape->rank; /* flattening to [n, 1] is legal before opset 13 */
    out_groups->outer = md_shape_product(shape, 0, axis);
    if (parameters->matrix) {
        out_groups->length = md_shape_product(shape, axis, shape->rank);
        return MD_OK;
    }
    out_groups->length = (size_t)shape->dims[axis];
    out_groups->inner = md_shape_product(shape, axis + 1, shape->rank);
    return MD_OK;
}

static enum md_code softmax_prepare(struct md_invocation *invocation)
{
    struct groups groups;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(find_groups(invocation, &groups));
    return md_prepare_same(invocation);
}

/* Three kernels per type work on `columns` groups whose elements are `stride` apart. in may be out. */
#define MAXIMA(type)                                                                                         \
    static void maxima_##type(const type *in, size_t length, size_t stride, size_t columns, type *maxima)    \
    {                                                                                                        \
        for (size_t c = 0; c < columns; c++)                                                                 \
            maxima[c] = in[c];                                                                               \
        for (size_t i = 1; i < length; i++)                                                                  \
            for (size_t c = 0; c < columns; c++)                                                             \
                maxima[c] = in[i * stride + c] > maxima[c] ? in[i * stride + c] : maxima[c];                 \
    }
#define SOFTMAX(type)                                                                                        \
    static void strided_softmax_##type(const type *in, type *out, size_t length, size_t stride, size_t columns)      \
    {                                                                                                        \
        type maxima[COLUMNS];                                                                                \
        double sums[COLUMNS] = { 0 };                                                                        \
        maxima_##type(in, length, stride, columns, maxima);                                                  \
        for (size_t i = 0; i < length; i++)                                                                  \
            for (size_t c = 0; c < columns; c++) {                                                           \
                type e = exp(in[i * stride + c] - maxima[c]);                                                \
                out[i * stride + c] = e;                                                                     \
                sums[c] += (double)e;                                                                        \
            }                                                                                                \
        for (size_t c = 0; c < columns; c++)                                                                 \
            maxima[c] = (type)(1 / sums[c]);                                                                 \
        for (size_t i = 0; i < length; i++)                                                                  \
            for (size_t c = 0; c < columns; c++)                                                             \
                out[i * stride + c] *= maxima[c];                                                            \
    }
#define LOG_SOFTMAX(type)                                                                                    \
    static void log_softmax_##type(const type *in, type *out, size_t length, size_t stride, size_t columns)  \
    {                                                                                                        \
        type maxima[COLUMNS];                                                                                \
        double sums[COLUMNS] = { 0 };                                                                        \
        maxima_##type(in, length, stride, columns, maxima);                                                  \
        for (size_t i = 0; i < length; i++)                                                                  \
            for (size_t c = 0; c < columns; c++)                                                             \
                sums[c] += (double)exp(in[i * stride + c] - maxima[c]);                                      \
        for (size_t c = 0; c < columns; c++)                                                                 \
            sums[c] = log(sums[c]);                                                                          \
        for (size_t i = 0; i < length; i++)                                                                  \
            for (size_t c = 0; c < columns; c++)                                                             \
                out[i * stride + c] = (in[i * stride + c] - maxima[c]) - (type)sums[c];                      \
    }
/* One at the first largest element. */
#define HARDMAX(type)                                                                                        \
    static void hardmax_##type(const type *in, type *out, size_t length, size_t stride, size_t columns)      \
    {                                                                                                        \
        for (size_t c = 0; c < columns; c++) {                                                               \
            size_t best = 0;                                                                                 \
            for (size_t i = 1; i < length; i++)                                                              \
                if (in[i * stride + c] > in[best * stride + c])                                              \
                    best = i;                                                                                \
            for (size_t i = 0; i < length; i++)                                                              \
                out[i * stride + c] = i == best;                                                             \
        }                                                                                                    \
    }
/* One contiguous group of floats: the hot case of attention, in vectors. */
static void softmax_row(const float *in, float *out, size_t length)
{
    float highest = -INFINITY, maxima[LANES];
    double sums[LANES] = { 0 }, sum = 0;
    for (size_t l = 0; l < LANES; l++)
        maxima[l] = -INFINITY;
    for (size_t i = 0; i + LANES <= length; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            maxima[l] = in[i + l] > maxima[l] ? in[i + l] : maxima[l];
    for (size_t i = length - length % LANES; i < length; i++)
        maxima[0] = in[i] > maxima[0] ? in[i] : maxima[0];
    for (size_t l = 0; l < LANES; l++)
        highest = maxima[l] > highest ? maxima[l] : highest;
    for (size_t i = 0; i < length; i++)
        out[i] = in[i] - highest;
    md_exp_f32(length, out, out);
    for (size_t i = 0; i + LANES <= length; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            sums[l] += (double)out[i + l];
    for (size_t i = length - length % LANES; i < length; i++)
        sums[0] += (double)out[i];
    for (size_t l = 0; l < LANES; l++)
        sum += sums[l];
    const float factor = (float)(1 / sum);
    for (size_t i = 0; i < length; i++)
        out[i] *= factor;
}

#define DRIVER(name, type)                                                                                   \
    static void name##_groups_##type(const struct groups *groups, const void *input, void *output)           \
    {                                                                                                        \
        for (size_t o = 0; o < groups->outer; o++)                                                           \
            for (size_t c = 0; c < groups->inner; c += COLUMNS) {                                            \
                size_t start = o * groups->length * groups->inner + c;                                       \
                size_t columns = groups->inner - c < COLUMNS ? groups->inner - c : COLUMNS;                  \
                name##_##type((const type *)input + start, (type *)output + start, groups->length,           \
                              groups->inner, columns);                                                       \
            }                                                                                                \
    }
#define RUN(name)                                                                                            \
    DRIVER(name, float)                                                                                      \
    DRIVER(name, double)                                                                                     \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        const struct md_tensor *input = md_input(invocation, 0);                                             \
        struct md_tensor *output = md_output_tensor(invocation, 0);                                          \
        struct groups groups;                                                                                \
        if (output == NULL || output->count == 0)                                                            \
            return MD_OK;                                                                                    \
        MD_TRY(find_groups(invocation, &groups));                                                            \
        if (input->datatype == MD_FP32)                                                                      \
            name##_groups_float(&groups, input->bytes, output->bytes);                                       \
        else                                                                                                 \
            name##_groups_double(&groups, input->bytes, output->bytes);                                      \
        return MD_OK;                                                                                        \
    }

MAXIMA(float)
MAXIMA(double)
SOFTMAX(float)
SOFTMAX(double)
LOG_SOFTMAX(float)
LOG_SOFTMAX(double)
HARDMAX(float)
HARDMAX(double)
RUN(strided_softmax)
RUN(log_softmax)
RUN(hardmax)

struct rows {
    const float *in;
    float *out;
    size_t length;
};

static void run_rows(void *context, size_t first, size_t count, size_t slot)
{
    const struct rows *rows = context;
    (void)slot; /* needs no scratch */
    for (size_t i = first; i < first + count; i++)
        softmax_row(rows->in + i * rows->length, rows->out + i * rows->length, rows->length);
}

static enum md_code softmax_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct groups groups;
    MD_TRY(find_groups(invocation, &groups));
    if (output == NULL || output->count == 0 || input->datatype != MD_FP32 || groups.inner != 1)
        return strided_softmax_run(invocation);
    struct rows rows = { input->bytes, output->bytes, groups.length };
    md_parallel(invocation, groups.outer, (double)groups.length * MD_COST_FUNCTION, run_rows, &rows);
    return MD_OK;
}

#define ROWS(name, flags, run)                                                                               \
    { MD_ONNX, name, 1, 12, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, flags, softmax_configure,       \
      softmax_prepare, run },                                                                                \
    { MD_ONNX, name, 13, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, flags,            \
      softmax_configure, softmax_prepare, run }

const struct md_operator md_operators_softmax[] = {
    ROWS("Softmax", MD_IN_PLACE, softmax_run),
    ROWS("LogSoftmax", MD_IN_PLACE, log_softmax_run),
    ROWS("Hardmax", 0, hardmax_run),
    { 0 },
};
