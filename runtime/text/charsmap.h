/* charsmap.h - sentencepiece's table of replacements: tokenizer.json's normalizer "Precompiled", or the
 * precompiled_charsmap of a .model file.
 *
 *   u32 trie bytes | trie: units of a Darts double array | replacements, each ending in a NUL
 *
 * A text is replaced grapheme by grapheme, as the reference library does it. Threads: immutable after create. */
#ifndef MD_CHARSMAP_H
#define MD_CHARSMAP_H

#include "span.h"
#include "status.h"

#include <stdbool.h>

struct md_allocator;
struct md_charsmap;
struct md_text_edit;

/* INVALID_ARGUMENT: not such a table. OK: *out_map is owned by the caller (md_charsmap_destroy). */
MD_NODISCARD enum md_code md_charsmap_create(const struct md_allocator *allocator, struct md_span bytes,
                                             struct md_charsmap **out_map, struct md_error *error);
/* The same from base64. */
MD_NODISCARD enum md_code md_charsmap_create_base64(const struct md_allocator *allocator, struct md_span text,
                                                    struct md_charsmap **out_map, struct md_error *error);
void md_charsmap_destroy(struct md_charsmap *map); /* NULL is allowed */

void md_charsmap_apply(const struct md_charsmap *map, struct md_text_edit *edit);

#endif
