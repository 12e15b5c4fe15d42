/* packed_cache.c - what is in the file, and reading it; see packed_cache.h. Writing: packed_cache_file.c. */
#include "packed_cache.h"

#include "allocator.h"
#include "graph_image.h"
#include "packed_cache_file.h"

#include <string.h>

enum { MAX_PLACES = 16384 };

/* ---- elements and parts on their way into the file ---- */
struct places {
    struct md_image_place place; /* must be first: add casts back */
    struct md_arena *arena;
    struct md_span *items;
    size_t count, size;
};

static size_t aligned(size_t size)
{
    return (size + MD_ALIGNMENT - 1) & ~(size_t)(MD_ALIGNMENT - 1);
}

/* A constant that several graphs share is placed once. Few are large, so a search is good enough. */
static bool add_place(struct md_image_place *place, const void *bytes, size_t size, size_t *out_offset)
{
    struct places *places = (struct places *)place;
    size_t offset = 0;
    for (size_t i = 0; i < places->count; offset += aligned(places->items[i++].size))
        if (places->items[i].bytes == bytes && places->items[i].size == size) {
            *out_offset = offset;
            return true;
        }
    if (places->count == MAX_PLACES || size > SIZE_MAX / 4 - places->size)
        return false;
    places->items[places->count++] = (struct md_span){ bytes, size };
    *out_offset = places->size;
    places->size += aligned(size);
    return true;
}

/* ---- metadata ---- */
static const char *key_text(struct md_arena *arena, const struct md_session_options *options)
{
    char build[MD_BUILD_ID_TEXT_SIZE];
    if (md_build_id(build)[0] == '\0')
        return NULL; /* a program that cannot tell its builds apart keeps nothing */
    return md_arena_printf(arena, "build %s, %s, %s, without \"%s\"", build, md_isa_name(md_isa()),
                           md_precision_name(options->precision),
                           options->disabled_passes != NULL ? options->disabled_passes : "");
}

static const char *cache_path(struct md_arena *arena, const char *path, const struct md_session_options *options)
{
    return md_arena_printf(arena, "%s.%s-%s%s", path, md_precision_name(options->precision), md_isa_name(md_isa()),
                           MD_PACKED_SUFFIX);
}

static void source(struct md_byte_stream *stream, struct md_file_mapping *file)
{
    md_byte_stream_text(stream, &file->name);
    md_byte_stream_unsigned(stream, &file->identity.size);
    md_byte_stream_unsigned(stream, &file->identity.inode);
    md_byte_stream_signed(stream, &file->identity.modified_ns);
    md_byte_stream_signed(stream, &file->identity.changed_ns);
}

static void sources(struct md_byte_stream *stream, size_t *count, struct md_file_mapping **files)
{
    *files = md_byte_stream_array(stream, count, sizeof **files, *files);
    for (size_t i = 0; i < *count; i++)
        source(stream, &(*files)[i]);
}

static void parts(struct md_byte_stream *stream, struct md_image_place *place, struct md_prepared *prepared)
{
    prepared->parts = md_byte_stream_array(stream, &prepared->count, sizeof *prepared->parts, prepared->parts);
    for (size_t i = 0; i < prepared->count; i++) {
        struct md_prepared_part *part = &prepared->parts[i];
        size_t offset = 0;
        if (!stream->reading && !place->add(place, part->bytes, part->size, &offset))
            md_byte_stream_fail(stream);
        md_byte_stream_text(stream, &part->kind);
        md_byte_stream_size(stream, &part->size, SIZE_MAX / 4);
        md_byte_stream_size(stream, &offset, SIZE_MAX / 4);
        if (!stream->reading)
            continue;
        if (offset % MD_ALIGNMENT != 0 || offset > place->content.size || part->size > place->content.size - offset)
            md_byte_stream_fail(stream);
        else
            part->bytes = place->content.bytes + offset;
    }
}

