/* regex_syntax.h - RE2's syntax, which ONNX's RegexFullMatch speaks, in the words of PCRE2.
 *
 * Most of RE2 is also PCRE2. What differs is rewritten (\v, \s, \S, octal numbers), and what RE2 does not
 * have is refused: look-around, back-references, possessive and atomic groups, recursion, conditions, verbs,
 * comments. Threads: pure functions. */
#ifndef MD_REGEX_SYNTAX_H
#define MD_REGEX_SYNTAX_H

#include "span.h"
#include "status.h"

/* A buffer of this many bytes holds any translation. */
size_t md_regex_room(size_t size);
/* Writes the translation to `out`. INVALID_ARGUMENT: not RE2, with the place. */
MD_NODISCARD enum md_code md_regex_translate(struct md_span pattern, char *out, size_t *out_size,
                                             struct md_error *error);

#endif
