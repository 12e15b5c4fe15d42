/* invariance.c - a row's outputs have the same bits alone, in any batch, at any position.
 *
 * Usage: invariance MODEL... [--precision NAME] [--threads N]. Each MODEL is an ONNX text model (INT64 inputs [batch, sequence]; the one
 * whose name has "mask" is 1 for tokens and 0 for padding). A batch of ROWS made-up rows of different lengths is run
 * whole; then under every split into consecutive parts (2^(ROWS-1) of them), and in every rotation. All outputs must be
 * bit-equal, row for row. Last line: "N passed, M failed"; a check is one split or rotation of one model. */
#include "allocator.h"
#include "arena.h"
#include "model_import.h"
#include "session.h"
#include "thread_pool.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 7, TOKENS = 37, MAX_OUTPUTS = 4, SMALLEST_VOCABULARY = 1000 };

/* The whole batch's outputs, row by row. */
struct expected {
    size_t row_bytes;
    char *bytes; /* the arena's */
};

struct subject {
    struct md_session *session;
    struct md_run *run;
    struct md_arena arena; /* of this model */
    struct expected outputs[MAX_OUTPUTS];
    size_t passed, failed;
};

static size_t length_of(size_t row)
{
    static const size_t lengths[ROWS] = { TOKENS, 5, 16, 1, 33, 8, 21 };
    return lengths[row];
}

static int64_t element(const char *input, size_t row, size_t column)
{
    if (strstr(input, "mask") != NULL)
        return column < length_of(row);
    if (strstr(input, "type") != NULL || column >= length_of(row))
        return 0;
    if (strstr(input, "position") != NULL)
        return (int64_t)column;
    return (int64_t)(2 + (row * 7919 + column * 104729) % (SMALLEST_VOCABULARY - 2));
}

/* Runs rows order[0..count). */
static enum md_code run_rows(struct subject *subject, const size_t *order, size_t count, struct md_error *error)
{
    struct md_arena arena;
    enum md_code code = MD_OK;
    md_arena_init(&arena, md_process_allocator(), 0);
    for (size_t i = 0; i < md_session_input_count(subject->session) && code == MD_OK; i++) {
        const char *name = md_session_input(subject->session, i)->name;
        struct md_shape shape = { .rank = 2, .dims = { (int64_t)count, TOKENS } };
        struct md_tensor tensor;
        int64_t *ids = md_arena_allocate_zeroed(&arena, count * TOKENS, sizeof *ids);
        code = ids == NULL ? md_fail_memory(error, "inputs") : md_tensor_describe(MD_INT64, &shape, ids, &tensor, error);
        for (size_t j = 0; j < count * TOKENS && code == MD_OK; j++)
            ids[j] = element(name, order[j / TOKENS], j % TOKENS);
        if (code == MD_OK)
            code = md_run_set_input_tensor(subject->run, i, &tensor, error);
    }
    if (code == MD_OK)
        code = md_run_execute(subject->run, error);
    md_arena_cleanup(&arena);
    return code;
}

static bool rows_are_equal(const struct subject *subject, const size_t *order, size_t count)
{
    for (size_t o = 0; o < md_session_output_count(subject->session); o++) {
        const struct md_tensor *tensor = &md_run_output(subject->run, o)->tensor;
        const struct expected *expected = &subject->outputs[o];
        if (md_tensor_size(tensor) != count * expected->row_bytes)
            return false;
        for (size_t r = 0; r < count; r++)
            if (memcmp((const char *)tensor->bytes + r * expected->row_bytes,
                       expected->bytes + order[r] * expected->row_bytes, expected->row_bytes) != 0)
                return false;
    }
    return true;
}

