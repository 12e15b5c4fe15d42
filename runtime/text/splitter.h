/* splitter.h - turns the matches of a pattern into pieces, by the five behaviours that tokenizer.json knows:
 *
 *   pattern "-" in "a--b"     removed: a b       isolated: a - - b      merged_with_previous: a- - b
 *                             contiguous: a -- b                        merged_with_next: a - -b
 *
 * A matcher feeds the segments of a piece in order, without gaps, each said to match or not. */
#ifndef MD_SPLITTER_H
#define MD_SPLITTER_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_json_value;
struct md_working_memory;

enum md_split_behavior {
    MD_SPLIT_REMOVED,
    MD_SPLIT_ISOLATED,
    MD_SPLIT_MERGED_WITH_PREVIOUS,
    MD_SPLIT_MERGED_WITH_NEXT,
    MD_SPLIT_CONTIGUOUS
};

/* Reads "Isolated", ... from a member. */
MD_NODISCARD enum md_code md_split_behavior_read(const struct md_json_value *value,
                                                 enum md_split_behavior *out_behavior,
                                                 struct md_error *error);

struct md_splitter {
    struct md_working_memory *working;
    enum md_split_behavior behavior;
    bool invert;         /* what is said to match does not, and the other way round */
    bool has_pending;
    bool last_matched;
    size_t start;        /* of what is pending */
    size_t end;
    struct md_error *error;
};
struct md_splitter md_splitter_start(struct md_working_memory *working, enum md_split_behavior behavior,
                                     bool invert, struct md_error *error);
MD_NODISCARD enum md_code md_splitter_feed(struct md_splitter *splitter, size_t start, size_t end,
                                           bool matched);
/* At the end of each piece; the splitter can be fed the next one. */
MD_NODISCARD enum md_code md_splitter_finish(struct md_splitter *splitter);

#endif
