/* signature.c - see signature.h. */
#include "signature.h"

#include "session.h"

#include <jansson.h>
#include <string.h>

typedef Modeld__V1__TensorSignature wire_signature;

/* An array of `count` initialised messages; NULL when there is no memory. */
static wire_signature **make_list(struct md_arena *arena, size_t count)
{
    wire_signature **list = md_arena_allocate_zeroed(arena, count + 1, sizeof *list);
    wire_signature *items = md_arena_allocate_zeroed(arena, count + 1, sizeof *items);
    if (list == NULL || items == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        modeld__v1__tensor_signature__init(&items[i]);
        list[i] = &items[i];
    }
    return list;
}

static enum md_code set_names(wire_signature *item, struct md_arena *arena, const char *name,
                              const char *datatype, struct md_error *error)
{
    item->name = md_arena_copy_string(arena, name, strlen(name));
    item->datatype = md_arena_copy_string(arena, datatype, strlen(datatype));
    return item->name == NULL || item->datatype == NULL ? md_fail_memory(error, "signature") : MD_OK;
}

static enum md_code describe(const struct md_signature *signature, struct md_arena *arena,
                             wire_signature *item, struct md_error *error)
{
    MD_TRY(set_names(item, arena, signature->name,
                     signature->is_tensor ? md_datatype_name(signature->datatype) : "SEQUENCE", error));
    if (!signature->is_tensor || !signature->has_shape)
        return MD_OK;
    item->shape = md_arena_allocate(arena, MD_MAX_RANK * sizeof *item->shape);
    if (item->shape == NULL)
        return md_fail_memory(error, "signature");
    item->n_shape = (size_t)signature->shape.rank;
    memcpy(item->shape, signature->shape.dims, item->n_shape * sizeof *item->shape);
    return MD_OK;
}

enum md_code md_signature_of_session(const struct md_session *session, struct md_arena *arena,
                                     Modeld__V1__ModelVersion *out_version, struct md_error *error)
{
    size_t input_count = md_session_input_count(session), output_count = md_session_output_count(session);
    wire_signature **inputs = make_list(arena, input_count), **outputs = make_list(arena, output_count);
    if (inputs == NULL || outputs == NULL)
        return md_fail_memory(error, "signature");
    for (size_t i = 0; i < input_count; i++)
        MD_TRY(describe(md_session_input(session, i), arena, inputs[i], error));
    for (size_t i = 0; i < output_count; i++)
        MD_TRY(describe(md_session_output(session, i), arena, outputs[i], error));
    out_version->inputs = inputs;
    out_version->n_inputs = input_count;
    out_version->outputs = outputs;
    out_version->n_outputs = output_count;
    return MD_OK;
}

/* ---- JSON ---- */

static json_t *list_to_json(wire_signature *const *list, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *shape = json_array();
        for (size_t axis = 0; axis < list[i]->n_shape; axis++)
            (void)json_array_append_new(shape,
                                        json_integer(list[i]->shape[axis])); /* no memory: caught by dumps */
        json_t *item = json_pack("{s:s, s:s, s:o}", "name", list[i]->name, "datatype", list[i]->datatype,
                                 "shape", shape);
        if (item == NULL || json_array_append_new(array, item) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

const char *md_signature_to_json(const Modeld__V1__ModelVersion *version, struct md_arena *arena)
{
    json_t *inputs = list_to_json(version->inputs, version->n_inputs);
    json_t *outputs = list_to_json(version->outputs, version->n_outputs);
    json_t *root = inputs == NULL || outputs == NULL ? NULL : json_object();
    char *text = NULL;
    const char *copy = NULL;
    if (root != NULL && json_object_set(root, "inputs", inputs) == 0 &&
        json_object_set(root, "outputs", outputs) == 0)
        text = json_dumps(root, JSON_COMPACT);
    if (text != NULL)
        copy = md_arena_copy_string(arena, text, strlen(text));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    json_decref(root);
    json_decref(inputs);
    json_decref(outputs);
    return copy;
}

static enum md_code item_from_json(json_t *json, struct md_arena *arena, wire_signature *item,
                                   struct md_error *error)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *datatype = json_string_value(json_object_get(json, "datatype"));
    json_t *shape = json_object_get(json, "shape");
    if (name == NULL || datatype == NULL)
        return md_fail(error, MD_INTERNAL, "signature in the registry: a tensor without name or datatype");
    MD_TRY(set_names(item, arena, name, datatype, error));
    size_t rank = json_array_size(shape);
    item->shape = md_arena_allocate_zeroed(arena, rank + 1, sizeof *item->shape);
    if (item->shape == NULL)
        return md_fail_memory(error, "signature");
    for (size_t axis = 0; axis < rank; axis++)
        item->shape[axis] = json_integer_value(json_array_get(shape, axis));
    item->n_shape = rank;
    return MD_OK;
}

static enum md_code list_from_json(json_t *array, struct md_arena *arena, wire_signature ***out_list,
                                   size_t *out_count, struct md_error *error)
{
    size_t count = json_array_size(array);
    wire_signature **list = make_list(arena, count);
    if (list == NULL)
        return md_fail_memory(error, "signature");
    for (size_t i = 0; i < count; i++)
        MD_TRY(item_from_json(json_array_get(array, i), arena, list[i], error));
    *out_list = list;
    *out_count = count;
    return MD_OK;
}

enum md_code md_signature_from_json(const char *json, struct md_arena *arena,
                                    Modeld__V1__ModelVersion *out_version, struct md_error *error)
{
    if (*json == '\0')
        return MD_OK;
    json_error_t problem;
    json_t *root = json_loads(json, 0, &problem);
    if (root == NULL)
        return md_fail(error, MD_INTERNAL, "signature in the registry: %s at byte %d", problem.text,
                       problem.position);
    enum md_code code = list_from_json(json_object_get(root, "inputs"), arena, &out_version->inputs,
                                       &out_version->n_inputs, error);
    if (code == MD_OK)
        code = list_from_json(json_object_get(root, "outputs"), arena, &out_version->outputs,
                              &out_version->n_outputs, error);
    json_decref(root);
    return code;
}
