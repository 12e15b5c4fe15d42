/* einsum.c - Einsum (12): operands are contracted two at a time, from left to right, as batched matrix
 * products.
 *
 * An operand is a strided view with one stride per label: a diagonal adds strides, broadcasting makes them 0.
 * Before a product, labels that nobody needs any more are summed away, and the operand is copied into [batch,
 * rows, depth] order unless it lies that way already. FP32 and FP64 compute in their own type, integers in
 * INT64, which wraps. */
#include "checked.h"
#include "einsum_equation.h"
#include "gemm.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

struct einsum_parameters {
    size_t term_count;
    struct md_einsum_term *terms;
    bool is_explicit;
    struct md_einsum_term output;
};

struct labels {
    int32_t count;
    uint8_t items[MD_EINSUM_LABELS];
};

/* A view of a tensor, or of what a step has computed. */
struct operand {
    const void *bytes;
    enum md_datatype datatype;
    struct labels labels;              /* all different */
    int64_t strides[MD_EINSUM_LABELS]; /* by position in labels; elements */
};

struct einsum {
    enum md_datatype work;          /* FP32, FP64 or INT64 */
    int64_t dims[MD_EINSUM_LABELS]; /* by label; -1: not used */
    int32_t ellipsis_rank;
    struct labels output;
};

/* The regions of the scratch memory; while measuring, only the sizes count. */
struct workspace {
    bool measuring;
    size_t a_size, b_size, c_size, gemm_size;
    char *a, *b, *c, *gemm;
};

static uint64_t bit(uint8_t label)
{
    return UINT64_C(1) << label;
}

static uint64_t mask_of(const struct labels *labels)
{
    uint64_t mask = 0;
    for (int32_t i = 0; i < labels->count; i++)
        mask |= bit(labels->items[i]);
    return mask;
}

/* ---- equation ---- */
static enum md_code einsum_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct einsum_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span text;
    MD_TRY(md_attribute_string(configuration->attributes, "equation", "", &text, configuration->error));
    parameters->terms =
        md_arena_allocate_zeroed(configuration->arena, configuration->input_count, sizeof *parameters->terms);
    if (parameters->terms == NULL)
        return md_fail_memory(configuration->error, "Einsum");
    do {
        if (parameters->term_count == configuration->input_count)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                           "the equation has more terms than %zu inputs", configuration->input_count);
        MD_TRY(
            md_einsum_term_parse(&text, &parameters->terms[parameters->term_count++], configuration->error));
    } while (md_einsum_take(&text, ","));
    if (parameters->term_count != configuration->input_count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "the equation has %zu terms, the node %zu inputs", parameters->term_count,
                       configuration->input_count);
    parameters->is_explicit = md_einsum_take(&text, "->");
    if (parameters->is_explicit)
        MD_TRY(md_einsum_term_parse(&text, &parameters->output, configuration->error));
    if (text.size > 0)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "the equation goes on behind its output");
    return MD_OK;
}

/* The label of dim `dim` of input `index`, whose rank has been checked. */
static uint8_t label_at(const struct md_einsum_term *term, int32_t rank, int32_t ellipsis_rank, int32_t dim)
{
    int32_t own =
        rank - term->count; /* dims of this input's ellipsis; the last ones of all inputs fall together */
    if (term->ellipsis < 0 || dim < term->ellipsis)
        return term->labels[dim];
    if (dim < term->ellipsis + own)
        return (uint8_t)(MD_EINSUM_LETTERS + ellipsis_rank - own + dim - term->ellipsis);
    return term->labels[dim - own];
}

