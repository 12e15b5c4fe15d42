/* pool_box.c - see pool_box.h. */
#include "pool_box.h"

static int64_t round_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

bool md_pool_box_open(const struct md_window *window, const int64_t *position, struct md_pool_box *out_box)
{
    struct md_pool_box box = { .outer_rank = window->rank - 1 };
    int64_t plane_stride = 1, first = 0;
    for (int32_t d = window->rank - 1; d >= 0; d--) {
        int64_t begin = position[d] * window->stride[d] - window->pad_begin[d];
        int64_t low = begin < 0 ? round_up(-begin, window->dilation[d]) : 0;
        int64_t high =
            begin >= window->input[d] ? 0 : round_up(window->input[d] - begin, window->dilation[d]);
        if (high > window->kernel[d])
            high = window->kernel[d];
        if (high <= low)
            return false;
        first += (begin + low * window->dilation[d]) * plane_stride;
        if (d == window->rank - 1) {
            box.inner = (size_t)(high - low);
            box.step = box.inner > 1 ? (size_t)window->dilation[d] : 0;
        } else {
            box.count[d] = high - low;
            box.stride[d] = box.count[d] > 1 ? window->dilation[d] * plane_stride : 0;
        }
        plane_stride *= window->input[d];
    }
    box.row = (size_t)first;
    *out_box = box;
    return true;
}

bool md_pool_box_next(struct md_pool_box *box)
{
    for (int32_t d = box->outer_rank - 1; d >= 0; d--) {
        if (++box->index[d] < box->count[d]) {
            box->row += (size_t)box->stride[d];
            return true;
        }
        box->row -= (size_t)(box->stride[d] * (box->count[d] - 1));
        box->index[d] = 0;
    }
    return false;
}

double md_pool_padded_count(const struct md_window *window, const int64_t *position)
{
    double count = 1;
    for (int32_t d = 0; d < window->rank; d++) {
        int64_t begin = position[d] * window->stride[d];
        int64_t inside = round_up(window->input[d] + window->pad_begin[d] + window->pad_end[d] - begin,
                                  window->dilation[d]);
        count *= (double)(inside < window->kernel[d] ? inside : window->kernel[d]);
    }
    return count;
}
