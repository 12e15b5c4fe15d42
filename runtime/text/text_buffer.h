/* text_buffer.h - text that remembers where each of its bytes came from.
 *
 *     original  "É t"     bytes  C3 89 20 74
 *     buffer    "e t"     bytes  65    20    74
 *     origins             [0,2)  [2,3) [3,4)     offsets into the original, the same for all bytes of a
 * character
 *
 * Normalizers and pre-tokenizers that change text read a view and append to another buffer through an edit,
 * which carries the origins along. The rules are those of the reference library: a character that is replaced
 * keeps the origin of the one it replaces; an added one has the origin of the character before it. Memory:
 * buffers grow and are used again. An edit that finds no memory marks its buffer, and whoever started the
 * edit looks once, at its end. */
#ifndef MD_TEXT_BUFFER_H
#define MD_TEXT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;

struct md_origin {
    uint32_t start;
    uint32_t end;
};

struct md_text_buffer {
    const struct md_allocator *allocator;
    char *bytes;
    struct md_origin *origins; /* one per byte */
    size_t size;
    size_t capacity;
    bool failed; /* memory ran out; what is here is not complete */
};
void md_text_buffer_init(struct md_text_buffer *buffer, const struct md_allocator *allocator);
void md_text_buffer_cleanup(struct md_text_buffer *buffer);
void md_text_buffer_clear(struct md_text_buffer *buffer);
/* Room for `extra` more bytes; false: none, and the buffer is marked. */
bool md_text_buffer_reserve(struct md_text_buffer *buffer, size_t extra);
/* Appends text (valid UTF-8) that starts at byte `offset` of the original and is unchanged. */
void md_text_buffer_append_original(struct md_text_buffer *buffer, const char *bytes, size_t size,
                                    size_t offset);

/* Part of a buffer; borrowed until the buffer grows. */
struct md_text_view {
    const char *bytes;
    const struct md_origin *origins;
    size_t size;
    uint32_t
        start; /* where the view starts in the original; origin of what is added before its first character */
};
struct md_text_view md_text_buffer_view(const struct md_text_buffer *buffer, size_t start, size_t end);

struct md_text_edit {
    struct md_text_view in;
    size_t at; /* next byte of `in` */
    struct md_text_buffer *out;
};
/* Copies `size` bytes of whole characters as they are. */
void md_text_edit_copy(struct md_text_edit *edit, size_t size);
/* Leaves out `size` bytes of whole characters. */
void md_text_edit_skip(struct md_text_edit *edit, size_t size);
/* Puts a code point in place of the next character. */
void md_text_edit_replace(struct md_text_edit *edit, uint32_t code_point);
/* Adds a code point after what was consumed last. */
void md_text_edit_add(struct md_text_edit *edit, uint32_t code_point);
/* change 0: replace; above 0: add; -n: replace and leave out the next n characters. */
void md_text_edit_apply(struct md_text_edit *edit, uint32_t code_point, int32_t change);
/* Puts the byte alphabet's characters (byte_alphabet.h) in place of the bytes of all the rest. */
void md_text_edit_bytes(struct md_text_edit *edit);
/* Appends bytes that all have the one origin. */
void md_text_edit_insert(struct md_text_edit *edit, const char *bytes, size_t size, struct md_origin origin);

#endif
