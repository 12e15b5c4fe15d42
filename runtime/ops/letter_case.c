#include "letter_case.h"

#include <utf8proc.h>

size_t md_letter_case_room(size_t size)
{
    return size + size / 2 + 4;
}

/* The first character; *out_size bytes. -1: not UTF-8, 1 byte. */
static utf8proc_int32_t decode(struct md_span text, size_t *out_size)
{
    utf8proc_int32_t character;
    utf8proc_ssize_t limit = text.size < 4 ? (utf8proc_ssize_t)text.size : 4;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)text.bytes, limit, &character);
    *out_size = size > 0 ? (size_t)size : 1;
    return size > 0 ? character : -1;
}

size_t md_letter_case_map(struct md_span text, enum md_letter_case letter_case, char *out)
{
    size_t used = 0, size;
    for (size_t at = 0; at < text.size; at += size) {
        utf8proc_int32_t character = decode((struct md_span){ text.bytes + at, text.size - at }, &size);
        if (character < 0 || letter_case == MD_CASE_KEEP) {
            memcpy(out + used, text.bytes + at, size);
            used += size;
            continue;
        }
        /* utf8proc has a capital sharp s; Unicode's simple mapping leaves the letter alone. */
        if (character != 0xdf)
            character =
                letter_case == MD_CASE_LOWER ? utf8proc_tolower(character) : utf8proc_toupper(character);
        used += (size_t)utf8proc_encode_char(character, (utf8proc_uint8_t *)out + used);
    }
    return used;
}

size_t md_white_space(struct md_span text)
{
    size_t size;
    if (text.size == 0)
        return 0;
    utf8proc_int32_t character = decode(text, &size);
    if ((character >= 0x09 && character <= 0x0d) || (character >= 0x1c && character <= 0x20) ||
        character == 0x85)
        return size;
    if (character < 0x80)
        return 0;
    utf8proc_category_t category = utf8proc_category(character);
    bool space = category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
                 category == UTF8PROC_CATEGORY_ZP;
    return space ? size : 0;
}

size_t md_character_size(struct md_span text)
{
    size_t size = 0;
    if (text.size > 0)
        (void)decode(text, &size); /* only its size */
    return size;
}
