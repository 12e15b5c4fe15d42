/* einsum_equation.h - the text of an Einsum, such as "...ij,...jk->...ik", as lists of labels.
 * Threads: pure functions. Memory: the caller's. */
#ifndef MD_EINSUM_EQUATION_H
#define MD_EINSUM_EQUATION_H

#include "tensor.h"

/* Labels: A to Z, a to z (in that order, which is that of implicit outputs), then the dims of the ellipsis.
 */
enum { MD_EINSUM_LETTERS = 52, MD_EINSUM_LABELS = MD_EINSUM_LETTERS + MD_MAX_RANK };

/* One comma-separated part, or the output. */
struct md_einsum_term {
    int32_t count; /* letters */
    uint8_t labels[MD_MAX_RANK];
    int32_t ellipsis; /* how many letters stand before it; -1: none */
};

/* Reads the next term of *text, up to a comma, an arrow or the end, and moves *text behind it.
 * INVALID_ARGUMENT: a character that is no letter, two ellipses, too many letters. */
MD_NODISCARD enum md_code md_einsum_term_parse(struct md_span *text, struct md_einsum_term *out_term,
                                               struct md_error *error);
/* Skips spaces; then, if *text starts with `token`, moves behind it. */
bool md_einsum_take(struct md_span *text, const char *token);

#endif
