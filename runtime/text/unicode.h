/* unicode.h - code points: UTF-8 in and out, and the classes that normalizers and pre-tokenizers ask for.
 * The tables are utf8proc's; ASCII is answered from a table of our own. Text is valid UTF-8 here: it was
 * checked. */
#ifndef MD_UNICODE_H
#define MD_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MD_MAX_UTF8 = 4, MD_MAX_DECOMPOSITION = 32 };

/* Bytes of the sequence that starts with `first`. */
static inline size_t md_utf8_length(char first)
{
    unsigned char byte = (unsigned char)first;
    return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/* Bytes that a code point takes. */
static inline size_t md_code_point_length(uint32_t code_point)
{
    return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

/* Decodes one code point of valid UTF-8; returns its length. */
static inline size_t md_utf8_decode(const char *bytes, uint32_t *out_code_point)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (b[0] < 0x80) {
        *out_code_point = b[0];
        return 1;
    }
    if (b[0] < 0xE0) {
        *out_code_point = (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3Fu);
        return 2;
    }
    if (b[0] < 0xF0) {
        *out_code_point = (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3Fu);
        return 3;
    }
    *out_code_point = (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
                      (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3Fu);
    return 4;
}

/* Writes up to MD_MAX_UTF8 bytes; returns how many. */
size_t md_utf8_encode(uint32_t code_point, char *out_bytes);
/* The code point that ends before `end` (> 0); returns its length. */
size_t md_utf8_decode_last(const char *bytes, size_t end, uint32_t *out_code_point);
/* Code points in valid UTF-8. */
size_t md_utf8_count(const char *bytes, size_t size);
/* Length of the ASCII run at the start of `bytes`. */
size_t md_ascii_prefix(const char *bytes, size_t size);

bool md_is_space(uint32_t code_point);          /* property White_Space */
bool md_is_punctuation(uint32_t code_point);    /* ASCII punctuation and symbols, and category P */
bool md_is_word(uint32_t code_point); /* \w: letters, marks, digits, letter numbers, connectors, joiners */
bool md_is_letter(uint32_t code_point);         /* category L */
bool md_is_uppercase(uint32_t code_point);      /* categories Lu and Lt */
bool md_is_lowercase(uint32_t code_point);      /* category Ll */
bool md_is_word_mark(uint32_t code_point);      /* category M of Unicode 16, which regular expressions have */
bool md_is_numeric(uint32_t code_point);        /* category N */
bool md_is_control(uint32_t code_point);        /* Cc, Cf, Co; tab, LF and CR are not */
bool md_is_mark(uint32_t code_point);           /* category M */
bool md_is_nonspacing_mark(uint32_t code_point); /* category Mn */
bool md_is_cjk_ideograph(uint32_t code_point);  /* the blocks that BERT puts spaces around */

/* Full lower-case mapping without context: up to 2 code points; returns how many. */
size_t md_lowercase(uint32_t code_point, uint32_t out_code_points[2]);
/* Canonical (or compatibility) decomposition; returns how many. */
size_t md_decompose(uint32_t code_point, bool compatibility, int32_t out_code_points[MD_MAX_DECOMPOSITION]);
/* Bytes of the first extended grapheme cluster of `bytes` (size > 0). */
size_t md_grapheme_length(const char *bytes, size_t size);
uint8_t md_combining_class(uint32_t code_point);
/* 0: the two do not compose. */
uint32_t md_compose(uint32_t first, uint32_t second);

#endif
