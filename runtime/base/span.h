/* span.h - bytes that somebody else owns; not NUL-terminated. */
#ifndef MD_SPAN_H
#define MD_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct md_span {
    const char *bytes; /* borrowed; may be NULL when size is 0 */
    size_t size;
};

static inline struct md_span md_span_of(const char *text)
{
    return (struct md_span){ text, strlen(text) };
}

static inline bool md_span_equal(struct md_span a, struct md_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.bytes, b.bytes, a.size) == 0);
}

#endif
