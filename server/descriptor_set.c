/* descriptor_set.c - see descriptor_set.h. The bytes are protoc's own, so they are not checked as a peer's are. */
#include "descriptor_set.h"

#include <stdint.h>
#include <string.h>

extern const unsigned char md_wire_descriptors[];
extern const unsigned long md_wire_descriptors_size;

/* Field numbers of descriptor.proto. */
enum {
    SET_FILE = 1,
    FILE_NAME = 1,
    FILE_PACKAGE = 2,
    FILE_IMPORT = 3,
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_SERVICE = 6,
    ANY_NAME = 1,
    MESSAGE_FIELD = 2,
    MESSAGE_MESSAGE = 3,
    MESSAGE_ENUM = 4,
    MESSAGE_ONEOF = 8,
    ENUM_VALUE = 2,
    SERVICE_METHOD = 2
};

static uint64_t read_varint(const char *bytes, size_t *at)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned char byte = (unsigned char)bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            break;
    }
    return value;
}

/* The next field `number` of wire type 2 from *at on. */
static bool next_field(const struct md_span *message, unsigned number, size_t *at, struct md_span *out_value)
{
    while (*at < message->size) {
        uint64_t key = read_varint(message->bytes, at);
        if ((key & 7) == 0) {
            (void)read_varint(message->bytes, at);
            continue;
        }
        size_t size = (size_t)read_varint(message->bytes, at);
        *out_value = (struct md_span){ message->bytes + *at, size };
        *at += size;
        if (key >> 3 == number)
            return true;
    }
    return false;
}

static struct md_span first_field(const struct md_span *message, unsigned number)
{
    struct md_span value = { "", 0 };
    size_t at = 0;
    return next_field(message, number, &at, &value) ? value : (struct md_span){ "", 0 };
}

/* ---- files ---- */

bool md_descriptor_next_file(const struct md_span *file, struct md_span *out_file)
{
    const struct md_span set = { (const char *)md_wire_descriptors, md_wire_descriptors_size };
    size_t at = file == NULL ? 0 : (size_t)(file->bytes + file->size - set.bytes);
    return next_field(&set, SET_FILE, &at, out_file);
}

struct md_span md_descriptor_file_name(const struct md_span *file)
{
    return first_field(file, FILE_NAME);
}

struct md_span md_descriptor_package(const struct md_span *file)
{
    return first_field(file, FILE_PACKAGE);
}

bool md_descriptor_find_file(struct md_span name, struct md_span *out_file)
{
    struct md_span file;
    for (bool has = md_descriptor_next_file(NULL, &file); has; has = md_descriptor_next_file(&file, &file))
        if (md_span_equal(md_descriptor_file_name(&file), name)) {
            *out_file = file;
            return true;
        }
    return false;
}

bool md_descriptor_next_import(const struct md_span *file, size_t *at, struct md_span *out_name)
{
    return next_field(file, FILE_IMPORT, at, out_name);
}

bool md_descriptor_next_service(const struct md_span *file, size_t *at, struct md_span *out_name)
{
    struct md_span service;
    if (!next_field(file, FILE_SERVICE, at, &service))
        return false;
    *out_name = first_field(&service, ANY_NAME);
    return true;
}

/* ---- symbols ---- */

/* Takes `name` and, unless that is all, the dot after it off the symbol's front. A dot at the end is no name. */
static bool take_name(struct md_span *symbol, struct md_span name)
{
    if (symbol->size < name.size || memcmp(symbol->bytes, name.bytes, name.size) != 0)
        return false;
    size_t taken = name.size;
    if (taken < symbol->size && (symbol->bytes[taken++] != '.' || taken == symbol->size))
        return false;
    *symbol = (struct md_span){ symbol->bytes + taken, symbol->size - taken };
    return true;
}

/* A child of this kind whose name the symbol begins with; *symbol is what is left of it. */
static bool find_child(const struct md_span *parent, unsigned number, struct md_span *symbol,
                       struct md_span *out_child)
{
    size_t at = 0;
    while (next_field(parent, number, &at, out_child))
        if (take_name(symbol, first_field(out_child, ANY_NAME)))
            return true;
    return false;
}

/* Is the whole symbol the name of a child of this kind? */
static bool is_leaf(const struct md_span *parent, unsigned number, struct md_span symbol)
{
    struct md_span child;
    return find_child(parent, number, &symbol, &child) && symbol.size == 0;
}

/* Enum values are named beside their enum, not in it. */
static bool is_enum_value(const struct md_span *parent, unsigned enum_number, struct md_span symbol)
{
    struct md_span child;
    size_t at = 0;
    while (next_field(parent, enum_number, &at, &child))
        if (is_leaf(&child, ENUM_VALUE, symbol))
            return true;
    return false;
}

/* Walks down the messages that the symbol begins with; what is left is named in *out_last. */
static struct md_span walk_messages(const struct md_span *file, struct md_span symbol, struct md_span *out_last)
{
    struct md_span parent = *file, child;
    unsigned number = FILE_MESSAGE;
    while (symbol.size > 0 && find_child(&parent, number, &symbol, &child)) {
        parent = child;
        number = MESSAGE_MESSAGE;
    }
    *out_last = parent;
    return symbol;
}

static bool defines(const struct md_span *file, struct md_span symbol)
{
    struct md_span last, service, rest;
    if (!take_name(&symbol, md_descriptor_package(file)) || symbol.size == 0)
        return false;
    rest = walk_messages(file, symbol, &last);
    if (rest.size == 0)
        return true;
    if (last.bytes != file->bytes)
        return is_leaf(&last, MESSAGE_FIELD, rest) || is_leaf(&last, MESSAGE_ONEOF, rest) ||
               is_leaf(&last, MESSAGE_ENUM, rest) || is_enum_value(&last, MESSAGE_ENUM, rest);
    if (is_leaf(file, FILE_ENUM, rest) || is_enum_value(file, FILE_ENUM, rest))
        return true;
    return find_child(file, FILE_SERVICE, &rest, &service) &&
           (rest.size == 0 || is_leaf(&service, SERVICE_METHOD, rest));
}

bool md_descriptor_find_symbol(struct md_span symbol, struct md_span *out_file)
{
    struct md_span file;
    for (bool has = md_descriptor_next_file(NULL, &file); has; has = md_descriptor_next_file(&file, &file))
        if (defines(&file, symbol)) {
            *out_file = file;
            return true;
        }
    return false;
}

bool md_descriptor_is_message(struct md_span symbol)
{
    struct md_span file, last;
    return md_descriptor_find_symbol(symbol, &file) && take_name(&symbol, md_descriptor_package(&file)) &&
           walk_messages(&file, symbol, &last).size == 0;
}
