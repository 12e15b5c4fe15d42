/* inspect.c - `modelctl inspect`: what a model holds. A file or a folder is read here, without a server; the name of a
 * loaded model is asked of the server, which tells the graph as its passes left it. */
#include "command.h"

#include "allocator.h"
#include "arena.h"
#include "model_import.h"
#include "report.h"
#include "session.h"
#include "trial.h"

#include <string.h>
#include <sys/stat.h>

enum { MAX_DIMS = 32 };

struct inspection {
    struct md_ctl_context *context;
    struct md_arena *arena;
    struct md_model *model; /* until a session takes it */
    struct md_model_report report;
    bool measured;
    struct md_run_memory memory;
    char measure_error[MD_ERROR_MESSAGE_SIZE];
};

/* ---- of a file ---- */

/* The model file for an operand: FILE, or model.onnx in a folder. NULL: neither exists, and it does not look like a
 * path, so it names a model of the server. */
static const char *model_path(struct md_arena *arena, const char *operand)
{
    struct stat status;
    size_t size = strlen(operand);
    if (stat(operand, &status) != 0)
        return strchr(operand, '/') != NULL || (size > 5 && strcmp(operand + size - 5, ".onnx") == 0) ? operand : NULL;
    return S_ISDIR(status.st_mode) ? md_arena_printf(arena, "%s/model.onnx", operand) : operand;
}

/* "batch=1,sequence=128". */
static enum md_code parse_dims(const char *text, struct md_trial_dim *dims, size_t *out_count, struct md_error *error)
{
    size_t count = 0;
    while (text != NULL && *text != '\0') {
        const char *equals = strchr(text, '=');
        char *end = NULL;
        long long size = equals != NULL ? strtoll(equals + 1, &end, 10) : -1;
        if (count == MAX_DIMS || equals == NULL || end == equals + 1 || (*end != ',' && *end != '\0') || size < 0)
            return md_fail(error, MD_INVALID_ARGUMENT, "--dims \"%s\" must look like batch=1,sequence=128", text);
        dims[count++] = (struct md_trial_dim){ { text, (size_t)(equals - text) }, size };
        text = *end == ',' ? end + 1 : end;
    }
    *out_count = count;
    return MD_OK;
}

/* Two runs on made-up inputs: the first records the memory plan, the second follows it. */
static enum md_code measure_run(struct inspection *inspection, const struct md_session *session,
                                const struct md_trial_dim *dims, size_t dim_count, struct md_error *error)
{
    const struct md_trial_options trial = { .dims = dims, .dim_count = dim_count };
    struct md_run *run;
    MD_TRY(md_run_create(session, &run, error));
    enum md_code code = MD_OK;
    for (int turn = 0; turn < 2 && code == MD_OK; turn++) {
        code = md_trial_set_inputs(session, run, &trial, inspection->arena, error);
        if (code == MD_OK)
            code = md_run_execute(run, error);
    }
    if (code == MD_OK)
        md_run_memory(run, &inspection->memory);
    md_run_destroy(run);
    return code;
}

/* Takes the model. A model that cannot run is still worth inspecting: the reason is kept. */
static void measure(struct inspection *inspection, const struct md_trial_dim *dims, size_t dim_count)
{
    struct md_session *session = NULL;
    struct md_error error = { .message = "" };
    enum md_code code = md_session_create(md_process_allocator(), inspection->model, NULL, &session, &error);
    inspection->model = NULL;
    if (code == MD_OK)
        code = measure_run(inspection, session, dims, dim_count, &error);
    inspection->measured = code == MD_OK;
    memcpy(inspection->measure_error, error.message, sizeof error.message);
    md_session_destroy(session);
}

static json_t *json_values(const struct md_graph *graph, const int32_t *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct md_graph_value *value = &graph->values[values[i]];
        json_t *shape = json_array();
        for (int32_t j = 0; value->type.has_shape && j < value->type.shape.rank; j++)
            json_array_append_new(shape, json_integer(value->type.shape.dims[j]));
        json_array_append_new(list, json_pack("{s:s, s:s, s:o}", "name", value->name, "datatype",
                                              md_datatype_name(value->type.datatype), "shape", shape));
    }
    return list;
}

static json_t *json_of(const struct inspection *inspection)
{
    const struct md_model *model = inspection->model;
    const struct md_model_report *report = &inspection->report;
    json_t *operators = json_array();
    for (size_t i = 0; i < report->operator_count; i++) {
        const struct md_operator_use *use = &report->operators[i];
        json_array_append_new(operators, json_pack("{s:s, s:s, s:I, s:I, s:b}", "domain", use->domain, "operator",
                                                   use->op_type, "opset", (json_int_t)use->opset, "count",
                                                   (json_int_t)use->count, "supported", use->supported));
    }
    return json_pack("{s:s, s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "producer", model->producer, "ir_version",
                     (json_int_t)model->ir_version, "opset", md_model_report_opsets(inspection->arena, model), "inputs",
                     json_values(model->graph, model->graph->inputs, model->graph->input_count), "outputs",
                     json_values(model->graph, model->graph->outputs, model->graph->output_count), "nodes",
                     (json_int_t)report->node_count, "unsupported_nodes", (json_int_t)report->unsupported_nodes,
                     "parameters", (json_int_t)report->parameter_count, "parameter_bytes",
                     (json_int_t)report->parameter_bytes, "operators", operators);
}

