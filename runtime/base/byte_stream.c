/* byte_stream.c - see byte_stream.h. */
#include "byte_stream.h"

#include "allocator.h"
#include "arena.h"
#include "checked.h"

enum { FIRST_CAPACITY = 4096, LEAST_ITEM = 8 };

void md_byte_stream_read_init(struct md_byte_stream *stream, struct md_arena *arena, struct md_span bytes)
{
    *stream = (struct md_byte_stream){
        .reading = true, .arena = arena, .bytes = (unsigned char *)(uintptr_t)bytes.bytes, .size = bytes.size
    };
}

void md_byte_stream_write_init(struct md_byte_stream *stream, const struct md_allocator *allocator)
{
    *stream = (struct md_byte_stream){ .allocator = allocator };
}

void md_byte_stream_cleanup(struct md_byte_stream *stream)
{
    if (!stream->reading)
        md_release(stream->allocator, stream->bytes);
    stream->bytes = NULL;
}

void md_byte_stream_fail(struct md_byte_stream *stream)
{
    stream->failed = true;
}

static bool reserve(struct md_byte_stream *stream, size_t size)
{
    size_t needed, capacity = stream->capacity == 0 ? FIRST_CAPACITY : stream->capacity;
    if (!md_checked_add(stream->size, size, &needed) || needed > SIZE_MAX / 4)
        return false;
    if (needed <= stream->capacity)
        return true;
    while (capacity < needed)
        capacity *= 2;
    unsigned char *grown = md_reallocate(stream->allocator, stream->bytes, stream->size, capacity);
    if (grown == NULL)
        return false;
    stream->bytes = grown;
    stream->capacity = capacity;
    return true;
}

static void write_raw(struct md_byte_stream *stream, const void *bytes, size_t size)
{
    if (stream->failed || !reserve(stream, size)) {
        stream->failed = true;
        return;
    }
    if (size > 0)
        memcpy(stream->bytes + stream->size, bytes, size);
    stream->size += size;
}

void md_byte_stream_raw(struct md_byte_stream *stream, void *bytes, size_t size)
{
    if (!stream->reading) {
        write_raw(stream, bytes, size);
        return;
    }
    if (stream->failed || size > stream->size - stream->position) {
        stream->failed = true;
        memset(bytes, 0, size);
        return;
    }
    if (size > 0)
        memcpy(bytes, stream->bytes + stream->position, size);
    stream->position += size;
}

void md_byte_stream_unsigned(struct md_byte_stream *stream, uint64_t *number)
{
    md_byte_stream_raw(stream, number, sizeof *number);
}

void md_byte_stream_signed(struct md_byte_stream *stream, int64_t *number)
{
    md_byte_stream_raw(stream, number, sizeof *number);
}

void md_byte_stream_size(struct md_byte_stream *stream, size_t *number, size_t limit)
{
    uint64_t value = *number;
    md_byte_stream_unsigned(stream, &value);
    if (value > limit) {
        stream->failed = true;
        value = 0;
    }
    *number = (size_t)value;
}

void md_byte_stream_flag(struct md_byte_stream *stream, bool *flag)
{
    size_t value = *flag;
    md_byte_stream_size(stream, &value, 1);
    *flag = value != 0;
}

static size_t left(const struct md_byte_stream *stream)
{
    return stream->reading ? stream->size - stream->position : SIZE_MAX;
}

void md_byte_stream_span(struct md_byte_stream *stream, struct md_span *span)
{
    md_byte_stream_size(stream, &span->size, left(stream));
    if (!stream->reading) {
        write_raw(stream, span->bytes, span->size);
        return;
    }
    if (span->size > left(stream))
        stream->failed = true;
    if (stream->failed)
        span->size = 0;
    span->bytes =
        md_arena_copy_string(stream->arena, (const char *)stream->bytes + stream->position, span->size);
    stream->position += span->size;
    if (span->bytes == NULL) {
        stream->failed = true;
        *span = md_span_of("");
    }
}

void md_byte_stream_text(struct md_byte_stream *stream, const char **text)
{
    struct md_span span = stream->reading ? (struct md_span){ NULL, 0 } : md_span_of(*text);
    md_byte_stream_span(stream, &span);
    *text = span.bytes;
}

void *md_byte_stream_array(struct md_byte_stream *stream, size_t *count, size_t item_size, const void *items)
{
    md_byte_stream_size(stream, count, left(stream));
    if (!stream->reading)
        return (void *)(uintptr_t)items; /* only read */
    if (*count > left(stream) / LEAST_ITEM)
        stream->failed = true;
    if (stream->failed)
        *count = 0;
    void *array = md_arena_allocate_zeroed(stream->arena, *count, item_size);
    if (array == NULL) {
        stream->failed = true;
        *count = 0;
    }
    return array;
}

const void *md_byte_stream_numbers(struct md_byte_stream *stream, size_t *count, size_t item_size, const void *items)
{
    md_byte_stream_size(stream, count, left(stream));
    if (!stream->reading) {
        write_raw(stream, items, *count * item_size);
        return items;
    }
    if (*count > left(stream) / item_size)
        stream->failed = true;
    if (stream->failed)
        *count = 0;
    void *array = md_arena_allocate_zeroed(stream->arena, *count, item_size);
    if (array == NULL) {
        stream->failed = true;
        *count = 0;
        return NULL;
    }
    md_byte_stream_raw(stream, array, *count * item_size);
    return array;
}
