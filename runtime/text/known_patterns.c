/* known_patterns.c - see known_patterns.h. Each function says what its expression's alternatives come to. */
#include "known_patterns.h"

#include "unicode.h"

#include <string.h>

enum {
    UPPER = 1,   /* Lu, Lt */
    LOWER = 2,   /* Ll */
    CASELESS = 4, /* Lm, Lo */
    NUMBER = 8,  /* N */
    SPACE = 16,  /* \s but for those of NEWLINE */
    NEWLINE = 32, /* \r \n */
    MARK = 64,   /* M */
    OTHER = 128,
    LETTER = UPPER | LOWER | CASELESS,
    BLANK = SPACE | NEWLINE
};

#define O OTHER
#define S SPACE
#define N NEWLINE
#define D NUMBER
#define U UPPER
#define L LOWER
static const unsigned char ascii_class[128] = {
    O, O, O, O, O, O, O, O, O, S, N, S, S, N, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O,
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, D, D, D, D, D, D, D, D, D, D, O, O, O, O, O, O,
    O, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, O, O, O, O, O,
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O,
};
#undef O
#undef S
#undef N
#undef D
#undef U
#undef L

static unsigned class_of(uint32_t code_point)
{
    if (md_is_letter(code_point))
        return md_is_uppercase(code_point) ? UPPER : md_is_lowercase(code_point) ? LOWER : CASELESS;
    if (md_is_numeric(code_point))
        return NUMBER;
    if (md_is_space(code_point))
        return SPACE;
    return md_is_word_mark(code_point) ? MARK : OTHER;
}

/* The class of the character at `at`, and its length. */
static unsigned class_at(struct md_span text, size_t at, size_t *out_length)
{
    unsigned char byte = (unsigned char)text.bytes[at];
    *out_length = 1;
    if (byte < 0x80)
        return ascii_class[byte];
    uint32_t code_point;
    *out_length = md_utf8_decode(text.bytes + at, &code_point);
    return class_of(code_point);
}

