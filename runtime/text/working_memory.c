/* working_memory.c - see working_memory.h. */
#include "working_memory.h"

#include "allocator.h"
#include "checked.h"

struct md_working_memory *md_working_memory_create(const struct md_allocator *allocator)
{
    struct md_working_memory *working = md_allocate_zeroed(allocator, 1, sizeof *working);
    if (working == NULL)
        return NULL;
    working->allocator = allocator;
    md_text_buffer_init(&working->text, allocator);
    md_text_buffer_init(&working->next_text, allocator);
    md_text_buffer_init(&working->between[0], allocator);
    md_text_buffer_init(&working->between[1], allocator);
    md_regex_match_init(&working->match, allocator);
    return working;
}

void md_working_memory_destroy(struct md_working_memory *working)
{
    if (working == NULL)
        return;
    const struct md_allocator *allocator = working->allocator;
    md_text_buffer_cleanup(&working->text);
    md_text_buffer_cleanup(&working->next_text);
    md_text_buffer_cleanup(&working->between[0]);
    md_text_buffer_cleanup(&working->between[1]);
    md_release(allocator, working->pieces.items);
    md_release(allocator, working->next_pieces.items);
    md_release(allocator, working->tokens.items);
    md_release(allocator, working->symbols.items);
    md_release(allocator, working->merges.items);
    md_release(allocator, working->steps.items);
    md_release(allocator, working->decomposed.items);
    md_release(allocator, working->sorted.items);
    md_release(allocator, working->marks.items);
    md_regex_match_cleanup(&working->match);
    md_release(allocator, working);
}

bool md_array_reserve(const struct md_allocator *allocator, struct md_array *array, size_t extra,
                      size_t item_size)
{
    if (extra <= array->capacity - array->count)
        return true;
    size_t wanted;
    size_t bytes;
    if (!md_checked_add(array->count, extra, &wanted))
        return false;
    if (wanted < array->capacity * 2)
        wanted = array->capacity * 2;
    if (wanted < 64)
        wanted = 64;
    if (!md_checked_multiply(wanted, item_size, &bytes))
        return false;
    void *items = md_reallocate(allocator, array->items, array->count * item_size, bytes);
    if (items == NULL)
        return false;
    array->items = items;
    array->capacity = wanted;
    return true;
}

enum md_code md_working_memory_add_piece(struct md_working_memory *working, size_t start, size_t end,
                                         int32_t token, struct md_error *error)
{
    if (start >= end)
        return MD_OK;
    if (!md_array_reserve(working->allocator, &working->next_pieces, 1, sizeof(struct md_piece)))
        return md_fail_memory(error, "pieces of a text");
    md_pieces(&working->next_pieces)[working->next_pieces.count++] =
        (struct md_piece){ (uint32_t)start, (uint32_t)end, token };
    return MD_OK;
}

enum md_code md_working_memory_add_token(struct md_working_memory *working, int32_t id, size_t start,
                                         size_t end, struct md_error *error)
{
    if (!md_array_reserve(working->allocator, &working->tokens, 1, sizeof(struct md_token)))
        return md_fail_memory(error, "tokens of a text");
    const struct md_origin *origins = working->text.origins;
    struct md_token token = { .id = id };
    if (start < end) {
        token.start = origins[start].start;
        token.end = origins[end - 1].end;
    }
    md_tokens(&working->tokens)[working->tokens.count++] = token;
    return MD_OK;
}

void md_working_memory_take_pieces(struct md_working_memory *working)
{
    struct md_array old = working->pieces;
    working->pieces = working->next_pieces;
    working->next_pieces = old;
    working->next_pieces.count = 0;
}

enum md_code md_working_memory_take_text(struct md_working_memory *working, struct md_error *error)
{
    if (working->next_text.failed)
        return md_fail_memory(error, "normalized text");
    struct md_text_buffer old = working->text;
    working->text = working->next_text;
    working->next_text = old;
    md_text_buffer_clear(&working->next_text);
    md_working_memory_take_pieces(working);
    return MD_OK;
}
