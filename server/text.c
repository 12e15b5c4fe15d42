/* text.c - see text.h. */
#include "text.h"

#include "allocator.h"
#include "utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 1024, PRINT_LIMIT = 512 };

void md_text_init(struct md_text *text, const struct md_allocator *allocator)
{
    *text = (struct md_text){ .allocator = allocator };
}

void md_text_cleanup(struct md_text *text)
{
    md_release(text->allocator, text->bytes);
    md_text_init(text, text->allocator);
}

static bool reserve(struct md_text *text, size_t size)
{
    if (text->has_failed || size > SIZE_MAX / 4 - text->size)
        text->has_failed = true;
    if (text->has_failed || size <= text->capacity - text->size)
        return !text->has_failed;
    size_t capacity = text->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : text->capacity * 2;
    if (capacity < text->size + size)
        capacity = text->size + size;
    char *grown = md_reallocate(text->allocator, text->bytes, text->size, capacity);
    text->has_failed = grown == NULL;
    if (grown != NULL) {
        text->bytes = grown;
        text->capacity = capacity;
    }
    return grown != NULL;
}

void md_text_add(struct md_text *text, const void *bytes, size_t size)
{
    if (size == 0 || !reserve(text, size))
        return;
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

void md_text_put(struct md_text *text, const char *string)
{
    md_text_add(text, string, strlen(string));
}

void md_text_print(struct md_text *text, const char *format, ...)
{
    char buffer[PRINT_LIMIT];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (size > 0)
        md_text_add(text, buffer, size < PRINT_LIMIT ? (size_t)size : PRINT_LIMIT - 1);
}

static void add_escaped(struct md_text *text, unsigned char byte)
{
    static const char shorts[] = "\"\"\\\\\nn\rr\tt";
    for (const char *pair = shorts; *pair != '\0'; pair += 2)
        if ((unsigned char)*pair == byte) {
            md_text_add(text, (const char[]){ '\\', pair[1] }, 2);
            return;
        }
    md_text_print(text, "\\u%04x", byte);
}

void md_text_json(struct md_text *text, const char *bytes, size_t size)
{
    size_t valid = md_utf8_valid_prefix(bytes, size), plain = 0;
    md_text_add(text, "\"", 1);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        bool is_wrong = i == valid;
        if (!is_wrong && byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        md_text_add(text, bytes + plain, i - plain);
        plain = i + 1;
        if (is_wrong) {
            md_text_add(text, "?", 1);
            valid = i + 1 + md_utf8_valid_prefix(bytes + i + 1, size - i - 1);
        } else {
            add_escaped(text, byte);
        }
    }
    md_text_add(text, bytes + plain, size - plain);
    md_text_add(text, "\"", 1);
}
