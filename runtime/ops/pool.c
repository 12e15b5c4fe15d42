/* pool.c - MaxPool, AveragePool, LpPool over any number of spatial dimensions. */
#include "pool_box.h"

#include "operator_table.h"
#include "parameters.h"

#include <math.h>

struct pool_parameters {
    struct md_window_options options;
    bool count_include_pad;
    bool column_major; /* MaxPool: indices count along the first spatial dimension fastest */
    double p;
};

static enum md_code resolve(const struct md_invocation *invocation, struct md_window *out_window)
{
    const struct pool_parameters *parameters = invocation->parameters;
    const struct md_shape *input = &md_input(invocation, 0)->shape;
    return md_window_resolve(&parameters->options, input->rank - 2, input->dims + 2, NULL, out_window,
                             invocation->error);
}

static enum md_code pool_prepare(struct md_invocation *invocation)
{
    struct md_window window;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 3, MD_MAX_RANK));
    MD_TRY(resolve(invocation, &window));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape output = { input->shape.rank, { input->shape.dims[0], input->shape.dims[1] } };
    for (int32_t i = 0; i < window.rank; i++)
        output.dims[i + 2] = window.output[i];
    MD_TRY(md_output(invocation, 0, input->datatype, &output));
    return invocation->row->max_outputs > 1 ? md_output(invocation, 1, MD_INT64, &output) : MD_OK;
}

/* What all loops know. */
struct pooling {
    const struct pool_parameters *parameters;
    struct md_window window;
    size_t planes, input_plane, output_plane;
};

static enum md_code open_pooling(const struct md_invocation *invocation, struct pooling *out_pooling)
{
    const struct md_shape *input = &md_input(invocation, 0)->shape;
    MD_TRY(resolve(invocation, &out_pooling->window));
    out_pooling->parameters = invocation->parameters;
    out_pooling->planes = md_shape_product(input, 0, 2);
    out_pooling->input_plane = md_shape_product(input, 2, input->rank);
    out_pooling->output_plane = md_window_count(out_pooling->window.rank, out_pooling->window.output);
    return MD_OK;
}

/* Place of a plane's element when the first spatial dimension counts fastest. */
static size_t column_major(const struct md_window *window, size_t element)
{
    size_t index = 0;
    size_t coordinates[MD_WINDOW_RANK];
    for (int32_t d = window->rank - 1; d >= 0; d--) {
        coordinates[d] = element % (size_t)window->input[d];
        element /= (size_t)window->input[d];
    }
    for (int32_t d = window->rank - 1; d >= 0; d--)
        index = index * (size_t)window->input[d] + coordinates[d];
    return index;
}

/* Fills one output plane; `lowest` is what a window without elements gives. NaN wins, as in the exporters'
 * pools. */
#define DEFINE_MAX(datatype, type)                                                                           \
    static void max_##type(const struct pooling *pooling, const type *in, type *out, int64_t *indices,       \
                           int64_t first_index, type lowest)                                                 \
    {                                                                                                        \
        const struct md_window *window = &pooling->window;                                                   \
        int64_t position[MD_WINDOW_RANK] = { 0 };                                                            \
        for (size_t o = 0; o < pooling->output_plane; o++) {                                                 \
            struct md_pool_box box;                                                                          \
            type best = lowest;                                                                              \
            size_t best_at = 0;                                                                              \
            bool any = md_pool_box_open(window, position, &box);                                             \
            if (any)                                                                                         \
                best = in[best_at = box.row];                                                                \
            for (bool more = any; more; more = md_pool_box_next(&box))                                       \
                for (size_t i = 0; i < box.inner; i++) {                                                     \
                    type value = in[box.row + i * box.step];                                                 \
                    if (value > best || (value != value && best == best)) {                                  \
                        best = value;                                                                        \
                        best_at = box.row + i * box.step;                                                    \
                    }                                                                                        \
                }                                                                                            \
            if (out != NULL)                                                                                 \
                out[o] = best;                                                                               \
            if (indices != NULL)                                                                             \
                indices[o] = !any ? -1                                                                       \
                                  : first_index + (int64_t)(pooling->parameters->column_major                \
                                                                ? column_major(window, best_at)              \
                                                                : best_at);                                  \
            (void)md_grid_next(window->rank, window->output, position); /* as often as there are outputs */  \
        }                                                                                                    \
    }
