/* shape.c - arithmetic on shapes; see tensor.h. */
#include "tensor.h"

#include "checked.h"

#include <stdio.h>
#include <string.h>

struct md_shape md_shape_of(int32_t rank, const int64_t *dims)
{
    struct md_shape shape = { .rank = rank };
    for (int32_t i = 0; i < rank; i++)
        shape.dims[i] = dims[i];
    return shape;
}

bool md_shape_equal(const struct md_shape *a, const struct md_shape *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

size_t md_shape_product(const struct md_shape *shape, int32_t from, int32_t to)
{
    size_t product = 1;
    for (int32_t i = from; i < to; i++)
        product *= (size_t)shape->dims[i];
    return product;
}

bool md_shape_count(const struct md_shape *shape, enum md_datatype datatype, size_t *out_count)
{
    if (shape->rank < 0 || shape->rank > MD_MAX_RANK)
        return false;
    /* Zero dims are left out of the product, so that [huge,huge,0] is refused like [huge,huge]: partial
     * products of it are computed elsewhere. */
    size_t product = 1;
    bool empty = false;
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0)
            return false;
        if (shape->dims[i] == 0)
            empty = true;
        else if (!md_checked_multiply(product, (size_t)shape->dims[i], &product))
            return false;
    }
    size_t size;
    if (!md_checked_multiply(product, md_datatype_size(datatype), &size) || size > PTRDIFF_MAX)
        return false;
    *out_count = empty ? 0 : product;
    return true;
}

const char *md_shape_text(const struct md_shape *shape, char *buffer, size_t size)
{
    size_t used = 0;
    int wrote = snprintf(buffer, size, "[");
    used += (size_t)wrote;
    for (int32_t i = 0; i < shape->rank && used < size; i++) {
        wrote = snprintf(buffer + used, size - used, i == 0 ? "%lld" : ",%lld", (long long)shape->dims[i]);
        used += (size_t)wrote;
    }
    if (used < size)
        (void)snprintf(buffer + used, size - used, "]"); /* cutting is fine */
    return buffer;
}

bool md_shape_broadcast(const struct md_shape *a, const struct md_shape *b, struct md_shape *out_shape)
{
    struct md_shape result = { .rank = a->rank > b->rank ? a->rank : b->rank };
    for (int32_t i = 1; i <= result.rank; i++) {
        int64_t x = i <= a->rank ? a->dims[a->rank - i] : 1;
        int64_t y = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (x != y && x != 1 && y != 1)
            return false;
        result.dims[result.rank - i] = x == 1 ? y : x;
    }
    *out_shape = result;
    return true;
}

void md_broadcast_strides(const struct md_shape *shape, const struct md_shape *target, int64_t *out_strides)
{
    int64_t stride = 1;
    for (int32_t i = 1; i <= target->rank; i++) {
        int32_t at = target->rank - i;
        if (i > shape->rank) {
            out_strides[at] = 0;
            continue;
        }
        int64_t dim = shape->dims[shape->rank - i];
        out_strides[at] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

void md_shape_strides(const struct md_shape *shape, int64_t *out_strides)
{
    int64_t stride = 1;
    for (int32_t i = shape->rank - 1; i >= 0; i--) {
        out_strides[i] = stride;
        stride *= shape->dims[i];
    }
}

bool md_axis_normalize(int64_t axis, int32_t rank, int32_t *out_axis)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return false;
    *out_axis = (int32_t)(axis < 0 ? axis + rank : axis);
    return true;
}
