/* reduction.c - ReduceSum, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp, SumSquare.
 *
 * Neighbouring dimensions that are both kept or both reduced are merged. If the innermost is reduced, each output
 * element folds contiguous rows; if it is kept, COLUMNS output elements are folded side by side. Real numbers are
 * accumulated in double, integers in 64 bits that wrap. The order of additions depends on nothing but the lengths of
 * the reduced dimensions. */
#include "elementwise.h"
#include "integer_from_real.h"
#include "operator_table.h"

#include "parameters.h"
#include "vector_loops.h"

#include <math.h>

enum { COLUMNS = 64, LANES = 8 };

enum finish { FINISH_PLAIN, FINISH_MEAN, FINISH_ROOT, FINISH_LOG };

/* Folds count elements into accumulators: row: all into the first; columns: each into its own. shift: see LogSumExp. */
typedef void (*fold_fn)(const void *input, size_t count, void *accumulators, const double *shift);
typedef void (*start_fn)(size_t count, void *accumulators);
typedef void (*finish_fn)(enum finish finish, size_t count, const void *accumulators, size_t reduced, void *output);

struct fold {
    start_fn start;
    fold_fn row, columns;
    finish_fn finish;
};

struct reduction {
    const struct fold *folds; /* by datatype */
    enum finish finish;
    bool log_sum_exp; /* two passes: the maximum, then the sum of exp(x - maximum) */
    void (*float_rows)(size_t rows, size_t length, const float *input, float *output); /* or NULL: dense FP32 rows */
};

/* ---- loops by type ---- */
/* step sees a (the accumulator) and x; merge joins two accumulators a and x. */
#define FOLD(name, type, acc_type, start_value, step, merge)                                                 \
    static void name##_start_##type(size_t count, void *accumulators)                                        \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((acc_type *)accumulators)[i] = (acc_type)(start_value);                                         \
    }                                                                                                        \
    static void name##_columns_##type(const void *input, size_t count, void *accumulators,                   \
                                      const double *shift)                                                   \
    {                                                                                                        \
        const type *in = input;                                                                              \
        acc_type *acc = accumulators;                                                                        \
        (void)shift;                                                                                         \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const acc_type a = acc[i], x = (acc_type)in[i];                                                  \
            const double s = shift[i];                                                                       \
            (void)s;                                                                                         \
            acc[i] = (step);                                                                                 \
        }                                                                                                    \
    }                                                                                                        \
    static void name##_row_##type(const void *input, size_t count, void *accumulators, const double *shift)  \
    {                                                                                                        \
        const type *in = input;                                                                              \
        const double s = shift[0];                                                                           \
        acc_type lanes[LANES], *acc = accumulators;                                                          \
        size_t i = 0;                                                                                        \
        (void)s;                                                                                             \
        name##_start_##type(LANES, lanes);                                                                   \
        for (; i + LANES <= count; i += LANES)                                                               \
            for (size_t l = 0; l < LANES; l++) {                                                             \
                const acc_type a = lanes[l], x = (acc_type)in[i + l];                                        \
                lanes[l] = (step);                                                                           \
            }                                                                                                \
        for (; i < count; i++) {                                                                             \
            const acc_type a = lanes[0], x = (acc_type)in[i];                                                \
            lanes[0] = (step);                                                                               \
        }                                                                                                    \
        for (size_t l = 0; l < LANES; l++) {                                                                 \
            const acc_type a = acc[0], x = lanes[l];                                                         \
            acc[0] = (merge);                                                                                \
        }                                                                                                    \
    }

static double finish_real(enum finish finish, double value, size_t reduced)
{
    switch (finish) {
    case FINISH_MEAN:
        return value / (double)reduced;
    case FINISH_ROOT:
        return sqrt(value);
    case FINISH_LOG:
        return log(value);
    case FINISH_PLAIN:
    default:
        return value;
    }
}

#define FINISH_DOUBLE(datatype, type)                                                                        \
    static void finish_double_##type(enum finish finish, size_t count, const void *accumulators,             \
                                     size_t reduced, void *output)                                           \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++)                                                                   \
            ((type *)output)[i] =                                                                            \
                md_##type##_from_double(finish_real(finish, ((const double *)accumulators)[i], reduced));    \
    }
