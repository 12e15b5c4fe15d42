/* text.h - a text that grows: JSON answers and the metrics page. Text that finds no memory is lost, and has_failed
 * says so at the end, so that writers need no check of their own. Threads: one at a time. */
#ifndef MD_TEXT_H
#define MD_TEXT_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>

struct md_allocator;

struct md_text {
    const struct md_allocator *allocator;
    char *bytes; /* owned; not NUL-terminated */
    size_t size;
    size_t capacity;
    bool has_failed;
};

void md_text_init(struct md_text *text, const struct md_allocator *allocator);
void md_text_cleanup(struct md_text *text);

void md_text_add(struct md_text *text, const void *bytes, size_t size);
void md_text_put(struct md_text *text, const char *string);
MD_PRINTF(2, 3) void md_text_print(struct md_text *text, const char *format, ...); /* at most 511 bytes */
/* A JSON string with its quotes. What is not UTF-8 becomes '?'. */
void md_text_json(struct md_text *text, const char *bytes, size_t size);

#endif
