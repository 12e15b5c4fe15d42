/* cache_seed.c - makes seeds for fuzz_cache of models: cache_seed FOLDER MODEL... Models that get no cache are left out.
 * Content is cut where a seed would become larger than what the fuzzer takes. */
#include "allocator.h"
#include "cache_input.h"

#include <stdio.h>

enum { SEED_LIMIT = 65536, MODEL_LIMIT = 16 << 20 };

static void write_seed(const char *path, enum md_precision precision, const struct md_cache_parts *parts)
{
    struct md_cache_input input = { precision, (uint32_t)parts->metadata.size, (uint32_t)parts->content.size };
    const size_t used = sizeof input + parts->metadata.size;
    if (used > SEED_LIMIT || parts->content.size > MD_CACHE_CONTENT_LIMIT)
        return;
    const size_t room = SEED_LIMIT - used;
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(&input, sizeof input, 1, file) != 1 ||
        fwrite(parts->metadata.bytes, 1, parts->metadata.size, file) != parts->metadata.size)
        md_cache_give_up("no seed");
    (void)fwrite(parts->content.bytes, 1, parts->content.size < room ? parts->content.size : room, file);
    if (fclose(file) != 0)
        md_cache_give_up("no seed");
}

static void make_seeds(const char *folder, int number, const char *model)
{
    struct md_cache_scene scene;
    char *bytes, path[MD_CACHE_PATH_SIZE];
    size_t size;
    if (md_file_read(md_process_allocator(), model, MODEL_LIMIT, &bytes, &size, NULL) != MD_OK)
        return;
    md_cache_scene_init(&scene, bytes, size);
    md_release(md_process_allocator(), bytes);
    for (int precision = 0; precision < MD_PRECISION_COUNT; precision++) {
        struct md_cache_parts parts;
        if (!md_cache_scene_read(&scene, (enum md_precision)precision, &parts))
            break;
        (void)snprintf(path, sizeof path, "%s/%d-%s", folder, number, md_precision_name((enum md_precision)precision));
        write_seed(path, (enum md_precision)precision, &parts);
        md_file_unmap(&parts.mapping);
    }
    md_cache_scene_cleanup(&scene);
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++)
        make_seeds(argv[1], i - 1, argv[i]);
    return 0;
}