static enum md_code read_dims(struct md_invocation *invocation, struct einsum *einsum)
{
    const struct einsum_parameters *parameters = invocation->parameters;
    einsum->ellipsis_rank = 0;
    for (size_t i = 0; i < parameters->term_count; i++) {
        const struct md_einsum_term *term = &parameters->terms[i];
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_same_datatype(invocation, 0, i));
        MD_TRY(md_expect_rank(invocation, i, term->count, term->ellipsis < 0 ? term->count : MD_MAX_RANK));
        int32_t own = md_input(invocation, i)->shape.rank - term->count;
        einsum->ellipsis_rank = own > einsum->ellipsis_rank ? own : einsum->ellipsis_rank;
    }
    for (int32_t label = 0; label < MD_EINSUM_LABELS; label++)
        einsum->dims[label] = -1;
    for (size_t i = 0; i < parameters->term_count; i++) {
        const struct md_shape *shape = &md_input(invocation, i)->shape;
        for (int32_t k = 0; k < shape->rank; k++) {
            uint8_t label = label_at(&parameters->terms[i], shape->rank, einsum->ellipsis_rank, k);
            int64_t have = einsum->dims[label], dim = shape->dims[k];
            if (have >= 0 && have != dim && have != 1 && dim != 1)
                return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                               "dim %d of input %zu is %lld, the same label has %lld elsewhere", (int)k, i,
                               (long long)dim, (long long)have);
            einsum->dims[label] = have < 0 || have == 1 ? dim : have;
        }
    }
    return MD_OK;
}

/* Without "->": the ellipsis, then the letters that occur once, in alphabetical order. */
static void implicit_output(const struct einsum_parameters *parameters, struct einsum *einsum)
{
    uint32_t seen[MD_EINSUM_LETTERS] = { 0 };
    for (size_t i = 0; i < parameters->term_count; i++)
        for (int32_t k = 0; k < parameters->terms[i].count; k++)
            seen[parameters->terms[i].labels[k]]++;
    for (int32_t i = 0; i < einsum->ellipsis_rank; i++)
        einsum->output.items[einsum->output.count++] = (uint8_t)(MD_EINSUM_LETTERS + i);
    for (uint8_t label = 0; label < MD_EINSUM_LETTERS; label++)
        if (seen[label] == 1)
            einsum->output.items[einsum->output.count++] = label;
}

static enum md_code explicit_output(struct md_invocation *invocation, struct einsum *einsum)
{
    const struct einsum_parameters *parameters = invocation->parameters;
    const struct md_einsum_term *term = &parameters->output;
    int32_t rank = term->count + (term->ellipsis < 0 ? 0 : einsum->ellipsis_rank);
    uint64_t used = 0;
    for (int32_t i = 0; i < rank; i++) {
        uint8_t label = label_at(term, rank, einsum->ellipsis_rank, i);
        if (einsum->dims[label] < 0 || (used & bit(label)) != 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "output label %d of the equation is %s",
                           (int)i, (used & bit(label)) != 0 ? "there twice" : "in no input");
        used |= bit(label);
        einsum->output.items[einsum->output.count++] = label;
    }
    return MD_OK;
}

static enum md_code einsum_of(struct md_invocation *invocation, struct einsum *einsum)
{
    const struct einsum_parameters *parameters = invocation->parameters;
    *einsum = (struct einsum){ 0 };
    MD_TRY(read_dims(invocation, einsum));
    if (parameters->is_explicit)
        MD_TRY(explicit_output(invocation, einsum));
    else
        implicit_output(parameters, einsum);
    enum md_datatype datatype = md_input(invocation, 0)->datatype;
    einsum->work = datatype == MD_FP32 || datatype == MD_FP64 ? datatype : MD_INT64;
    return MD_OK;
}

/* ---- operands ---- */
static struct operand operand_of(const struct md_invocation *invocation, const struct einsum *einsum,
                                 size_t index)
{
    const struct einsum_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, index);
    struct operand operand = { .bytes = input->bytes, .datatype = input->datatype };
    int64_t strides[MD_MAX_RANK];
    md_shape_strides(&input->shape, strides);
    for (int32_t k = 0; k < input->shape.rank; k++) {
        uint8_t label = label_at(&parameters->terms[index], input->shape.rank, einsum->ellipsis_rank, k);
        int32_t at = 0;
        while (at < operand.labels.count && operand.labels.items[at] != label)
            at++;
        if (at == operand.labels.count) {
            operand.labels.items[operand.labels.count++] = label;
            operand.strides[at] = 0;
        }
        operand.strides[at] += input->shape.dims[k] == 1 ? 0 : strides[k]; /* a label twice: the diagonal */
    }
    return operand;
}

