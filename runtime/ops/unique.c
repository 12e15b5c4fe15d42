/* unique.c - Unique (11): the different elements, or the different slices along an axis.
 *
 * Slices are sorted by index with a stable sort, so that the first of each group of equals is its first
 * occurrence. NaNs are equal to each other and larger than every number, as in numpy. */
#include "index_sort.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

struct unique_parameters {
    bool flat;
    int64_t axis;
    bool unsorted;
};

/* < 0, 0, > 0 for runs of `count` scalars. */
typedef int (*compare_fn)(const void *a, const void *b, size_t count);

/* The slices to compare: slice s is the runs (o, s), o < outer. */
struct slices {
    const char *bytes;
    size_t outer, dim;
    size_t run_bytes;
    size_t run_scalars;
    compare_fn compare;
};

#define ORDER_REAL(x, y)    ((x) < (y) ? -1 : (x) > (y) ? 1 : ((x) != (x)) - ((y) != (y)))
#define ORDER_INTEGER(x, y) ((x) < (y) ? -1 : (x) > (y))
#define DEFINE_COMPARE(type, ORDER)                                                                          \
    static int compare_##type(const void *left, const void *right, size_t count)                             \
    {                                                                                                        \
        const type *a = left, *b = right;                                                                    \
        for (size_t i = 0; i < count; i++) {                                                                 \
            int order = ORDER(a[i], b[i]);                                                                   \
            if (order != 0)                                                                                  \
                return order;                                                                                \
        }                                                                                                    \
        return 0;                                                                                            \
    }
#define DEFINE_REAL(datatype, type)    DEFINE_COMPARE(type, ORDER_REAL)
#define DEFINE_INTEGER(datatype, type) DEFINE_COMPARE(type, ORDER_INTEGER)
MD_FOR_EACH_REAL(DEFINE_REAL)
MD_FOR_EACH_INTEGER(DEFINE_INTEGER)

static int compare_spans(const void *left, const void *right, size_t count)
{
    const struct md_span *a = left, *b = right;
    for (size_t i = 0; i < count; i++) {
        size_t common = a[i].size < b[i].size ? a[i].size : b[i].size;
        int order = common > 0 ? memcmp(a[i].bytes, b[i].bytes, common) : 0;
        if (order == 0)
            order = ORDER_INTEGER(a[i].size, b[i].size);
        if (order != 0)
            return order;
    }
    return 0;
}

#define COMPARE_ROW(datatype, type) [datatype] = compare_##type,
static const compare_fn compares[MD_DATATYPE_COUNT] = {
    [MD_BOOL] = compare_uint8_t,      [MD_BYTES] = compare_spans,
    [MD_COMPLEX64] = compare_float,   [MD_COMPLEX128] = compare_double,
    MD_FOR_EACH_NUMBER(COMPARE_ROW)
};

static int compare_slices(const struct slices *slices, int64_t a, int64_t b)
{
    for (size_t o = 0; o < slices->outer; o++) {
        const char *row = slices->bytes + o * slices->dim * slices->run_bytes;
        int order = slices->compare(row + (size_t)a * slices->run_bytes, row + (size_t)b * slices->run_bytes,
                                    slices->run_scalars);
        if (order != 0)
            return order;
    }
    return 0;
}

static bool slice_before(const void *owner, int64_t a, int64_t b)
{
    return compare_slices(owner, a, b) < 0;
}

static bool number_before(const void *owner, int64_t a, int64_t b)
{
    const int64_t *first = owner;
    return first[a] < first[b];
}

static enum md_code unique_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct unique_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t sorted;
    parameters->flat = md_attribute_find(configuration->attributes, "axis") == NULL;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", 0, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "sorted", 1, &sorted, configuration->error));
    parameters->unsorted = sorted == 0;
    return MD_OK;
}

static enum md_code slices_of(struct md_invocation *invocation, struct slices *slices, int32_t *out_axis)
{
    const struct unique_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    size_t size = md_datatype_size(input->datatype);
    size_t scalars = md_datatype_in(input->datatype, MD_TYPES_COMPLEX) ? 2 : 1;
    *slices = (struct slices){ input->bytes, 1, input->count, size, scalars, compares[input->datatype] };
    *out_axis = 0;
    if (parameters->flat)
        return MD_OK;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, out_axis));
    size_t inner = md_shape_product(&input->shape, *out_axis + 1, input->shape.rank);
    slices->outer = md_shape_product(&input->shape, 0, *out_axis);
    slices->dim = (size_t)input->shape.dims[*out_axis];
    slices->run_bytes = inner * size;
    slices->run_scalars = inner * scalars;
    return MD_OK;
}

