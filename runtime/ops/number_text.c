/* number_text.c - see number_text.h. */
#include "number_text.h"
#include "integer_from_real.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { NUMBER_LIMIT = 512 /* longest text that is taken for a number */ };

size_t md_text_from_int64(int64_t value, char *out_text)
{
    return (size_t)snprintf(out_text, MD_NUMBER_TEXT_SIZE, "%" PRId64, value);
}

size_t md_text_from_uint64(uint64_t value, char *out_text)
{
    return (size_t)snprintf(out_text, MD_NUMBER_TEXT_SIZE, "%" PRIu64, value);
}

static bool text_gives_back(const char *text, double value, enum md_datatype precision)
{
    switch (precision) {
    case MD_FP64:
        return strtod(text, NULL) == value;
    case MD_FP16:
        return md_float_to_fp16(strtof(text, NULL)) == md_float_to_fp16((float)value);
    default:
        return strtof(text, NULL) == (float)value;
    }
}

/* Shortest "d.ddde[+-]xx" that reads back as value. */
static void shortest_digits(double value, enum md_datatype precision, char *digits, int *out_exponent)
{
    char text[48];
    for (int decimals = 0; decimals <= 16; decimals++) {
        (void)snprintf(text, sizeof text, "%.*e", decimals, value); /* fits: 17 digits, sign, exponent */
        if (text_gives_back(text, value, precision))
            break;
    }
    size_t count = 0;
    const char *p = text;
    for (; *p != 'e' && *p != '\0'; p++)
        if (*p >= '0' && *p <= '9')
            digits[count++] = *p;
    digits[count] = '\0';
    *out_exponent = *p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0;
}

/* Places the point among the digits: at most 17 digits, or 16 before the point. */
static size_t plain_text(const char *digits, int exponent, char *out)
{
    int count = (int)strlen(digits), n = 0;
    if (exponent < 0) {
        out[n++] = '0';
        out[n++] = '.';
        for (int i = -1; i > exponent; i--)
            out[n++] = '0';
        for (int i = 0; i < count; i++)
            out[n++] = digits[i];
        return (size_t)n;
    }
    for (int i = 0; i <= exponent || i < count; i++) {
        if (i == exponent + 1)
            out[n++] = '.';
        out[n++] = i < count ? digits[i] : '0';
    }
    if (count <= exponent + 1) {
        out[n++] = '.';
        out[n++] = '0';
    }
    return (size_t)n;
}

size_t md_text_from_real(double value, enum md_datatype precision, char *out_text)
{
    char digits[32], *out = out_text;
    int exponent = 0;
    if (isnan(value)) {
        memcpy(out_text, "nan", 3);
        return 3;
    }
    if (signbit(value))
        *out++ = '-';
    if (isinf(value)) {
        memcpy(out, "inf", 3);
        return (size_t)(out - out_text) + 3;
    }
    value = fabs(value);
    shortest_digits(value, precision, digits, &exponent);
    if (value == 0 || (exponent >= -4 && exponent < 16))
        return (size_t)(out - out_text) + plain_text(digits, exponent, out);
    *out++ = digits[0];
    if (digits[1] != '\0')
        out += snprintf(out, 20, ".%s", digits + 1);
    out += snprintf(out, 7, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent) % 1000);
    return (size_t)(out - out_text);
}

/* Copies the text without surrounding white space, NUL-terminated. False: empty or too long. */
static bool copy_number(struct md_span text, char copy[NUMBER_LIMIT])
{
    while (text.size > 0 && strchr(" \t\r\n\f\v", text.bytes[0]) != NULL && text.bytes[0] != '\0') {
        text.bytes++;
        text.size--;
    }
    while (text.size > 0 && text.bytes[text.size - 1] != '\0' &&
           strchr(" \t\r\n\f\v", text.bytes[text.size - 1]) != NULL)
        text.size--;
    if (text.size == 0 || text.size >= NUMBER_LIMIT || memchr(text.bytes, '\0', text.size) != NULL)
        return false;
    memcpy(copy, text.bytes, text.size);
    copy[text.size] = '\0';
    return true;
}

/* strtod also reads hexadecimal and "nan(...)", which are no numbers here. */
static bool is_plain_number(const char *text)
{
    return strpbrk(text, "xXpP(") == NULL;
}

bool md_text_to_float(struct md_span text, float *out_value)
{
    char copy[NUMBER_LIMIT], *end = NULL;
    if (!copy_number(text, copy) || !is_plain_number(copy))
        return false;
    float value = strtof(copy, &end);
    if (end == copy || *end != '\0')
        return false;
    *out_value = value;
    return true;
}

bool md_text_to_double(struct md_span text, double *out_value)
{
    char copy[NUMBER_LIMIT], *end = NULL;
    if (!copy_number(text, copy) || !is_plain_number(copy))
        return false;
    double value = strtod(copy, &end);
    if (end == copy || *end != '\0')
        return false;
    *out_value = value;
    return true;
}

bool md_text_to_int64(struct md_span text, int64_t *out_value)
{
    char copy[NUMBER_LIMIT], *end = NULL;
    double real = 0;
    if (!copy_number(text, copy))
        return false;
    long long value = strtoll(copy, &end, 10);
    if (end != copy && *end == '\0') {
        *out_value = value;
        return true;
    }
    if (!md_text_to_double(text, &real))
        return false;
    *out_value = md_int64_from_double(real);
    return true;
}

bool md_text_to_uint64(struct md_span text, uint64_t *out_value)
{
    char copy[NUMBER_LIMIT], *end = NULL;
    double real = 0;
    if (!copy_number(text, copy))
        return false;
    unsigned long long value = strtoull(copy, &end, 10);
    if (end != copy && *end == '\0') {
        *out_value = value;
        return true;
    }
    if (!md_text_to_double(text, &real))
        return false;
    *out_value = md_uint64_from_double(real);
    return true;
}

bool md_text_to_bool(struct md_span text, bool *out_value)
{
    char copy[NUMBER_LIMIT];
    double real = 0;
    if (!copy_number(text, copy))
        return false;
    if (strcasecmp(copy, "true") == 0 || strcasecmp(copy, "false") == 0) {
        *out_value = strcasecmp(copy, "true") == 0;
        return true;
    }
    if (!md_text_to_double(text, &real))
        return false;
    *out_value = real != 0;
    return true;
}
