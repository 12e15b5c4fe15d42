/* scope.c - values, names and captures of graphs under construction; see importer.h. */
#include "importer.h"

#include "checked.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

enum { FIRST_CAPACITY = 8 };

void *md_grow(struct md_importer *importer, void *items, size_t count, size_t *capacity, size_t item_size)
{
    size_t grown = *capacity == 0 ? FIRST_CAPACITY : *capacity * 2;
    size_t size;
    if (!md_checked_multiply(grown, item_size, &size))
        return NULL;
    void *memory = md_arena_allocate(&importer->scratch, size);
    if (memory == NULL)
        return NULL;
    if (count > 0)
        memcpy(memory, items, count * item_size);
    *capacity = grown;
    return memory;
}

void md_scope_init(struct md_importer *importer, struct md_scope *scope, struct md_scope *parent,
                   const char *name)
{
    *scope =
        (struct md_scope){ .parent = parent, .name = name, .depth = parent != NULL ? parent->depth + 1 : 1 };
    md_name_map_init(&scope->captured, &importer->scratch, importer->seed);
}

void md_frame_init(struct md_importer *importer, struct md_frame *frame, struct md_frame *parent,
                   struct md_scope *scope, const struct md_call *call)
{
    *frame = (struct md_frame){ .parent = parent, .scope = scope, .call = call };
    md_name_map_init(&frame->names, &importer->scratch, importer->seed);
}

/* "call/name", or its end when it is longer than MD_MAX_INLINED_NAME: nested calls must not pile up names. */
const char *md_inlined_name(struct md_arena *arena, const struct md_call *call, const char *name)
{
    if (call == NULL)
        return md_arena_copy_string(arena, name, strlen(name));
    size_t size = strlen(name);
    if (size > MD_MAX_INLINED_NAME)
        size = md_utf8_valid_prefix(name, MD_MAX_INLINED_NAME);
    size_t left = MD_MAX_INLINED_NAME - size;
    size_t prefix = strlen(call->name);
    if (prefix > left)
        prefix = md_utf8_valid_prefix(call->name, left);
    return md_arena_printf(arena, "%.*s/%.*s", (int)prefix, call->name, (int)size, name);
}

enum md_code md_scope_add_value(struct md_importer *importer, struct md_scope *scope,
                                const struct md_call *call, const char *name, int32_t *out_value,
                                struct md_error *error)
{
    if (importer->value_count >= MD_MAX_VALUES)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "graph \"%s\": value \"%s\": the model has more than %d values", scope->name, name,
                       MD_MAX_VALUES);
    const char *copy = md_inlined_name(&importer->model->arena, call, name);
    if (copy == NULL || !MD_GROW(importer, scope->values, scope->value_count, scope->value_capacity))
        return md_fail_memory(error, "values");
    scope->values[scope->value_count] = (struct md_graph_value){ .name = copy, .producer = -1 };
    *out_value = (int32_t)scope->value_count++;
    importer->value_count++;
    return MD_OK;
}

void md_frame_definer_text(const struct md_frame *frame, int32_t definer, char *buffer, size_t size)
{
    if (definer < 0) {
        (void)snprintf(buffer, size, "%s", definer == MD_BOUND_INITIALIZER ? "initializer" : "input");
        return;
    }
    const Onnx__NodeProto *node = frame->nodes[definer];
    const char *type = node->op_type != NULL ? node->op_type : "";
    if (node->name != NULL && node->name[0] != '\0')
        (void)snprintf(buffer, size, "node \"%s\" (%s)", node->name, type);
    else
        (void)snprintf(buffer, size, "node \"%s#%d\"", type, (int)definer);
}

static enum md_code fail_duplicate(const struct md_frame *frame, const char *name, int32_t first,
                                   int32_t second, struct md_error *error)
{
    char texts[2][160];
    md_frame_definer_text(frame, first, texts[0], sizeof texts[0]);
    md_frame_definer_text(frame, second, texts[1], sizeof texts[1]);
    return md_fail(error, MD_INVALID_ARGUMENT,
                   "value \"%s\" of graph \"%s\" is defined twice: by %s and by %s", name, frame->scope->name,
                   texts[0], texts[1]);
}

enum md_code md_frame_bind(struct md_importer *importer, struct md_frame *frame, const char *name,
                           int32_t value, int32_t definer, struct md_error *error)
{
    struct md_span key = md_span_of(name);
    int32_t found = md_name_map_find(&frame->names, key);
    if (found >= 0)
        return fail_duplicate(frame, name, frame->bindings[found].definer, definer, error);
    if (importer->name_count >= MD_MAX_VALUES)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "graph \"%s\": value \"%s\": the model has more than %d names", frame->scope->name,
                       name, MD_MAX_VALUES);
    if (!MD_GROW(importer, frame->bindings, frame->binding_count, frame->binding_capacity) ||
        !md_name_map_add(&frame->names, key, (int32_t)frame->binding_count))
        return md_fail_memory(error, "names");
    frame->bindings[frame->binding_count++] = (struct md_binding){ value, definer };
    importer->name_count++;
    return MD_OK;
}

struct md_binding *md_frame_find(const struct md_frame *frame, const char *name)
{
    int32_t found = md_name_map_find(&frame->names, md_span_of(name));
    return found < 0 ? NULL : &frame->bindings[found];
}

/* The value of `outer` (in scope->parent) inside `scope`; made on first use. */
static enum md_code capture_once(struct md_importer *importer, struct md_scope *scope, int32_t outer,
                                 int32_t *out_inner, struct md_error *error)
{
    struct md_span key = { (const char *)&outer, sizeof outer };
    *out_inner = md_name_map_find(&scope->captured, key);
    if (*out_inner >= 0)
        return MD_OK;
    MD_TRY(md_scope_add_value(importer, scope, NULL, scope->parent->values[outer].name, out_inner, error));
    key.bytes = md_arena_copy_string(&importer->scratch, key.bytes, key.size);
    if (key.bytes == NULL ||
        !MD_GROW(importer, scope->captures, scope->capture_count, scope->capture_capacity) ||
        !md_name_map_add(&scope->captured, key, *out_inner))
        return md_fail_memory(error, "captures");
    scope->captures[scope->capture_count++] = (struct md_capture){ outer, *out_inner };
    return MD_OK;
}

/* Brings a value of `from` into `scope`, through every graph between them: the depth is bounded by
 * MD_MAX_NESTING. */
static enum md_code capture(struct md_importer *importer, struct md_scope *scope, struct md_scope *from,
                            int32_t *value, struct md_error *error)
{
    if (scope == from || *value == MD_NO_VALUE)
        return MD_OK;
    MD_TRY(capture(importer, scope->parent, from, value, error));
    return capture_once(importer, scope, *value, value, error);
}

enum md_code md_frame_resolve(struct md_importer *importer, struct md_frame *frame, const char *name,
                              int32_t *out_value, bool *out_found, struct md_error *error)
{
    for (struct md_frame *at = frame; at != NULL; at = at->parent) {
        const struct md_binding *binding = md_frame_find(at, name);
        if (binding == NULL)
            continue;
        int32_t value = binding->value;
        MD_TRY(capture(importer, frame->scope, at->scope, &value, error));
        if (at != frame)
            MD_TRY(md_frame_bind(importer, frame, name, value, MD_BOUND_CAPTURE, error));
        *out_value = value;
        *out_found = true;
        return MD_OK;
    }
    *out_found = false;
    return MD_OK;
}
