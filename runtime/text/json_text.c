/* json_text.c - see json_text.h. */
#include "json_text.h"

#include "allocator.h"
#include "unicode.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NESTING = 64, MAX_NUMBER = 64 };

/* ---- checking ---- */

static void skip_space(struct md_json_text *text)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' || *text->at == '\r' || *text->at == '\t'))
        text->at++;
}

static bool is_hex(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F');
}

static bool check_escape(struct md_json_text *text)
{
    if (text->end - text->at < 2 || memchr("\"\\/bfnrtu", text->at[1], 9) == NULL)
        return false;
    if (text->at[1] != 'u') {
        text->at += 2;
        return true;
    }
    if (text->end - text->at < 6)
        return false;
    for (int i = 2; i < 6; i++)
        if (!is_hex(text->at[i]))
            return false;
    text->at += 6;
    return true;
}

static bool check_string(struct md_json_text *text)
{
    if (text->at == text->end || *text->at != '"')
        return false;
    text->at++;
    while (text->at < text->end) {
        unsigned char byte = (unsigned char)*text->at;
        if (byte == '"') {
            text->at++;
            return true;
        }
        if (byte < ' ')
            return false;
        if (byte != '\\')
            text->at++;
        else if (!check_escape(text))
            return false;
    }
    return false;
}

static bool check_digits(struct md_json_text *text)
{
    const char *start = text->at;
    while (text->at < text->end && *text->at >= '0' && *text->at <= '9')
        text->at++;
    return text->at > start;
}

static bool check_number(struct md_json_text *text)
{
    const char *start = text->at;
    if (text->at < text->end && *text->at == '-')
        text->at++;
    bool zero = text->at < text->end && *text->at == '0';
    const char *first = text->at;
    if (!check_digits(text) || (zero && text->at != first + 1))
        return false;
    if (text->at < text->end && *text->at == '.') {
        text->at++;
        if (!check_digits(text))
            return false;
    }
    if (text->at < text->end && (*text->at == 'e' || *text->at == 'E')) {
        text->at++;
        if (text->at < text->end && (*text->at == '+' || *text->at == '-'))
            text->at++;
        if (!check_digits(text))
            return false;
    }
    return text->at - start < MAX_NUMBER;
}

static bool check_word(struct md_json_text *text, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(text->end - text->at) < size || memcmp(text->at, word, size) != 0)
        return false;
    text->at += size;
    return true;
}

static bool check_value(struct md_json_text *text, int nesting);

/* A key with its colon. */
static bool check_key(struct md_json_text *text)
{
    skip_space(text);
    if (!check_string(text))
        return false;
    skip_space(text);
    if (text->at == text->end || *text->at != ':')
        return false;
    text->at++;
    return true;
}

static bool check_items(struct md_json_text *text, char close, int nesting)
{
    text->at++;
    skip_space(text);
    if (text->at < text->end && *text->at == close) {
        text->at++;
        return true;
    }
    for (;;) {
        if ((close == '}' && !check_key(text)) || !check_value(text, nesting + 1))
            return false;
        skip_space(text);
        if (text->at == text->end)
            return false;
        char byte = *text->at++;
        if (byte == close)
            return true;
        if (byte != ',')
            return false;
    }
}

/* Steps over a value; false: it is not JSON, or nested too deep. */
static bool check_value(struct md_json_text *text, int nesting)
{
    skip_space(text);
    if (text->at == text->end || nesting > MAX_NESTING)
        return false;
    switch (*text->at) {
    case '"':
        return check_string(text);
    case '{':
        return check_items(text, '}', nesting);
    case '[':
        return check_items(text, ']', nesting);
    case 't':
        return check_word(text, "true");
    case 'f':
        return check_word(text, "false");
    case 'n':
        return check_word(text, "null");
    default:
        return check_number(text);
    }
}

/* ---- cutting ---- */

/* At a key; steps to its value. The key as it is written, quotes included. */
static bool take_key(struct md_json_text *text, struct md_span *out_key)
{
    skip_space(text);
    const char *start = text->at;
    if (!check_key(text))
        return false;
    const char *end = text->at - 1;
    while (end[-1] != '"')
        end--;
    *out_key = (struct md_span){ start, (size_t)(end - start) };
    return true;
}

/* The members of the object that is there; with a cut, its large ones are taken into it, else the cut is looked for in
 * "model". False: not JSON, a member twice, or not an object. */
