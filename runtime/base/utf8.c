/* utf8.c - see utf8.h. */
#include "utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of a sequence that starts with `first`, and the range that its second byte must lie in. */
static int sequence_length(uint8_t first, uint8_t *out_low, uint8_t *out_high)
{
    *out_low = 0x80;
    *out_high = 0xBF;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF) {
        if (first == 0xE0)
            *out_low = 0xA0;
        if (first == 0xED)
            *out_high = 0x9F;
        return 3;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        if (first == 0xF0)
            *out_low = 0x90;
        if (first == 0xF4)
            *out_high = 0x8F;
        return 4;
    }
    return 0;
}

size_t md_utf8_valid_prefix(const char *bytes, size_t size)
{
    const uint8_t *text = (const uint8_t *)bytes;
    size_t at = 0;
    while (at < size) {
        uint64_t eight;
        if (size - at >= 8 && (memcpy(&eight, text + at, 8), (eight & 0x8080808080808080u) == 0)) {
            at += 8; /* eight ASCII bytes at once */
            continue;
        }
        if (text[at] < 0x80) {
            at++;
            continue;
        }
        uint8_t low;
        uint8_t high;
        int length = sequence_length(text[at], &low, &high);
        if (length == 0 || size - at < (size_t)length || text[at + 1] < low || text[at + 1] > high)
            return at;
        for (int i = 2; i < length; i++)
            if ((text[at + (size_t)i] & 0xC0) != 0x80)
                return at;
        at += (size_t)length;
    }
    return size;
}