static enum md_code unique_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    struct slices slices;
    int32_t axis;
    MD_TRY(slices_of(invocation, &slices, &axis));
    if (slices.dim > SIZE_MAX / (5 * sizeof(int64_t)))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Unique of %zu slices is too much",
                       slices.dim);
    return md_scratch(invocation, 5 * slices.dim * sizeof(int64_t));
}

/* order: the slices, sorted; group[s]: the group of slice s; first and counts: per group. Returns how many
 * groups. */
static size_t find_groups(const struct slices *slices, bool unsorted, int64_t *order, int64_t *group,
                          int64_t *first, int64_t *counts, int64_t *spare)
{
    for (size_t i = 0; i < slices->dim; i++)
        order[i] = (int64_t)i;
    md_index_sort(order, spare, slices->dim, slice_before, slices);
    size_t groups = 0;
    for (size_t i = 0; i < slices->dim; i++) {
        if (i == 0 || compare_slices(slices, order[i - 1], order[i]) != 0) {
            first[groups] = order[i];
            counts[groups++] = 0;
        }
        counts[groups - 1]++;
        group[order[i]] = (int64_t)groups - 1;
    }
    if (!unsorted)
        return groups;
    /* Groups in the order of their first slices: order[k] becomes the group in place k, then everything
     * moves. */
    for (size_t i = 0; i < groups; i++)
        order[i] = (int64_t)i;
    md_index_sort(order, spare, groups, number_before, first);
    for (size_t i = 0; i < groups; i++)
        spare[order[i]] = (int64_t)i;
    for (size_t i = 0; i < slices->dim; i++)
        group[i] = spare[group[i]];
    memset(counts, 0, groups * sizeof *counts);
    size_t seen = 0;
    for (size_t i = 0; i < slices->dim; i++) {
        if (counts[group[i]]++ == 0)
            first[seen++] = (int64_t)i;
    }
    return groups;
}

static enum md_code list_output(struct md_invocation *invocation, size_t index, const int64_t *values,
                                size_t count)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    int64_t dim = (int64_t)count;
    struct md_shape shape = md_shape_of(1, &dim);
    MD_TRY(md_output_now(invocation, index, MD_INT64, &shape));
    md_copy_bytes(md_output_tensor(invocation, index)->bytes, values, count * sizeof *values);
    return MD_OK;
}

static enum md_code unique_run(struct md_invocation *invocation)
{
    const struct unique_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct slices slices;
    int32_t axis;
    MD_TRY(slices_of(invocation, &slices, &axis));
    int64_t *order = invocation->scratch;
    int64_t *group = order + slices.dim, *first = group + slices.dim, *counts = first + slices.dim;
    size_t groups = slices.dim == 0 ? 0
                                    : find_groups(&slices, parameters->unsorted, order, group, first, counts,
                                                  counts + slices.dim);
    MD_TRY(list_output(invocation, 1, first, groups));
    MD_TRY(list_output(invocation, 2, group, slices.dim));
    MD_TRY(list_output(invocation, 3, counts, groups));
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    struct md_shape shape = parameters->flat ? (struct md_shape){ .rank = 1 } : input->shape;
    shape.dims[axis] = (int64_t)groups;
    MD_TRY(md_output_now(invocation, 0, input->datatype, &shape));
    char *to = md_output_tensor(invocation, 0)->bytes;
    for (size_t o = 0; o < slices.outer; o++)
        for (size_t g = 0; g < groups; g++, to += slices.run_bytes)
            md_copy_bytes(to, slices.bytes + (o * slices.dim + (size_t)first[g]) * slices.run_bytes,
                          slices.run_bytes);
    return MD_OK;
}

/* clang-format off */
enum {
    UNIQUE_NATIVE = MD_TYPES_INTEGER | MD_TYPES_COMPLEX | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) |
                    MD_TYPE(MD_BOOL) | MD_TYPE(MD_BYTES)
};

const struct md_operator md_operators_unique[] = {
    { MD_ONNX, "Unique", 11, MD_OPSET_NEWEST, 1, 1, 1, 4, UNIQUE_NATIVE | MD_TYPES_FLOAT, UNIQUE_NATIVE, 0,
      unique_configure, unique_prepare, unique_run },
    { 0 },
};
