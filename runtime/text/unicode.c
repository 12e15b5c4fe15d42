/* unicode.c - see unicode.h. */
#include "unicode.h"

#include "unicode_versions.h"

#include <string.h>

#include <utf8proc.h>

enum { IS_SPACE = 1, IS_PUNCTUATION = 2, IS_WORD = 4, IS_DIGIT = 8, IS_CONTROL = 16, IS_LETTER = 32 };

#define C IS_CONTROL
#define W (IS_CONTROL | IS_SPACE)
#define S IS_SPACE
#define P IS_PUNCTUATION
#define U (IS_PUNCTUATION | IS_WORD)
#define D (IS_WORD | IS_DIGIT)
#define L (IS_WORD | IS_LETTER)
static const uint8_t ascii_class[128] = {
    C, C, C, C, C, C, C, C, C, S, S, W, W, S, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C, C,
    S, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, D, D, D, D, D, D, D, D, D, D, P, P, P, P, P, P,
    P, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, P, P, P, P, U,
    P, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, P, P, P, P, C,
};
#undef C
#undef W
#undef S
#undef P
#undef U
#undef D
#undef L

#define CATEGORY(name) (1u << UTF8PROC_CATEGORY_##name)
enum {
    LETTERS = CATEGORY(LU) | CATEGORY(LL) | CATEGORY(LT) | CATEGORY(LM) | CATEGORY(LO),
    MARKS = CATEGORY(MN) | CATEGORY(MC) | CATEGORY(ME),
    NUMBERS = CATEGORY(ND) | CATEGORY(NL) | CATEGORY(NO),
    PUNCTUATION = CATEGORY(PC) | CATEGORY(PD) | CATEGORY(PS) | CATEGORY(PE) | CATEGORY(PI) | CATEGORY(PF) |
                  CATEGORY(PO),
    WORD = LETTERS | MARKS | CATEGORY(ND) | CATEGORY(NL) | CATEGORY(PC),
    CONTROL = CATEGORY(CC) | CATEGORY(CF) | CATEGORY(CO),
};

static bool in_categories(uint32_t code_point, unsigned categories)
{
    return (categories >> utf8proc_category((utf8proc_int32_t)code_point) & 1u) != 0;
}

/* In the categories by utf8proc's tables, but not in those of the reference library (`less`). */
static bool in_categories_but(uint32_t code_point, unsigned categories, const struct md_code_range *less)
{
    return in_categories(code_point, categories) && !md_code_range_has(less, code_point);
}

static bool ascii_is(uint32_t code_point, unsigned class)
{
    return (ascii_class[code_point] & class) != 0;
}

size_t md_utf8_encode(uint32_t code_point, char *out_bytes)
{
    if (code_point < 0x80) {
        out_bytes[0] = (char)code_point;
        return 1;
    }
    if (code_point < 0x800) {
        out_bytes[0] = (char)(0xC0 | code_point >> 6);
        out_bytes[1] = (char)(0x80 | (code_point & 0x3F));
        return 2;
    }
    if (code_point < 0x10000) {
        out_bytes[0] = (char)(0xE0 | code_point >> 12);
        out_bytes[1] = (char)(0x80 | (code_point >> 6 & 0x3F));
        out_bytes[2] = (char)(0x80 | (code_point & 0x3F));
        return 3;
    }
    out_bytes[0] = (char)(0xF0 | code_point >> 18);
    out_bytes[1] = (char)(0x80 | (code_point >> 12 & 0x3F));
    out_bytes[2] = (char)(0x80 | (code_point >> 6 & 0x3F));
    out_bytes[3] = (char)(0x80 | (code_point & 0x3F));
    return 4;
}

size_t md_utf8_decode_last(const char *bytes, size_t end, uint32_t *out_code_point)
{
    size_t start = end - 1;
    while (start > 0 && ((unsigned char)bytes[start] & 0xC0) == 0x80)
        start--;
    return md_utf8_decode(bytes + start, out_code_point);
}

size_t md_utf8_count(const char *bytes, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)bytes[i] & 0xC0) != 0x80;
    return count;
}

