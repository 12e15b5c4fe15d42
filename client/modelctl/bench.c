/* bench.c - `modelctl bench`: load on a model, and how it took it. */
#include "bench.h"

#include "allocator.h"

#include <stdlib.h>
#include <string.h>

/* Without --input: what the server says of the model. The structures live as long as *out_versions. */
static enum md_client_code ask_signature(struct md_ctl_context *context, struct md_ctl_bench *bench,
                                         struct md_client_versions **out_versions, struct md_client_error *error)
{
    enum md_client_code code = md_client_get_model(context->client, bench->model.name, bench->model.number,
                                                   &context->call, out_versions, error);
    const struct md_client_version *chosen = NULL;
    for (size_t i = 0; code == MD_CLIENT_OK && i < (*out_versions)->count; i++) {
        const struct md_client_version *version = (*out_versions)->items[i];
        if (version->state == MD_CLIENT_STATE_READY && (chosen == NULL || version->version > chosen->version))
            chosen = version;
    }
    for (size_t i = 0; chosen != NULL && i < chosen->input_count && i < MD_CTL_OPTIONS_MAX; i++) {
        const struct md_client_signature *input = &chosen->inputs[i];
        bench->inputs[i] = (struct md_load_input){ input->name, input->datatype, input->shape, input->rank, { 0, 1 } };
        bench->requests.input_count = i + 1;
    }
    return code;
}

/* The lines of the file that are not empty; in the arena. */
static enum md_code read_texts(const char *path, struct md_arena *arena, char ***out_texts, size_t *out_count,
                               struct md_error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "cannot open \"%s\"", path);
    char *line = NULL;
    size_t room = 0, count = 0, most = 0;
    char **texts = NULL;
    enum md_code code = MD_OK;
    for (ssize_t size; code == MD_OK && (size = getline(&line, &room, file)) >= 0;) {
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            size--;
        if (size == 0)
            continue;
        if (count == most) {
            char **larger = md_arena_allocate_zeroed(arena, most = 2 * most + 64, sizeof *larger);
            if (larger != NULL && count > 0)
                memcpy(larger, texts, count * sizeof *texts);
            texts = larger;
        }
        char *text = texts != NULL ? md_arena_copy_string(arena, line, (size_t)size) : NULL;
        if (text == NULL)
            code = md_fail_memory(error, "texts");
        else
            texts[count++] = text;
    }
    free(line); /* getline's */
    (void)fclose(file); /* only read */
    *out_texts = texts;
    *out_count = count;
    return code;
}

static enum md_code make_requests(struct md_ctl_bench *bench, struct md_arena *arena, struct md_request_set *out_set,
                                  struct md_error *error)
{
    char **texts;
    size_t count;
    if (bench->texts == NULL) {
        MD_TRY(md_ctl_bench_set_values(bench, error));
        return md_request_set_from_tensors(&bench->requests, out_set, error);
    }
    MD_TRY(read_texts(bench->texts, arena, &texts, &count, error));
    return md_request_set_from_texts(&bench->requests, texts, count, out_set, error);
}

static int run_load(struct md_ctl_context *context, struct md_ctl_bench *bench, const struct md_request_set *set)
{
    struct md_load_result result;
    struct md_error error = { .message = "" };
    bench->load.target = context->server;
    bench->load.request_set = set;
    enum md_code code = md_load_run(&bench->load, &result, &error);
    if (code == MD_OK)
        return md_ctl_bench_report(context, bench, &result);
    struct md_client_error refused = { .code = (enum md_client_code)code, .name = md_code_name(code) };
    (void)snprintf(refused.message, sizeof refused.message, "%s", error.message);
    return md_ctl_refused(context, &refused);
}

static int run_in_arena(struct md_ctl_context *context, const struct md_ctl_arguments *arguments,
                        struct md_arena *arena)
{
    struct md_ctl_bench bench;
    struct md_error usage;
    struct md_client_error error;
    struct md_client_versions *versions = NULL;
    struct md_request_set set = { 0 };
    int exit_code;
    if (md_ctl_bench_parse(arguments, arena, &bench, &usage) != MD_OK)
        return md_ctl_usage(context, "bench", "%s", usage.message);
    if (bench.texts == NULL && bench.requests.input_count == 0 &&
        ask_signature(context, &bench, &versions, &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    if (make_requests(&bench, arena, &set, &usage) != MD_OK)
        exit_code = md_ctl_usage(context, "bench", "%s", usage.message);
    else
        exit_code = run_load(context, &bench, &set);
    md_request_set_cleanup(&set);
    md_client_versions_destroy(versions);
    return exit_code;
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    int exit_code = run_in_arena(context, arguments, &arena);
    md_arena_cleanup(&arena);
    return exit_code;
}

const struct md_ctl_command md_ctl_command_bench = {
    .name = "bench",
    .operands = "MODEL[:VERSION]",
    .summary = "Puts load on a model and prints throughput and latencies",
    .help = "Sends random tensors of the model's signature, or texts. Exit code 1: nothing was answered.",
    .options = md_ctl_bench_options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