#define FOR_EACH_MAX_TYPE(X) X(MD_FP32, float) X(MD_FP64, double) X(MD_INT8, int8_t) X(MD_UINT8, uint8_t)

FOR_EACH_MAX_TYPE(DEFINE_MAX)

static void max_plane(const struct pooling *pooling, enum md_datatype datatype, size_t plane, const void *in,
                      void *out, int64_t *indices)
{
    int64_t first = (int64_t)(plane * pooling->input_plane);
    switch (datatype) {
    case MD_FP32:
        max_float(pooling, in, out, indices, first, -INFINITY);
        break;
    case MD_FP64:
        max_double(pooling, in, out, indices, first, -(double)INFINITY);
        break;
    case MD_INT8:
        max_int8_t(pooling, in, out, indices, first, INT8_MIN);
        break;
    default:
        max_uint8_t(pooling, in, out, indices, first, 0);
        break;
    }
}

static enum md_code max_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0), *indices = md_output_tensor(invocation, 1);
    struct pooling pooling;
    MD_TRY(open_pooling(invocation, &pooling));
    if (pooling.output_plane == 0)
        return MD_OK;
    size_t size = md_datatype_size(input->datatype);
    for (size_t i = 0; i < pooling.planes; i++)
        max_plane(&pooling, input->datatype, i,
                  (const unsigned char *)input->bytes + i * pooling.input_plane * size,
                  output != NULL ? (unsigned char *)output->bytes + i * pooling.output_plane * size : NULL,
                  indices != NULL ? md_elements(int64_t, indices) + i * pooling.output_plane : NULL);
    return MD_OK;
}

/* Sums of a window's elements, in double; the statement may use `value`. */
#define DEFINE_SUM(name, type, term)                                                                         \
    static double name##_##type(const struct pooling *pooling, const type *in, const int64_t *position,      \
                                size_t *out_count)                                                           \
    {                                                                                                        \
        const double p = pooling->parameters->p;                                                             \
        struct md_pool_box box;                                                                              \
        double sum = 0;                                                                                      \
        size_t count = 0;                                                                                    \
        (void)p;                                                                                             \
        for (bool more = md_pool_box_open(&pooling->window, position, &box); more;                           \
             more = md_pool_box_next(&box)) {                                                                \
            for (size_t i = 0; i < box.inner; i++) {                                                         \
                double value = (double)in[box.row + i * box.step];                                           \
                sum += (term);                                                                               \
            }                                                                                                \
            count += box.inner;                                                                              \
        }                                                                                                    \
        *out_count = count;                                                                                  \
        return sum;                                                                                          \
    }

DEFINE_SUM(sum, float, value)
DEFINE_SUM(sum, double, value)
DEFINE_SUM(power_sum, float, p == 1.0 ? fabs(value) : p == 2.0 ? value * value : pow(fabs(value), p))
DEFINE_SUM(power_sum, double, p == 1.0 ? fabs(value) : p == 2.0 ? value * value : pow(fabs(value), p))

static double average(const struct pooling *pooling, double sum, size_t count, const int64_t *position)
{
    if (pooling->parameters->count_include_pad)
        return sum / md_pool_padded_count(&pooling->window, position);
    return count == 0 ? 0 : sum / (double)count;
}

static double root(const struct pooling *pooling, double sum, size_t count, const int64_t *position)
{
    double p = pooling->parameters->p;
    (void)count;
    (void)position;
    return p == 1.0 ? sum : p == 2.0 ? sqrt(sum) : pow(sum, 1.0 / p);
}