static bool find_cut(struct md_json_text *text, struct md_json_cut *cut, bool in_model, bool *seen)
{
    skip_space(text);
    if (text->at == text->end || *text->at != '{')
        return false;
    text->at++;
    skip_space(text);
    if (text->at < text->end && *text->at == '}')
        return true;
    for (;;) {
        struct md_span key;
        if (!take_key(text, &key))
            return false;
        skip_space(text);
        const char *start = text->at;
        bool model = !in_model && md_span_equal(key, md_span_of("\"model\""));
        bool fine = model && !*seen ? (*seen = true, find_cut(text, cut, true, seen)) : !model && check_value(text, 0);
        struct md_span *large = !in_model                                      ? NULL
                                : md_span_equal(key, md_span_of("\"vocab\""))  ? &cut->vocab
                                : md_span_equal(key, md_span_of("\"merges\"")) ? &cut->merges
                                                                               : NULL;
        if (!fine || (large != NULL && large->bytes != NULL))
            return false;
        if (large != NULL)
            *large = (struct md_span){ start, (size_t)(text->at - start) };
        skip_space(text);
        if (text->at == text->end)
            return false;
        char byte = *text->at++;
        if (byte == '}')
            return true;
        if (byte != ',')
            return false;
    }
}

/* Copies [from, to) of the file, and puts null in place of what was cut: its lines stay, so that messages keep their
 * numbers. */
static size_t copy_between(char *out, const char *from, const char *to, struct md_span cut)
{
    size_t size = (size_t)(to - from);
    memcpy(out, from, size);
    if (cut.bytes == NULL)
        return size;
    const char *end = cut.bytes + cut.size;
    memcpy(out + size, "null", 4);
    size += 4;
    for (const char *at = cut.bytes; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        out[size++] = '\n';
    return size;
}

static enum md_code parse_rest(const struct md_allocator *allocator, const char *file, struct md_span text,
                               const struct md_json_cut *cut, json_t **out_root, struct md_error *error)
{
    struct md_span first = cut->vocab;
    struct md_span second = cut->merges;
    if (first.bytes == NULL || (second.bytes != NULL && second.bytes < first.bytes)) {
        first = cut->merges;
        second = cut->vocab;
    }
    char *rest = md_allocate(allocator, text.size + 2 * sizeof "null"); /* an empty cut is shorter than null */
    if (rest == NULL)
        return md_fail_memory(error, file);
    const char *end = text.bytes + text.size;
    size_t size = copy_between(rest, text.bytes, first.bytes, first);
    const char *from = first.bytes + first.size;
    size += copy_between(rest + size, from, second.bytes != NULL ? second.bytes : end, second);
    if (second.bytes != NULL)
        size += copy_between(rest + size, second.bytes + second.size, end, (struct md_span){ NULL, 0 });
    enum md_code code = md_json_parse(file, rest, size, out_root, error);
    md_release(allocator, rest);
    return code;
}

enum md_code md_json_parse_cut(const struct md_allocator *allocator, const char *file, struct md_span text,
                               struct md_json_cut *out_cut, json_t **out_root, struct md_error *error)
{
    struct md_json_text at = md_json_text_of(text);
    bool seen = false;
    *out_cut = (struct md_json_cut){ .vocab = { NULL, 0 } };
    if (md_utf8_valid_prefix(text.bytes, text.size) != text.size || !find_cut(&at, out_cut, false, &seen))
        *out_cut = (struct md_json_cut){ .vocab = { NULL, 0 } };
    if (out_cut->vocab.bytes == NULL && out_cut->merges.bytes == NULL)
        return md_json_parse(file, text.bytes, text.size, out_root, error);
    return parse_rest(allocator, file, text, out_cut, out_root, error);
}

/* ---- reading ---- */

struct md_json_text md_json_text_of(struct md_span text)
{
    const char *bytes = text.bytes == NULL ? "" : text.bytes;
    return (struct md_json_text){ bytes, bytes + text.size };
}

char md_json_text_peek(struct md_json_text *text)
{
    skip_space(text);
    return text->at < text->end ? *text->at : '\0';
}

void md_json_text_enter(struct md_json_text *text)
{
    skip_space(text);
    text->at += text->at < text->end;
}

bool md_json_text_next(struct md_json_text *text)
{
    char byte = md_json_text_peek(text);
    if (byte == ',') {
        text->at++;
        byte = md_json_text_peek(text);
    }
    if (byte != ']' && byte != '}')
        return byte != '\0';
    text->at++;
    return false;
}

void md_json_text_colon(struct md_json_text *text)
{
    skip_space(text);
    text->at += text->at < text->end;
}

void md_json_text_skip(struct md_json_text *text)
{
    if (!check_value(text, 0))
        text->at = text->end;
}

static uint32_t hex4(const char *digits)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char digit = digits[i];
        value = value << 4 | (uint32_t)(digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
    }
    return value;
}

