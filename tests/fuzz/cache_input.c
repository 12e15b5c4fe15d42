/* cache_input.c - see cache_input.h. */
#include "cache_input.h"

#include "allocator.h"
#include "arena.h"
#include "byte_stream.h"
#include "graph.h"
#include "session.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LOADS = 200 }; /* a file changed a moment ago is not cached yet */

void md_cache_give_up(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    exit(2);
}

void md_cache_scene_init(struct md_cache_scene *scene, const void *model, size_t size)
{
    const char *const base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(scene->folder, sizeof scene->folder, "%s/modeld-cache-XXXXXX", base); /* fits */
    if (mkdtemp(scene->folder) == NULL)
        md_cache_give_up("no folder");
    (void)snprintf(scene->model, sizeof scene->model, "%s/model.onnx", scene->folder); /* fits */
    int fd = open(scene->model, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, model, size) != (ssize_t)size || close(fd) != 0)
        md_cache_give_up("no model file");
}

void md_cache_scene_cleanup(const struct md_cache_scene *scene)
{
    DIR *stream = opendir(scene->folder);
    if (stream == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(stream), entry->d_name, 0); /* what stays keeps the folder, too */
    (void)closedir(stream); /* only read from */
    (void)rmdir(scene->folder); /* likewise */
}

void md_cache_scene_path(const struct md_cache_scene *scene, enum md_precision precision,
                         char out_path[MD_CACHE_PATH_SIZE])
{
    int size = snprintf(out_path, MD_CACHE_PATH_SIZE, "%s.%s-%s" MD_PACKED_SUFFIX, scene->model,
                        md_precision_name(precision), md_isa_name(md_isa()));
    if (size < 0 || size >= MD_CACHE_PATH_SIZE)
        md_cache_give_up("path too long");
}

static bool make_cache(const struct md_cache_scene *scene, enum md_precision precision)
{
    const struct md_session_options options = { .precision = precision, .packed_cache_from_bytes = 1 };
    for (int i = 0; i < MAX_LOADS; i++) {
        struct md_session *session;
        if (md_session_open(md_process_allocator(), scene->model, &options, &session, NULL) != MD_OK)
            return false;
        const enum md_packed_cache cache = md_session_packed_cache(session);
        const bool empty = md_session_model(session)->constant_bytes == 0;
        md_session_destroy(session);
        if (cache != MD_PACKED_CACHE_UNWRITTEN)
            return !empty;
        (void)usleep(1000); /* a shorter one does, too */
    }
    return false;
}

/* Behind the key (a text) and the sources (an array of a text and four numbers). */
static void split_metadata(struct md_span all, struct md_cache_parts *parts)
{
    struct md_arena arena;
    struct md_byte_stream stream;
    const char *text;
    size_t count;
    uint64_t number;
    md_arena_init(&arena, md_process_allocator(), 0);
    md_byte_stream_read_init(&stream, &arena, all);
    md_byte_stream_text(&stream, &text);
    (void)md_byte_stream_array(&stream, &count, 1, NULL); /* only for the count */
    for (size_t i = 0; i < count; i++) {
        md_byte_stream_text(&stream, &text);
        for (int j = 0; j < 4; j++)
            md_byte_stream_unsigned(&stream, &number);
    }
    if (!md_byte_stream_ok(&stream))
        md_cache_give_up("a packed cache begins with something else than key and sources");
    parts->prefix = (struct md_span){ all.bytes, stream.position };
    parts->metadata = (struct md_span){ all.bytes + stream.position, all.size - stream.position };
    md_arena_cleanup(&arena);
}

bool md_cache_scene_read(const struct md_cache_scene *scene, enum md_precision precision,
                         struct md_cache_parts *out_parts)
{
    char path[MD_CACHE_PATH_SIZE];
    struct md_span metadata;
    md_cache_scene_path(scene, precision, path);
    if (!make_cache(scene, precision))
        return false;
    if (!md_file_map_in_place(path, &out_parts->mapping) ||
        !md_packed_file_split(&out_parts->mapping, &metadata, &out_parts->content))
        md_cache_give_up("no packed cache");
    split_metadata(metadata, out_parts);
    return true;
}
