/* unicode_versions.h - where the reference library's character tables are of another Unicode version than
 * utf8proc's.
 *
 * Its normalizers and punctuation are of Unicode 8 and 9, its word characters of Unicode 16. A vocabulary was
 * made with its tables, so ids are only right if ours agree. The tables say which characters utf8proc has in
 * a class and the reference has not (less), or the other way round (more). */
#ifndef MD_UNICODE_VERSIONS_H
#define MD_UNICODE_VERSIONS_H

#include <stdbool.h>
#include <stdint.h>

struct md_code_range {
    uint32_t first;
    uint32_t last;
};

extern const struct md_code_range
    md_unicode_punctuation_less[]; /* punctuation of later versions than the reference knows */
extern const struct md_code_range
    md_unicode_word_more[]; /* word characters of Unicode 16 that utf8proc does not know */
extern const struct md_code_range md_unicode_numeric_more[]; /* numbers of Unicode 16 and 17 */
extern const struct md_code_range md_unicode_letter_more[]; /* letters of Unicode 16 */
extern const struct md_code_range md_unicode_control_less[]; /* format characters of later versions */
extern const struct md_code_range md_unicode_mark_less[]; /* marks of later versions */
extern const struct md_code_range md_unicode_nonspacing_less[]; /* nonspacing marks of later versions */
extern const struct md_code_range
    md_unicode_decomposition_less[]; /* characters whose decomposition the reference does not know */

/* ranges: one of the above, in ascending order. */
bool md_code_range_has(const struct md_code_range *ranges, uint32_t code_point);

#endif
