/* charsmap.c - see charsmap.h. */
#include "charsmap.h"

#include "allocator.h"
#include "text_buffer.h"
#include "unicode.h"
#include "utf8.h"

#include <stdint.h>
#include <string.h>

enum { MAX_GRAPHEME = 6 }; /* a grapheme of so many bytes is replaced character by character */

struct md_charsmap {
    const struct md_allocator *allocator;
    uint32_t *units;
    size_t unit_count;
    char *replacements; /* UTF-8 */
    size_t replacements_size;
    bool changes_ascii[128]; /* a text that starts with it may be replaced */
};

/* ---- reading ---- */

static uint32_t read_u32(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static bool find(const struct md_charsmap *map, const char *text, size_t size, struct md_span *out_replacement);

static enum md_code copy_parts(struct md_charsmap *map, struct md_span bytes, struct md_error *error)
{
    if (bytes.size < 4 || read_u32(bytes.bytes) > bytes.size - 4 || read_u32(bytes.bytes) % 4 != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu bytes, which are no table of replacements", bytes.size);
    size_t trie_size = read_u32(bytes.bytes);
    const char *rest = bytes.bytes + 4 + trie_size;
    map->unit_count = trie_size / 4;
    map->replacements_size = bytes.size - 4 - trie_size;
    size_t valid = md_utf8_valid_prefix(rest, map->replacements_size);
    if (valid != map->replacements_size)
        return md_fail(error, MD_INVALID_ARGUMENT, "replacements are not UTF-8 at byte %zu", valid);
    map->units = md_allocate_zeroed(map->allocator, map->unit_count, sizeof *map->units);
    map->replacements = md_allocate(map->allocator, map->replacements_size);
    if (map->units == NULL || map->replacements == NULL)
        return md_fail_memory(error, "table of replacements");
    for (size_t i = 0; i < map->unit_count; i++)
        map->units[i] = read_u32(bytes.bytes + 4 + 4 * i);
    if (map->replacements_size > 0)
        memcpy(map->replacements, rest, map->replacements_size);
    return MD_OK;
}

enum md_code md_charsmap_create(const struct md_allocator *allocator, struct md_span bytes,
                                struct md_charsmap **out_map, struct md_error *error)
{
    struct md_charsmap *map = md_allocate_zeroed(allocator, 1, sizeof *map);
    if (map == NULL)
        return md_fail_memory(error, "table of replacements");
    map->allocator = allocator;
    enum md_code code = copy_parts(map, bytes, error);
    if (code != MD_OK) {
        md_charsmap_destroy(map);
        return code;
    }
    for (unsigned byte = 0; byte < 128; byte++) {
        struct md_span ignored;
        char text = (char)byte;
        map->changes_ascii[byte] = find(map, &text, 1, &ignored);
    }
    *out_map = map;
    return MD_OK;
}

static int base64_digit(char letter)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *found = memchr(digits, letter, sizeof digits - 1);
    return found == NULL ? -1 : (int)(found - digits);
}

enum md_code md_charsmap_create_base64(const struct md_allocator *allocator, struct md_span text,
                                       struct md_charsmap **out_map, struct md_error *error)
{
    while (text.size > 0 && text.bytes[text.size - 1] == '=')
        text.size--;
    char *bytes = md_allocate(allocator, text.size);
    if (bytes == NULL)
        return md_fail_memory(error, "table of replacements");
    size_t size = 0;
    uint32_t bits = 0;
    enum md_code code = MD_OK;
    for (size_t i = 0; i < text.size && code == MD_OK; i++) {
        int digit = base64_digit(text.bytes[i]);
        if (digit < 0)
            code = md_fail(error, MD_INVALID_ARGUMENT, "not base64 at byte %zu", i);
        bits = bits << 6 | (uint32_t)(digit & 63);
        if (i % 4 != 0)
            bytes[size++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    if (code == MD_OK)
        code = md_charsmap_create(allocator, (struct md_span){ bytes, size }, out_map, error);
    md_release(allocator, bytes);
    return code;
}

void md_charsmap_destroy(struct md_charsmap *map)
{
    if (map == NULL)
        return;
    md_release(map->allocator, map->units);
    md_release(map->allocator, map->replacements);
    md_release(map->allocator, map);
}

/* ---- replacing ---- */

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static bool replacement_at(const struct md_charsmap *map, size_t index, struct md_span *out_replacement)
{
    if (index >= map->replacements_size || ((unsigned char)map->replacements[index] & 0xC0) == 0x80)
        return false;
    const char *start = map->replacements + index;
    const char *end = memchr(start, '\0', map->replacements_size - index);
    *out_replacement = (struct md_span){ start, end == NULL ? map->replacements_size - index : (size_t)(end - start) };
    return true;
}

/* The replacement of the shortest key that `text` starts with: the reference library takes the first, too. */
static bool find(const struct md_charsmap *map, const char *text, size_t size, struct md_span *out_replacement)
{
    if (map->unit_count == 0)
        return false;
    size_t node = offset_of(map->units[0]);
    for (size_t i = 0; i < size && text[i] != '\0'; i++) {
        node ^= (unsigned char)text[i];
        if (node >= map->unit_count)
            return false;
        uint32_t unit = map->units[node];
        if ((unit & 0x800000FFu) != (unsigned char)text[i])
            return false;
        node ^= offset_of(unit);
        if ((unit >> 8 & 1) != 0)
            return node < map->unit_count && replacement_at(map, map->units[node] & 0x7FFFFFFFu, out_replacement);
    }
    return false;
}

/* The last change waits, because a replacement that is shorter than what it stands for changes the one before it. */
struct pending {
    struct md_text_edit *edit;
    uint32_t code_point;
    int32_t change;
    bool has_one;
};

static void push(struct pending *pending, uint32_t code_point, int32_t change)
{
    if (pending->has_one)
        md_text_edit_apply(pending->edit, pending->code_point, pending->change);
    pending->has_one = true;
    pending->code_point = code_point;
    pending->change = change;
}

static void replace(struct pending *pending, size_t old_count, struct md_span replacement)
{
    size_t new_count = md_utf8_count(replacement.bytes, replacement.size);
    size_t index = 0;
    for (size_t at = 0; at < replacement.size; index++) {
        uint32_t code_point;
        at += md_utf8_decode(replacement.bytes + at, &code_point);
        push(pending, code_point, index >= old_count ? 1 : 0);
    }
    if (new_count < old_count && pending->has_one)
        pending->change -= (int32_t)(old_count - new_count);
}

static void replace_characters(const struct md_charsmap *map, struct pending *pending, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t code_point;
        struct md_span replacement;
        size_t length = md_utf8_decode(text + at, &code_point);
        if (find(map, text + at, length, &replacement))
            replace(pending, 1, replacement);
        else
            push(pending, code_point, 0);
        at += length;
    }
}

/* Length of the ASCII text that stays as it is; its last character may have marks behind it. */
static size_t fixed_prefix(const struct md_charsmap *map, const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && (unsigned char)text[at] < 0x80 && !map->changes_ascii[(unsigned char)text[at]])
        at++;
    return at > 0 && at < size && (unsigned char)text[at] >= 0x80 ? at - 1 : at;
}

/* Copies `fixed` bytes at once, but for the last one, which may still be changed. False: the edit is not where the
 * characters are, because something was removed at the very start. */
static bool copy_fixed(struct pending *pending, size_t at, size_t fixed)
{
    struct md_text_edit *edit = pending->edit;
    size_t waiting = pending->has_one && edit->at < at ? md_utf8_length(edit->in.bytes[edit->at]) : 0;
    if (fixed < 2 || pending->change != 0 || edit->at + waiting != at)
        return false;
    uint32_t last = (unsigned char)edit->in.bytes[at + fixed - 1];
    if (pending->has_one)
        md_text_edit_apply(edit, pending->code_point, 0);
    md_text_edit_copy(edit, fixed - 1);
    *pending = (struct pending){ .edit = edit, .has_one = true, .code_point = last };
    return true;
}

void md_charsmap_apply(const struct md_charsmap *map, struct md_text_edit *edit)
{
    const char *text = edit->in.bytes;
    size_t size = edit->in.size;
    struct pending pending = { .edit = edit };
    for (size_t at = 0; at < size && !edit->out->failed;) {
        size_t length = fixed_prefix(map, text + at, size - at);
        if (copy_fixed(&pending, at, length)) {
            at += length;
            continue;
        }
        struct md_span replacement;
        length = md_grapheme_length(text + at, size - at);
        if (length < MAX_GRAPHEME && find(map, text + at, length, &replacement))
            replace(&pending, md_utf8_count(text + at, length), replacement);
        else
            replace_characters(map, &pending, text + at, length);
        at += length;
    }
    if (pending.has_one)
        md_text_edit_apply(edit, pending.code_point, pending.change);
}
