/* fuzz_value.c - bytes into md_value_import. The first byte chooses the type, the rest is the file. */
#include "arena.h"
#include "bounded_allocator.h"
#include "fuzz_entry.h"
#include "model_import.h"

#include <stdlib.h>

enum { MEMORY_LIMIT = 256 * 1024 * 1024 };

static void read_tensor(const struct md_tensor *tensor)
{
    volatile unsigned char all = 0;
    size_t size = md_tensor_size(tensor);
    for (size_t i = 0; i < size; i++)
        all = (unsigned char)(all | md_elements(const unsigned char, tensor)[i]);
}

static void read_value(const struct md_value *value)
{
    if (value->kind == MD_VALUE_TENSOR)
        read_tensor(&value->tensor);
    for (size_t i = 0; value->kind == MD_VALUE_SEQUENCE && i < value->sequence->count; i++)
        read_tensor(&value->sequence->items[i].tensor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct md_bounded_allocator bounded;
    struct md_arena arena;
    struct md_value value;
    struct md_value_type type = { .kind = (data[0] & 1) != 0 ? MD_TYPE_SEQUENCE : MD_TYPE_TENSOR,
                                  .optional = (data[0] & 2) != 0 };
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    md_arena_init(&arena, &bounded.allocator, 0);
    if (md_value_import(&arena, data + 1, size - 1, &type, &value, NULL) == MD_OK) {
        read_value(&value);
        md_value_clear(&value);
    }
    md_arena_cleanup(&arena);
    if (bounded.live != 0)
        abort();
    return 0;
}
