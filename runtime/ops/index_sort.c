#include "index_sort.h"

#include <string.h>

void md_index_sort(int64_t *indices, int64_t *spare, size_t count, md_before_fn before, const void *owner)
{
    int64_t *from = indices, *to = spare;
    for (size_t width = 1; width < count; width = width <= count / 2 ? 2 * width : count) {
        for (size_t first = 0; first < count; first += 2 * width) {
            size_t middle = width < count - first ? first + width : count;
            size_t end = width < count - middle ? middle + width : count;
            size_t a = first, b = middle;
            for (size_t k = first; k < end; k++)
                to[k] = a < middle && (b == end || !before(owner, from[b], from[a])) ? from[a++] : from[b++];
        }
        int64_t *keep = from;
        from = to;
        to = keep;
    }
    if (from != indices)
        memcpy(indices, from, count * sizeof *indices);
}