size_t md_ascii_prefix(const char *bytes, size_t size)
{
    size_t at = 0;
    uint64_t eight;
    while (size - at >= 8 && (memcpy(&eight, bytes + at, 8), (eight & 0x8080808080808080u) == 0))
        at += 8;
    while (at < size && (unsigned char)bytes[at] < 0x80)
        at++;
    return at;
}

bool md_is_space(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_SPACE);
    return code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
           (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 || code_point == 0x2029 ||
           code_point == 0x202F || code_point == 0x205F || code_point == 0x3000;
}

bool md_is_punctuation(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_PUNCTUATION);
    if (code_point == 0x166D || code_point == 0x111C9) /* were punctuation once */
        return true;
    return in_categories_but(code_point, PUNCTUATION, md_unicode_punctuation_less);
}

/* By utf8proc's tables: later versions of Unicode can only add to what it knows. */
static bool is_unassigned(uint32_t code_point)
{
    return in_categories(code_point, CATEGORY(CN) | CATEGORY(SO) | CATEGORY(MC));
}

bool md_is_word(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_WORD);
    if (in_categories(code_point, WORD))
        return true;
    /* Join_Control, and the circled and squared letters, which are alphabetic symbols. */
    return code_point == 0x200C || code_point == 0x200D || (code_point >= 0x24B6 && code_point <= 0x24E9) ||
           (code_point >= 0x1F130 && code_point <= 0x1F149) ||
           (code_point >= 0x1F150 && code_point <= 0x1F169) ||
           (code_point >= 0x1F170 && code_point <= 0x1F189) ||
           (is_unassigned(code_point) && md_code_range_has(md_unicode_word_more, code_point));
}

bool md_is_letter(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_LETTER);
    return in_categories(code_point, LETTERS) ||
           (is_unassigned(code_point) && md_code_range_has(md_unicode_letter_more, code_point));
}

bool md_is_word_mark(uint32_t code_point)
{
    if (code_point < 0x300)
        return false;
    return in_categories(code_point, MARKS) ||
           (is_unassigned(code_point) && md_code_range_has(md_unicode_word_more, code_point) &&
            !md_is_letter(code_point) && !md_is_numeric(code_point));
}

bool md_is_numeric(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_DIGIT);
    return in_categories(code_point, NUMBERS) ||
           (is_unassigned(code_point) && md_code_range_has(md_unicode_numeric_more, code_point));
}

bool md_is_control(uint32_t code_point)
{
    if (code_point < 0x80)
        return ascii_is(code_point, IS_CONTROL);
    return in_categories_but(code_point, CONTROL, md_unicode_control_less);
}

bool md_is_mark(uint32_t code_point)
{
    if (code_point == 0x1CF2 || code_point == 0x1CF3) /* were marks once */
        return true;
    return code_point >= 0x300 && in_categories_but(code_point, MARKS, md_unicode_mark_less);
}

bool md_is_nonspacing_mark(uint32_t code_point)
{
    if (code_point == 0x1734) /* was nonspacing once */
        return true;
    return code_point >= 0x300 && in_categories_but(code_point, CATEGORY(MN), md_unicode_nonspacing_less);
}

bool md_is_cjk_ideograph(uint32_t code_point)
{
    if (code_point < 0x3400)
        return false;
    return (code_point >= 0x4E00 && code_point <= 0x9FFF) || code_point <= 0x4DBF ||
           (code_point >= 0xF900 && code_point <= 0xFAFF) ||
           (code_point >= 0x20000 && code_point <= 0x2A6DF) ||
           (code_point >= 0x2A700 && code_point <= 0x2B73F) ||
           (code_point >= 0x2B740 && code_point <= 0x2B81F) ||
           (code_point >= 0x2B920 && code_point <= 0x2CEAF) ||
           (code_point >= 0x2F800 && code_point <= 0x2FA1F);
}

