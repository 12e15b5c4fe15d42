/* truncation.h - how many tokens of each text stay: tokenizer.json "truncation". */
#ifndef MD_TRUNCATION_H
#define MD_TRUNCATION_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_json_value;

enum md_truncation_strategy { MD_TRUNCATE_LONGEST_FIRST, MD_TRUNCATE_ONLY_FIRST, MD_TRUNCATE_ONLY_SECOND };

struct md_truncation {
    size_t max_tokens; /* special tokens included; SIZE_MAX: no limit */
    enum md_truncation_strategy strategy;
    bool from_left; /* the first tokens go, not the last */
};

/* json may be absent or null: no limit. */
MD_NODISCARD enum md_code md_truncation_read(const struct md_json_value *json,
                                             struct md_truncation *out_truncation, struct md_error *error);

/* Tokens that stay of two texts of first and second tokens (second 0: one text), so that together they are at
 * most `limit`. INVALID_ARGUMENT: the strategy leaves too little to cut. */
MD_NODISCARD enum md_code md_truncation_split(const struct md_truncation *truncation, size_t limit,
                                              bool is_pair, size_t *first, size_t *second,
                                              struct md_error *error);

#endif
