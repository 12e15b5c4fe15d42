/* conformance.c - runs the official ONNX backend cases: <data>/<suite>/<case>/{model.onnx,test_data_set_N}.
 *
 * Usage: conformance [--data DIR] [--filter GLOB] [--atol NUMBER] [--verbose]
 * Each case runs in a child process, so one that crashes or hangs is a failed case and not the end. Tolerances are the
 * official ones: |got - want| <= 1e-7 + 1e-3 * |want|. The last line is "N passed, M failed, K skipped". */
#include "allocator.h"
#include "compare.h"
#include "file.h"
#include "model_import.h"
#include "session.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CASE_SECONDS = 60, MAX_REASON = 700 };

struct totals {
    size_t passed, failed, skipped;
};

/* Out of scope, and why (the official runner's own numbers cannot be met by any inference engine). */
static const struct {
    const char *pattern;
    const char *reason;
} skipped_cases[] = {
    { "test_adagrad*", "training domain" },
    { "test_adam*", "training domain" },
    { "test_momentum*", "training domain" },
    { "test_nesterov_momentum*", "training domain" },
    { "test_gradient_of_*", "training domain" },
    { "test_training_dropout", "random: training mode with ratio > 0" },
    { "test_training_dropout_mask", "random: training mode with ratio > 0" },
    { "test_training_dropout_default", "random: training mode with ratio > 0" },
    { "test_training_dropout_default_mask", "random: training mode with ratio > 0" },
    { "test_bernoulli*", "random: the expected output is one drawing" },
};

static const char *skip_reason(const char *name)
{
    for (size_t i = 0; i < sizeof skipped_cases / sizeof skipped_cases[0]; i++)
        if (fnmatch(skipped_cases[i].pattern, name, 0) == 0)
            return skipped_cases[i].reason;
    return NULL;
}

enum { PATH_SIZE = 4096 };

