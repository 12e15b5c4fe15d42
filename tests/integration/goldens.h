/* goldens.h - the recorded answers of a reference model (tests/models/reference/goldens/NAME.json). */
#ifndef MD_GOLDENS_H
#define MD_GOLDENS_H

#include <jansson.h>
#include <stdint.h>

enum { MD_GOLDEN_TEXTS_MAX = 64 };

struct md_golden {
    size_t text_count;
    const char *texts[MD_GOLDEN_TEXTS_MAX]; /* borrowed from the document */
    json_t *scores, *logits, *labels;       /* borrowed; row per text */
    size_t width;                           /* tokens of the longest row */
    size_t class_count;
    int64_t *input_ids, *attention_mask; /* owned; text_count x width, padded with 0 */
};

/* The document is owned by the caller (json_decref). Fails the running test when it cannot be read. */
json_t *md_goldens_read(const char *model);
size_t md_goldens_count(const json_t *document);
void md_golden_init(struct md_golden *golden, const json_t *document, size_t index);
void md_golden_cleanup(struct md_golden *golden);
double md_golden_value(const json_t *rows, size_t row, size_t column);

#endif