/* Letters of Unicode 16 and 17, which utf8proc does not know yet. */
static uint32_t newer_lowercase(uint32_t c)
{
    if (c >= 0x10D50 && c <= 0x10D65)
        return c + 0x20;
    if (c >= 0x16EA0 && c <= 0x16EB8)
        return c + 0x1B;
    if (c == 0x1C89 || c == 0xA7CC || c == 0xA7CE || c == 0xA7D2 || c == 0xA7D4 || c == 0xA7DA)
        return c + 1;
    return c == 0xA7CB ? 0x264 : c == 0xA7DC ? 0x19B : c;
}

bool md_is_uppercase(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point - 'A' < 26;
    return in_categories(code_point, CATEGORY(LU) | CATEGORY(LT)) || newer_lowercase(code_point) != code_point;
}

bool md_is_lowercase(uint32_t code_point)
{
    if (code_point < 0x80)
        return code_point - 'a' < 26;
    return in_categories(code_point, CATEGORY(LL)) || (code_point >= 0x10D70 && code_point <= 0x10D85) ||
           (code_point >= 0x16EBB && code_point <= 0x16ED3) || code_point == 0x1C8A || code_point == 0xA7CD ||
           code_point == 0xA7CF || code_point == 0xA7DB;
}

size_t md_lowercase(uint32_t code_point, uint32_t out_code_points[2])
{
    if (code_point < 0x80) {
        out_code_points[0] = code_point - 'A' < 26 ? code_point + 32 : code_point;
        return 1;
    }
    if (code_point == 0x130) { /* the one unconditional mapping to two code points (SpecialCasing.txt) */
        out_code_points[0] = 'i';
        out_code_points[1] = 0x307;
        return 2;
    }
    out_code_points[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code_point);
    if (out_code_points[0] == code_point)
        out_code_points[0] = newer_lowercase(code_point);
    return 1;
}

size_t md_decompose(uint32_t code_point, bool compatibility, int32_t out_code_points[MD_MAX_DECOMPOSITION])
{
    int boundary_class = 0;
    if (md_code_range_has(md_unicode_decomposition_less, code_point)) {
        out_code_points[0] = (int32_t)code_point;
        return 1;
    }
    utf8proc_ssize_t count =
        utf8proc_decompose_char((utf8proc_int32_t)code_point, out_code_points, MD_MAX_DECOMPOSITION,
                                compatibility ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE,
                                &boundary_class);
    if (count >= 1 && count <= MD_MAX_DECOMPOSITION)
        return (size_t)count;
    out_code_points[0] = (int32_t)code_point;
    return 1;
}

size_t md_grapheme_length(const char *bytes, size_t size)
{
    uint32_t before;
    utf8proc_int32_t state = 0;
    size_t at = md_utf8_decode(bytes, &before);
    if (before < 0x300 && before != '\r' && at < size && (unsigned char)bytes[at] < 0x80)
        return at; /* nothing in ASCII joins what is before it */
    while (at < size) {
        uint32_t next;
        size_t length = md_utf8_decode(bytes + at, &next);
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)next, &state))
            break;
        before = next;
        at += length;
    }
    return at;
}

uint8_t md_combining_class(uint32_t code_point)
{
    if (code_point < 0x300)
        return 0;
    uint8_t class = (uint8_t)utf8proc_get_property((utf8proc_int32_t)code_point)->combining_class;
    return class != 0 && md_code_range_has(md_unicode_mark_less, code_point) ? 0 : class;
}

/* Of those that are no marks, only the jamo of Hangul compose with what is before them. */
static bool may_compose(uint32_t second)
{
    if (second < 0x300)
        return false;
    return (second >= 0x1161 && second <= 0x1175) || (second >= 0x11A8 && second <= 0x11C2) ||
           in_categories(second, MARKS);
}

uint32_t md_compose(uint32_t first, uint32_t second)
{
    if (!may_compose(second))
        return 0;
    utf8proc_int32_t pair[2] = { (utf8proc_int32_t)first, (utf8proc_int32_t)second };
    utf8proc_ssize_t count = utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
    if (count != 1 || md_code_range_has(md_unicode_decomposition_less, (uint32_t)pair[0]))
        return 0;
    return (uint32_t)pair[0];
}