/* How many elements the labels span. False: too many. */
static bool span_of(const struct einsum *einsum, const struct labels *labels, size_t *out_count)
{
    size_t product = 1;
    bool empty = false;
    for (int32_t i = 0; i < labels->count; i++) {
        size_t dim = (size_t)einsum->dims[labels->items[i]];
        empty = empty || dim == 0;
        if (dim != 0 && !md_checked_multiply(product, dim, &product))
            return false;
    }
    *out_count = empty ? 0 : product;
    return product <= PTRDIFF_MAX / 64;
}

static bool is_dense(const struct einsum *einsum, const struct operand *operand, const struct labels *order)
{
    int64_t stride = 1;
    if (operand->datatype != einsum->work || operand->labels.count != order->count)
        return false;
    for (int32_t i = order->count - 1; i >= 0; i--) {
        int64_t dim = einsum->dims[order->items[i]];
        if (operand->labels.items[i] != order->items[i] || (operand->strides[i] != stride && dim != 1))
            return false;
        stride *= dim;
    }
    return true;
}

/* One loop nest: `kept` dims give the elements of the result, `summed` dims what is added up for each of
 * them. */
struct reduction {
    int32_t kept, summed;
    int64_t dims[2][MD_EINSUM_LABELS];
    int64_t strides[2][MD_EINSUM_LABELS];
    size_t count, terms;
};

/* The next index of a loop nest, as an offset. */
static int64_t advance(int32_t rank, const int64_t *dims, const int64_t *strides, int64_t *index,
                       int64_t offset)
{
    for (int32_t i = rank - 1; i >= 0; i--) {
        offset += strides[i];
        if (++index[i] < dims[i])
            break;
        offset -= strides[i] * index[i];
        index[i] = 0;
    }
    return offset;
}

#define DEFINE_SUM(datatype, type, result_type, sum_type)                                                    \
    static void sum_##type(const struct reduction *r, const void *source, void *result)                      \
    {                                                                                                        \
        const type *from = source;                                                                           \
        result_type *to = result;                                                                            \
        int64_t outer[MD_EINSUM_LABELS] = { 0 }, at = 0;                                                     \
        for (size_t i = 0; i < r->count; i++) {                                                              \
            int64_t inner[MD_EINSUM_LABELS] = { 0 }, offset = at;                                            \
            sum_type sum = 0;                                                                                \
            for (size_t k = 0; k < r->terms; k++) {                                                          \
                sum += (sum_type)from[offset];                                                               \
                offset = advance(r->summed, r->dims[1], r->strides[1], inner, offset);                       \
            }                                                                                                \
            to[i] = (result_type)sum;                                                                        \
            at = advance(r->kept, r->dims[0], r->strides[0], outer, at);                                     \
        }                                                                                                    \
    }
#define DEFINE_SUM_REAL(datatype, type)    DEFINE_SUM(datatype, type, type, double)
#define DEFINE_SUM_INTEGER(datatype, type) DEFINE_SUM(datatype, type, int64_t, uint64_t)
MD_FOR_EACH_REAL(DEFINE_SUM_REAL)
MD_FOR_EACH_INTEGER(DEFINE_SUM_INTEGER)

/* Nothing to add up: the copy that knows about caches. */
static void copy_view(const void *bytes, const struct reduction *r, size_t size, void *to)
{
    struct md_strided source = { 0 }, target = { .bytes = to };
    memcpy(&source.bytes, &bytes, sizeof bytes); /* only read */
    for (int32_t i = 0; i < r->kept; i++)
        source.strides[i] = r->strides[0][i] * (int64_t)size;
    md_dense_strides(r->kept, r->dims[0], size, target.strides);
    md_strided_copy(r->kept, r->dims[0], &target, &source, size);
}

