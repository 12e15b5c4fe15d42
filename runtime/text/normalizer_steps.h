/* normalizer_steps.h - the kinds of normalization steps, for the table in normalizer.c.
 *
 * Each reads its edit's input and writes the changed text. The ASCII ones do the same in place, to text that is
 * all ASCII. */
#ifndef MD_NORMALIZER_STEPS_H
#define MD_NORMALIZER_STEPS_H

#include "normalizer.h"

#define MD_NORMALIZE(name)                                                                                   \
    MD_NODISCARD enum md_code md_normalize_##name(const struct md_normalizer_step *step,                     \
                                                  struct md_text_edit *edit,                                 \
                                                  struct md_working_memory *working, struct md_error *error)
MD_NORMALIZE(strip_accents);
MD_NORMALIZE(strip_nonspacing);
MD_NORMALIZE(clean_text);
MD_NORMALIZE(space_cjk);
MD_NORMALIZE(lowercase);
MD_NORMALIZE(nmt);
MD_NORMALIZE(byte_level);
MD_NORMALIZE(strip);
MD_NORMALIZE(precompiled);
MD_NORMALIZE(prepend);
MD_NORMALIZE(replace);
MD_NORMALIZE(form); /* NFC, NFD, NFKC, NFKD: normalizer_forms.c */
#undef MD_NORMALIZE

void md_normalize_ascii_same(struct md_text_buffer *text);
void md_normalize_ascii_clean_text(struct md_text_buffer *text);
void md_normalize_ascii_lowercase(struct md_text_buffer *text);

#endif