/* wide is int64_t or uint64_t. The mean of no integers was refused in prepare. */
#define FINISH_INTEGER(type, wide)                                                                           \
    static void finish_integer_##type(enum finish finish, size_t count, const void *accumulators,            \
                                      size_t reduced, void *output)                                          \
    {                                                                                                        \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const wide value = ((const wide *)accumulators)[i];                                              \
            if (finish == FINISH_PLAIN)                                                                      \
                ((type *)output)[i] = (type)value;                                                           \
            else if (finish == FINISH_MEAN)                                                                  \
                ((type *)output)[i] = (type)(value / (wide)reduced);                                         \
            else                                                                                             \
                ((type *)output)[i] = md_##type##_from_double(finish_real(finish, (double)value, reduced));  \
        }                                                                                                    \
    }
#define FINISH_SIGNED(datatype, type)   FINISH_INTEGER(type, int64_t)
#define FINISH_UNSIGNED(datatype, type) FINISH_INTEGER(type, uint64_t)

MD_FOR_EACH_NUMBER(FINISH_DOUBLE)
MD_FOR_EACH_SIGNED(FINISH_SIGNED)
MD_FOR_EACH_UNSIGNED(FINISH_UNSIGNED)

/* Sums wrap, so signed ones are computed in uint64_t, too: (uint64_t)in[i] extends the sign. */
#define SUMS(type, acc_type)                                                                                 \
    FOLD(sum, type, acc_type, 0, a + x, a + x)                                                               \
    FOLD(prod, type, acc_type, 1, a *x, a *x)                                                                \
    FOLD(sum_square, type, acc_type, 0, a + x * x, a + x)
#define SUMS_REAL(datatype, type)    SUMS(type, double) FOLD(sum_abs, type, double, 0, a + fabs(x), a + x)
#define SUMS_INTEGER(datatype, type) SUMS(type, uint64_t)
#define SUM_ABS_SIGNED(datatype, type)                                                                       \
    FOLD(sum_abs, type, uint64_t, 0, a + ((int64_t)x < 0 ? 0 - x : x), a + x)
#define SUM_ABS_UNSIGNED(datatype, type) FOLD(sum_abs, type, uint64_t, 0, a + x, a + x)
#define SUM_EXP(datatype, type)          FOLD(sum_exp, type, double, 0, a + exp(x - s), a + x)
/* NaN wins: it is not <= anything, and then nothing is > NaN. Integers compare as ever. */
#define EXTREMA_REAL(datatype, type)                                                                         \
    FOLD(max, type, double, -INFINITY, x > a || isnan(x) ? x : a, x > a || isnan(x) ? x : a)                 \
    FOLD(min, type, double, INFINITY, x < a || isnan(x) ? x : a, x < a || isnan(x) ? x : a)
#define LOWEST_SIGNED(type)  (-(int64_t)(((uint64_t)1 << (sizeof(type) * 8 - 1)) - 1) - 1)
#define HIGHEST_SIGNED(type) ((int64_t)(((uint64_t)1 << (sizeof(type) * 8 - 1)) - 1))
#define EXTREMA_SIGNED(datatype, type)                                                                       \
    FOLD(max, type, int64_t, LOWEST_SIGNED(type), x > a ? x : a, x > a ? x : a)                              \
    FOLD(min, type, int64_t, HIGHEST_SIGNED(type), x < a ? x : a, x < a ? x : a)
#define EXTREMA_UNSIGNED(datatype, type)                                                                     \
    FOLD(max, type, uint64_t, 0, x > a ? x : a, x > a ? x : a)                                               \
    FOLD(min, type, uint64_t, (type)UINT64_MAX, x < a ? x : a, x < a ? x : a)

MD_FOR_EACH_REAL(SUMS_REAL)
MD_FOR_EACH_INTEGER(SUMS_INTEGER)
MD_FOR_EACH_SIGNED(SUM_ABS_SIGNED)
MD_FOR_EACH_UNSIGNED(SUM_ABS_UNSIGNED)
MD_FOR_EACH_NUMBER(SUM_EXP)
MD_FOR_EACH_REAL(EXTREMA_REAL)
MD_FOR_EACH_SIGNED(EXTREMA_SIGNED)
MD_FOR_EACH_UNSIGNED(EXTREMA_UNSIGNED)
/* The maxima that LogSumExp subtracts are doubles for every type. */
#define SHIFT(datatype, type) FOLD(shift, type, double, -INFINITY, x > a || isnan(x) ? x : a, x > a ? x : a)
MD_FOR_EACH_NUMBER(SHIFT)
/* An empty minimum of booleans is true. */
FOLD(all, uint8_t, uint64_t, 1, x < a ? x : a, x < a ? x : a)

