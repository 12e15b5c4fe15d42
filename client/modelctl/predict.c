/* predict.c - `modelctl predict`: texts from the command line, a file or standard input.
 * Lines are sent in batches, so a file of any length is read in constant memory. */
#include "predict.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 32, BAR_COLUMNS = 20 };

struct batch {
    char *texts[BATCH]; /* owned by the batch when they were read (free: getline's) */
    size_t count;
    struct md_client_predict_options options;
    const struct md_ctl_model *model;
};

json_t *md_ctl_json_timings(const struct md_client_prediction *prediction)
{
    const struct md_client_timings *timings = &prediction->timings;
    return json_pack("{s:I, s:I, s:I, s:I, s:I}", "queue_us", (json_int_t)timings->queue_us, "tokenize_us",
                     (json_int_t)timings->tokenize_us, "compute_us", (json_int_t)timings->compute_us,
                     "total_us", (json_int_t)timings->total_us, "round_trip_us",
                     (json_int_t)prediction->round_trip_us);
}

void md_ctl_print_timings(struct md_ctl_context *context, const struct md_client_prediction *prediction)
{
    const struct md_client_timings *timings = &prediction->timings;
    char queue[MD_CTL_TEXT_SIZE], tokenize[MD_CTL_TEXT_SIZE], compute[MD_CTL_TEXT_SIZE],
        total[MD_CTL_TEXT_SIZE], round_trip[MD_CTL_TEXT_SIZE];
    (void)fprintf(context->out,
                  "%smodel %s  version %llu  tokens %llu  queue %s  tokenize %s  compute %s  total %s  round "
                  "trip %s%s\n",
                  md_ctl_colour_on(context->colours, MD_CTL_DIM), prediction->model,
                  (unsigned long long)prediction->version, (unsigned long long)prediction->token_count,
                  md_ctl_format_duration(timings->queue_us, queue),
                  md_ctl_format_duration(timings->tokenize_us, tokenize),
                  md_ctl_format_duration(timings->compute_us, compute),
                  md_ctl_format_duration(timings->total_us, total),
                  md_ctl_format_duration(prediction->round_trip_us, round_trip),
                  md_ctl_colour_off(context->colours));
}

static int print_json(struct md_ctl_context *context, const struct batch *batch,
                      const struct md_client_prediction *prediction)
{
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < prediction->classification_count && exit_code == MD_CTL_EXIT_OK; i++) {
        const struct md_client_classification *one = &prediction->classifications[i];
        json_t *classes = json_array();
        for (size_t c = 0; c < one->class_count; c++)
            (void)json_array_append_new(classes, json_pack("{s:o, s:f, s:i}", "label",
                                                           md_ctl_json_string(one->classes[c].label), "score",
                                                           (double)one->classes[c].score, "index",
                                                           (int)one->classes[c].index));
        json_t *line =
            json_pack("{s:o, s:o, s:I, s:o, s:I, s:b, s:o}", "text",
                      md_ctl_json_string(i < batch->count ? batch->texts[i] : ""), "model",
                      md_ctl_json_string(prediction->model), "version", (json_int_t)prediction->version,
                      "classes", classes, "token_count", (json_int_t)one->token_count, "truncated",
                      one->truncated, "timings", md_ctl_json_timings(prediction));
        exit_code = md_ctl_print_json(context, line);
    }
    return exit_code;
}

/* One text: all its classes. Many: the best class of each, unless --top-k asks for more. */
static void add_classes(struct md_ctl_table *table, const struct batch *batch, size_t index,
                        const struct md_client_classification *one, bool many, bool bars)
{
    size_t shown = many && batch->options.top_k == 0 && one->class_count > 0 ? 1 : one->class_count;
    for (size_t c = 0; c < shown; c++) {
        char bar[3 * BAR_COLUMNS + 4];
        md_ctl_table_add(table, c == 0 ? MD_CTL_BOLD : MD_CTL_PLAIN, "%s", one->classes[c].label);
        md_ctl_table_add(table, MD_CTL_PLAIN, "%.4f", (double)one->classes[c].score);
        if (bars)
            md_ctl_table_add(table, MD_CTL_GREEN, "%s",
                             md_ctl_format_bar((double)one->classes[c].score, BAR_COLUMNS, bar));
        if (many)
            md_ctl_table_add(table, MD_CTL_PLAIN, "%s%s",
                             c == 0 && index < batch->count ? batch->texts[index] : "",
                             one->truncated && c == 0 ? "  (cut)" : "");
    }
}

static void print_classes(struct md_ctl_context *context, const struct batch *batch,
                          const struct md_client_prediction *prediction)
{
    bool many = prediction->classification_count > 1, bars = context->colours;
    const char *titles[4] = { "LABEL", "SCORE" };
    size_t columns = 2;
    if (bars)
        titles[columns++] = "";
    if (many)
        titles[columns++] = "TEXT";
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, columns, 1u << 1);
    for (size_t i = 0; i < prediction->classification_count; i++)
        add_classes(&table, batch, i, &prediction->classifications[i], many, bars);
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
    if (!many && prediction->classification_count == 1 && prediction->classifications[0].truncated)
        (void)fputs("The text is longer than the model allows and was cut (--refuse-long refuses it).\n",
                    context->out);
}

