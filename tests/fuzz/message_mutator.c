/* message_mutator.c - mutations of protobuf messages that leave them messages.
 *
 * A blind mutation in a nested message breaks the lengths around it and is thrown away by the first check.
 * Here one field somewhere in the tree is chosen, changed, and all lengths around it are written anew:
 *
 *   [graph 40 [node 12 [op_type 4 "Relu"] ...] ...]  ->  [graph 41 [node 13 [op_type 5 "RReLu"] ...] ...]
 *
 * No schema: whatever parses as fields may be a message, so this serves every harness whose input is a
 * message. One mutation in eight is libFuzzer's own on the whole input, so broken lengths are tried too. */
#include "fuzz_entry.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 40, WHOLE_INPUT = 8, MAX_FIELDS = 4096, VARINT_SIZE = 10 };

struct random {
    uint64_t state;
};

/* A field of a message: offsets in the input. */
struct field {
    size_t start; /* of the tag */
    size_t tag_end;
    size_t payload; /* behind the length, if there is one */
    size_t end;
    unsigned type;
};

/* What takes the place of [start, end) of the innermost message. */
struct change {
    size_t start, end;
    uint8_t *bytes;
    size_t size;
};

static uint64_t next_random(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t below(struct random *random, size_t limit)
{
    return (size_t)(next_random(random) % limit);
}

static bool read_varint(const uint8_t *data, size_t end, size_t *at, uint64_t *out_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && *at < end; shift += 7) {
        uint8_t byte = data[(*at)++];
        value |= (uint64_t)(byte & 0x7F) << (shift < 64 ? shift : 63);
        if ((byte & 0x80) == 0) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

static size_t write_varint(uint64_t value, uint8_t *out)
{
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

static bool read_field(const uint8_t *data, size_t at, size_t end, struct field *out_field)
{
    uint64_t value;
    struct field field = { .start = at };
    if (!read_varint(data, end, &at, &value) || value >> 3 == 0 || value > UINT32_MAX)
        return false;
    field.type = (unsigned)(value & 7);
    field.tag_end = at;
    uint64_t size = field.type == 1 ? 8 : field.type == 5 ? 4 : 0;
    if (field.type == 0 && !read_varint(data, end, &at, &value))
        return false;
    if (field.type == 2 && !read_varint(data, end, &at, &size))
        return false;
    if (field.type > 2 && field.type != 5)
        return false;
    if (size > end - at)
        return false;
    field.payload = field.type == 0 ? field.tag_end : at;
    field.end = at + (size_t)size;
    *out_field = field;
    return true;
}

/* The fields of [start, end); 0: this is no message. */
static size_t read_fields(const uint8_t *data, size_t start, size_t end, struct field *out_fields)
{
    size_t count = 0;
    while (start < end && count < MAX_FIELDS) {
        if (!read_field(data, start, end, &out_fields[count]))
            return 0;
        start = out_fields[count++].end;
    }
    return count;
}

/* Chooses a field by walking down: path[0] is a field of the input, path[depth - 1] the chosen one. */
static size_t choose_path(struct random *random, const uint8_t *data, size_t size, struct field *path)
{
    static struct field fields[MAX_FIELDS];
    size_t depth = 0;
    size_t start = 0;
    size_t end = size;
    while (depth < MAX_DEPTH) {
        size_t count = read_fields(data, start, end, fields);
        if (count == 0)
            break;
        const struct field *field = &fields[below(random, count)];
        path[depth++] = *field;
        if (field->type != 2 || field->payload == field->end || below(random, 4) == 0)
            break;
        start = field->payload;
        end = field->end;
    }
    return depth;
}

/* Writes the input with the change; lengths of path[0..depth) are written anew. Returns 0 if it does not fit.
 */
static size_t rebuild(const uint8_t *data, size_t size, const struct field *path, size_t depth,
                      struct change change, uint8_t *out, size_t max_size)
{
    uint8_t *inner = malloc(max_size);
    uint8_t *outer = malloc(max_size);
    size_t used = 0;
    if (inner == NULL || outer == NULL || change.size > max_size)
        goto done;
    if (change.size > 0)
        memcpy(inner, change.bytes, change.size);
    used = change.size;
    size_t start = change.start;
    size_t end = change.end;
    for (size_t level = depth + 1; level-- > 0;) {
        size_t from = level > 0 ? path[level - 1].payload : 0; /* of the message around the change */
        size_t to = level > 0 ? path[level - 1].end : size;
        size_t content = (start - from) + used + (to - end);
        uint8_t head[2 * VARINT_SIZE];
        size_t head_size = 0;
        if (level > 0) {
            head_size = path[level - 1].tag_end - path[level - 1].start;
            if (head_size > VARINT_SIZE)
                head_size = VARINT_SIZE;
            memcpy(head, data + path[level - 1].start, head_size);
            head_size += write_varint(content, head + head_size);
        }
        if (head_size + content > max_size) {
            used = 0;
            goto done;
        }
        memcpy(outer, head, head_size);
        memcpy(outer + head_size, data + from, start - from);
        memcpy(outer + head_size + (start - from), inner, used);
        memcpy(outer + head_size + (start - from) + used, data + end, to - end);
        used = head_size + content;
        uint8_t *swap = inner;
        inner = outer;
        outer = swap;
        if (level > 0) {
            start = path[level - 1].start;
            end = path[level - 1].end;
        }
    }
    memcpy(out, inner, used);
done:
    free(inner);
    free(outer);
    return used;
}

static uint64_t interesting_number(struct random *random)
{
    static const uint64_t numbers[] = { 0,          1,         2,
                                        7,          127,       128,
                                        255,        256,       65535,
                                        65536,      INT32_MAX, (uint64_t)INT32_MAX + 1,
                                        UINT32_MAX, INT64_MAX, (uint64_t)INT64_MIN,
                                        UINT64_MAX };
    size_t which = below(random, sizeof numbers / sizeof numbers[0] + 4);
    return which < sizeof numbers / sizeof numbers[0] ? numbers[which] : next_random(random) % 32;
}

/* Another number, or another payload by libFuzzer's own means (which know the dictionary). */
static size_t change_payload(struct random *random, const uint8_t *data, const struct field *field,
                             uint8_t *out, size_t room)
{
    size_t tag = field->tag_end - field->start;
    size_t size = field->end - field->payload;
    memcpy(out, data + field->start, tag);
    if (field->type == 0)
        return tag + write_varint(interesting_number(random), out + tag);
    uint8_t *payload = out + tag + VARINT_SIZE;
    if (room < tag + VARINT_SIZE + size)
        return 0;
    memcpy(payload, data + field->payload, size);
    size_t changed = LLVMFuzzerMutate(payload, size, field->type == 2 ? room - tag - VARINT_SIZE : size);
    if (field->type != 2) {
        memmove(out + tag, payload, size); /* 4 or 8 bytes stay as many */
        return tag + size;
    }
    size_t length = write_varint(changed, out + tag);
    memmove(out + tag + length, payload, changed);
    return tag + length + changed;
}

/* The field once more, in front of itself, or under another number. */
static size_t copy_field(struct random *random, const uint8_t *data, const struct field *field,
                         const struct field *source, bool renumber, uint8_t *out, size_t room)
{
    size_t size = source->end - source->start;
    size_t own = field != NULL ? field->end - field->start : 0;
    if (room < size + own + VARINT_SIZE)
        return 0;
    size_t used = 0;
    if (renumber)
        used = write_varint((uint64_t)(1 + below(random, 26)) << 3 | source->type, out);
    size_t from = renumber ? source->tag_end : source->start;
    memcpy(out + used, data + from, source->end - from);
    used += source->end - from;
    if (field != NULL) {
        memcpy(out + used, data + field->start, own);
        used += own;
    }
    return used;
}

static size_t mutate_tree(struct random *random, uint8_t *data, size_t size, size_t max_size)
{
    struct field path[MAX_DEPTH];
    struct field other[MAX_DEPTH];
    size_t depth = choose_path(random, data, size, path);
    if (depth == 0)
        return 0;
    const struct field *field = &path[depth - 1];
    struct change change = { field->start, field->end, malloc(max_size + 4 * VARINT_SIZE), 0 };
    if (change.bytes == NULL)
        return 0;
    size_t used = 0;
    bool made = true;
    switch (below(random, 8)) {
    case 0: /* remove */
        break;
    case 1: /* repeat */
        change.size = copy_field(random, data, field, field, false, change.bytes, max_size);
        made = change.size > 0;
        break;
    case 2: /* another number */
        change.size = copy_field(random, data, NULL, field, true, change.bytes, max_size);
        made = change.size > 0;
        break;
    case 3: { /* a field of elsewhere, beside this one or in its place */
        size_t other_depth = choose_path(random, data, size, other);
        change.size = copy_field(random, data, below(random, 2) == 0 ? field : NULL, &other[other_depth - 1],
                                 false, change.bytes, max_size);
        made = change.size > 0;
        break;
    }
    default:
        change.size = change_payload(random, data, field, change.bytes, max_size);
        made = change.size > 0;
        break;
    }
    if (made)
        used = rebuild(data, size, path, depth - 1, change, data, max_size);
    free(change.bytes);
    return used;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct random random = { seed };
    if (below(&random, WHOLE_INPUT) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    size_t used = mutate_tree(&random, data, size, max_size);
    return used > 0 ? used : LLVMFuzzerMutate(data, size, max_size);
}

/* A field of the second input takes the place of one of the first, or goes beside it. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_size, unsigned int seed)
{
    struct random random = { seed };
    struct field path[MAX_DEPTH];
    struct field other[MAX_DEPTH];
    size_t depth = choose_path(&random, data1, size1, path);
    size_t other_depth = choose_path(&random, data2, size2, other);
    if (depth == 0 || other_depth == 0)
        return 0;
    const struct field *source = &other[other_depth - 1];
    const struct field *field = &path[depth - 1];
    size_t size = source->end - source->start;
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data2 + source->start, size);
    bool replaces = below(&random, 2) == 0;
    struct change change = { field->start, replaces ? field->end : field->start, bytes, size };
    size_t used = rebuild(data1, size1, path, depth - 1, change, out, max_size);
    free(bytes);
    return used;
}