#define ENTRY(name, datatype, type, finish)                                                                  \
    [datatype] = { name##_start_##type, name##_row_##type, name##_columns_##type, finish##_##type },
#define SUM_REAL(datatype, type)            ENTRY(sum, datatype, type, finish_double)
#define SUM_INTEGER(datatype, type)         ENTRY(sum, datatype, type, finish_integer)
#define PROD_REAL(datatype, type)           ENTRY(prod, datatype, type, finish_double)
#define PROD_INTEGER(datatype, type)        ENTRY(prod, datatype, type, finish_integer)
#define SUM_SQUARE_REAL(datatype, type)     ENTRY(sum_square, datatype, type, finish_double)
#define SUM_SQUARE_INTEGER(datatype, type)  ENTRY(sum_square, datatype, type, finish_integer)
#define SUM_ABS_REAL(datatype, type)        ENTRY(sum_abs, datatype, type, finish_double)
#define SUM_ABS_INTEGER(datatype, type)     ENTRY(sum_abs, datatype, type, finish_integer)
#define SUM_EXP_ENTRY(datatype, type)       ENTRY(sum_exp, datatype, type, finish_double)
#define SHIFT_ENTRY(datatype, type)         ENTRY(shift, datatype, type, finish_double)
#define MAX_REAL(datatype, type)            ENTRY(max, datatype, type, finish_double)
#define MAX_INTEGER(datatype, type)         ENTRY(max, datatype, type, finish_integer)
#define MIN_REAL(datatype, type)            ENTRY(min, datatype, type, finish_double)
#define MIN_INTEGER(datatype, type)         ENTRY(min, datatype, type, finish_integer)

static const struct fold sum_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(SUM_REAL)
                                                              MD_FOR_EACH_INTEGER(SUM_INTEGER) };
static const struct fold prod_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(PROD_REAL)
                                                               MD_FOR_EACH_INTEGER(PROD_INTEGER) };
static const struct fold sum_square_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(SUM_SQUARE_REAL)
                                                                     MD_FOR_EACH_INTEGER(SUM_SQUARE_INTEGER) };
static const struct fold sum_abs_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(SUM_ABS_REAL)
                                                                  MD_FOR_EACH_INTEGER(SUM_ABS_INTEGER) };
static const struct fold sum_exp_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SUM_EXP_ENTRY) };
static const struct fold shift_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SHIFT_ENTRY) };
static const struct fold max_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(MAX_REAL)
                                                              MD_FOR_EACH_INTEGER(MAX_INTEGER)
                                                                  ENTRY(max, MD_BOOL, uint8_t, finish_integer) };
static const struct fold min_folds[MD_DATATYPE_COUNT] = { MD_FOR_EACH_REAL(MIN_REAL)
                                                              MD_FOR_EACH_INTEGER(MIN_INTEGER)
                                                                  ENTRY(all, MD_BOOL, uint8_t, finish_integer) };

/* ---- which dimensions ---- */
struct reduction_parameters {
    struct md_int_list axes; /* attribute; absent when they are an input */
    bool keep_dims;
    bool no_axes_no_reduction;
};

static enum md_code reduction_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct reduction_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t keep_dims = 1, no_op = 0;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_int_list_read(configuration, "axes", &parameters->axes));
    MD_TRY(md_attribute_int(configuration->attributes, "keepdims", 1, &keep_dims, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "noop_with_empty_axes", 0, &no_op, configuration->error));
    parameters->keep_dims = keep_dims != 0;
    parameters->no_axes_no_reduction = no_op != 0;
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code find_reduced(struct md_invocation *invocation, bool reduced[MD_MAX_RANK])
{
    const struct reduction_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *axes = md_input(invocation, 1);
    size_t count = axes != NULL ? axes->count : parameters->axes.count;
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    for (int32_t d = 0; d < MD_MAX_RANK; d++)
        reduced[d] = count == 0 && !parameters->no_axes_no_reduction;
    for (size_t i = 0; i < count; i++) {
        int32_t axis = 0;
        int64_t value = axes != NULL ? md_index_at(axes, i) : parameters->axes.values[i];
        MD_TRY(md_expect_axis(invocation, value, input->shape.rank, &axis));
        reduced[axis] = true;
    }
    return MD_OK;
}

