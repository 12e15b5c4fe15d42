/* text_buffer.c - see text_buffer.h. */
#include "text_buffer.h"

#include "allocator.h"
#include "byte_alphabet.h"
#include "unicode.h"

#include <string.h>

enum { FIRST_CAPACITY = 512 };

void md_text_buffer_init(struct md_text_buffer *buffer, const struct md_allocator *allocator)
{
    *buffer = (struct md_text_buffer){ .allocator = allocator };
}

void md_text_buffer_cleanup(struct md_text_buffer *buffer)
{
    md_release(buffer->allocator, buffer->bytes);
    md_release(buffer->allocator, buffer->origins);
    md_text_buffer_init(buffer, buffer->allocator);
}

void md_text_buffer_clear(struct md_text_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

bool md_text_buffer_reserve(struct md_text_buffer *buffer, size_t extra)
{
    if (extra <= buffer->capacity - buffer->size)
        return !buffer->failed;
    size_t wanted = buffer->size + extra;
    if (wanted < buffer->capacity * 2)
        wanted = buffer->capacity * 2;
    if (wanted < FIRST_CAPACITY)
        wanted = FIRST_CAPACITY;
    buffer->failed = true; /* until both arrays have grown */
    if (wanted > UINT32_MAX / 2)
        return false;
    char *bytes = md_reallocate(buffer->allocator, buffer->bytes, buffer->size, wanted);
    if (bytes == NULL)
        return false;
    buffer->bytes = bytes;
    struct md_origin *origins = md_reallocate(buffer->allocator, buffer->origins,
                                              buffer->size * sizeof *origins, wanted * sizeof *origins);
    if (origins == NULL)
        return false;
    buffer->origins = origins;
    buffer->capacity = wanted;
    buffer->failed = false;
    return true;
}

void md_text_buffer_append_original(struct md_text_buffer *buffer, const char *bytes, size_t size,
                                    size_t offset)
{
    if (!md_text_buffer_reserve(buffer, size))
        return;
    if (size > 0)
        memcpy(buffer->bytes + buffer->size, bytes, size);
    struct md_origin *origins = buffer->origins + buffer->size;
    for (size_t i = 0; i < size;) {
        size_t length = md_utf8_length(bytes[i]);
        struct md_origin origin = { (uint32_t)(offset + i), (uint32_t)(offset + i + length) };
        for (size_t byte = 0; byte < length; byte++)
            origins[i + byte] = origin;
        i += length;
    }
    buffer->size += size;
}

struct md_text_view md_text_buffer_view(const struct md_text_buffer *buffer, size_t start, size_t end)
{
    if (start == end)
        return (struct md_text_view){ .size = 0 };
    return (struct md_text_view){ .bytes = buffer->bytes + start,
                                  .origins = buffer->origins + start,
                                  .size = end - start,
                                  .start = buffer->origins[start].start };
}

void md_text_edit_copy(struct md_text_edit *edit, size_t size)
{
    struct md_text_buffer *out = edit->out;
    if (size == 0 || !md_text_buffer_reserve(out, size))
        return;
    memcpy(out->bytes + out->size, edit->in.bytes + edit->at, size);
    memcpy(out->origins + out->size, edit->in.origins + edit->at, size * sizeof *out->origins);
    out->size += size;
    edit->at += size;
}

void md_text_edit_skip(struct md_text_edit *edit, size_t size)
{
    edit->at += size;
}

/* Origin of the character that is about to be consumed; past the end that of the last one. */
static struct md_origin next_origin(const struct md_text_edit *edit)
{
    if (edit->at < edit->in.size)
        return edit->in.origins[edit->at];
    if (edit->in.size > 0)
        return edit->in.origins[edit->in.size - 1];
    return (struct md_origin){ edit->in.start, edit->in.start };
}

static struct md_origin last_origin(const struct md_text_edit *edit)
{
    return edit->at == 0 ? (struct md_origin){ edit->in.start, edit->in.start }
                         : edit->in.origins[edit->at - 1];
}

static void skip_character(struct md_text_edit *edit)
{
    if (edit->at < edit->in.size)
        edit->at += md_utf8_length(edit->in.bytes[edit->at]);
}

static void append(struct md_text_edit *edit, uint32_t code_point, struct md_origin origin)
{
    char bytes[MD_MAX_UTF8];
    md_text_edit_insert(edit, bytes, md_utf8_encode(code_point, bytes), origin);
}

void md_text_edit_replace(struct md_text_edit *edit, uint32_t code_point)
{
    append(edit, code_point, next_origin(edit));
    skip_character(edit);
}

void md_text_edit_add(struct md_text_edit *edit, uint32_t code_point)
{
    append(edit, code_point, last_origin(edit));
}

void md_text_edit_apply(struct md_text_edit *edit, uint32_t code_point, int32_t change)
{
    if (change > 0) {
        md_text_edit_add(edit, code_point);
        return;
    }
    md_text_edit_replace(edit, code_point);
    for (int32_t i = change; i < 0; i++)
        skip_character(edit);
}

void md_text_edit_insert(struct md_text_edit *edit, const char *bytes, size_t size, struct md_origin origin)
{
    struct md_text_buffer *out = edit->out;
    if (!md_text_buffer_reserve(out, size))
        return;
    for (size_t i = 0; i < size; i++) {
        out->bytes[out->size + i] = bytes[i];
        out->origins[out->size + i] = origin;
    }
    out->size += size;
}

void md_text_edit_bytes(struct md_text_edit *edit)
{
    struct md_text_buffer *out = edit->out;
    size_t left = edit->in.size - edit->at;
    if (!md_text_buffer_reserve(out, left * 2)) /* no character of the alphabet has more than two bytes */
        return;
    for (; edit->at < edit->in.size; edit->at++) {
        struct md_origin origin = edit->in.origins[edit->at];
        size_t length = md_utf8_encode(md_byte_character((unsigned char)edit->in.bytes[edit->at]),
                                       out->bytes + out->size);
        out->origins[out->size] = origin;
        out->origins[out->size + length - 1] = origin;
        out->size += length;
    }
}
