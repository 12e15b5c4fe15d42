/* external_data.c - see external_data.h. */
#include "external_data.h"

#include <limits.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_FACTOR = 4, FIRST_MAPPINGS = 4 };

/* What external_data of a tensor says. */
struct place {
    const char *location;
    size_t offset;
    size_t length;
};

static enum md_code parse_size(const char *key, const char *text, size_t *out_size, struct md_error *error)
{
    size_t size = 0;
    for (const char *at = text; *at != '\0'; at++) {
        size_t digit = (size_t)(*at - '0');
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(size, (size_t)10, &size) ||
            __builtin_add_overflow(size, digit, &size))
            return md_fail(error, MD_INVALID_ARGUMENT, "external data has %s \"%s\", which is not a size",
                           key, text);
    }
    if (text[0] == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "external data has an empty %s", key);
    *out_size = size;
    return MD_OK;
}

static enum md_code parse_place(const Onnx__TensorProto *tensor, size_t needed, struct place *out_place,
                                struct md_error *error)
{
    struct place place = { NULL, 0, needed };
    for (size_t i = 0; i < tensor->n_external_data; i++) {
        const char *key = tensor->external_data[i]->key != NULL ? tensor->external_data[i]->key : "";
        const char *value = tensor->external_data[i]->value != NULL ? tensor->external_data[i]->value : "";
        if (strcmp(key, "location") == 0)
            place.location = value;
        else if (strcmp(key, "offset") == 0)
            MD_TRY(parse_size(key, value, &place.offset, error));
        else if (strcmp(key, "length") == 0)
            MD_TRY(parse_size(key, value, &place.length, error));
    }
    if (place.location == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "external data has no location");
    *out_place = place;
    return MD_OK;
}

/* Plain: relative, without "..", without empty parts. */
static bool is_plain_path(const char *path)
{
    if (path[0] == '\0' || path[0] == '/')
        return false;
    for (const char *part = path;;) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
        if (part[size] == '\0')
            return true;
        part += size + 1;
    }
}

/* The real path of the location, if it lies below the real directory. */
static enum md_code resolve(const char *directory, const char *location, char out_path[PATH_MAX],
                            struct md_error *error)
{
    char root[PATH_MAX];
    char joined[PATH_MAX];
    if (realpath(directory, root) == NULL)
        return md_fail(error, MD_NOT_FOUND, "directory \"%s\" of external data: %s", directory,
                       strerror(errno));
    size_t root_size = strlen(root);
    size_t location_size = strlen(location);
    if (root_size + 1 + location_size >= sizeof joined)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "location of external data has %zu bytes, which is too long", location_size);
    memcpy(joined, root, root_size);
    joined[root_size] = '/';
    memcpy(joined + root_size + 1, location, location_size + 1);
    if (realpath(joined, out_path) == NULL)
        return md_fail(error, errno == ENOENT || errno == ENOTDIR ? MD_NOT_FOUND : MD_INVALID_ARGUMENT,
                       "external data \"%s\" in \"%s\": %s", location, directory, strerror(errno));
    bool below = root_size == 1 || (strncmp(out_path, root, root_size) == 0 && out_path[root_size] == '/');
    if (!below)
        return md_fail(error, MD_INVALID_ARGUMENT, "external data \"%s\" is a link out of \"%s\"", location,
                       directory);
    return MD_OK;
}

enum md_code md_model_reserve_mapping(struct md_model *model, size_t *capacity, struct md_error *error)
{
    if (model->mapping_count < *capacity)
        return MD_OK;
    size_t grown = *capacity == 0 ? FIRST_MAPPINGS : *capacity * 2;
    struct md_file_mapping *mappings = md_arena_allocate_zeroed(&model->arena, grown, sizeof *mappings);
    if (mappings == NULL)
        return md_fail_memory(error, "file mappings");
    if (model->mapping_count > 0)
        memcpy(mappings, model->mappings, model->mapping_count * sizeof *mappings);
    model->mappings = mappings;
    *capacity = grown;
    return MD_OK;
}

static enum md_code map_file(struct md_external_data *external, const char *location, int32_t *out_index,
                             struct md_error *error)
{
    struct md_model *model = external->model;
    if (!is_plain_path(location))
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "location of external data is \"%s\", it must be a relative path without \"..\"",
                       location);
    char path[PATH_MAX];
    MD_TRY(resolve(external->directory, location, path, error));
    MD_TRY(md_model_reserve_mapping(model, &external->mapping_capacity, error));
    int32_t index = (int32_t)model->mapping_count;
    if (!md_name_map_add(&external->files, md_span_of(location), index))
        return md_fail_memory(error, "external data");
    const char *name = md_arena_printf(&model->arena, "%s", location);
    if (name == NULL)
        return md_fail_memory(error, "external data");
    MD_TRY(md_file_map(path, &model->mappings[index], error));
    model->mappings[index].name = name;
    model->mapping_count++;
    external->mapped_bytes += model->mappings[index].size;
    *out_index = index;
    return MD_OK;
}

enum md_code md_external_data_find(struct md_external_data *external, const Onnx__TensorProto *tensor,
                                   size_t needed, struct md_span *out_bytes, struct md_error *error)
{
    struct place place;
    MD_TRY(parse_place(tensor, needed, &place, error));
    if (external == NULL || external->directory == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "external data \"%s\" is not allowed here: no directory is known", place.location);
    int32_t index = md_name_map_find(&external->files, md_span_of(place.location));
    if (index < 0)
        MD_TRY(map_file(external, place.location, &index, error));
    const struct md_file_mapping *mapping = &external->model->mappings[index];
    if (place.offset > mapping->size || place.length > mapping->size - place.offset)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "external data \"%s\": offset %zu and length %zu, the file has %zu bytes",
                       place.location, place.offset, place.length, mapping->size);
    *out_bytes = (struct md_span){ NULL, place.length };
    if (place.length > 0)
        out_bytes->bytes = (const char *)mapping->bytes + place.offset;
    return MD_OK;
}

enum md_code md_external_data_count_copy(struct md_external_data *external, size_t size,
                                         struct md_error *error)
{
    external->copied_bytes +=
        size; /* cannot overflow: bounded at every step by the check below and one file's size */
    if (external->copied_bytes / COPY_FACTOR > external->mapped_bytes)
        return md_fail(
            error, MD_INVALID_ARGUMENT,
            "external data overlaps: tensors of %zu bytes are unaligned parts of files of %zu bytes",
            external->copied_bytes, external->mapped_bytes);
    return MD_OK;
}
