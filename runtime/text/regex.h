/* regex.h - PCRE2 for the patterns that a tokenizer.json brings: compiled once, bounded when it runs.
 * Patterns are written for Oniguruma; the options make PCRE2 read them the same way (Unicode classes, ^ and $
 * at lines). Threads: a regex is immutable after create; a match belongs to one encoding. */
#ifndef MD_REGEX_H
#define MD_REGEX_H

#include "span.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;
struct md_regex;

/* INVALID_ARGUMENT: the pattern is wrong, with PCRE2's reason and the offset. */
MD_NODISCARD enum md_code md_regex_create(const struct md_allocator *allocator, struct md_span pattern,
                                          struct md_regex **out_regex, struct md_error *error);
void md_regex_destroy(struct md_regex *regex); /* NULL is allowed */

/* What a search works in; kept and used again. */
struct md_regex_match {
    const struct md_allocator *allocator;
    void *general; /* of PCRE2 */
    void *found;
};
void md_regex_match_init(struct md_regex_match *match, const struct md_allocator *allocator);
void md_regex_match_cleanup(struct md_regex_match *match);

/* A search of all matches in `text` (valid UTF-8). Start with from 0 and previous_end SIZE_MAX, go on from
 * the end of the match that was found; an empty match is never given where the one before ended. *out_found
 * false: no more, and *out_start is not set. INVALID_ARGUMENT: the pattern needs more steps on this text than
 * the limit. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_regex_next(const struct md_regex *regex, struct md_span text, size_t from,
                                        size_t previous_end, struct md_regex_match *match, bool *out_found,
                                        size_t *out_start, size_t *out_end, struct md_error *error);

#endif