static enum md_code reduction_prepare(struct md_invocation *invocation)
{
    const struct reduction_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    bool reduced[MD_MAX_RANK];
    struct md_shape shape = { 0 };
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(find_reduced(invocation, reduced));
    for (int32_t d = 0; d < input->shape.rank; d++)
        if (!reduced[d])
            shape.dims[shape.rank++] = input->shape.dims[d];
        else if (parameters->keep_dims)
            shape.dims[shape.rank++] = 1;
    return md_output(invocation, 0, input->datatype, &shape);
}

/* ---- the walk ---- */
struct axis_group {
    int32_t rank;
    size_t dims[MD_MAX_RANK], strides[MD_MAX_RANK]; /* outermost first */
};

struct walk {
    struct axis_group kept, reduced; /* without the innermost merged dimension */
    size_t kept_count, reduced_count;
    size_t inner; /* the innermost merged dimension */
    bool inner_is_reduced;
    size_t reduced_total; /* elements that one output element stands for */
};

static void prepend_dimension(struct axis_group *group, size_t dim, size_t stride)
{
    for (int32_t i = group->rank; i > 0; i--) {
        group->dims[i] = group->dims[i - 1];
        group->strides[i] = group->strides[i - 1];
    }
    group->dims[0] = dim;
    group->strides[0] = stride;
    group->rank++;
}

static void walk_init(struct walk *walk, const struct md_shape *shape, const bool *reduced)
{
    size_t stride = 1, run = 0;
    *walk = (struct walk){ .kept_count = 1, .reduced_count = 1, .inner = 1, .inner_is_reduced = true,
                           .reduced_total = 1 };
    for (int32_t d = shape->rank - 1; d >= 0; d -= (int32_t)run) {
        size_t dim = 1;
        for (run = 0; d - (int32_t)run >= 0 && reduced[d - (int32_t)run] == reduced[d]; run++)
            dim *= (size_t)shape->dims[d - (int32_t)run];
        walk->reduced_total *= reduced[d] ? dim : 1;
        if (d == shape->rank - 1) {
            walk->inner = dim;
            walk->inner_is_reduced = reduced[d];
        } else {
            prepend_dimension(reduced[d] ? &walk->reduced : &walk->kept, dim, stride);
            *(reduced[d] ? &walk->reduced_count : &walk->kept_count) *= dim;
        }
        stride *= dim;
    }
}

/* Element offset of position `index` of a group. */
static size_t group_offset(const struct axis_group *group, size_t index)
{
    size_t offset = 0;
    for (int32_t i = group->rank - 1; i >= 0; i--) {
        offset += index % group->dims[i] * group->strides[i];
        index /= group->dims[i];
    }
    return offset;
}

/* Folds `count` output elements side by side (columns), or one (rows of walk->inner). */
static void fold_all(const struct walk *walk, const struct fold *fold, const char *input, size_t element_size,
                     size_t count, void *accumulators, const double *shift)
{
    fold->start(count, accumulators);
    for (size_t r = 0; r < walk->reduced_count; r++) {
        const char *at = input + group_offset(&walk->reduced, r) * element_size;
        if (walk->inner_is_reduced)
            fold->row(at, walk->inner, accumulators, shift);
        else
            fold->columns(at, count, accumulators, shift);
    }
}

union accumulators {
    double reals[COLUMNS];
    uint64_t integers[COLUMNS];
};

static void reduce_block(const struct walk *walk, const struct reduction *reduction, enum md_datatype datatype,
                         const char *input, size_t count, char *output)
{
    const struct fold *fold = &reduction->folds[datatype];
    size_t size = md_datatype_size(datatype);
    union accumulators accumulators;
    double shift[COLUMNS] = { 0 };
    if (!reduction->log_sum_exp) {
        fold_all(walk, fold, input, size, count, &accumulators, shift);
        fold->finish(reduction->finish, count, &accumulators, walk->reduced_total, output);
        return;
    }
    fold_all(walk, &shift_folds[datatype], input, size, count, &accumulators, shift);
    for (size_t i = 0; i < count; i++) /* infinities and NaN pass through exp as they are */
        shift[i] = isfinite(accumulators.reals[i]) ? accumulators.reals[i] : 0;
    fold_all(walk, fold, input, size, count, &accumulators, shift);
    for (size_t i = 0; i < count; i++)
        accumulators.reals[i] = log(accumulators.reals[i]) + shift[i];
    fold->finish(FINISH_PLAIN, count, &accumulators, walk->reduced_total, output);
}

