/* status_details.c - a reader of the protobuf wire format for three nested messages:
 * Status.details(3) -> Any{type_url(1), value(2)} -> RetryInfo.retry_delay(1) -> Duration{seconds(1),
 * nanos(2)}. */
#include "status_details.h"

#include "span.h"

#include <stdbool.h>

struct field {
    uint64_t number;
    uint64_t varint;      /* wire type 0 */
    struct md_span bytes; /* wire type 2 */
};

static bool read_varint(struct md_span *rest, uint64_t *out_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && rest->size > 0; shift += 7) {
        unsigned char byte = (unsigned char)rest->bytes[0];
        rest->bytes++;
        rest->size--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static bool skip(struct md_span *rest, uint64_t size)
{
    if (size > rest->size)
        return false;
    rest->bytes += size;
    rest->size -= size;
    return true;
}

/* Takes the next field off *rest. False: the end, or malformed. */
static bool next_field(struct md_span *rest, struct field *out_field)
{
    uint64_t key = 0;
    if (rest->size == 0 || !read_varint(rest, &key))
        return false;
    *out_field = (struct field){ .number = key >> 3 };
    uint64_t size = 0;
    switch (key & 7) {
    case 0:
        return read_varint(rest, &out_field->varint);
    case 1:
        return skip(rest, 8);
    case 2:
        if (!read_varint(rest, &size))
            return false;
        out_field->bytes = (struct md_span){ rest->bytes, (size_t)size };
        return skip(rest, size);
    case 5:
        return skip(rest, 4);
    default:
        return false;
    }
}

/* The last field `number` of a message, as protobuf wants it; false when it is not there. */
static bool find_field(struct md_span message, uint64_t number, struct field *out_field)
{
    struct field field;
    bool found = false;
    while (next_field(&message, &field))
        if (field.number == number) {
            *out_field = field;
            found = true;
        }
    return found;
}

static uint32_t delay_ms(struct md_span retry_info)
{
    struct field delay, seconds = { 0 }, nanos = { 0 };
    if (!find_field(retry_info, 1, &delay))
        return 0;
    (void)find_field(delay.bytes, 1, &seconds); /* absent means 0 */
    (void)find_field(delay.bytes, 2, &nanos);
    if (seconds.varint > UINT64_C(24) * 3600 || nanos.varint > 999999999)
        return 0; /* negative or absurd */
    uint64_t ms = seconds.varint * 1000 + nanos.varint / 1000000;
    return ms == 0 ? 1 : (uint32_t)ms;
}

uint32_t md_status_details_retry_after_ms(const void *bytes, size_t size)
{
    static const char type[] = "type.googleapis.com/google.rpc.RetryInfo";
    struct md_span rest = { bytes, size };
    struct field detail, url, value;
    while (next_field(&rest, &detail)) {
        if (detail.number != 3 || !find_field(detail.bytes, 1, &url) ||
            !md_span_equal(url.bytes, md_span_of(type)))
            continue;
        return find_field(detail.bytes, 2, &value) ? delay_ms(value.bytes) : 0;
    }
    return 0;
}