/* A path that is too long is cut, and then simply not found. */
MD_PRINTF(2, 3) static void format_path(char path[PATH_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(path, PATH_SIZE, format, arguments); /* see above */
    va_end(arguments);
}

/* "<folder>/<kind>_<index>.pb" as a value of the given type. NOT_FOUND: no such file. */
static enum md_code read_value(struct md_arena *arena, const char *folder, const char *kind, size_t index,
                               const struct md_value_type *type, struct md_value *out_value, struct md_error *error)
{
    char path[PATH_SIZE];
    format_path(path, "%s/%s_%zu.pb", folder, kind, index);
    char *bytes;
    size_t size;
    MD_TRY(md_file_read(md_process_allocator(), path, (size_t)1 << 31, &bytes, &size, error));
    enum md_code code = md_value_import(arena, bytes, size, type, out_value, error);
    md_release(md_process_allocator(), bytes);
    if (code == MD_OK && type->datatype == MD_BF16 && out_value->kind == MD_VALUE_TENSOR &&
        out_value->tensor.datatype == MD_UINT16)
        out_value->tensor.datatype = MD_BF16; /* the 1.12 data set stores bfloat16 as uint16 */
    return code;
}

static enum md_code run_data_set(const struct md_session *session, const char *folder, struct md_arena *arena,
                                 struct md_error *error)
{
    const struct md_graph *graph = md_session_model(session)->graph;
    struct md_run *run;
    MD_TRY(md_run_create(session, &run, error));
    enum md_code code = MD_OK;
    /* Twice: the first execution records the memory plan, the second follows it. */
    for (int turn = 0; turn < 2 && code == MD_OK; turn++) {
        for (size_t i = 0; i < graph->input_count && code == MD_OK; i++) {
            struct md_value value = { .kind = MD_VALUE_NONE };
            code = read_value(arena, folder, "input", i, &graph->values[graph->inputs[i]].type, &value, error);
            if (code == MD_OK)
                code = md_run_set_input(run, i, &value, error);
        }
        if (code == MD_OK)
            code = md_run_execute(run, error);
        for (size_t i = 0; i < graph->output_count && code == MD_OK; i++) {
            struct md_value want = { .kind = MD_VALUE_NONE };
            code = read_value(arena, folder, "output", i, &graph->values[graph->outputs[i]].type, &want, error);
            if (code == MD_NOT_FOUND)
                break; /* fewer expected outputs than the model has */
            if (code == MD_OK)
                code = compare_values(md_run_output(run, i), &want, error);
            if (code != MD_OK)
                code = md_fail_prefix(error, code, "output %zu (\"%s\")%s", i, graph->values[graph->outputs[i]].name,
                                      turn == 0 ? "" : ", planned run");
        }
        if (code == MD_NOT_FOUND)
            code = MD_OK;
    }
    md_run_destroy(run);
    return code;
}

static enum md_code run_case(const char *folder, struct md_error *error)
{
    char path[PATH_SIZE];
    format_path(path, "%s/model.onnx", folder);
    struct md_model *model;
    struct md_session *session;
    MD_TRY(md_model_open(md_process_allocator(), path, &model, error));
    MD_TRY(md_session_create(md_process_allocator(), model, NULL, &session, error));
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    enum md_code code = MD_OK;
    size_t sets = 0;
    for (; code == MD_OK; sets++) {
        format_path(path, "%s/test_data_set_%zu", folder, sets);
        if (access(path, F_OK) != 0)
            break;
        code = run_data_set(session, path, &arena, error);
    }
    if (sets == 0)
        code = md_fail(error, MD_NOT_FOUND, "no test_data_set_0");
    md_arena_cleanup(&arena);
    md_session_destroy(session);
    return code;
}

/* In a child: exit 0 = passed; else the reason comes through the pipe. */
static void run_child(const char *folder, int fd)
{
    (void)alarm(CASE_SECONDS);
    struct md_error error = { .message = "" };
    enum md_code code = run_case(folder, &error);
    if (code != MD_OK)
        dprintf(fd, "%s: %s", md_code_name(code), error.message);
    exit(code == MD_OK ? 0 : 1);
}

static bool run_isolated(const char *folder, char *reason)
{
    int ends[2];
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    (void)fflush(NULL); /* the child must not print our buffer again */
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(2);
    }
    if (child == 0) {
        (void)close(ends[0]); /* the parent's end */
        run_child(folder, ends[1]);
    }
    (void)close(ends[1]); /* the child's end */
    size_t used = 0;
    ssize_t got;
    while (used < MAX_REASON - 1 && (got = read(ends[0], reason + used, MAX_REASON - 1 - used)) > 0)
        used += (size_t)got;
    reason[used] = '\0';
    (void)close(ends[0]); /* read to its end */
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (WIFSIGNALED(status))
        (void)snprintf(reason, MAX_REASON, "killed by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 && used == 0)
        (void)snprintf(reason, MAX_REASON, "exit status %d", WEXITSTATUS(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int only_names(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void run_suite(const char *data, const char *suite, const char *filter, bool verbose, struct totals *totals)
{
    char folder[PATH_SIZE];
    format_path(folder, "%s/%s", data, suite);
    struct dirent **entries;
    int count = scandir(folder, &entries, only_names, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char reason[MAX_REASON];
        format_path(folder, "%s/%s/%s/model.onnx", data, suite, name);
        if (access(folder, R_OK) != 0 || fnmatch(filter, name, 0) != 0)
            continue;
        format_path(folder, "%s/%s/%s", data, suite, name);
        const char *skipped = skip_reason(name);
        if (skipped != NULL) {
            totals->skipped++;
            printf("skip %s/%s: %s\n", suite, name, skipped);
        } else if (run_isolated(folder, reason)) {
            totals->passed++;
            if (verbose)
                printf("pass %s/%s\n", suite, name);
        } else {
            totals->failed++;
            printf("FAIL %s/%s: %s\n", suite, name, reason);
        }
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    const char *data = "/usr/share/libonnx-testdata/data";
    const char *filter = "*";
    bool verbose = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--data") == 0 && i + 1 < argc) {
            data = argv[++i];
        } else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strcmp(argv[i], "--atol") == 0 && i + 1 < argc) {
            compare_set_absolute_tolerance(strtod(argv[++i], NULL));
        } else if (strcmp(argv[i], "--verbose") == 0) {
            verbose = true;
        } else {
            fprintf(stderr, "usage: conformance [--data DIR] [--filter GLOB] [--atol NUMBER] [--verbose]\n");
            return 2;
        }
    }
    struct dirent **suites;
    int count = scandir(data, &suites, only_names, alphasort);
    if (count < 0) {
        fprintf(stderr, "conformance: cannot read \"%s\": %s\n", data, strerror(errno));
        return 2;
    }
    struct totals totals = { 0 };
    for (int i = 0; i < count; i++) {
        run_suite(data, suites[i]->d_name, filter, verbose, &totals);
        free(suites[i]);
    }
    free(suites);
    printf("%zu passed, %zu failed, %zu skipped\n", totals.passed, totals.failed, totals.skipped);
    return 0;
}