/* End of the run of characters of `classes` that starts at `at`. */
static size_t run_end(struct md_span text, size_t at, unsigned classes)
{
    size_t length;
    while (at < text.size && (class_at(text, at, &length) & classes) != 0)
        at += length;
    return at;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ without the first alternative: the last space goes with the word behind it. */
static size_t spaces(struct md_span text)
{
    size_t length;
    size_t last = 0;
    size_t at = 0;
    while (at < text.size && (class_at(text, at, &length) & BLANK) != 0) {
        last = at;
        at += length;
    }
    return at == text.size || last == 0 ? at : last;
}

/* With the first alternative: up to the last line end among the spaces. */
static size_t spaces_or_lines(struct md_span text)
{
    size_t line_end = 0;
    size_t length;
    unsigned class;
    for (size_t at = 0; at < text.size && ((class = class_at(text, at, &length)) & BLANK) != 0; at += length)
        if (class == NEWLINE)
            line_end = at + length;
    return line_end > 0 ? line_end : spaces(text);
}

/* 's|'t|'re|'ve|'m|'ll|'d at `at`: its length, or 0. */
static size_t contraction(struct md_span text, size_t at, bool any_case)
{
    const char *bytes = text.bytes + at;
    size_t size = text.size - at;
    int fold = any_case ? 32 : 0;
    if (size < 2 || bytes[0] != '\'')
        return 0;
    char first = (char)(bytes[1] | fold);
    if (bytes[1] > 0 && (first == 's' || first == 't' || first == 'm' || first == 'd'))
        return 2;
    if (size < 3)
        return 0;
    if (any_case && memcmp(bytes + 1, "\xC5\xBF", 2) == 0) /* the long s */
        return 3;
    char second = (char)(bytes[2] | fold);
    bool two = bytes[1] > 0 && bytes[2] > 0 &&
               ((second == 'e' && (first == 'r' || first == 'v')) || (second == 'l' && first == 'l'));
    return two ? 3 : 0;
}

/* \p{N}{1,limit} */
static size_t digits(struct md_span text, size_t limit)
{
    size_t at = 0;
    size_t length;
    for (size_t i = 0; i < limit && at < text.size && class_at(text, at, &length) == NUMBER; i++)
        at += length;
    return at;
}

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

size_t md_known_pattern_gpt2(struct md_span text)
{
    size_t length = contraction(text, 0, false);
    if (length > 0)
        return length;
    size_t start = text.bytes[0] == ' ' && text.size > 1 ? 1 : 0;
    unsigned class = class_at(text, start, &length);
    if ((class & BLANK) != 0)
        return spaces(text);
    return run_end(text, start, (class & LETTER) != 0 ? LETTER : class == NUMBER ? NUMBER : MARK | OTHER);
}

/* What the later expressions share behind their words:  ?[^\s\p{L}\p{N}]+[TAIL]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static size_t others_or_spaces(struct md_span text, bool slash)
{
    size_t start = text.bytes[0] == ' ' ? 1 : 0;
    size_t end = run_end(text, start, MARK | OTHER);
    if (end == start)
        return spaces_or_lines(text);
    while (end < text.size && (text.bytes[end] == '\r' || text.bytes[end] == '\n' || (slash && text.bytes[end] == '/')))
        end++;
    return end;
}

static const char llama3_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen_pattern[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static size_t word_of_letters(struct md_span text, size_t digit_limit)
{
    size_t length = contraction(text, 0, true);
    if (length > 0)
        return length;
    unsigned class = class_at(text, 0, &length);
    size_t start = (class & LETTER) != 0 ? 0 : length;
    if (class == NUMBER)
        return digits(text, digit_limit);
    size_t end = class == NEWLINE ? start : run_end(text, start, LETTER);
    return end > start ? end : others_or_spaces(text, false);
}

static size_t llama3(struct md_span text)
{
    return word_of_letters(text, 3);
}

static size_t qwen(struct md_span text)
{
    return word_of_letters(text, 1);
}

static const char gpt4o_pattern[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/* [UPPER CASELESS MARK]*[LOWER CASELESS MARK]+ from `at`: where it ends, or `at`. The first part takes what it can; if no
 * LOWER follows, it gives back up to its last character that the second part may have. *out_upper_end: the end of the
 * first part. */
static size_t cased_word(struct md_span text, size_t at, size_t *out_upper_end)
{
    size_t given_back = at;
    size_t length;
    unsigned class;
    for (; at < text.size && ((class = class_at(text, at, &length)) & (UPPER | CASELESS | MARK)) != 0; at += length)
        if (class != UPPER)
            given_back = at + length;
    *out_upper_end = at;
    size_t end = run_end(text, at, LOWER | CASELESS | MARK);
    return end > at ? end : given_back;
}

static size_t gpt4o(struct md_span text)
{
    size_t length;
    unsigned class = class_at(text, 0, &length);
    if (class == NUMBER)
        return digits(text, 3);
    size_t start = (class & (LETTER | NEWLINE)) != 0 ? 0 : length; /* [^\r\n\p{L}\p{N}]? */
    size_t upper_end;
    size_t end = cased_word(text, start, &upper_end);
    if (end == start)
        end = class == MARK ? length : upper_end; /* a mark alone is a word; else the second alternative */
    if (end == start && class != MARK)
        return others_or_spaces(text, true);
    return end + contraction(text, end, true);
}

md_word_fn md_known_pattern_find(struct md_span pattern)
{
    static const struct {
        const char *pattern;
        md_word_fn word;
    } known[] = { { gpt2_pattern, md_known_pattern_gpt2 },
                  { llama3_pattern, llama3 },
                  { qwen_pattern, qwen },
                  { gpt4o_pattern, gpt4o } };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (md_span_equal(pattern, md_span_of(known[i].pattern)))
            return known[i].word;
    return NULL;
}
