/* tensor_text.c - see tensor_text.h. One row per datatype. */
#include "tensor_text.h"

#include "checked.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { SIGNED, UNSIGNED, FLOAT, BYTES };

struct datatype {
    const char *name;
    enum kind kind;
    unsigned size; /* bytes; 0 for BYTES */
    int64_t least;
    uint64_t most;
};

static const struct datatype datatypes[] = {
    { "BOOL", UNSIGNED, 1, 0, 1 },
    { "INT8", SIGNED, 1, INT8_MIN, INT8_MAX },
    { "INT16", SIGNED, 2, INT16_MIN, INT16_MAX },
    { "INT32", SIGNED, 4, INT32_MIN, INT32_MAX },
    { "INT64", SIGNED, 8, INT64_MIN, INT64_MAX },
    { "UINT8", UNSIGNED, 1, 0, UINT8_MAX },
    { "UINT16", UNSIGNED, 2, 0, UINT16_MAX },
    { "UINT32", UNSIGNED, 4, 0, UINT32_MAX },
    { "UINT64", UNSIGNED, 8, 0, UINT64_MAX },
    { "FP32", FLOAT, 4, 0, 0 },
    { "FP64", FLOAT, 8, 0, 0 },
    { "BYTES", BYTES, 0, 0, 0 },
};

static const struct datatype *find_datatype(const char *name, size_t size)
{
    for (size_t i = 0; i < sizeof datatypes / sizeof datatypes[0]; i++)
        if (strlen(datatypes[i].name) == size && memcmp(datatypes[i].name, name, size) == 0)
            return &datatypes[i];
    return NULL;
}

bool md_ctl_shape_count(const int64_t *shape, size_t rank, size_t *out_count)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        if (shape[i] < 0 || !md_checked_multiply(count, (size_t)shape[i], &count))
            return false;
    *out_count = count;
    return true;
}

static void store_little_endian(unsigned char *at, uint64_t bits, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        at[i] = (unsigned char)(bits >> (8 * i));
}

static uint64_t load_little_endian(const unsigned char *at, unsigned size)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < size; i++)
        bits |= (uint64_t)at[i] << (8 * i);
    return bits;
}

static bool float_bits(const char *word, unsigned size, char **end, uint64_t *out_bits)
{
    if (size == 8) {
        double value = strtod(word, end);
        memcpy(out_bits, &value, sizeof value);
        return true;
    }
    float value = strtof(word, end);
    uint32_t bits;
    memcpy(&bits, &value, sizeof value);
    *out_bits = bits;
    return true;
}

/* One number, a whole word. False: not a number of this datatype. */
static bool number_bits(const struct datatype *type, const char *word, uint64_t *out_bits)
{
    char *end = NULL;
    errno = 0;
    if (type->kind == FLOAT) {
        (void)float_bits(word, type->size, &end, out_bits);
    } else if (type->kind == SIGNED) {
        long long value = strtoll(word, &end, 10);
        if (value < type->least || (value > 0 && (uint64_t)value > type->most))
            return false;
        *out_bits = (uint64_t)value;
    } else {
        *out_bits = strtoull(word, &end, 10);
        if (word[0] == '-' || *out_bits > type->most)
            return false;
    }
    return word[0] != '\0' && *end == '\0' && errno == 0;
}

/* Reads "2,3]" at *at into the arena and leaves *at behind the bracket. */
static enum md_code parse_shape(const char **at, struct md_arena *arena, struct md_client_tensor *tensor,
                                struct md_error *error)
{
    enum { RANK_MAX = 16 };
    int64_t *shape = md_arena_allocate_zeroed(arena, RANK_MAX, sizeof *shape);
    if (shape == NULL)
        return md_fail_memory(error, "shape");
    tensor->shape = shape;
    while (**at != ']') {
        char *end = NULL;
        errno = 0;
        long long dimension = strtoll(*at, &end, 10);
        if (end == *at || errno != 0 || dimension < 0 || (*end != ',' && *end != ']') ||
            tensor->rank == RANK_MAX)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "input \"%s\": \"%.20s\" is not a shape of at most %d dimensions, like [2,3]",
                           tensor->name, *at, RANK_MAX);
        shape[tensor->rank++] = dimension;
        *at = *end == ',' ? end + 1 : end;
    }
    (*at)++;
    return MD_OK;
}

static size_t count_words(const char *text)
{
    size_t words = text[0] != '\0';
    for (; *text != '\0'; text++)
        words += *text == ',';
    return words;
}

