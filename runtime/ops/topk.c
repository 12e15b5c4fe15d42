/* topk.c - TopK: k as an attribute (1), an input (10), with largest and sorted (11).
 *
 * A heap of the k best per lane: O(n log k). Equal elements are ordered by index, as the specification says;
 * NaN counts as the largest number, as numpy sorts it. Sorted or not, the answer is sorted: one fixed order.
 */
#include "operator_table.h"
#include "parameters.h"

struct topk_parameters {
    int64_t axis;
    int64_t k; /* opset 1 */
    bool smallest;
};

static enum md_code topk_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct topk_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t largest;
    MD_TRY(md_attribute_int(configuration->attributes, "axis", -1, &parameters->axis, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "k", -1, &parameters->k, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "largest", 1, &largest, configuration->error));
    parameters->smallest = largest == 0;
    return MD_OK;
}

static enum md_code topk_prepare(struct md_invocation *invocation)
{
    const struct topk_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    int64_t k = parameters->k;
    if (invocation->opset >= 10) {
        size_t count = 0;
        MD_TRY(md_expect_tensor(invocation, 1));
        MD_TRY(md_input_ints(invocation, 1, 1, &k, &count));
        if (count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input k of TopK has %zu elements, it must have 1", count);
    }
    if (k < 0 || k > input->shape.dims[axis])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "k is %lld, axis %d has size %lld",
                       (long long)k, axis, (long long)input->shape.dims[axis]);
    struct md_shape shape = input->shape;
    shape.dims[axis] = k;
    MD_TRY(md_scratch(invocation, (size_t)k * sizeof(int64_t)));
    MD_TRY(md_output(invocation, 0, input->datatype, &shape));
    return md_output(invocation, 1, MD_INT64, &shape);
}

/* One lane of the input and the heap of indices into it; heap[0] is the worst of the best. */
struct lane {
    const void *elements; /* of the lane's first element */
    size_t step;          /* elements from one to the next */
    size_t count;
    size_t k;
    int64_t *heap;
};

#define LARGER_REAL(x, y)    ((x) > (y) || ((x) != (x) && (y) == (y)))
#define LARGER_INTEGER(x, y) ((x) > (y))

/* a goes before b: a better value, or the same value and a lower index. */
#define DEFINE_SELECT(type, LARGER)                                                                          \
    static inline bool before_##type(const type *x, size_t step, int64_t a, int64_t b, bool smallest)        \
    {                                                                                                        \
        const type u = x[(size_t)a * step], v = x[(size_t)b * step];                                         \
        if (LARGER(u, v))                                                                                    \
            return !smallest;                                                                                \
        if (LARGER(v, u))                                                                                    \
            return smallest;                                                                                 \
        return a < b;                                                                                        \
    }                                                                                                        \
    static void sink_##type(const struct lane *lane, size_t size, int64_t index, bool smallest)              \
    {                                                                                                        \
        const type *x = lane->elements;                                                                      \
        size_t at = 0;                                                                                       \
        for (size_t child = 1; child < size; child = 2 * at + 1) {                                           \
            if (child + 1 < size &&                                                                          \
                before_##type(x, lane->step, lane->heap[child], lane->heap[child + 1], smallest))            \
                child++;                                                                                     \
            if (!before_##type(x, lane->step, index, lane->heap[child], smallest))                           \
                break;                                                                                       \
            lane->heap[at] = lane->heap[child];                                                              \
            at = child;                                                                                      \
        }                                                                                                    \
        lane->heap[at] = index;                                                                              \
    }                                                                                                        \
    static void rise_##type(const struct lane *lane, size_t at, int64_t index, bool smallest)                \
    {                                                                                                        \
        const type *x = lane->elements;                                                                      \
        while (at > 0) {                                                                                     \
            size_t parent = (at - 1) / 2;                                                                    \
            if (!before_##type(x, lane->step, lane->heap[parent], index, smallest))                          \
                break;                                                                                       \
            lane->heap[at] = lane->heap[parent];                                                             \
            at = parent;                                                                                     \
        }                                                                                                    \
        lane->heap[at] = index;                                                                              \
    }                                                                                                        \
    static void select_##type(const struct lane *lane, bool smallest)                                        \
    {                                                                                                        \
        const type *x = lane->elements;                                                                      \
        for (size_t i = 0; i < lane->k; i++)                                                                 \
            rise_##type(lane, i, (int64_t)i, smallest);                                                      \
        for (size_t i = lane->k; i < lane->count; i++)                                                       \
            if (before_##type(x, lane->step, (int64_t)i, lane->heap[0], smallest))                           \
                sink_##type(lane, lane->k, (int64_t)i, smallest);                                            \
        for (size_t size = lane->k; size-- > 1;) { /* the worst goes behind the rest */                      \
            int64_t last = lane->heap[size];                                                                 \
            lane->heap[size] = lane->heap[0];                                                                \
            sink_##type(lane, size, last, smallest);                                                         \
        }                                                                                                    \
    }
#define DEFINE_REAL(datatype, type)    DEFINE_SELECT(type, LARGER_REAL)
#define DEFINE_INTEGER(datatype, type) DEFINE_SELECT(type, LARGER_INTEGER)
MD_FOR_EACH_REAL(DEFINE_REAL)
MD_FOR_EACH_INTEGER(DEFINE_INTEGER)

typedef void (*select_fn)(const struct lane *lane, bool smallest);
#define SELECT_ROW(datatype, type) [datatype] = select_##type,
static const select_fn selects[MD_DATATYPE_COUNT] = { MD_FOR_EACH_NUMBER(SELECT_ROW) };

static enum md_code topk_run(struct md_invocation *invocation)
{
    const struct topk_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *values = md_output_tensor(invocation, 0), *indices = md_output_tensor(invocation, 1);
    const struct md_tensor *any = values != NULL ? values : indices;
    if (any == NULL || any->count == 0)
        return MD_OK;
    int32_t axis;
    MD_TRY(md_expect_axis(invocation, parameters->axis, input->shape.rank, &axis));
    size_t outer = md_shape_product(&input->shape, 0, axis);
    size_t inner = md_shape_product(&input->shape, axis + 1, input->shape.rank);
    size_t size = md_datatype_size(input->datatype);
    struct lane lane = { .step = inner,
                         .count = (size_t)input->shape.dims[axis],
                         .k = (size_t)any->shape.dims[axis],
                         .heap = invocation->scratch };
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
            const char *elements = md_elements(const char, input) + (o * lane.count * inner + i) * size;
            lane.elements = elements;
            selects[input->datatype](&lane, parameters->smallest);
            for (size_t k = 0; k < lane.k; k++) {
                size_t to = (o * lane.k + k) * inner + i;
                if (values != NULL)
                    memcpy(md_elements(char, values) + to * size,
                           elements + (size_t)lane.heap[k] * inner * size, size);
                if (indices != NULL)
                    md_elements(int64_t, indices)[to] = lane.heap[k];
            }
        }
    return MD_OK;
}

/* clang-format off */
enum {
    TOPK_TYPES = MD_TYPES_NUMBER,
    TOPK_NATIVE = MD_TYPES_INTEGER | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64)
};

const struct md_operator md_operators_topk[] = {
    { MD_ONNX, "TopK", 1, 9, 1, 1, 1, 2, TOPK_TYPES, TOPK_NATIVE, 0, topk_configure, topk_prepare, topk_run },
    { MD_ONNX, "TopK", 10, MD_OPSET_NEWEST, 2, 2, 1, 2, TOPK_TYPES, TOPK_NATIVE, 0, topk_configure,
      topk_prepare,
      topk_run },
    { 0 },
};
