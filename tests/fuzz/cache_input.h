/* cache_input.h - the input of fuzz_cache: what a packed cache (packed_cache.h) says behind its key.
 *
 *     struct md_cache_input | metadata behind key and sources | content, which zeros continue up to content_size
 *
 * Both programs that know it work on a model in a folder of their own; what goes wrong there ends them. */
#ifndef MD_CACHE_INPUT_H
#define MD_CACHE_INPUT_H

#include "packed_cache_file.h"
#include "precision.h"

enum { MD_CACHE_PATH_SIZE = 256, MD_CACHE_CONTENT_LIMIT = 4 << 20 };

struct md_cache_input {
    uint32_t precision, metadata_size, content_size;
};

/* A model with its packed caches. */
struct md_cache_scene {
    char folder[MD_CACHE_PATH_SIZE / 2], model[MD_CACHE_PATH_SIZE];
};

/* Of one cache file. */
struct md_cache_parts {
    struct md_file_mapping mapping; /* md_file_unmap */
    struct md_span prefix;          /* of the metadata: key and sources */
    struct md_span metadata, content;
};

/* Prints what cannot be done, and ends the program. */
_Noreturn void md_cache_give_up(const char *what);
/* A new folder, in memory where the system has one there, with a model of these bytes. */
void md_cache_scene_init(struct md_cache_scene *scene, const void *model, size_t size);
void md_cache_scene_cleanup(const struct md_cache_scene *scene);
void md_cache_scene_path(const struct md_cache_scene *scene, enum md_precision precision,
                         char out_path[MD_CACHE_PATH_SIZE]);
/* Loads until the cache is there. False: a model that gets none. */
bool md_cache_scene_read(const struct md_cache_scene *scene, enum md_precision precision,
                         struct md_cache_parts *out_parts);

#endif