/* Appends one word to the contents at *used; numbers are checked. */
static enum md_code store_word(const struct datatype *type, const struct md_client_tensor *tensor,
                               const char *word, unsigned char *contents, size_t *used,
                               struct md_error *error)
{
    uint64_t bits = 0;
    if (type->kind == BYTES) {
        size_t size = strlen(word);
        store_little_endian(contents + *used, size, 4);
        memcpy(contents + *used + 4, word, size);
        *used += 4 + size;
        return MD_OK;
    }
    if (!number_bits(type, word, &bits))
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\": \"%s\" is not a value of %s", tensor->name,
                       word, type->name);
    store_little_endian(contents + *used, bits, type->size);
    *used += type->size;
    return MD_OK;
}

static enum md_code parse_values(const struct datatype *type, const char *text, struct md_arena *arena,
                                 struct md_client_tensor *tensor, struct md_error *error)
{
    size_t expected = 0, words = count_words(text);
    if (type->kind == BYTES && words == 0 && tensor->rank == 0)
        words = 1; /* the empty string */
    if (!md_ctl_shape_count(tensor->shape, tensor->rank, &expected) || words != expected)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%s\": %zu values, the shape has %zu",
                       tensor->name, words, expected);
    char *copy = md_arena_copy_string(arena, text, strlen(text));
    /* At most 8 bytes a number; a 4-byte length and the bytes of a string. */
    unsigned char *contents = md_arena_allocate_zeroed(arena, words * 8 + strlen(text) + 1, 1);
    if (copy == NULL || contents == NULL)
        return md_fail_memory(error, "tensor");
    size_t used = 0;
    char *word = copy;
    for (size_t i = 0; i < words; i++) {
        char *comma = strchr(word, ',');
        if (comma != NULL)
            *comma = '\0';
        MD_TRY(store_word(type, tensor, word, contents, &used, error));
        word = comma != NULL ? comma + 1 : word;
    }
    tensor->contents = contents;
    tensor->contents_size = used;
    return MD_OK;
}

enum md_code md_ctl_tensor_parse(const char *text, struct md_arena *arena,
                                 struct md_client_tensor *out_tensor, struct md_error *error)
{
    const char *equals = strchr(text, '=');
    const char *bracket = equals != NULL ? strchr(equals, '[') : NULL;
    if (bracket == NULL || equals == text)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%.60s\" is not name=DTYPE[shape]:values", text);
    const struct datatype *type = find_datatype(equals + 1, (size_t)(bracket - equals - 1));
    if (type == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%.60s\": datatype \"%.*s\" is not known here",
                       text, (int)(bracket - equals - 1), equals + 1);
    struct md_client_tensor tensor = { .name = md_arena_copy_string(arena, text, (size_t)(equals - text)),
                                       .datatype = type->name };
    if (tensor.name == NULL)
        return md_fail_memory(error, "tensor");
    const char *at = bracket + 1;
    MD_TRY(parse_shape(&at, arena, &tensor, error));
    if (*at != ':')
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input \"%s\": a \":\" and the values must follow the shape", tensor.name);
    MD_TRY(parse_values(type, at + 1, arena, &tensor, error));
    *out_tensor = tensor;
    return MD_OK;
}

static void print_number(const struct datatype *type, uint64_t bits, char *out_text, size_t size)
{
    if (type->kind == FLOAT && type->size == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        (void)snprintf(out_text, size, "%.17g", value);
    } else if (type->kind == FLOAT) {
        uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        (void)snprintf(out_text, size, "%.9g", (double)value);
    } else if (type->kind == SIGNED) {
        uint64_t sign = UINT64_C(1) << (8 * type->size - 1);
        (void)snprintf(out_text, size, "%" PRId64, (int64_t)((bits ^ sign) - sign));
    } else {
        (void)snprintf(out_text, size, "%" PRIu64, bits);
    }
}

bool md_ctl_tensor_element(const struct md_client_tensor *tensor, size_t *cursor, char *out_text, size_t size)
{
    const struct datatype *type = find_datatype(tensor->datatype, strlen(tensor->datatype));
    const unsigned char *contents = tensor->contents;
    size_t left = tensor->contents_size - *cursor;
    size_t needed = type != NULL && type->kind != BYTES ? type->size : 4;
    if (type == NULL || left < needed)
        return false;
    uint64_t bits = load_little_endian(contents + *cursor, (unsigned)needed);
    *cursor += needed;
    if (type->kind != BYTES) {
        print_number(type, bits, out_text, size);
        return true;
    }
    if (bits > left - needed)
        return false;
    (void)snprintf(out_text, size, "%.*s", (int)(bits < size ? bits : size),
                   (const char *)contents + *cursor);
    *cursor += (size_t)bits;
    return true;
}