/* Copies an operand to `to`, dense in `order`, in the work type; labels that are not in `order` are summed.
 */
static void gather(const struct einsum *einsum, const struct operand *operand, const struct labels *order,
                   void *to)
{
    struct reduction r = { .count = 1, .terms = 1 };
    for (int32_t i = 0; i < order->count; i++) {
        int32_t at = 0;
        while (operand->labels.items[at] != order->items[i])
            at++;
        r.dims[0][r.kept] = einsum->dims[order->items[i]];
        r.count *= (size_t)r.dims[0][r.kept];
        r.strides[0][r.kept++] = operand->strides[at];
    }
    uint64_t kept = mask_of(order);
    for (int32_t i = 0; i < operand->labels.count; i++) {
        if ((kept & bit(operand->labels.items[i])) != 0)
            continue;
        r.dims[1][r.summed] = einsum->dims[operand->labels.items[i]];
        r.terms *= (size_t)r.dims[1][r.summed];
        r.strides[1][r.summed++] = operand->strides[i];
    }
    if (r.summed == 0 && operand->datatype == einsum->work && r.kept <= MD_COPY_MAX_RANK) {
        copy_view(operand->bytes, &r, md_datatype_size(einsum->work), to);
        return;
    }
#define SUM_CASE(datatype_, type)                                                                            \
    case datatype_:                                                                                          \
        sum_##type(&r, operand->bytes, to);                                                                  \
        break;
    switch ((int)operand->datatype) {
        MD_FOR_EACH_NUMBER(SUM_CASE)
    default:
        break;
    }
}

static void grow(size_t *size, size_t count)
{
    size_t bytes = count * sizeof(int64_t); /* no work type is larger */
    *size = bytes > *size ? bytes : *size;
}

/* ---- products ---- */
static void append(struct labels *labels, const struct labels *from, uint64_t mask)
{
    for (int32_t i = 0; i < from->count; i++)
        if ((mask & bit(from->items[i])) != 0)
            labels->items[labels->count++] = from->items[i];
}

/* A factor as batches of matrices: outer (rows of A, columns of B) by depth. */
struct factor {
    const void *bytes;
    ptrdiff_t outer_stride, depth_stride;
};

/* Lays an operand out as [batch, outer, depth] or [batch, depth, outer], whichever it is, or copies it to
 * `memory`. */
static struct factor lay_out(const struct einsum *einsum, const struct operand *operand,
                             const struct labels *batch, const struct labels *outer,
                             const struct labels *depth, bool measuring, char *memory, size_t *memory_size)
{
    struct labels order = *batch, other = *batch;
    size_t outer_size = 1, depth_size = 1, count = 0;
    append(&order, outer, UINT64_MAX);
    append(&order, depth, UINT64_MAX);
    append(&other, depth, UINT64_MAX);
    append(&other, outer, UINT64_MAX);
    (void)span_of(einsum, outer, &outer_size); /* parts of the whole, which is checked */
    (void)span_of(einsum, depth, &depth_size);
    if (is_dense(einsum, operand, &order))
        return (struct factor){ operand->bytes, (ptrdiff_t)depth_size, 1 };
    if (is_dense(einsum, operand, &other))
        return (struct factor){ operand->bytes, 1, (ptrdiff_t)outer_size };
    (void)span_of(einsum, &order, &count);
    grow(memory_size, count);
    if (!measuring)
        gather(einsum, operand, &order, memory);
    return (struct factor){ memory, (ptrdiff_t)depth_size, 1 };
}

