/* trace.c - see trace.h. https://www.w3.org/TR/trace-context/ */
#include "trace.h"

#include <stdbool.h>
#include <string.h>

enum { TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, TRACE_SIZE = 32, SPAN_SIZE = 16 };

uint64_t md_trace_mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static void put_hex(char *out, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";
    value += value == 0; /* an id of zeroes is none */
    for (int i = 0; i < SPAN_SIZE; i++)
        out[i] = digits[value >> (60 - 4 * i) & 15];
}

/* Upper case is not allowed. */
static bool is_hex(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'f'))
            return false;
    return true;
}

static bool is_zero(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] != '0')
            return false;
    return true;
}

/* A later version may have more fields behind another dash; what we know of it stays where it is. */
static bool is_valid(const char *header, size_t size)
{
    if (header == NULL || size < MD_TRACEPARENT_SIZE || !is_hex(header, 2) || memcmp(header, "ff", 2) == 0)
        return false;
    bool is_first_version = memcmp(header, "00", 2) == 0;
    if (size > MD_TRACEPARENT_SIZE && (is_first_version || header[MD_TRACEPARENT_SIZE] != '-'))
        return false;
    return header[2] == '-' && header[SPAN_AT - 1] == '-' && header[FLAGS_AT - 1] == '-' &&
           is_hex(header + TRACE_AT, TRACE_SIZE) && !is_zero(header + TRACE_AT, TRACE_SIZE) &&
           is_hex(header + SPAN_AT, SPAN_SIZE) && !is_zero(header + SPAN_AT, SPAN_SIZE) && is_hex(header + FLAGS_AT, 2);
}

void md_trace_begin(struct md_trace *trace, const char *header, size_t size, uint64_t seed)
{
    *trace = (struct md_trace){ .flags = "00" };
    put_hex(trace->span_id, md_trace_mix(seed));
    if (is_valid(header, size)) {
        memcpy(trace->trace_id, header + TRACE_AT, TRACE_SIZE);
        memcpy(trace->parent_id, header + SPAN_AT, SPAN_SIZE);
        memcpy(trace->flags, header + FLAGS_AT, 2);
    } else {
        put_hex(trace->trace_id, md_trace_mix(seed ^ 0x9e3779b97f4a7c15u));
        put_hex(trace->trace_id + SPAN_SIZE, md_trace_mix(~seed));
    }
}

void md_trace_format(const struct md_trace *trace, char out_header[MD_TRACEPARENT_SIZE + 1])
{
    memcpy(out_header, "00-", TRACE_AT);
    memcpy(out_header + TRACE_AT, trace->trace_id, TRACE_SIZE);
    out_header[SPAN_AT - 1] = '-';
    memcpy(out_header + SPAN_AT, trace->span_id, SPAN_SIZE);
    out_header[FLAGS_AT - 1] = '-';
    memcpy(out_header + FLAGS_AT, trace->flags, sizeof trace->flags);
}