/* The code point of the escape that is there; false: half a surrogate pair. */
static bool read_unicode(struct md_json_text *text, uint32_t *out_code_point)
{
    uint32_t high = hex4(text->at + 2);
    text->at += 6;
    *out_code_point = high;
    if (high < 0xD800 || high > 0xDFFF)
        return true;
    if (high > 0xDBFF || text->end - text->at < 6 || text->at[0] != '\\' || text->at[1] != 'u')
        return false;
    uint32_t low = hex4(text->at + 2);
    text->at += 6;
    *out_code_point = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
    return low >= 0xDC00 && low <= 0xDFFF;
}

static char unescaped(char letter)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    const char *found = memchr(from, letter, sizeof from - 1);
    return found == NULL ? letter : to[found - from];
}

bool md_json_text_string(struct md_json_text *text, char *out, size_t *out_size)
{
    if (md_json_text_peek(text) != '"')
        return false;
    size_t size = 0;
    text->at++;
    while (text->at < text->end && *text->at != '"') {
        if (*text->at != '\\') {
            out[size++] = *text->at++;
        } else if (text->at[1] != 'u') {
            out[size++] = unescaped(text->at[1]);
            text->at += 2;
        } else {
            uint32_t code_point;
            if (!read_unicode(text, &code_point))
                return false;
            size += md_utf8_encode(code_point, out + size);
        }
    }
    text->at++;
    *out_size = size;
    return true;
}

static bool is_number(struct md_json_text *text)
{
    char byte = md_json_text_peek(text);
    return byte == '-' || (byte >= '0' && byte <= '9');
}

static bool has_fraction(const struct md_json_text *text)
{
    struct md_json_text end = *text;
    if (!check_number(&end))
        return false;
    for (const char *at = text->at; at < end.at; at++)
        if (*at == '.' || *at == 'e' || *at == 'E')
            return true;
    return false;
}

enum md_code md_json_text_wrong_type(struct md_json_text *text, const struct md_json_value *value,
                                     const char *expected, struct md_error *error)
{
    static const struct {
        char first;
        const char *name;
    } types[] = { { '"', "a string" }, { '{', "an object" }, { '[', "an array" }, { 't', "a boolean" },
                  { 'f', "a boolean" }, { 'n', "null" }, { '\0', "nothing" } };
    char first = md_json_text_peek(text);
    const char *found = has_fraction(text) ? "a number with a fraction" : "an integer";
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].first == first)
            found = types[i].name;
    return md_json_fail(value, error, MD_INVALID_ARGUMENT, "expected %s, found %s", expected, found);
}

enum md_code md_json_text_integer(struct md_json_text *text, const struct md_json_value *value, int64_t low,
                                  int64_t high, int64_t *out, struct md_error *error)
{
    if (!is_number(text) || has_fraction(text))
        return md_json_text_wrong_type(text, value, "an integer", error);
    bool negative = *text->at == '-';
    int64_t number = 0;
    text->at += negative;
    for (; text->at < text->end && *text->at >= '0' && *text->at <= '9'; text->at++)
        number = number > INT64_MAX / 10 - 1 ? INT64_MAX / 10 : number * 10 + (*text->at - '0');
    if (negative)
        number = -number;
    if (number < low || number > high)
        return md_json_fail(value, error, MD_INVALID_ARGUMENT, "%" PRId64 " is not in [%" PRId64 ",%" PRId64 "]",
                            number, low, high);
    *out = number;
    return MD_OK;
}

enum md_code md_json_text_number(struct md_json_text *text, const struct md_json_value *value, double *out,
                                 struct md_error *error)
{
    if (!is_number(text))
        return md_json_text_wrong_type(text, value, "a number", error);
    char digits[MAX_NUMBER] = ""; /* the text does not end in a NUL */
    struct md_json_text end = *text;
    (void)check_number(&end); /* it was checked */
    memcpy(digits, text->at, (size_t)(end.at - text->at));
    *out = strtod(digits, NULL);
    text->at = end.at;
    return MD_OK;
}
