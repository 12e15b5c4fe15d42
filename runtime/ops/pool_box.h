/* pool_box.h - the part of a pooling window that lies inside the input, walked row by row.
 *
 *     for (bool more = md_pool_box_open(&window, position, &box); more; more = md_pool_box_next(&box))
 *         for (size_t i = 0; i < box.inner; i++)
 *             use(plane[box.row + i * box.step]);
 *
 * An element that padding hides is never visited. */
#ifndef MD_POOL_BOX_H
#define MD_POOL_BOX_H

#include "window.h"

struct md_pool_box {
    int32_t outer_rank;
    int64_t count[MD_WINDOW_RANK];  /* of the dims outside the row */
    int64_t stride[MD_WINDOW_RANK]; /* elements from one to the next */
    int64_t index[MD_WINDOW_RANK];
    size_t row;         /* first element of the row in the plane */
    size_t inner, step; /* the row: elements, and from one to the next */
};

/* False: the window has no element inside the input. window->rank is at least 1. */
bool md_pool_box_open(const struct md_window *window, const int64_t *position, struct md_pool_box *out_box);
/* False: that was the last row. */
bool md_pool_box_next(struct md_pool_box *box);
/* Kernel positions at `position` that lie inside the padded input. */
double md_pool_padded_count(const struct md_window *window, const int64_t *position);

#endif