#define DEFINE_PLANES(name, type, make_sum, finish)                                                          \
    static void name##_##type(const struct pooling *pooling, const type *in, type *out)                      \
    {                                                                                                        \
        const struct md_window *window = &pooling->window;                                                   \
        int64_t position[MD_WINDOW_RANK] = { 0 };                                                            \
        for (size_t o = 0; o < pooling->output_plane; o++) {                                                 \
            size_t count;                                                                                    \
            double sum = make_sum##_##type(pooling, in, position, &count);                                   \
            out[o] = (type)finish(pooling, sum, count, position);                                            \
            (void)md_grid_next(window->rank, window->output, position); /* as often as there are outputs */  \
        }                                                                                                    \
    }

DEFINE_PLANES(average_plane, float, sum, average)
DEFINE_PLANES(average_plane, double, sum, average)
DEFINE_PLANES(norm_plane, float, power_sum, root)
DEFINE_PLANES(norm_plane, double, power_sum, root)

#define DEFINE_RUN(family)                                                                                   \
    static enum md_code family##_run(struct md_invocation *invocation)                                       \
    {                                                                                                        \
        const struct md_tensor *input = md_input(invocation, 0);                                             \
        struct md_tensor *output = md_output_tensor(invocation, 0);                                          \
        struct pooling pooling;                                                                              \
        MD_TRY(open_pooling(invocation, &pooling));                                                          \
        if (output == NULL || output->count == 0)                                                            \
            return MD_OK;                                                                                    \
        for (size_t i = 0; i < pooling.planes; i++) {                                                        \
            size_t from = i * pooling.input_plane, to = i * pooling.output_plane;                            \
            if (input->datatype == MD_FP32)                                                                  \
                family##_plane_float(&pooling, md_elements(const float, input) + from, md_elements(float, output) + to);\
            else                                                                                             \
                family##_plane_double(&pooling, md_elements(const double, input) + from,                     \
                                    md_elements(double, output) + to);                                       \
        }                                                                                                    \
        return MD_OK;                                                                                        \
    }

DEFINE_RUN(average)
DEFINE_RUN(norm)

/* LpPool's p is a float in opset 1 and an integer later. */
static enum md_code read_p(const struct md_configuration *configuration, double *out_p)
{
    const struct md_attribute *p = md_attribute_find(configuration->attributes, "p");
    int64_t whole = 2;
    if (p != NULL && p->kind == MD_ATTRIBUTE_FLOAT) {
        *out_p = (double)p->value.f;
    } else {
        MD_TRY(md_attribute_int(configuration->attributes, "p", 2, &whole, configuration->error));
        *out_p = (double)whole;
    }
    if (!(*out_p > 0))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute p is %g, it must be positive",
                       *out_p);
    return MD_OK;
}

static enum md_code pool_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct pool_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t count_include_pad, storage_order;
    struct md_error *error = configuration->error;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_window_options_read(configuration, &parameters->options));
    MD_TRY(md_attribute_int(configuration->attributes, "count_include_pad", 0, &count_include_pad, error));
    MD_TRY(md_attribute_int(configuration->attributes, "storage_order", 0, &storage_order, error));
    parameters->count_include_pad = count_include_pad != 0;
    parameters->column_major = storage_order != 0;
    MD_TRY(read_p(configuration, &parameters->p));
    *out_parameters = parameters;
    return MD_OK;
}

#define NATIVE (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64))
#define BYTE   (MD_TYPE(MD_INT8) | MD_TYPE(MD_UINT8))

const struct md_operator md_operators_pool[] = {
    { MD_ONNX, "AveragePool", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, pool_configure,
      pool_prepare, average_run },
    { MD_ONNX, "LpPool", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, pool_configure,
      pool_prepare, norm_run },
    { MD_ONNX, "MaxPool", 1, 7, 1, 1, 1, 1, MD_TYPES_FLOAT, NATIVE, 0, pool_configure, pool_prepare,
      max_run },
    { MD_ONNX, "MaxPool", 8, 11, 1, 1, 1, 2, MD_TYPES_FLOAT, NATIVE, 0, pool_configure, pool_prepare,
      max_run },
    { MD_ONNX, "MaxPool", 12, MD_OPSET_NEWEST, 1, 1, 1, 2, MD_TYPES_FLOAT | BYTE, NATIVE | BYTE, 0,
      pool_configure, pool_prepare, max_run },
    { 0 },
};
