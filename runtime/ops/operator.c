/* operator.c - finding rows in the families' tables, and the checks that operators share; see operator.h. */
#include "operator_table.h"

#include <string.h>

#define MD_OPERATOR_FAMILY(name) extern const struct md_operator md_operators_##name[];
#include "operator_families.def"
#undef MD_OPERATOR_FAMILY

static const struct md_operator *const families[] = {
#define MD_OPERATOR_FAMILY(name) md_operators_##name,
#include "operator_families.def"
#undef MD_OPERATOR_FAMILY
    NULL,
};

void md_operator_each(void (*visit_fn)(const struct md_operator *row, void *owner), void *owner)
{
    for (size_t i = 0; families[i] != NULL; i++)
        for (const struct md_operator *row = families[i]; row->op_type != NULL; row++)
            visit_fn(row, owner);
}

const struct md_operator *md_operator_find(const char *domain, const char *op_type, int64_t opset,
                                           bool *out_any_version)
{
    *out_any_version = false;
    for (size_t i = 0; families[i] != NULL; i++)
        for (const struct md_operator *row = families[i]; row->op_type != NULL; row++) {
            if (strcmp(row->op_type, op_type) != 0 || strcmp(row->domain, domain) != 0)
                continue;
            *out_any_version = true;
            if (opset >= row->from && opset <= row->to)
                return row;
        }
    return NULL;
}

enum md_code md_expect_tensor(struct md_invocation *invocation, size_t input)
{
    if (md_input(invocation, input) != NULL)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu must be a tensor", input);
}

enum md_code md_expect_same_datatype(struct md_invocation *invocation, size_t a, size_t b)
{
    const struct md_tensor *first = md_input(invocation, a);
    const struct md_tensor *second = md_input(invocation, b);
    if (first == NULL || second == NULL || first->datatype == second->datatype)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu (%s) must have the datatype of input %zu (%s)", b,
                   md_datatype_name(second->datatype), a, md_datatype_name(first->datatype));
}

enum md_code md_expect_datatype(struct md_invocation *invocation, size_t input, unsigned types)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    if (tensor == NULL || md_datatype_in(tensor->datatype, types))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu must not have the datatype %s", input,
                   md_datatype_name(tensor->datatype));
}

enum md_code md_expect_rank(struct md_invocation *invocation, size_t input, int32_t low, int32_t high)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    if (tensor == NULL || (tensor->shape.rank >= low && tensor->shape.rank <= high))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has rank %d, it must be %d to %d", input,
                   (int)tensor->shape.rank, (int)low, (int)high);
}

enum md_code md_expect_axis(struct md_invocation *invocation, int64_t axis, int32_t rank, int32_t *out_axis)
{
    if (md_axis_normalize(axis, rank, out_axis))
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "axis %lld of an input with rank %d: range is [%d,%d]",
                   (long long)axis, (int)rank, -(int)rank, (int)rank - 1);
}

enum md_code md_input_ints(struct md_invocation *invocation, size_t input, size_t limit, int64_t *out_values,
                           size_t *out_count)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    *out_count = 0;
    if (tensor == NULL)
        return MD_OK;
    MD_TRY(md_expect_datatype(invocation, input, MD_TYPE(MD_INT32) | MD_TYPE(MD_INT64)));
    if (tensor->count > limit)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements, limit is %zu", input,
                       tensor->count, limit);
    for (size_t i = 0; i < tensor->count; i++)
        out_values[i] = md_tensor_int(tensor, i);
    *out_count = tensor->count;
    return MD_OK;
}

enum md_code md_prepare_same(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    return md_output(invocation, 0, input->datatype, &input->shape);
}

enum md_code md_prepare_broadcast(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    const struct md_tensor *a = md_input(invocation, 0);
    const struct md_tensor *b = md_input(invocation, 1);
    struct md_shape shape;
    if (!md_shape_broadcast(&a->shape, &b->shape, &shape)) {
        char first[MD_SHAPE_TEXT_SIZE];
        char second[MD_SHAPE_TEXT_SIZE];
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "shapes %s and %s do not broadcast",
                       md_shape_text(&a->shape, first, sizeof first), md_shape_text(&b->shape, second, sizeof second));
    }
    return md_output(invocation, 0, a->datatype, &shape);
}
