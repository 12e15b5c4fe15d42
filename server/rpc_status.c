/* rpc_status.c - see rpc_status.h. */
#include "rpc_status.h"

#include "utf8.h"

#include <grpc/status.h>
#include <string.h>

#define SAME(name) _Static_assert((int)MD_##name == (int)GRPC_STATUS_##name, "md codes have gRPC's numbers")
SAME(OK);
SAME(CANCELLED);
SAME(UNKNOWN);
SAME(INVALID_ARGUMENT);
SAME(DEADLINE_EXCEEDED);
SAME(NOT_FOUND);
SAME(ALREADY_EXISTS);
SAME(PERMISSION_DENIED);
SAME(RESOURCE_EXHAUSTED);
SAME(FAILED_PRECONDITION);
SAME(ABORTED);
SAME(OUT_OF_RANGE);
SAME(UNIMPLEMENTED);
SAME(INTERNAL);
SAME(UNAVAILABLE);
SAME(DATA_LOSS);
SAME(UNAUTHENTICATED);

/* Codes that are not listed do not change when the same request comes again. UNAVAILABLE has none either:
 * clients retry it elsewhere by themselves, and RetryInfo would hold them back. */
static const struct {
    enum md_code code;
    uint32_t retry_ms;
} retry_table[] = {
    { MD_RESOURCE_EXHAUSTED, 100 },
};

uint32_t md_rpc_status_retry_ms(enum md_code code)
{
    for (size_t i = 0; i < sizeof retry_table / sizeof *retry_table; i++)
        if (retry_table[i].code == code)
            return retry_table[i].retry_ms;
    return 0;
}

unsigned md_rpc_status_http(enum md_code code)
{
    static const unsigned short statuses[] = {
        [MD_OK] = 200,
        [MD_CANCELLED] = 499,
        [MD_UNKNOWN] = 500,
        [MD_INVALID_ARGUMENT] = 400,
        [MD_DEADLINE_EXCEEDED] = 504,
        [MD_NOT_FOUND] = 404,
        [MD_ALREADY_EXISTS] = 409,
        [MD_PERMISSION_DENIED] = 403,
        [MD_RESOURCE_EXHAUSTED] = 429,
        [MD_FAILED_PRECONDITION] = 409,
        [MD_ABORTED] = 409,
        [MD_OUT_OF_RANGE] = 400,
        [MD_UNIMPLEMENTED] = 501,
        [MD_INTERNAL] = 500,
        [MD_UNAVAILABLE] = 503,
        [MD_DATA_LOSS] = 500,
        [MD_UNAUTHENTICATED] = 401,
    };
    return (size_t)code < sizeof statuses / sizeof *statuses ? statuses[code] : 500;
}

static unsigned char *put_varint(unsigned char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

static unsigned char *put_number(unsigned char *at, unsigned field, uint64_t value)
{
    return put_varint(put_varint(at, field << 3), value);
}

static unsigned char *put_bytes(unsigned char *at, unsigned field, const void *bytes, size_t size)
{
    at = put_varint(put_varint(at, field << 3 | 2), size);
    memcpy(at, bytes, size);
    return at + size;
}

/* Duration { seconds = 1, nanos = 2 } in RetryInfo { retry_delay = 1 } in Any { type_url = 1, value = 2 } in
 * Status { code = 1, message = 2, details = 3 }. */
size_t md_rpc_status_details(enum md_code code, const char *message, uint32_t retry_ms,
                             unsigned char buffer[MD_RPC_STATUS_DETAILS_SIZE])
{
    static const char type_url[] = "type.googleapis.com/google.rpc.RetryInfo";
    unsigned char duration[16];
    unsigned char retry_info[24];
    unsigned char any[96];
    unsigned char *end = duration;
    if (retry_ms >= 1000)
        end = put_number(end, 1, retry_ms / 1000);
    if (retry_ms % 1000 != 0)
        end = put_number(end, 2, (uint64_t)(retry_ms % 1000) * 1000000);
    unsigned char *retry_end = put_bytes(retry_info, 1, duration, (size_t)(end - duration));
    unsigned char *any_end = put_bytes(any, 1, type_url, sizeof type_url - 1);
    any_end = put_bytes(any_end, 2, retry_info, (size_t)(retry_end - retry_info));

    unsigned char *at = put_number(buffer, 1, (uint64_t)code);
    at = put_bytes(at, 2, message, strnlen(message, MD_ERROR_MESSAGE_SIZE - 1));
    at = put_bytes(at, 3, any, (size_t)(any_end - any));
    return (size_t)(at - buffer);
}

void md_rpc_status_clean(struct md_error *error)
{
    char *text = error->message;
    size_t size = strnlen(text, sizeof error->message - 1);
    text[size] = '\0';
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    for (size_t at = md_utf8_valid_prefix(text, size); at < size;
         at += md_utf8_valid_prefix(text + at, size - at))
        text[at] = '?';
}
