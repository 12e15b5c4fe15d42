/* letter_case.h - lower and upper case of UTF-8 text by Unicode's simple mappings, without any locale.
 * Threads: pure functions. */
#ifndef MD_LETTER_CASE_H
#define MD_LETTER_CASE_H

#include "span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum md_letter_case { MD_CASE_KEEP, MD_CASE_LOWER, MD_CASE_UPPER };

/* A buffer of this many bytes holds the result for `size` bytes: a mapping grows a letter from 2 to 3 bytes
 * at most. */
size_t md_letter_case_room(size_t size);
/* Writes the mapped text to `out` and returns its size. Bytes that are not UTF-8 stay as they are. */
size_t md_letter_case_map(struct md_span text, enum md_letter_case letter_case, char *out);
/* How many bytes of white space (Unicode White_Space, as Python's str.split has it) `text` starts with: one
 * character, or 0. */
size_t md_white_space(struct md_span text);
/* Bytes of the first character; 1 for a byte that is not UTF-8; 0 at the end. */
size_t md_character_size(struct md_span text);

#endif
