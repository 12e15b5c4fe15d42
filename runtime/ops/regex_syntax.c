#include "regex_syntax.h"

#include <stdio.h>

struct translation {
    struct md_span pattern;
    size_t at;
    char *out;
    size_t used;
    bool in_class;
    bool after_repeat; /* the last thing was *, +, ? or {n,m} */
    struct md_error *error;
};

/* The longest replacement is that of \S: 2 bytes become 15. */
size_t md_regex_room(size_t size)
{
    return 8 * size + 16;
}

static char peek(const struct translation *t, size_t ahead)
{
    return ahead < t->pattern.size - t->at ? t->pattern.bytes[t->at + ahead] : '\0';
}

static void put(struct translation *t, const char *bytes, size_t size)
{
    memcpy(t->out + t->used, bytes, size);
    t->used += size;
}

/* Copies `size` bytes of the pattern. */
static void copy(struct translation *t, size_t size)
{
    put(t, t->pattern.bytes + t->at, size);
    t->at += size;
}

static enum md_code refuse(const struct translation *t, const char *what)
{
    return md_fail(t->error, MD_INVALID_ARGUMENT,
                   "the regular expression has %s at byte %zu, which RE2 does not know", what, t->at);
}

/* \Q ... \E: everything between is plain text. */
static void copy_quoted(struct translation *t)
{
    copy(t, 2);
    while (t->at < t->pattern.size && !(peek(t, 0) == '\\' && peek(t, 1) == 'E'))
        copy(t, 1);
    if (t->at < t->pattern.size)
        copy(t, 2);
}

/* Up to three octal digits; \1 to \7 alone would be a back-reference. */
static enum md_code translate_octal(struct translation *t)
{
    unsigned value = 0;
    size_t digits = 0;
    while (digits < 3 && peek(t, 1 + digits) >= '0' && peek(t, 1 + digits) <= '7')
        value = 8 * value + (unsigned)(peek(t, 1 + digits++) - '0');
    if (digits == 0 || (digits == 1 && peek(t, 1) != '0'))
        return refuse(t, "a back-reference");
    char text[16];
    int size = snprintf(text, sizeof text, "\\x{%x}", value);
    put(t, text, (size_t)size);
    t->at += 1 + digits;
    return MD_OK;
}

static enum md_code translate_escape(struct translation *t)
{
    char letter = peek(t, 1);
    if (letter >= '0' && letter <= '9')
        return translate_octal(t);
    switch (letter) {
    case 'v':
        put(t, "\\x0b", 4);
        break;
    case 's': /* without the vertical tab that PCRE2 adds */
        if (t->in_class)
            put(t, "\\t\\n\\f\\r\\x20", 12);
        else
            put(t, "[\\t\\n\\f\\r\\x20]", 14);
        break;
    case 'S':
        if (t->in_class)
            put(t, "\\S\\x0b", 6);
        else
            put(t, "[^\\t\\n\\f\\r\\x20]", 15);
        break;
    case 'Q':
        copy_quoted(t);
        return MD_OK;
    case 'a':
    case 'f':
    case 't':
    case 'n':
    case 'r':
    case 'x':
    case 'd':
    case 'D':
    case 'w':
    case 'W':
    case 'p':
    case 'P':
    case 'b':
    case 'B':
    case 'A':
    case 'z':
    case 'C':
        put(t, t->pattern.bytes + t->at, 2);
        break;
    default:
        if (letter == '\0' || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))
            return refuse(t, "an escape");
        put(t, t->pattern.bytes + t->at, letter < 0 ? 1 : 2); /* punctuation; of UTF-8 only the backslash */
        t->at += letter < 0 ? 1 : 2;
        return MD_OK;
    }
    t->at += 2;
    return MD_OK;
}

/* "(?" and what follows: named groups and flags. */
static enum md_code translate_group(struct translation *t)
{
    if (peek(t, 1) == '*')
        return refuse(t, "a verb");
    if (peek(t, 1) != '?') {
        copy(t, 1);
        return MD_OK;
    }
    size_t ahead = 2;
    if ((peek(t, 2) == 'P' && peek(t, 3) == '<') ||
        (peek(t, 2) == '<' && peek(t, 3) != '=' && peek(t, 3) != '!')) {
        copy(t, peek(t, 2) == 'P' ? 4 : 3);
        return MD_OK;
    }
    while (peek(t, ahead) != '\0' && strchr("imsU-", peek(t, ahead)) != NULL)
        ahead++;
    if (peek(t, ahead) != ':' && peek(t, ahead) != ')')
        return refuse(t, "a group");
    copy(t, ahead);
    return MD_OK;
}

static bool starts_repeat(const struct translation *t)
{
    if (peek(t, 0) != '{')
        return false;
    size_t ahead = 1;
    while (peek(t, ahead) >= '0' && peek(t, ahead) <= '9')
        ahead++;
    if (ahead == 1)
        return false;
    if (peek(t, ahead) == ',')
        ahead++;
    while (peek(t, ahead) >= '0' && peek(t, ahead) <= '9')
        ahead++;
    return peek(t, ahead) == '}';
}

/* *, +, ? and {n,m}, each with a ? that makes it prefer less. */
static enum md_code translate_repeat(struct translation *t)
{
    if (t->after_repeat)
        return refuse(t, "a repeated repetition");
    if (peek(t, 0) == '{')
        while (peek(t, 0) != '}')
            copy(t, 1);
    copy(t, 1);
    if (peek(t, 0) == '?')
        copy(t, 1);
    t->after_repeat = true;
    return MD_OK;
}

/* One character inside [...]. */
static enum md_code translate_in_class(struct translation *t)
{
    if (peek(t, 0) == '\\')
        return translate_escape(t);
    if (peek(t, 0) == '[' && peek(t, 1) == ':') {
        size_t ahead = 2;
        while (peek(t, ahead) != '\0' && peek(t, ahead) != ':')
            ahead++;
        if (peek(t, ahead + 1) == ']') {
            copy(t, ahead + 2);
            return MD_OK;
        }
    }
    if (peek(t, 0) == '[') { /* PCRE2 would look for [. and [= */
        put(t, "\\[", 2);
        t->at++;
        return MD_OK;
    }
    t->in_class = peek(t, 0) != ']';
    copy(t, 1);
    return MD_OK;
}

static enum md_code translate_next(struct translation *t)
{
    char letter = peek(t, 0);
    if (t->in_class)
        return translate_in_class(t);
    if (letter == '*' || letter == '+' || letter == '?' || starts_repeat(t))
        return translate_repeat(t);
    t->after_repeat = false;
    if (letter == '\\')
        return translate_escape(t);
    if (letter == '(')
        return translate_group(t);
    copy(t, 1);
    if (letter == '[') {
        t->in_class = true;
        if (peek(t, 0) == '^')
            copy(t, 1);
        if (peek(t, 0) == ']') /* first in the class: itself */
            copy(t, 1);
    }
    return MD_OK;
}

enum md_code md_regex_translate(struct md_span pattern, char *out, size_t *out_size, struct md_error *error)
{
    struct translation t = { .pattern = pattern, .out = out, .error = error };
    while (t.at < pattern.size)
        MD_TRY(translate_next(&t));
    *out_size = t.used;
    return MD_OK;
}