static enum md_code reduction_run(struct md_invocation *invocation, const struct reduction *reduction)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    bool reduced[MD_MAX_RANK];
    struct walk walk;
    if (output == NULL || output->count == 0)
        return MD_OK;
    if (reduction->folds[input->datatype].start == NULL)
        return md_fail_datatype(invocation, input->datatype);
    MD_TRY(find_reduced(invocation, reduced));
    walk_init(&walk, &input->shape, reduced);
    if (walk.reduced_total == 0 && reduction->finish == FINISH_MEAN && !md_datatype_in(input->datatype, MD_TYPES_FLOAT))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the mean of no integers is undefined");
    if (reduction->float_rows != NULL && input->datatype == MD_FP32 && input->count > 0 && walk.inner_is_reduced &&
        walk.reduced_count == 1 && walk.kept.rank <= 1) {
        reduction->float_rows(walk.kept_count, walk.inner, input->bytes, output->bytes);
        return MD_OK;
    }
    size_t size = md_datatype_size(input->datatype);
    size_t width = walk.inner_is_reduced ? 1 : walk.inner, step = width < COLUMNS ? width : COLUMNS;
    char *out = output->bytes;
    for (size_t k = 0; k < walk.kept_count; k++) {
        size_t offset = group_offset(&walk.kept, k);
        for (size_t c = 0; c < width; c += step) {
            size_t count = width - c < step ? width - c : step;
            /* an empty input has no bytes to point into; then nothing is read */
            const char *at = input->count > 0 ? (const char *)input->bytes + (offset + c) * size : "";
            reduce_block(&walk, reduction, input->datatype, at, count, out);
            out += count * size;
        }
    }
    return MD_OK;
}

static void largest_of_rows(size_t rows, size_t length, const float *input, float *output)
{
    md_vector_loops()->largest(rows, length, input, output);
}

#define RUN(name, folds, finish, log_sum_exp, float_rows)                                                    \
    static enum md_code name##_run(struct md_invocation *invocation)                                         \
    {                                                                                                        \
        static const struct reduction reduction = { folds, finish, log_sum_exp, float_rows };                \
        return reduction_run(invocation, &reduction);                                                        \
    }

RUN(reduce_sum, sum_folds, FINISH_PLAIN, false, NULL)
RUN(reduce_mean, sum_folds, FINISH_MEAN, false, NULL)
RUN(reduce_max, max_folds, FINISH_PLAIN, false, largest_of_rows)
RUN(reduce_min, min_folds, FINISH_PLAIN, false, NULL)
RUN(reduce_prod, prod_folds, FINISH_PLAIN, false, NULL)
RUN(reduce_l1, sum_abs_folds, FINISH_PLAIN, false, NULL)
RUN(reduce_l2, sum_square_folds, FINISH_ROOT, false, NULL)
RUN(reduce_log_sum, sum_folds, FINISH_LOG, false, NULL)
RUN(reduce_log_sum_exp, sum_exp_folds, FINISH_PLAIN, true, NULL)
RUN(reduce_sum_square, sum_square_folds, FINISH_PLAIN, false, NULL)

/* axes are an attribute below `input_from`, an optional input from there on */
#define TYPES_NATIVE (MD_TYPES_WIDE_FLOAT | MD_TYPES_INTEGER)
#define ROWS(name, input_from, extra, run)                                                                   \
    { MD_ONNX, name, 1, input_from - 1, 1, 1, 1, 1, MD_TYPES_NUMBER | (extra), TYPES_NATIVE | (extra), 0,    \
      reduction_configure, reduction_prepare, run },                                                         \
    { MD_ONNX, name, input_from, MD_OPSET_NEWEST, 1, 2, 1, 1, MD_TYPES_NUMBER | (extra),                     \
      TYPES_NATIVE | (extra), 0, reduction_configure, reduction_prepare, run }

const struct md_operator md_operators_reduction[] = {
    ROWS("ReduceSum", 13, 0, reduce_sum_run),
    ROWS("ReduceMean", 18, 0, reduce_mean_run),
    ROWS("ReduceMax", 18, MD_TYPE(MD_BOOL), reduce_max_run),
    ROWS("ReduceMin", 18, MD_TYPE(MD_BOOL), reduce_min_run),
    ROWS("ReduceProd", 18, 0, reduce_prod_run),
    ROWS("ReduceL1", 18, 0, reduce_l1_run),
    ROWS("ReduceL2", 18, 0, reduce_l2_run),
    ROWS("ReduceLogSum", 18, 0, reduce_log_sum_run),
    ROWS("ReduceLogSumExp", 18, 0, reduce_log_sum_exp_run),
    ROWS("ReduceSumSquare", 18, 0, reduce_sum_square_run),
    { 0 },
};
