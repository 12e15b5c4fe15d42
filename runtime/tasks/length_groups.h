/* length_groups.h - cuts rows of different lengths into batches, so that a batch of many lengths does not pay for
 * padding: rows of similar length go together, and a row goes alone when padding it would cost more than a run.
 *
 * A batch of rows costs rows * longest tokens, and MD_RUN_TOKENS for the run itself (its nodes, its way through the
 * weights, measured on encoders of 10 to 85 million parameters: 2 to 4 tokens; tiles of 8 rows waste 4 more). The cut of
 * least cost is found exactly. A row's bits do not depend on its batch, so nobody sees how it was cut. */
#ifndef MD_LENGTH_GROUPS_H
#define MD_LENGTH_GROUPS_H

#include <stdbool.h>
#include <stddef.h>

enum { MD_RUN_TOKENS = 8 };

struct md_length_limits {
    size_t max_rows;   /* of a batch; at least 1 */
    size_t max_tokens; /* of a batch, padding included; one row may have more */
    bool pad;          /* false: only rows of equal length share a batch */
};

/* One step of the search; the caller's memory. */
struct md_length_cut {
    size_t cost; /* of the rows from here on */
    size_t rows; /* of the batch that begins here */
};

/* `lengths` of `count` rows, the longest first; cuts has count + 1 entries. Afterwards the first batch has
 * cuts[0].rows rows, the next cuts[that].rows, and so on. Sums must not overflow: lengths are those of texts in memory. */
void md_length_groups(const size_t *lengths, size_t count, const struct md_length_limits *limits,
                      struct md_length_cut *cuts);

#endif