/* ---- reading ---- */
static bool sources_are_current(struct md_arena *arena, const char *path, const struct md_file_mapping *files, size_t count)
{
    const char *slash = strrchr(path, '/');
    const int directory = slash == NULL ? 0 : (int)(slash - path + 1);
    for (size_t i = 0; i < count; i++) {
        struct md_file_identity identity;
        const char *name = md_arena_printf(arena, "%.*s%s", directory, path, files[i].name);
        if (name == NULL || !md_file_identify(name, &identity) ||
            !md_file_identity_equal(&identity, &files[i].identity))
            return false;
    }
    return count > 0;
}

static bool is_of(struct md_byte_stream *stream, const char *path, const char *key)
{
    const char *found;
    struct md_file_mapping *files = NULL;
    size_t count = 0;
    md_byte_stream_text(stream, &found);
    sources(stream, &count, &files);
    return md_byte_stream_ok(stream) && strcmp(found, key) == 0 && sources_are_current(stream->arena, path, files, count);
}

static bool read_model(struct md_model *model, const char *path, const char *key, struct md_prepared *prepared)
{
    struct md_span metadata;
    struct md_image_place place = { .add = NULL };
    struct md_byte_stream stream;
    if (!md_packed_file_split(&model->mappings[0], &metadata, &place.content))
        return false;
    md_byte_stream_read_init(&stream, &model->arena, metadata);
    if (!is_of(&stream, path, key) || !md_packed_file_is_whole(&model->mappings[0]))
        return false;
    md_graph_image(&stream, &place, model);
    parts(&stream, &place, prepared);
    prepared->found = true;
    return md_byte_stream_ok(&stream);
}

bool md_packed_cache_read(const struct md_allocator *allocator, const char *path,
                          const struct md_session_options *options, struct md_model **out_model,
                          struct md_prepared *out_prepared)
{
    struct md_model *model = md_model_create(allocator);
    if (model == NULL)
        return false;
    struct md_prepared prepared = { .parts = NULL };
    const char *key = key_text(&model->arena, options);
    const char *file = cache_path(&model->arena, path, options);
    model->mappings = md_arena_allocate_zeroed(&model->arena, 1, sizeof *model->mappings);
    bool found = key != NULL && file != NULL && model->mappings != NULL &&
                 md_file_map_in_place(file, &model->mappings[0]);
    model->mapping_count = found;
    if (!found || !read_model(model, path, key, &prepared)) {
        md_model_destroy(model);
        return false;
    }
    *out_model = model;
    *out_prepared = prepared;
    return true;
}

/* ---- writing ---- */
static bool write_metadata(struct md_byte_stream *stream, struct md_image_place *place, const char *key,
                           struct md_model *model, const struct md_prepared *prepared)
{
    struct md_prepared copy = *prepared;
    struct md_file_mapping *files = model->mappings;
    size_t count = model->mapping_count;
    for (size_t i = 0; i < count; i++)
        if (!files[i].settled)
            return false;
    md_byte_stream_text(stream, &key);
    sources(stream, &count, &files);
    md_graph_image(stream, place, model);
    parts(stream, place, &copy);
    return md_byte_stream_ok(stream);
}

bool md_packed_cache_write(const struct md_allocator *allocator, const char *path,
                           const struct md_session_options *options, struct md_model *model,
                           const struct md_prepared *prepared)
{
    struct md_arena arena;
    struct md_byte_stream stream;
    md_arena_init(&arena, allocator, 0);
    md_byte_stream_write_init(&stream, allocator);
    struct places places = { .place = { .add = add_place } };
    places.items = md_arena_allocate_zeroed(&arena, MAX_PLACES, sizeof *places.items);
    const char *key = key_text(&arena, options);
    const char *file = cache_path(&arena, path, options);
    const char *part = file == NULL ? NULL : md_arena_printf(&arena, "%s%s", file, MD_PACKED_PART_SUFFIX);
    bool good = places.items != NULL && key != NULL && part != NULL && model->mapping_count > 0 &&
                write_metadata(&stream, &places.place, key, model, prepared);
    if (good) {
        const struct md_packed_file contents = { .metadata = { (const char *)stream.bytes, stream.size },
                                                 .pieces = places.items,
                                                 .piece_count = places.count,
                                                 .content_size = places.size };
        good = md_packed_file_write(&contents, part, file);
    }
    md_byte_stream_cleanup(&stream);
    md_arena_cleanup(&arena);
    return good;
}