static enum md_code run_whole(struct subject *subject, struct md_error *error)
{
    size_t order[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        order[i] = i;
    MD_TRY(run_rows(subject, order, ROWS, error));
    if (md_session_output_count(subject->session) > MAX_OUTPUTS)
        return md_fail(error, MD_UNIMPLEMENTED, "more than %d outputs", (int)MAX_OUTPUTS);
    for (size_t o = 0; o < md_session_output_count(subject->session); o++) {
        const struct md_tensor *tensor = &md_run_output(subject->run, o)->tensor;
        size_t size = md_tensor_size(tensor);
        char *bytes = md_arena_allocate(&subject->arena, size);
        if (bytes == NULL)
            return md_fail_memory(error, "outputs");
        if (tensor->shape.rank == 0 || tensor->shape.dims[0] != ROWS)
            return md_fail(error, MD_INVALID_ARGUMENT, "output %zu has no row per text", o);
        memcpy(bytes, tensor->bytes, size);
        subject->outputs[o] = (struct expected){ size / ROWS, bytes };
    }
    return MD_OK;
}

static void count(struct subject *subject, bool good, const char *what, unsigned which)
{
    subject->passed += good;
    subject->failed += !good;
    if (!good)
        printf("  %s %u: bits differ\n", what, which);
}

/* Bit i of `cuts` set: a part ends after row i. */
static enum md_code check_split(struct subject *subject, unsigned cuts, struct md_error *error)
{
    bool equal = true;
    for (size_t first = 0, i = 0; i < ROWS; i++) {
        size_t order[ROWS];
        if (i + 1 < ROWS && (cuts >> i & 1) == 0)
            continue;
        for (size_t r = first; r <= i; r++)
            order[r - first] = r;
        MD_TRY(run_rows(subject, order, i + 1 - first, error));
        equal = equal && rows_are_equal(subject, order, i + 1 - first);
        first = i + 1;
    }
    count(subject, equal, "split", cuts);
    return MD_OK;
}

static enum md_code check_rotation(struct subject *subject, unsigned shift, struct md_error *error)
{
    size_t order[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        order[i] = (i + shift) % ROWS;
    MD_TRY(run_rows(subject, order, ROWS, error));
    count(subject, rows_are_equal(subject, order, ROWS), "rotation", shift);
    return MD_OK;
}

static enum md_code check(struct subject *subject, const char *path, const struct md_session_options *options,
                          struct md_error *error)
{
    struct md_model *model;
    MD_TRY(md_model_open(md_process_allocator(), path, &model, error));
    MD_TRY(md_session_create(md_process_allocator(), model, options, &subject->session, error));
    MD_TRY(md_run_create(subject->session, &subject->run, error));
    MD_TRY(run_whole(subject, error));
    for (unsigned cuts = 0; cuts < 1u << (ROWS - 1); cuts++)
        MD_TRY(check_split(subject, cuts, error));
    for (unsigned shift = 1; shift < ROWS; shift++)
        MD_TRY(check_rotation(subject, shift, error));
    return MD_OK;
}

static void check_model(const char *path, const struct md_session_options *options, size_t *passed, size_t *failed)
{
    struct subject subject = { .passed = 0 };
    struct md_error error = { .message = "" };
    md_arena_init(&subject.arena, md_process_allocator(), 0);
    if (check(&subject, path, options, &error) != MD_OK) {
        printf("  %s: %s\n", path, error.message);
        subject.failed++;
    }
    md_run_destroy(subject.run);
    md_session_destroy(subject.session);
    md_arena_cleanup(&subject.arena);
    *passed += subject.passed;
    *failed += subject.failed;
}

static bool read_option(struct md_session_options *options, size_t *threads, const char *name, const char *value)
{
    if (strcmp(name, "--precision") == 0)
        return value != NULL && md_precision_find(md_span_of(value), &options->precision);
    *threads = value == NULL ? 0 : strtoul(value, NULL, 10);
    return strcmp(name, "--threads") == 0 && *threads > 0;
}

int main(int argc, char **argv)
{
    struct md_session_options options = { .disabled_passes = NULL };
    size_t passed = 0, failed = 0, threads = 1;
    for (int i = 1; i < argc; i++)
        if (argv[i][0] == '-' && !read_option(&options, &threads, argv[i], argv[i + 1])) {
            fprintf(stderr, "usage: invariance MODEL... [--precision fp32|bf16|int8] [--threads N]\n");
            return 2;
        }
    if (md_thread_pool_create(md_process_allocator(), threads, &options.thread_pool, NULL) != MD_OK)
        return EXIT_FAILURE;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            i++;
        else
            check_model(argv[i], &options, &passed, &failed);
    }
    md_thread_pool_destroy(options.thread_pool);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed == 0 && passed > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
