/* bench_model.c - modeld's side of tests/bench/run: one loaded model, driven line by line through stdin.
 *
 * Usage: bench_model MODEL [--disable PASSES] [--precision NAME] [--cache true]. Each command is answered by one line, "ok ..." or
 * "error MESSAGE":
 *     input NAME DATATYPE FILE RANK DIMS...   sets an input from a file of raw elements
 *     outputs FOLDER                          runs once and writes output I to FOLDER/I.bin
 *     time COUNT                              runs COUNT times; "ok MEDIAN" in nanoseconds
 *     load                                    "ok NANOSECONDS CACHE": from the file to a session; what the packed cache
 *                                             did: unused, written, found
 *     memory                                  "ok ARENA NODES": bytes of the last run, nodes it executed
 * so that a driver can alternate runs of this process with runs of something else. */
#include "allocator.h"
#include "file.h"
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_INPUTS = 16, MAX_RUNS = 10000, LINE_SIZE = 4096 };

struct bench {
    struct md_session *session;
    struct md_run *run;
    struct md_tensor inputs[MAX_INPUTS];
    char *bytes[MAX_INPUTS]; /* owned */
    clockid_t clock;
    int64_t load_ns;
};

static int64_t now_ns(const struct bench *bench)
{
    struct timespec now;
    (void)clock_gettime(bench->clock, &now); /* fails only for a clock that does not exist */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static enum md_code execute(struct bench *bench, struct md_error *error)
{
    for (size_t i = 0; i < md_session_input_count(bench->session); i++)
        MD_TRY(md_run_set_input_tensor(bench->run, i, &bench->inputs[i], error));
    return md_run_execute(bench->run, error);
}

static enum md_code set_input(struct bench *bench, char *words, struct md_error *error)
{
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

static enum md_code write_outputs(struct bench *bench, const char *folder, struct md_error *error)
{
    MD_TRY(execute(bench, error));
    for (size_t i = 0; i < md_session_output_count(bench->session); i++) {
        const struct md_tensor *tensor = &md_run_output(bench->run, i)->tensor;
        char path[LINE_SIZE];
        (void)snprintf(path, sizeof path, "%s/%zu.bin", folder, i); /* a cut path does not open */
        FILE *file = fopen(path, "wb");
        size_t written = file == NULL ? 0 : fwrite(tensor->bytes, 1, md_tensor_size(tensor), file);
        if (file == NULL || fclose(file) != 0 || written != md_tensor_size(tensor))
            return md_fail(error, MD_INTERNAL, "cannot write \"%s\"", path);
    }
    return MD_OK;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static enum md_code time_runs(struct bench *bench, const char *words, int64_t *out_median, struct md_error *error)
{
    static int64_t times[MAX_RUNS];
    long count = strtol(words, NULL, 10);
    if (count < 1 || count > MAX_RUNS)
        return md_fail(error, MD_INVALID_ARGUMENT, "%ld runs: 1 to %d are possible", count, (int)MAX_RUNS);
    for (long i = 0; i < count; i++) {
        int64_t begin = now_ns(bench);
        MD_TRY(execute(bench, error));
        times[i] = now_ns(bench) - begin;
    }
    qsort(times, (size_t)count, sizeof times[0], by_size);
    *out_median = times[count / 2];
    return MD_OK;
}

static void answer(struct bench *bench, char *line)
{
    struct md_error error = { .message = "" };
    char *words = strchr(line, ' ');
    enum md_code code = MD_OK;
    char text[128] = "";
    if (words != NULL)
        *words++ = '\0';
    if (strcmp(line, "input") == 0 && words != NULL)
        code = set_input(bench, words, &error);
    else if (strcmp(line, "outputs") == 0 && words != NULL)
        code = write_outputs(bench, words, &error);
    else if (strcmp(line, "time") == 0 && words != NULL) {
        int64_t median = 0;
        code = time_runs(bench, words, &median, &error);
        (void)snprintf(text, sizeof text, " %" PRId64, median); /* fits */
    } else if (strcmp(line, "memory") == 0) {
        struct md_run_memory memory;
        md_run_memory(bench->run, &memory);
        (void)snprintf(text, sizeof text, " %zu %zu", memory.arena_bytes, memory.node_count); /* fits */
    } else if (strcmp(line, "load") == 0) {
        static const char *const caches[] = { "unused", "written", "found" };
        const enum md_packed_cache cache = md_session_packed_cache(bench->session);
        (void)snprintf(text, sizeof text, " %" PRId64 " %s", bench->load_ns, caches[cache]); /* fits */
    } else {
        code = md_fail(&error, MD_INVALID_ARGUMENT, "unknown command \"%s\"", line);
    }
    if (code == MD_OK)
        printf("ok%s\n", text);
    else
        printf("error %s\n", error.message);
    (void)fflush(stdout); /* a reader that has gone is noticed by the next read */
}

static enum md_code load(struct bench *bench, const char *path, const struct md_session_options *options,
                         struct md_error *error)
{
    const int64_t begin = now_ns(bench);
    MD_TRY(md_session_open(md_process_allocator(), path, options, &bench->session, error));
    bench->load_ns = now_ns(bench) - begin;
    if (md_session_input_count(bench->session) > MAX_INPUTS)
        return md_fail(error, MD_UNIMPLEMENTED, "more than %d inputs", (int)MAX_INPUTS);
    return md_run_create(bench->session, &bench->run, error);
}

static bool read_options(int argc, char **argv, struct md_session_options *options)
{
    bool good = argc >= 2 && argc % 2 == 0;
    for (int i = 2; good && i < argc; i += 2) {
        if (strcmp(argv[i], "--disable") == 0)
            options->disabled_passes = argv[i + 1];
        else if (strcmp(argv[i], "--precision") == 0)
            good = md_precision_find(md_span_of(argv[i + 1]), &options->precision);
        else if (strcmp(argv[i], "--cache") == 0)
            options->packed_cache_from_bytes = strcmp(argv[i + 1], "true") == 0;
        else
            good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    /* MD_BENCH_CLOCK=cpu: what the thread itself took, when the machine is shared with other work. */
    const char *clock = getenv("MD_BENCH_CLOCK");
    struct bench bench = { .session = NULL };
    struct md_error error = { .message = "" };
    char line[LINE_SIZE];
    bench.clock = clock != NULL && strcmp(clock, "cpu") == 0 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
    struct md_session_options options = { .disabled_passes = NULL };
    if (!read_options(argc, argv, &options)) {
        fprintf(stderr, "usage: bench_model MODEL [--disable PASSES] [--precision fp32|bf16|int8] "
                        "[--cache true|false]\n");
        return 2;
    }
    enum md_code code = load(&bench, argv[1], &options, &error);
    printf("%s%s\n", code == MD_OK ? "ok" : "error ", code == MD_OK ? "" : error.message);
    (void)fflush(stdout); /* see answer */
    while (code == MD_OK && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(&bench, line);
    }
    md_run_destroy(bench.run);
    md_session_destroy(bench.session);
    for (size_t i = 0; i < MAX_INPUTS; i++)
        md_release(md_process_allocator(), bench.bytes[i]);
    return code == MD_OK ? 0 : 1;
}