static void print_values(struct md_ctl_context *context, const char *title, const struct md_graph *graph,
                         const int32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct md_graph_value *value = &graph->values[values[i]];
        (void)fprintf(context->out, "  %-11s ", i == 0 ? title : "");
        md_ctl_print_clean(context->out, value->name);
        (void)fprintf(context->out, " %s%s", value->type.kind == MD_TYPE_SEQUENCE ? "sequence of " : "",
                      md_datatype_name(value->type.datatype));
        for (int32_t j = 0; value->type.has_shape && j < value->type.shape.rank; j++) {
            const char *name = value->type.dim_names != NULL ? value->type.dim_names[j] : NULL;
            (void)fputc(j == 0 ? '[' : ',', context->out);
            if (name != NULL && value->type.shape.dims[j] < 0)
                md_ctl_print_clean(context->out, name);
            else
                (void)fprintf(context->out, "%lld", (long long)value->type.shape.dims[j]);
        }
        (void)fputs(value->type.has_shape && value->type.shape.rank > 0 ? "]\n" : "\n", context->out);
    }
}

static void print_operators(const struct inspection *inspection)
{
    static const char *const titles[] = { "  OPERATOR", "COUNT", "OPSET", "DOMAIN", "KERNEL" };
    struct md_ctl_context *context = inspection->context;
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 5, 1u << 1 | 1u << 2);
    for (size_t i = 0; i < inspection->report.operator_count; i++) {
        const struct md_operator_use *use = &inspection->report.operators[i];
        md_ctl_table_add(&table, MD_CTL_PLAIN, "  %s", use->op_type);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%zu", use->count);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%lld", (long long)use->opset);
        md_ctl_table_add(&table, MD_CTL_DIM, "%s", use->domain);
        if (use->supported)
            md_ctl_table_add(&table, MD_CTL_GREEN, "yes");
        else
            md_ctl_table_add(&table, MD_CTL_RED, "NO%s: node \"%s\" in graph \"%s\"", use->known ? " (other opset)" : "",
                             use->first_node, use->first_graph);
    }
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
}

static void print_model(const struct inspection *inspection, const char *path)
{
    struct md_ctl_context *context = inspection->context;
    const struct md_model *model = inspection->model;
    char text[MD_CTL_TEXT_SIZE];
    md_ctl_print_clean(context->out, path);
    (void)fprintf(context->out, "\n  producer    ");
    md_ctl_print_clean(context->out, model->producer);
    (void)fprintf(context->out, "\n  opset       %s (IR %lld)\n", md_model_report_opsets(inspection->arena, model),
                  (long long)model->ir_version);
    print_values(context, "inputs", model->graph, model->graph->inputs, model->graph->input_count);
    print_values(context, "outputs", model->graph, model->graph->outputs, model->graph->output_count);
    (void)fprintf(context->out, "  parameters  %zu, %s\n  nodes       %zu, in %zu subgraphs too; unsupported: %zu\n",
                  inspection->report.parameter_count,
                  md_ctl_format_bytes(inspection->report.parameter_bytes, text), inspection->report.node_count,
                  inspection->report.subgraph_count, inspection->report.unsupported_nodes);
    print_operators(inspection);
}

static void print_memory(const struct inspection *inspection)
{
    FILE *out = inspection->context->out;
    const struct md_run_memory *memory = &inspection->memory;
    if (!inspection->measured) {
        (void)fprintf(out, "  run         not possible: ");
        md_ctl_print_clean(out, inspection->measure_error);
        (void)fputc('\n', out);
        return;
    }
    double ratio = memory->largest_live > 0 ? (double)memory->arena_bytes / (double)memory->largest_live : 1.0;
    (void)fprintf(out,
                  "  run         arena_bytes=%zu largest_live=%zu ratio=%.3f overflow_bytes=%zu nodes_executed=%zu\n",
                  memory->arena_bytes, memory->largest_live, ratio, memory->overflow_bytes, memory->node_count);
}

