/* broadcast_loop.c - see broadcast_loop.h. */
#include "broadcast_loop.h"

/* Element stride of `shape` along dimension `axis` of the target; 0 where it is repeated. */
static size_t broadcast_stride(const struct md_shape *shape, int32_t target_rank, int32_t axis)
{
    int32_t own = axis - (target_rank - shape->rank);
    if (own < 0 || shape->dims[own] == 1)
        return 0;
    return md_shape_product(shape, own + 1, shape->rank);
}

/* Dimension `to` continues dimension `from` for every operand: they are one. */
static bool can_merge(const struct md_broadcast_loop *loop, int32_t last, const size_t *strides)
{
    for (size_t k = 0; k < loop->operand_count; k++)
        if (strides[k] != loop->strides[k][last] * loop->dims[last])
            return false;
    return true;
}

void md_broadcast_loop_start(struct md_broadcast_loop *loop, const struct md_shape *target, size_t operand_count,
                             const struct md_shape *const *shapes)
{
    int32_t count = 0;
    *loop = (struct md_broadcast_loop){ .inner = 1, .runs = 1, .operand_count = operand_count };
    for (int32_t axis = target->rank - 1; axis >= 0; axis--) {
        size_t dim = (size_t)target->dims[axis];
        size_t strides[MD_LOOP_OPERANDS] = { 0 };
        if (dim == 0) {
            loop->runs = 0;
            return;
        }
        if (dim == 1)
            continue;
        for (size_t k = 0; k < operand_count; k++)
            strides[k] = broadcast_stride(shapes[k], target->rank, axis);
        if (count > 0 && can_merge(loop, count - 1, strides)) {
            loop->dims[count - 1] *= dim;
            continue;
        }
        loop->dims[count] = dim;
        for (size_t k = 0; k < operand_count; k++)
            loop->strides[k][count] = strides[k];
        count++;
    }
    if (count == 0)
        return;
    /* The innermost merged dimension is the run: its strides are 0 or 1 because operands are dense. */
    loop->inner = loop->dims[0];
    for (size_t k = 0; k < operand_count; k++)
        loop->steps[k] = loop->strides[k][0];
    loop->rank = count - 1;
    for (int32_t d = 0; d < loop->rank; d++) {
        loop->dims[d] = loop->dims[d + 1];
        loop->runs *= loop->dims[d];
        for (size_t k = 0; k < operand_count; k++)
            loop->strides[k][d] = loop->strides[k][d + 1];
    }
}

void md_broadcast_loop_next(struct md_broadcast_loop *loop)
{
    loop->runs--;
    loop->position += loop->inner;
    for (int32_t d = 0; d < loop->rank; d++) {
        bool carry = ++loop->index[d] == loop->dims[d];
        for (size_t k = 0; k < loop->operand_count; k++) {
            loop->offsets[k] += loop->strides[k][d];
            if (carry)
                loop->offsets[k] -= loop->strides[k][d] * loop->dims[d];
        }
        if (!carry)
            return;
        loop->index[d] = 0;
    }
}
