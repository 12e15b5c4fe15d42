/* normalizer_forms.c - NFC, NFD, NFKC and NFKD with origins.
 *
 *   characters --(decompose)--> decomposed --(sort marks by class)--> --(compose)--> edit
 *
 * What is not a fixed point of all forms goes through the three arrays of the working memory: `decomposed`
 * holds a starter and the marks behind it until the next starter, `sorted` is what sorting copies to, `marks`
 * what waits behind a starter that may still compose. Each character carries how the edit has to apply it: 0
 * in place of one of the text, 1 added, -n in place of 1 + n. Sorting is by counting, so that a million marks
 * in a row stay cheap. */
#include "normalizer_steps.h"

#include "unicode.h"
#include "working_memory.h"

#include <string.h>

struct character {
    uint32_t code_point;
    int32_t change;
    uint8_t class; /* canonical combining class */
};

struct composer {
    struct md_text_edit *edit;
    struct md_working_memory *working;
    bool compose;
    bool has_starter;
    struct character starter;
    int last_class; /* of the last of marks; -1: there is none */
};

static bool push(struct md_working_memory *working, struct md_array *array, struct character character)
{
    if (!md_array_reserve(working->allocator, array, 1, sizeof character))
        return false;
    ((struct character *)array->items)[array->count++] = character;
    return true;
}

static void put(struct composer *composer, struct character character)
{
    md_text_edit_apply(composer->edit, character.code_point, character.change);
}

/* Writes the starter that waits and the marks behind it. */
static void flush(struct composer *composer)
{
    if (composer->has_starter)
        put(composer, composer->starter);
    const struct character *marks = composer->working->marks.items;
    for (size_t i = 0; i < composer->working->marks.count; i++)
        put(composer, marks[i]);
    composer->has_starter = false;
    composer->working->marks.count = 0;
    composer->last_class = -1;
}

static bool try_compose(struct composer *composer, struct character next)
{
    uint32_t composed = md_compose(composer->starter.code_point, next.code_point);
    if (composed == 0)
        return false;
    composer->starter.code_point = composed;
    composer->starter.change += next.change - 1;
    return true;
}

/* One character in canonical order. False: no memory. */
static bool compose_next(struct composer *composer, struct character next)
{
    if (!composer->compose || (!composer->has_starter && next.class != 0)) {
        put(composer, next);
        return true;
    }
    bool blocked = composer->last_class >= (int)next.class; /* UAX 15, D115 */
    if (composer->has_starter && !blocked && try_compose(composer, next))
        return true;
    if (next.class == 0) {
        flush(composer);
        composer->has_starter = true;
        composer->starter = next;
        return true;
    }
    composer->last_class = next.class;
    return push(composer->working, &composer->working->marks, next);
}

/* Stable sort of items by class. */
static bool sort_by_class(struct md_working_memory *working, struct character *items, size_t count)
{
    size_t starts[257] = { 0 };
    if (!md_array_reserve(working->allocator, &working->sorted, count, sizeof *items))
        return false;
    struct character *sorted = working->sorted.items;
    for (size_t i = 0; i < count; i++)
        starts[items[i].class + 1]++;
    for (size_t i = 1; i < 257; i++)
        starts[i] += starts[i - 1];
    for (size_t i = 0; i < count; i++)
        sorted[starts[items[i].class]++] = items[i];
    memcpy(items, sorted, count * sizeof *items);
    return true;
}

/* Everything that is decomposed is in order now: on to the composer. */
static bool release_decomposed(struct composer *composer)
{
    struct md_working_memory *working = composer->working;
    struct character *items = working->decomposed.items;
    size_t count = working->decomposed.count;
    size_t first_mark = count > 0 && items[0].class == 0 ? 1 : 0;
    if (count - first_mark == 2 && items[first_mark].class > items[first_mark + 1].class) {
        struct character swapped = items[first_mark];
        items[first_mark] = items[first_mark + 1];
        items[first_mark + 1] = swapped;
    } else if (count - first_mark > 2 && !sort_by_class(working, items + first_mark, count - first_mark)) {
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!compose_next(composer, items[i]))
            return false;
    working->decomposed.count = 0;
    return true;
}

static bool decompose_next(struct composer *composer, uint32_t code_point, bool compatibility)
{
    int32_t parts[MD_MAX_DECOMPOSITION];
    size_t count = md_decompose(code_point, compatibility, parts);
    for (size_t i = 0; i < count; i++) {
        struct character part = { (uint32_t)parts[i], i == 0 ? 0 : 1,
                                  md_combining_class((uint32_t)parts[i]) };
        if (part.class == 0 && !release_decomposed(composer))
            return false;
        if (!push(composer->working, &composer->working->decomposed, part))
            return false;
    }
    return true;
}

/* ASCII never changes, but its last character may compose with what follows. */
static size_t fixed_prefix(const struct md_text_view *in, size_t at)
{
    size_t run = md_ascii_prefix(in->bytes + at, in->size - at);
    return run > 0 && at + run < in->size ? run - 1 : run;
}

enum md_code md_normalize_form(const struct md_normalizer_step *step, struct md_text_edit *edit,
                               struct md_working_memory *working, struct md_error *error)
{
    struct composer composer = {
        .edit = edit, .working = working, .compose = step->compose, .last_class = -1
    };
    working->decomposed.count = 0;
    working->marks.count = 0;
    bool memory = true;
    for (size_t read = 0; memory && read < edit->in.size;) {
        size_t fixed = fixed_prefix(&edit->in, read);
        if (fixed > 0) {
            memory = release_decomposed(&composer);
            flush(&composer);
            md_text_edit_copy(edit, fixed);
            read += fixed;
            continue;
        }
        uint32_t code_point;
        read += md_utf8_decode(edit->in.bytes + read, &code_point);
        memory = decompose_next(&composer, code_point, step->compatibility);
    }
    memory = memory && release_decomposed(&composer);
    flush(&composer);
    return memory ? MD_OK : md_fail_memory(error, "normalization of a text");
}