static int inspect_file(struct md_ctl_context *context, const struct md_ctl_arguments *arguments, const char *path,
                        struct md_arena *arena)
{
    struct inspection inspection = { .context = context, .arena = arena };
    struct md_trial_dim dims[MAX_DIMS];
    size_t dim_count = 0;
    struct md_error error;
    const char *dims_text = md_ctl_arguments_value(arguments, "dims");
    if (parse_dims(dims_text, dims, &dim_count, &error) != MD_OK)
        return md_ctl_usage(context, "inspect", "%s", error.message);
    enum md_code code = md_model_open(md_process_allocator(), path, &inspection.model, &error);
    if (code == MD_OK)
        code = md_model_report(arena, inspection.model, &inspection.report, &error);
    if (code != MD_OK) {
        (void)fprintf(context->err, "modelctl: %s: ", md_code_name(code));
        md_ctl_print_clean(context->err, error.message);
        (void)fputc('\n', context->err);
        md_model_destroy(inspection.model);
        return MD_CTL_EXIT_REFUSED;
    }
    json_t *object = context->json ? json_of(&inspection) : NULL;
    if (!context->json)
        print_model(&inspection, path);
    if (dims_text != NULL || md_ctl_arguments_has(arguments, "run"))
        measure(&inspection, dims, dim_count);
    md_model_destroy(inspection.model);
    if (object == NULL) {
        if (inspection.measured || inspection.measure_error[0] != '\0')
            print_memory(&inspection);
        return MD_CTL_EXIT_OK;
    }
    if (inspection.measured)
        json_object_set_new(object, "run",
                            json_pack("{s:I, s:I, s:I, s:I}", "arena_bytes", (json_int_t)inspection.memory.arena_bytes,
                                      "largest_live", (json_int_t)inspection.memory.largest_live, "overflow_bytes",
                                      (json_int_t)inspection.memory.overflow_bytes, "nodes_executed",
                                      (json_int_t)inspection.memory.node_count));
    return md_ctl_print_json(context, object);
}

/* ---- of a loaded model ---- */

static void print_loaded(struct md_ctl_context *context, const struct md_client_version *version)
{
    char shape[128];
    (void)fprintf(context->out, "%s:%llu  %s\n", version->model, (unsigned long long)version->version,
                  md_client_state_name(version->state));
    for (size_t i = 0; i < version->input_count; i++)
        (void)fprintf(context->out, "  input            %s %s%s\n", version->inputs[i].name, version->inputs[i].datatype,
                      md_ctl_format_shape(version->inputs[i].shape, version->inputs[i].rank, shape, sizeof shape));
    for (size_t i = 0; i < version->output_count; i++)
        (void)fprintf(context->out, "  output           %s %s%s\n", version->outputs[i].name,
                      version->outputs[i].datatype,
                      md_ctl_format_shape(version->outputs[i].shape, version->outputs[i].rank, shape, sizeof shape));
    for (size_t i = 0; i < version->setting_count; i++) {
        (void)fprintf(context->out, "  %-16s ", version->settings[i].key);
        md_ctl_print_clean(context->out, version->settings[i].value);
        (void)fputc('\n', context->out);
    }
    if (version->setting_count == 0)
        (void)fprintf(context->out, "  not loaded: \"modelctl inspect %s\" reads its files\n", version->path);
}

static int inspect_loaded(struct md_ctl_context *context, const char *operand)
{
    struct md_ctl_model model;
    struct md_error usage;
    struct md_client_error error;
    struct md_client *client;
    struct md_client_versions *versions = NULL;
    if (md_ctl_model_parse(operand, true, &model, &usage) != MD_OK)
        return md_ctl_usage(context, "inspect", "%s", usage.message);
    if (md_client_create(context->server, NULL, &client, &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    if (md_client_get_model(client, model.name, model.number, &context->call, &versions, &error) != MD_CLIENT_OK)
        exit_code = md_ctl_refused(context, &error);
    for (size_t i = 0; versions != NULL && i < versions->count; i++) {
        if (context->json)
            exit_code = md_ctl_print_json(context, md_ctl_json_version(versions->items[i]));
        else
            print_loaded(context, versions->items[i]);
    }
    md_client_versions_destroy(versions);
    md_client_destroy(client);
    return exit_code;
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    const char *path = model_path(&arena, arguments->operands[0]);
    int exit_code = path != NULL ? inspect_file(context, arguments, path, &arena)
                                 : inspect_loaded(context, arguments->operands[0]);
    md_arena_cleanup(&arena);
    return exit_code;
}

static const struct md_ctl_option options[] = {
    { "run", NULL, "also run the model once on made-up inputs, free dimensions being 1, and print its memory" },
    { "dims", "NAME=SIZE,...", "the same with these sizes, by the file's names of the dimensions" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_inspect = {
    .name = "inspect",
    .operands = "FILE|FOLDER|MODEL[:VERSION]",
    .summary = "Prints what a model holds: signature, operators, parameters, what cannot run",
    .help = "A file or folder is read here and needs no server.\n"
            "arena_bytes: memory of one run; largest_live: what a perfect plan would need.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .works_offline = true,
    .run = run,
};