static int send_batch(struct md_ctl_context *context, const struct batch *batch)
{
    struct md_client_prediction *prediction = NULL;
    struct md_client_error error;
    if (md_client_predict_texts(context->client, batch->model->name, batch->model->version,
                                (const char *const *)batch->texts, batch->count, &batch->options,
                                &context->call, &prediction, &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    if (context->json) {
        exit_code = print_json(context, batch, prediction);
    } else {
        print_classes(context, batch, prediction);
        md_ctl_print_timings(context, prediction);
    }
    md_client_prediction_destroy(prediction);
    return exit_code;
}

static int predict_operands(struct md_ctl_context *context, const struct md_ctl_arguments *arguments,
                            struct batch *batch)
{
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 1; i < arguments->operand_count && exit_code == MD_CTL_EXIT_OK; i += batch->count) {
        for (batch->count = 0; batch->count < BATCH && i + batch->count < arguments->operand_count;
             batch->count++)
            batch->texts[batch->count] = (char *)(uintptr_t)arguments->operands[i + batch->count];
        exit_code = send_batch(context, batch);
    }
    return exit_code;
}

/* Fills the batch with the next lines that are not empty. False: there was none. */
static bool read_batch(FILE *file, struct batch *batch)
{
    batch->count = 0;
    while (batch->count < BATCH) {
        char *line = NULL;
        size_t room = 0;
        ssize_t size = getline(&line, &room, file);
        while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
            line[--size] = '\0';
        if (size > 0) {
            batch->texts[batch->count++] = line;
            continue;
        }
        free(line);
        if (size < 0)
            break;
    }
    return batch->count > 0;
}

static int predict_lines(struct md_ctl_context *context, FILE *file, struct batch *batch)
{
    int exit_code = MD_CTL_EXIT_OK;
    bool any = false;
    while (exit_code == MD_CTL_EXIT_OK && read_batch(file, batch)) {
        any = true;
        exit_code = send_batch(context, batch);
        for (size_t i = 0; i < batch->count; i++)
            free(batch->texts[i]);
    }
    if (!any) {
        return md_ctl_usage(context, "predict",
                            "no text: give TEXT, --file FILE, or lines on standard input");
    }
    return exit_code;
}

static int predict_texts(struct md_ctl_context *context, const struct md_ctl_arguments *arguments,
                         struct batch *batch)
{
    const char *path = md_ctl_arguments_value(arguments, "file");
    bool dash = arguments->operand_count == 2 && strcmp(arguments->operands[1], "-") == 0;
    bool texts = arguments->operand_count > 1 && !dash;
    if (texts && path == NULL)
        return predict_operands(context, arguments, batch);
    if (texts || (dash && path != NULL)) {
        return md_ctl_usage(context, "predict", "give TEXT or --file FILE, not both");
    }
    bool standard_input = path == NULL || strcmp(path, "-") == 0;
    if (standard_input && !dash && path == NULL && isatty(STDIN_FILENO)) {
        return md_ctl_usage(context, "predict", "no text: give TEXT, --file FILE, or \"-\" to type lines");
    }
    FILE *file = standard_input ? stdin : fopen(path, "re");
    if (file == NULL) {
        return md_ctl_usage(context, "predict", "cannot open \"%s\"", path);
    }
    int exit_code = predict_lines(context, file, batch);
    if (!standard_input)
        (void)fclose(file); /* only read */
    return exit_code;
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_ctl_model model;
    struct md_error usage;
    uint64_t top_k = 0;
    if (md_ctl_model_parse(arguments->operands[0], false, &model, &usage) != MD_OK ||
        md_ctl_arguments_number(arguments, "top-k", 1, 100000, &top_k, &usage) != MD_OK)
        return md_ctl_usage(context, "predict", "%s", usage.message);
    if (!md_ctl_arguments_has(arguments, "input")) {
        struct batch batch = { .model = &model };
        batch.options.top_k = (uint32_t)top_k;
        batch.options.refuse_long_texts = md_ctl_arguments_has(arguments, "refuse-long");
        return predict_texts(context, arguments, &batch);
    }
    if (arguments->operand_count > 1 || md_ctl_arguments_has(arguments, "file")) {
        return md_ctl_usage(context, "predict", "give texts or --input, not both");
    }
    return md_ctl_predict_tensors(context, arguments, &model);
}

static const struct md_ctl_option options[] = {
    { "file", "FILE", "one text a line; empty lines are left out; \"-\" is standard input" },
    { "top-k", "N", "classes for each text, best first" },
    { "refuse-long", NULL, "refuse a text that is too long instead of cutting it" },
    { "input", "TENSOR", "a tensor instead of texts, may be repeated: name=DTYPE[2,3]:1,2,3,4,5,6" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_predict = {
    .name = "predict",
    .operands = "MODEL[:VERSION] [TEXT...]",
    .summary = "Runs a model on texts or tensors and prints its answer",
    .help = "Without TEXT and --file: lines of standard input. Without VERSION: the highest that is ready.",
    .options = options,
    .least_operands = 1,
    .most_operands = SIZE_MAX,
    .run = run,
};
