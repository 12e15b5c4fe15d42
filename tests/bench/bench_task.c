/* bench_task.c - a model directory with its text task, driven through stdin (bench_driver.h).
 *
 * Usage: bench_task DIRECTORY. Commands:
 *     texts FILE    one text per line: what the next commands work on
 *     scores        "ok SCORES...": of every class, in the model's order, text by text
 *     time COUNT    classifies all texts COUNT times; "ok MEDIAN" in nanoseconds */
#include "allocator.h"
#include "bench_driver.h"
#include "file.h"
#include "model_import.h"
#include "session.h"
#include "task.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXTS = 1024, MAX_CLASSES = 64, MAX_FILE = 64 << 20 };

struct bench {
    struct md_session *session;
    struct md_task *task;
    struct md_run *run;
    struct md_arena arena; /* of one call */
    struct md_task_result result;
    char *bytes;           /* owned; the texts lie in it */
    struct md_span texts[MAX_TEXTS];
    size_t count;
};

static enum md_code predict(void *owner, struct md_error *error)
{
    struct bench *bench = owner;
    md_arena_reset(&bench->arena);
    return md_task_predict(bench->task, bench->run, &bench->arena, bench->texts, NULL, bench->count, NULL, &bench->result,
                           error);
}

static enum md_code set_texts(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    struct bench *bench = owner;
    size_t size;
    (void)out_text;
    (void)text_size;
    md_release(md_process_allocator(), bench->bytes);
    bench->bytes = NULL;
    bench->count = 0;
    MD_TRY(md_file_read(md_process_allocator(), words, MAX_FILE, &bench->bytes, &size, error));
    for (char *at = bench->bytes, *end; (end = strchr(at, '\n')) != NULL && bench->count < MAX_TEXTS; at = end + 1)
        bench->texts[bench->count++] = (struct md_span){ at, (size_t)(end - at) };
    return MD_OK;
}

static enum md_code write_scores(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    struct bench *bench = owner;
    (void)words;
    MD_TRY(predict(bench, error));
    for (size_t i = 0, used = 0; i < bench->result.count; i++) {
        const struct md_text_answer *answer = &bench->result.answers[i];
        float scores[MAX_CLASSES] = { 0 };
        for (size_t j = 0; j < answer->class_count; j++)
            if (answer->classes[j].index < MAX_CLASSES)
                scores[answer->classes[j].index] = answer->classes[j].score;
        for (size_t j = 0; j < answer->class_count && used + 32 < text_size; j++)
            used += (size_t)snprintf(out_text + used, text_size - used, "%.9g ", (double)scores[j % MAX_CLASSES]);
    }
    return MD_OK;
}

static enum md_code time_runs(void *owner, char *words, char *out_text, size_t text_size, struct md_error *error)
{
    return md_bench_time(words, predict, owner, out_text, text_size, error);
}

static enum md_code load(struct bench *bench, const char *directory, struct md_error *error)
{
    char path[MD_BENCH_LINE];
    struct md_model *model;
    (void)snprintf(path, sizeof path, "%s/model.onnx", directory); /* a cut path does not open */
    MD_TRY(md_model_open(md_process_allocator(), path, &model, error));
    MD_TRY(md_session_create(md_process_allocator(), model, NULL, &bench->session, error));
    MD_TRY(md_task_create(md_process_allocator(), directory, bench->session, &bench->task, error));
    if (bench->task == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" has no text task", directory);
    return md_run_create(bench->session, &bench->run, error);
}

int main(int argc, char **argv)
{
    static const struct md_bench_command commands[] = {
        { "texts", set_texts }, { "scores", write_scores }, { "time", time_runs }, { NULL, NULL }
    };
    static struct bench bench;
    struct md_error error = { .message = "" };
    if (argc != 2) {
        fprintf(stderr, "usage: bench_task DIRECTORY\n");
        return 2;
    }
    md_arena_init(&bench.arena, md_process_allocator(), 0);
    int status = md_bench_drive(load(&bench, argv[1], &error), &error, commands, &bench);
    md_arena_cleanup(&bench.arena);
    md_run_destroy(bench.run);
    md_task_destroy(bench.task);
    md_session_destroy(bench.session);
    md_release(md_process_allocator(), bench.bytes);
    return status;
}
