/* length_groups.c - see length_groups.h. */
#include "length_groups.h"

/* May rows [first, first + rows) share a batch? They are as long as the first one when padded. */
static bool fits(const size_t *lengths, size_t first, size_t rows, const struct md_length_limits *limits)
{
    if (rows == 1)
        return true;
    return rows <= limits->max_rows && rows * lengths[first] <= limits->max_tokens &&
           (limits->pad || lengths[first + rows - 1] == lengths[first]);
}

/* From the last row backwards: the cheapest cut from row i on is the cheapest first batch and what follows it. */
void md_length_groups(const size_t *lengths, size_t count, const struct md_length_limits *limits,
                      struct md_length_cut *cuts)
{
    cuts[count] = (struct md_length_cut){ 0, 0 };
    for (size_t i = count; i-- > 0;) {
        cuts[i] = (struct md_length_cut){ lengths[i] + MD_RUN_TOKENS + cuts[i + 1].cost, 1 };
        for (size_t rows = 2; i + rows <= count && fits(lengths, i, rows, limits); rows++) {
            size_t cost = rows * lengths[i] + MD_RUN_TOKENS + cuts[i + rows].cost;
            if (cost <= cuts[i].cost)
                cuts[i] = (struct md_length_cut){ cost, rows };
        }
    }
}
