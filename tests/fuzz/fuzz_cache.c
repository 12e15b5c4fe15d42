/* fuzz_cache.c - what a packed cache says behind its key, into a session and one run on made-up inputs. The harness puts
 * the right key, sources and checksum in front of it. Whatever the file says: no crash, no more memory than the limit, no
 * more time than the deadline, and the model itself is always there to be loaded instead. */
#include "arena.h"
#include "bounded_allocator.h"
#include "cache_input.h"
#include "clock.h"
#include "fuzz_entry.h"
#include "session.h"
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MEMORY_LIMIT = 192 << 20, RUN_LIMIT = 16 << 20, RUN_MICROSECONDS = 200000, TOO_LONG_MICROSECONDS = 20000000 };

/* y = Identity(c), c FP32 [1]: IR 8, opset 17. */
static const char model[] = "\x08\x08\x42\x02\x10\x11\x3a\x2f"
                            "\x0a\x10\x0a\x01\x63\x12\x01\x79\x22\x08Identity"
                            "\x12\x01g"
                            "\x2a\x0d\x08\x01\x10\x01\x42\x01\x63\x4a\x04\0\0\x80\x3f"
                            "\x62\x09\x0a\x01y\x12\x04\x0a\x02\x08\x01";

static struct md_cache_scene scene;
static struct md_cache_parts caches[MD_PRECISION_COUNT];
static char *contents; /* MD_CACHE_CONTENT_LIMIT bytes */

static void require(bool holds, const char *what, const char *message)
{
    if (holds)
        return;
    (void)fprintf(stderr, "the packed cache breaks a promise: %s (%s)\n", what, message);
    abort();
}

static void clean_up(void)
{
    md_cache_scene_cleanup(&scene);
}

static void set_up(void)
{
    md_cache_scene_init(&scene, model, sizeof model - 1);
    (void)atexit(clean_up); /* without it a folder stays in memory */
    for (int i = 0; i < MD_PRECISION_COUNT; i++)
        if (!md_cache_scene_read(&scene, (enum md_precision)i, &caches[i]))
            md_cache_give_up("the harness gets no packed cache");
    contents = md_allocate(md_process_allocator(), MD_CACHE_CONTENT_LIMIT);
    if (contents == NULL)
        md_cache_give_up("no memory");
}

static bool write_cache(const struct md_cache_input *input, const char *bytes, size_t size)
{
    static char metadata[1 << 17];
    char path[MD_CACHE_PATH_SIZE], part[MD_CACHE_PATH_SIZE + 8];
    const struct md_span prefix = caches[input->precision].prefix;
    const size_t inner = input->metadata_size < size ? input->metadata_size : size;
    const size_t used = size - inner < input->content_size ? size - inner : input->content_size;
    if (prefix.size + inner > sizeof metadata)
        return false;
    memcpy(metadata, prefix.bytes, prefix.size);
    memcpy(metadata + prefix.size, bytes, inner);
    memcpy(contents, bytes + inner, used);
    memset(contents + used, 0, input->content_size - used);
    const struct md_span piece = { contents, input->content_size };
    const struct md_packed_file file = { .metadata = { metadata, prefix.size + inner },
                                         .pieces = &piece,
                                         .piece_count = 1,
                                         .content_size = input->content_size };
    md_cache_scene_path(&scene, (enum md_precision)input->precision, path);
    (void)snprintf(part, sizeof part, "%s" MD_PACKED_PART_SUFFIX, path); /* fits */
    return md_packed_file_write(&file, part, path);
}

static void run_session(const struct md_session *session, const struct md_allocator *allocator)
{
    struct md_run *run = NULL;
    struct md_arena arena;
    struct md_error error = { { 0 } };
    md_arena_init(&arena, allocator, 0);
    const int64_t started = md_clock_us();
    if (md_run_create(session, &run, &error) == MD_OK) {
        md_run_set_limits(run, NULL, started + RUN_MICROSECONDS);
        enum md_code code = md_trial_set_inputs(session, run, NULL, &arena, &error);
        if (code == MD_OK)
            code = md_run_execute(run, &error);
        require(code == MD_OK || error.message[0] != '\0', "a failure has a message", "");
    }
    require(md_clock_us() - started < TOO_LONG_MICROSECONDS, "a run ends near its deadline", error.message);
    md_run_destroy(run);
    md_arena_cleanup(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct md_cache_input input;
    if (contents == NULL)
        set_up();
    if (size < sizeof input)
        return 0;
    memcpy(&input, data, sizeof input);
    input.precision %= MD_PRECISION_COUNT;
    input.content_size %= MD_CACHE_CONTENT_LIMIT + 1;
    if (!write_cache(&input, (const char *)data + sizeof input, size - sizeof input))
        return 0;
    struct md_bounded_allocator bounded;
    struct md_session *session = NULL;
    struct md_error error = { { 0 } };
    const struct md_session_options options = { .precision = (enum md_precision)input.precision,
                                                .packed_cache_from_bytes = SIZE_MAX,
                                                .max_run_bytes = RUN_LIMIT };
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    const enum md_code code = md_session_open(&bounded.allocator, scene.model, &options, &session, &error);
    require(code == MD_OK, "the model is loaded without its cache", error.message);
    if (md_session_packed_cache(session) == MD_PACKED_CACHE_FOUND)
        run_session(session, &bounded.allocator);
    md_session_destroy(session);
    require(bounded.live == 0, "memory is given back", "");
    return 0;
}
