/* attribute.c - see attribute.h. */
#include "attribute.h"

#include <string.h>

static const char *kind_name(enum md_attribute_kind kind)
{
    static const char *const names[] = { "nothing", "a float", "an int", "a string", "a tensor", "a graph",
                                         "floats", "ints", "strings", "tensors", "graphs", "a sparse tensor",
                                         "sparse tensors", "a type" };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "of an unknown kind";
}

const struct md_attribute *md_attribute_find(const struct md_attributes *attributes, const char *name)
{
    for (size_t i = 0; i < attributes->count; i++)
        if (strcmp(attributes->items[i].name, name) == 0)
            return &attributes->items[i];
    return NULL;
}

/* *out_attribute NULL: absent. */
static enum md_code find_kind(const struct md_attributes *attributes, const char *name, enum md_attribute_kind kind,
                              const struct md_attribute **out_attribute, struct md_error *error)
{
    const struct md_attribute *attribute = md_attribute_find(attributes, name);
    if (attribute != NULL && attribute->kind != kind)
        return md_fail(error, MD_INVALID_ARGUMENT, "attribute \"%s\" is %s, it must be %s", name,
                       kind_name(attribute->kind), kind_name(kind));
    *out_attribute = attribute;
    return MD_OK;
}

enum md_code md_attribute_int(const struct md_attributes *attributes, const char *name, int64_t absent,
                              int64_t *out_value, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_kind(attributes, name, MD_ATTRIBUTE_INT, &found, error));
    *out_value = found != NULL ? found->value.i : absent;
    return MD_OK;
}

enum md_code md_attribute_float(const struct md_attributes *attributes, const char *name, float absent,
                                float *out_value, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_kind(attributes, name, MD_ATTRIBUTE_FLOAT, &found, error));
    *out_value = found != NULL ? found->value.f : absent;
    return MD_OK;
}

enum md_code md_attribute_string(const struct md_attributes *attributes, const char *name, const char *absent,
                                 struct md_span *out_value, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_kind(attributes, name, MD_ATTRIBUTE_STRING, &found, error));
    if (found != NULL)
        *out_value = found->value.string;
    else
        *out_value = absent != NULL ? md_span_of(absent) : (struct md_span){ NULL, 0 };
    return MD_OK;
}

/* An empty list may come without a kind that fits: exporters write ints for an empty floats. */
static enum md_code find_list(const struct md_attributes *attributes, const char *name, enum md_attribute_kind kind,
                              const struct md_attribute **out_attribute, struct md_error *error)
{
    const struct md_attribute *attribute = md_attribute_find(attributes, name);
    bool is_list = attribute != NULL && attribute->kind >= MD_ATTRIBUTE_FLOATS && attribute->kind <= MD_ATTRIBUTE_TENSORS;
    if (is_list && attribute->count == 0) {
        *out_attribute = NULL;
        return MD_OK;
    }
    return find_kind(attributes, name, kind, out_attribute, error);
}

enum md_code md_attribute_ints(const struct md_attributes *attributes, const char *name, const int64_t **out_values,
                               size_t *out_count, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_list(attributes, name, MD_ATTRIBUTE_INTS, &found, error));
    *out_values = found != NULL ? found->value.ints : NULL;
    *out_count = found != NULL ? found->count : 0;
    return MD_OK;
}

enum md_code md_attribute_floats(const struct md_attributes *attributes, const char *name, const float **out_values,
                                 size_t *out_count, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_list(attributes, name, MD_ATTRIBUTE_FLOATS, &found, error));
    *out_values = found != NULL ? found->value.floats : NULL;
    *out_count = found != NULL ? found->count : 0;
    return MD_OK;
}

enum md_code md_attribute_strings(const struct md_attributes *attributes, const char *name,
                                  const struct md_span **out_values, size_t *out_count, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_list(attributes, name, MD_ATTRIBUTE_STRINGS, &found, error));
    *out_values = found != NULL ? found->value.strings : NULL;
    *out_count = found != NULL ? found->count : 0;
    return MD_OK;
}

enum md_code md_attribute_tensor(const struct md_attributes *attributes, const char *name,
                                 const struct md_tensor **out_tensor, struct md_error *error)
{
    const struct md_attribute *found;
    MD_TRY(find_kind(attributes, name, MD_ATTRIBUTE_TENSOR, &found, error));
    *out_tensor = found != NULL ? &found->value.tensor : NULL;
    return MD_OK;
}
