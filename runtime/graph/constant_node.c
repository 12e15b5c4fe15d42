/* constant_node.c - Constant nodes and other ways to make a value constant; see importer.h. */
#include "importer.h"

#include <string.h>

/* A list or a scalar that lies in the attribute itself. */
static enum md_code tensor_over(enum md_datatype datatype, const void *elements, int32_t rank, size_t count,
                                struct md_tensor *out_tensor, struct md_error *error)
{
    struct md_shape shape = { .rank = rank, .dims = { (int64_t)count } };
    return md_tensor_describe(datatype, &shape, (void *)(uintptr_t)elements, out_tensor,
                              error); /* never written to */
}

static enum md_code scalar_of(struct md_importer *importer, enum md_datatype datatype, const void *value,
                              struct md_tensor *out_tensor, struct md_error *error)
{
    size_t size = md_datatype_size(datatype);
    void *copy = md_arena_allocate(&importer->model->arena, size);
    if (copy == NULL)
        return md_fail_memory(error, "value");
    memcpy(copy, value, size);
    return tensor_over(datatype, copy, 0, 0, out_tensor, error);
}

static bool is_value_name(const char *name)
{
    return strncmp(name, "value", 5) == 0 || strcmp(name, "sparse_value") == 0;
}

enum md_code md_constant_import(struct md_importer *importer, const struct md_attributes *attributes,
                                struct md_tensor *out_tensor, struct md_error *error)
{
    const struct md_attribute *attribute = NULL;
    for (size_t i = 0; i < attributes->count && attribute == NULL; i++)
        if (is_value_name(attributes->items[i].name))
            attribute = &attributes->items[i];
    if (attribute == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "a Constant has no value");
    switch (attribute->kind) {
    case MD_ATTRIBUTE_TENSOR:
    case MD_ATTRIBUTE_SPARSE_TENSOR:
        *out_tensor = attribute->value.tensor;
        return MD_OK;
    case MD_ATTRIBUTE_FLOAT:
        return scalar_of(importer, MD_FP32, &attribute->value.f, out_tensor, error);
    case MD_ATTRIBUTE_INT:
        return scalar_of(importer, MD_INT64, &attribute->value.i, out_tensor, error);
    case MD_ATTRIBUTE_STRING:
        return scalar_of(importer, MD_BYTES, &attribute->value.string, out_tensor, error);
    case MD_ATTRIBUTE_FLOATS:
        return tensor_over(MD_FP32, attribute->value.floats, 1, attribute->count, out_tensor, error);
    case MD_ATTRIBUTE_INTS:
        return tensor_over(MD_INT64, attribute->value.ints, 1, attribute->count, out_tensor, error);
    case MD_ATTRIBUTE_STRINGS:
        return tensor_over(MD_BYTES, attribute->value.strings, 1, attribute->count, out_tensor, error);
    default:
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "attribute \"%s\" of a Constant is neither tensor nor list nor number",
                       attribute->name);
    }
}

enum md_code md_scope_set_constant(struct md_importer *importer, struct md_scope *scope, int32_t value,
                                   const struct md_tensor *tensor, struct md_error *error)
{
    struct md_tensor *copy = md_arena_allocate(&importer->model->arena, sizeof *copy);
    if (copy == NULL)
        return md_fail_memory(error, "constant");
    *copy = *tensor;
    struct md_graph_value *item = &scope->values[value];
    item->constant = copy;
    item->type = (struct md_value_type){
        .kind = MD_TYPE_TENSOR, .datatype = tensor->datatype, .has_shape = true, .shape = tensor->shape
    };
    return MD_OK;
}
