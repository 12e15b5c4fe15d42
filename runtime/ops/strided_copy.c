#include "strided_copy.h"

#include <string.h>

/* A copy after simplification: no dims of size 1, neighbours that are one run in both layouts are one dim. */
struct plan {
    int32_t rank;
    int64_t dims[MD_COPY_MAX_RANK];
    int64_t to[MD_COPY_MAX_RANK];
    int64_t from[MD_COPY_MAX_RANK];
};

/* The two innermost dims of a plan. */
struct plane {
    char *to;
    const char *from;
    int64_t rows, columns;
    int64_t to_row, to_column;
    int64_t from_row, from_column;
};

void md_copy_bytes(void *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
}

void md_dense_strides(int32_t rank, const int64_t *dims, size_t element_size, int64_t *out_strides)
{
    int64_t stride = (int64_t)element_size;
    for (int32_t i = rank - 1; i >= 0; i--) {
        out_strides[i] = stride;
        stride *= dims[i];
    }
}

struct md_strided md_strided_of(const struct md_tensor *tensor)
{
    struct md_strided strided = { .bytes = tensor->bytes };
    md_dense_strides(tensor->shape.rank, tensor->shape.dims, md_datatype_size(tensor->datatype),
                     strided.strides);
    return strided;
}

static void simplify(int32_t rank, const int64_t *dims, const int64_t *to, const int64_t *from,
                     struct plan *plan)
{
    plan->rank = 0;
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] == 1)
            continue;
        int32_t last = plan->rank - 1;
        if (last >= 0 && plan->to[last] == to[i] * dims[i] && plan->from[last] == from[i] * dims[i]) {
            plan->dims[last] *= dims[i];
        } else {
            last = plan->rank++;
            plan->dims[last] = dims[i];
        }
        plan->to[last] = to[i];
        plan->from[last] = from[i];
    }
}

static void swap_i64(int64_t *a, int64_t *b)
{
    int64_t keep = *a;
    *a = *b;
    *b = keep;
}

/* The order of the dims does not matter to a copy. The dim in which the source is contiguous goes next to the
 * one in which the destination is, so that a transposition works on square blocks that stay in the cache. */
static void pair_contiguous_dims(struct plan *plan, size_t element_size)
{
    int32_t last = plan->rank - 1;
    if (plan->from[last] == (int64_t)element_size)
        return;
    for (int32_t i = 0; i < last; i++) {
        if (plan->from[i] != (int64_t)element_size)
            continue;
        swap_i64(&plan->dims[i], &plan->dims[last - 1]);
        swap_i64(&plan->to[i], &plan->to[last - 1]);
        swap_i64(&plan->from[i], &plan->from[last - 1]);
        return;
    }
}

/* memcpy of a constant size is a plain load and store, and legal whatever type the elements have. */
#define COPY_PLANE(size)                                                                                     \
    for (int64_t r0 = 0; r0 < plane->rows; r0 += BLOCK)                                                      \
        for (int64_t c0 = 0; c0 < plane->columns; c0 += BLOCK)                                               \
            for (int64_t r = r0; r < r0 + BLOCK && r < plane->rows; r++) {                                   \
                char *to = plane->to + r * plane->to_row + c0 * plane->to_column;                            \
                const char *from = plane->from + r * plane->from_row + c0 * plane->from_column;              \
                int64_t columns = plane->columns - c0 < BLOCK ? plane->columns - c0 : BLOCK;                 \
                for (int64_t c = 0; c < columns; c++)                                                        \
                    memcpy(to + c * plane->to_column, from + c * plane->from_column, size);                  \
            }

enum { BLOCK = 32 };

static void copy_plane(const struct plane *plane, size_t element_size)
{
    if (plane->to_column == (int64_t)element_size && plane->from_column == (int64_t)element_size) {
        for (int64_t r = 0; r < plane->rows; r++)
            memcpy(plane->to + r * plane->to_row, plane->from + r * plane->from_row,
                   (size_t)plane->columns * element_size);
        return;
    }
    switch (element_size) {
    case 1:
        COPY_PLANE(1)
        break;
    case 2:
        COPY_PLANE(2)
        break;
    case 4:
        COPY_PLANE(4)
        break;
    case 8:
        COPY_PLANE(8)
        break;
    case 16:
        COPY_PLANE(16)
        break;
    default:
        COPY_PLANE(element_size)
        break;
    }
}

static void copy_planes(const struct plan *plan, char *to, const char *from, size_t element_size)
{
    int32_t outer = plan->rank - 2;
    struct plane plane = { .rows = plan->dims[outer],
                           .columns = plan->dims[outer + 1],
                           .to_row = plan->to[outer],
                           .to_column = plan->to[outer + 1],
                           .from_row = plan->from[outer],
                           .from_column = plan->from[outer + 1] };
    int64_t index[MD_COPY_MAX_RANK] = { 0 };
    int64_t to_at = 0;
    int64_t from_at = 0;
    for (;;) {
        plane.to = to + to_at;
        plane.from = from + from_at;
        copy_plane(&plane, element_size);
        int32_t i = outer - 1;
        for (; i >= 0; i--) {
            to_at += plan->to[i];
            from_at += plan->from[i];
            if (++index[i] < plan->dims[i])
                break;
            to_at -= plan->to[i] * plan->dims[i];
            from_at -= plan->from[i] * plan->dims[i];
            index[i] = 0;
        }
        if (i < 0)
            return;
    }
}

void md_strided_copy(int32_t rank, const int64_t *dims, const struct md_strided *to,
                     const struct md_strided *from, size_t element_size)
{
    for (int32_t i = 0; i < rank; i++)
        if (dims[i] <= 0)
            return;
    struct plan plan;
    simplify(rank, dims, to->strides, from->strides, &plan);
    if (plan.rank == 0) {
        memcpy(to->bytes, from->bytes, element_size);
        return;
    }
    if (plan.rank == 1) {
        struct plane row = { to->bytes, from->bytes, 1, plan.dims[0], 0, plan.to[0], 0, plan.from[0] };
        copy_plane(&row, element_size);
        return;
    }
    pair_contiguous_dims(&plan, element_size);
    copy_planes(&plan, to->bytes, from->bytes, element_size);
}

void md_fill_elements(void *to, const void *from, size_t count, size_t element_size)
{
    if (count == 0)
        return;
    memcpy(to, from, element_size);
    size_t done = element_size;
    size_t size = count * element_size;
    while (done < size) {
        size_t part = done < size - done ? done : size - done;
        memcpy((char *)to + done, to, part);
        done += part;
    }
}
