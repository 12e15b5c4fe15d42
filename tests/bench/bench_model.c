/* bench_model.c - one loaded model, driven through stdin (bench_driver.h).
 *
 * Usage: bench_model MODEL [--disable PASSES] [--precision NAME] [--threads N]
 * [--cache true]. Commands:
 *     input NAME DATATYPE FILE RANK DIMS...   sets an input from a file of raw elements
 *     outputs FOLDER                          runs once and writes output I to FOLDER/I.bin
 *     time COUNT                              runs COUNT times; "ok MEDIAN" in nanoseconds
 *     load                                    "ok NANOSECONDS CACHE": from the file to a session; what the packed cache
 *                                             did: unused, written, found
 *     memory                                  "ok ARENA NODES": bytes of the last run, nodes it executed */
#include "allocator.h"
#include "bench_driver.h"
#include "file.h"
#include "session.h"
#include "thread_pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_INPUTS = 16 };

struct bench {
    struct md_session *session;
    struct md_run *run;
    struct md_tensor inputs[MAX_INPUTS];
    char *bytes[MAX_INPUTS]; /* owned */
    int64_t load_ns;
};

static enum md_code execute(void *owner, struct md_error *error)
{
    struct bench *bench = owner;
    for (size_t i = 0; i < md_session_input_count(bench->session); i++)
        MD_TRY(md_run_set_input_tensor(bench->run, i, &bench->inputs[i], error));
    return md_run_execute(bench->run, error);
}

static enum md_code set_input(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    struct bench *bench = owner;
    (void)out_text;
    (void)text_size;
    char *rest = NULL;
    const char *name = strtok_r(words, " ", &rest), *datatype = strtok_r(NULL, " ", &rest);
    const char *path = strtok_r(NULL, " ", &rest), *rank = strtok_r(NULL, " ", &rest);
    struct md_shape shape = { .rank = 0 };
    size_t size;
    if (name == NULL || datatype == NULL || path == NULL || rank == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "input NAME DATATYPE FILE RANK DIMS...");
    int index = md_session_find_input(bench->session, md_span_of(name));
    if (index < 0 || index >= MAX_INPUTS)
        return md_fail(error, MD_NOT_FOUND, "no input \"%s\"", name);
    shape.rank = (int32_t)strtol(rank, NULL, 10);
    for (int32_t i = 0; i < shape.rank && i < MD_MAX_RANK; i++) {
        const char *dim = strtok_r(NULL, " ", &rest);
        shape.dims[i] = dim == NULL ? 1 : strtoll(dim, NULL, 10);
    }
    md_release(md_process_allocator(), bench->bytes[index]);
    bench->bytes[index] = NULL;
    MD_TRY(md_file_read(md_process_allocator(), path, (size_t)1 << 31, &bench->bytes[index], &size, error));
    enum md_datatype type = strcmp(datatype, "INT64") == 0 ? MD_INT64 : MD_FP32;
    MD_TRY(md_tensor_describe(type, &shape, bench->bytes[index], &bench->inputs[index], error));
    if (md_tensor_size(&bench->inputs[index]) == size)
        return MD_OK;
    return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" has %zu bytes", path, size);
}

static enum md_code write_outputs(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    struct bench *bench = owner;
    (void)out_text;
    (void)text_size;
    MD_TRY(execute(bench, error));
    for (size_t i = 0; i < md_session_output_count(bench->session); i++) {
        const struct md_tensor *tensor = &md_run_output(bench->run, i)->tensor;
        char path[MD_BENCH_LINE];
        (void)snprintf(path, sizeof path, "%s/%zu.bin", words, i); /* a cut path does not open */
        FILE *file = fopen(path, "wb");
        size_t written = file == NULL ? 0 : fwrite(tensor->bytes, 1, md_tensor_size(tensor), file);
        if (file == NULL || fclose(file) != 0 || written != md_tensor_size(tensor))
            return md_fail(error, MD_INTERNAL, "cannot write \"%s\"", path);
    }
    return MD_OK;
}

static enum md_code time_runs(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    return md_bench_time(words, execute, owner, out_text, text_size, error);
}

static enum md_code read_memory(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    const struct bench *bench = owner;
    struct md_run_memory memory;
    (void)words;
    (void)error;
    md_run_memory(bench->run, &memory);
    (void)snprintf(out_text, text_size, "%zu %zu", memory.arena_bytes, memory.node_count); /* fits */
    return MD_OK;
}

static enum md_code read_load(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    static const char *const caches[] = { "unused", "written", "found" };
    const struct bench *bench = owner;
    (void)words;
    (void)error;
    (void)snprintf(out_text, text_size, "%" PRId64 " %s", bench->load_ns,
                   caches[md_session_packed_cache(bench->session)]); /* fits */
    return MD_OK;
}

static enum md_code load(struct bench *bench, const char *path, const struct md_session_options *options,
                         struct md_error *error)
{
    const int64_t begin = md_bench_now_ns();
    MD_TRY(md_session_open(md_process_allocator(), path, options, &bench->session, error));
    bench->load_ns = md_bench_now_ns() - begin;
    if (md_session_input_count(bench->session) > MAX_INPUTS)
        return md_fail(error, MD_UNIMPLEMENTED, "more than %d inputs", (int)MAX_INPUTS);
    return md_run_create(bench->session, &bench->run, error);
}

static bool read_options(int argc, char **argv, struct md_session_options *options, size_t *out_threads)
{
    bool good = argc >= 2 && argc % 2 == 0;
    for (int i = 2; good && i < argc; i += 2) {
        if (strcmp(argv[i], "--disable") == 0)
            options->disabled_passes = argv[i + 1];
        else if (strcmp(argv[i], "--precision") == 0)
            good = md_precision_find(md_span_of(argv[i + 1]), &options->precision);
        else if (strcmp(argv[i], "--threads") == 0)
            *out_threads = (size_t)strtoul(argv[i + 1], NULL, 10); /* no number is 0, which makes no pool */
        else if (strcmp(argv[i], "--cache") == 0)
            options->packed_cache_from_bytes = strcmp(argv[i + 1], "true") == 0;
        else
            good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    static const struct md_bench_command commands[] = {
        { "input", set_input }, { "outputs", write_outputs }, { "time", time_runs }, { "memory", read_memory },
        { "load", read_load }, { NULL, NULL }
    };
    struct md_session_options options = { .disabled_passes = NULL };
    struct bench bench = { .session = NULL };
    struct md_error error = { .message = "" };
    size_t threads = 1;
    if (!read_options(argc, argv, &options, &threads)) {
        fprintf(stderr, "usage: bench_model MODEL [--disable PASSES] [--precision fp32|bf16|int8] [--threads N] "
                        "[--cache true|false]\n");
        return 2;
    }
    enum md_code code = md_thread_pool_create(md_process_allocator(), threads, &options.thread_pool, &error);
    if (code == MD_OK)
        code = load(&bench, argv[1], &options, &error);
    int status = md_bench_drive(code, &error, commands, &bench);
    md_run_destroy(bench.run);
    md_session_destroy(bench.session);
    md_thread_pool_destroy(options.thread_pool);
    for (size_t i = 0; i < MAX_INPUTS; i++)
        md_release(md_process_allocator(), bench.bytes[i]);
    return status;
}
