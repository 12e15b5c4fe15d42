/* byte_stream.h - records of our own as bytes, written and read by the same code: each function takes the address of a
 * thing and either appends it or fills it in, so the two directions cannot disagree.
 *
 * Reading trusts nothing: a count is checked against the bytes that are left before memory is taken, and after the first
 * failure every number is 0 and every count is 0, so callers check md_byte_stream_ok once, at the end.
 * The bytes are of this machine: numbers are native. Threads: one at a time. */
#ifndef MD_BYTE_STREAM_H
#define MD_BYTE_STREAM_H

#include "span.h"

#include <stdint.h>

struct md_allocator;
struct md_arena;

struct md_byte_stream {
    bool reading, failed;
    unsigned char *bytes; /* reading: borrowed, never written to */
    size_t size;          /* reading: of all; writing: so far */
    size_t position;      /* reading */
    size_t capacity;      /* writing */
    const struct md_allocator *allocator; /* writing: of `bytes` */
    struct md_arena *arena;               /* reading: of texts and arrays */
};

void md_byte_stream_read_init(struct md_byte_stream *stream, struct md_arena *arena, struct md_span bytes);
/* Ends with md_byte_stream_cleanup. */
void md_byte_stream_write_init(struct md_byte_stream *stream, const struct md_allocator *allocator);
void md_byte_stream_cleanup(struct md_byte_stream *stream);
static inline bool md_byte_stream_ok(const struct md_byte_stream *stream)
{
    return !stream->failed;
}
/* The record is wrong, or memory has gone. */
void md_byte_stream_fail(struct md_byte_stream *stream);

void md_byte_stream_raw(struct md_byte_stream *stream, void *bytes, size_t size);
void md_byte_stream_unsigned(struct md_byte_stream *stream, uint64_t *number);
void md_byte_stream_signed(struct md_byte_stream *stream, int64_t *number);
/* At most `limit`, or the record is wrong. */
void md_byte_stream_size(struct md_byte_stream *stream, size_t *number, size_t limit);
void md_byte_stream_flag(struct md_byte_stream *stream, bool *flag);
/* Never NULL after reading. A NUL follows that the size does not count. */
void md_byte_stream_span(struct md_byte_stream *stream, struct md_span *span);
void md_byte_stream_text(struct md_byte_stream *stream, const char **text);
/* The number of items of an array of which each takes at least eight bytes in the record, and the array: when reading
 * *count zeroed items of the arena, else `items`. */
void *md_byte_stream_array(struct md_byte_stream *stream, size_t *count, size_t item_size, const void *items);
/* *count numbers of `item_size` bytes, as they are. */
const void *md_byte_stream_numbers(struct md_byte_stream *stream, size_t *count, size_t item_size, const void *items);

#endif