static void multiply(const struct einsum *einsum, const struct factor *a, const struct factor *b,
                     size_t batches, size_t rows, size_t columns, size_t depth,
                     const struct workspace *workspace)
{
    size_t size = md_datatype_size(einsum->work);
    struct md_gemm gemm = {
        .type = einsum->work == MD_FP32   ? MD_GEMM_F32
                : einsum->work == MD_FP64 ? MD_GEMM_F64
                                          : MD_GEMM_I64,
        .rows = rows,
        .columns = columns,
        .depth = depth,
        .c_stride = columns,
        .finish = { .alpha = 1 },
    };
    for (size_t i = 0; i < batches && rows * columns > 0; i++) {
        gemm.a = (struct md_matrix){ (const char *)a->bytes + i * rows * depth * size, a->outer_stride,
                                     a->depth_stride };
        gemm.b = (struct md_matrix){ (const char *)b->bytes + i * columns * depth * size, b->depth_stride,
                                     b->outer_stride };
        gemm.c = workspace->c + i * rows * columns * size;
        md_gemm(&gemm, workspace->gemm);
    }
}

/* *a becomes the product of *a and *b without the labels that are not in `needed`. */
static enum md_code contract(struct md_invocation *invocation, const struct einsum *einsum, uint64_t needed,
                             struct operand *a, const struct operand *b, struct workspace *workspace)
{
    uint64_t in_a = mask_of(&a->labels), in_b = mask_of(&b->labels), both = in_a & in_b;
    struct labels batch = { 0 }, rows = { 0 }, columns = { 0 }, depth = { 0 }, all = { 0 };
    size_t batch_count = 0, row_count = 0, column_count = 0, depth_count = 0, count, whole;
    append(&batch, &a->labels, both & needed);
    append(&rows, &a->labels, in_a & ~in_b & needed);
    append(&columns, &b->labels, in_b & ~in_a & needed);
    append(&depth, &a->labels, both & ~needed);
    append(&all, &batch, UINT64_MAX);
    append(&all, &rows, UINT64_MAX);
    append(&all, &columns, UINT64_MAX);
    struct labels product = all;
    append(&all, &depth, UINT64_MAX);
    if (!span_of(einsum, &all, &whole) || !span_of(einsum, &product, &count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Einsum: an intermediate result is too large");
    (void)span_of(einsum, &batch, &batch_count); /* parts of the whole */
    (void)span_of(einsum, &rows, &row_count);
    (void)span_of(einsum, &columns, &column_count);
    (void)span_of(einsum, &depth, &depth_count);
    struct factor left =
        lay_out(einsum, a, &batch, &rows, &depth, workspace->measuring, workspace->a, &workspace->a_size);
    /* A factor that is still in c would be overwritten by the product. */
    grow(&workspace->a_size, a->bytes == workspace->c ? batch_count * row_count * depth_count : 0);
    if (!workspace->measuring && left.bytes == workspace->c && workspace->c != NULL) {
        memcpy(workspace->a, left.bytes,
               batch_count * row_count * depth_count * md_datatype_size(einsum->work));
        left.bytes = workspace->a;
    }
    struct factor right =
        lay_out(einsum, b, &batch, &columns, &depth, workspace->measuring, workspace->b, &workspace->b_size);
    grow(&workspace->c_size, count);
    size_t gemm_size = md_gemm_workspace(einsum->work == MD_FP32   ? MD_GEMM_F32
                                         : einsum->work == MD_FP64 ? MD_GEMM_F64
                                                                   : MD_GEMM_I64,
                                         depth_count);
    workspace->gemm_size = gemm_size > workspace->gemm_size ? gemm_size : workspace->gemm_size;
    if (!workspace->measuring)
        multiply(einsum, &left, &right, batch_count, row_count, column_count, depth_count, workspace);
    *a = (struct operand){ .bytes = workspace->c, .datatype = einsum->work, .labels = product };
    int64_t stride = 1;
    for (int32_t i = product.count - 1; i >= 0; i--) {
        a->strides[i] = stride;
        stride *= einsum->dims[product.items[i]];
    }
    return MD_OK;
}

/* Labels that inputs from `first` on, or the output, still need. */
static uint64_t needed_from(const struct md_invocation *invocation, const struct einsum *einsum, size_t first)
{
    uint64_t mask = mask_of(&einsum->output);
    for (size_t i = first; i < invocation->input_count; i++) {
        struct operand operand = operand_of(invocation, einsum, i);
        mask |= mask_of(&operand.labels);
    }
    return mask;
}

static enum md_code contract_all(struct md_invocation *invocation, const struct einsum *einsum,
                                 struct workspace *workspace, struct operand *out_result)
{
    *out_result = operand_of(invocation, einsum, 0);
    for (size_t i = 1; i < invocation->input_count; i++) {
        struct operand next = operand_of(invocation, einsum, i);
        MD_TRY(contract(invocation, einsum, needed_from(invocation, einsum, i + 1), out_result, &next,
                        workspace));
    }
    return MD_OK;
}

static size_t padded(size_t size)
{
    return (size + 63) / 64 * 64;
}

static enum md_code einsum_prepare(struct md_invocation *invocation)
{
    struct einsum einsum;
    MD_TRY(einsum_of(invocation, &einsum));
    char mark; /* while measuring, c only has to be different from every input */
    struct workspace workspace = { .measuring = true, .c = &mark };
    struct operand result;
    MD_TRY(contract_all(invocation, &einsum, &workspace, &result));
    struct md_shape shape = { .rank = einsum.output.count };
    if (einsum.output.count > MD_MAX_RANK)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "the output of Einsum has rank %d, the limit is %d", (int)einsum.output.count,
                       MD_MAX_RANK);
    for (int32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = einsum.dims[einsum.output.items[i]];
    size_t count;
    if (!span_of(&einsum, &einsum.output, &count) || workspace.a_size > PTRDIFF_MAX / 8 ||
        workspace.b_size > PTRDIFF_MAX / 8 || workspace.c_size > PTRDIFF_MAX / 8)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the output of Einsum is too large");
    grow(&workspace.a_size, count); /* integers are narrowed from there */
    MD_TRY(md_scratch(invocation, padded(workspace.a_size) + padded(workspace.b_size) +
                                      padded(workspace.c_size) + padded(workspace.gemm_size)));
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &shape);
}

#define NARROW_CASE(datatype_, type)                                                                         \
    case datatype_:                                                                                          \
        for (size_t i = 0; i < output->count; i++)                                                           \
            md_elements(type, output)[i] = (type)from[i];                                                    \
        break;

static void narrow(const int64_t *from, struct md_tensor *output)
{
    switch ((int)output->datatype) {
        MD_FOR_EACH_INTEGER(NARROW_CASE)
    default:
        break;
    }
}

static enum md_code einsum_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct einsum einsum;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(einsum_of(invocation, &einsum));
    char mark;
    struct workspace sizes = { .measuring = true, .c = &mark };
    struct operand result;
    MD_TRY(contract_all(invocation, &einsum, &sizes, &result));
    grow(&sizes.a_size, output->count);
    struct workspace workspace = { .a = invocation->scratch };
    workspace.b = workspace.a + padded(sizes.a_size);
    workspace.c = workspace.b + padded(sizes.b_size);
    workspace.gemm = workspace.c + padded(sizes.c_size);
    MD_TRY(contract_all(invocation, &einsum, &workspace, &result));
    if (einsum.work == output->datatype) {
        gather(&einsum, &result, &einsum.output, output->bytes);
    } else {
        gather(&einsum, &result, &einsum.output, workspace.a);
        narrow((const int64_t *)(void *)workspace.a, output);
    }
    return MD_OK;
}

/* clang-format off */
enum { EINSUM_NATIVE = MD_TYPES_INTEGER | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) };

const struct md_operator md_operators_einsum[] = {
    { MD_ONNX, "Einsum", 12, MD_OPSET_NEWEST, 1, -1, 1, 1, MD_TYPES_NUMBER, EINSUM_NATIVE, 0,
      einsum_configure, einsum_prepare, einsum_run },
    { 0 },
};
