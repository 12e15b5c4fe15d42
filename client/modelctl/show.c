/* show.c - `modelctl show`: state, signature and effective configuration of a model. */
#include "command.h"

static void print_field(struct md_ctl_context *context, const char *name, const char *value)
{
    if (value[0] == '\0')
        return;
    (void)fprintf(context->out, "  %-10s ", name);
    md_ctl_print_clean(context->out, value);
    (void)fputc('\n', context->out);
}

static void print_signatures(struct md_ctl_context *context, const char *title,
                             const struct md_client_signature *signatures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char shape[128], text[512];
        (void)snprintf(text, sizeof text, "%s %s%s", signatures[i].name, signatures[i].datatype,
                       md_ctl_format_shape(signatures[i].shape, signatures[i].rank, shape, sizeof shape));
        print_field(context, i == 0 ? title : "", text);
    }
}

static void print_settings(struct md_ctl_context *context, const struct md_client_version *version)
{
    static const char *const titles[] = { "  SETTING", "VALUE", "FROM" };
    if (version->setting_count == 0)
        return;
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 3, 0);
    for (size_t i = 0; i < version->setting_count; i++) {
        md_ctl_table_add(&table, MD_CTL_PLAIN, "  %s", version->settings[i].key);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", version->settings[i].value);
        md_ctl_table_add(&table, MD_CTL_DIM, "%s", version->settings[i].source);
    }
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
}

static void print_version(struct md_ctl_context *context, const struct md_client_version *version)
{
    const char *state = md_client_state_name(version->state);
    char text[MD_CTL_TEXT_SIZE], counts[96];
    (void)fprintf(context->out, "%s:%llu  %s%s%s\n", version->model, (unsigned long long)version->version,
                  md_ctl_colour_on(context->colours, md_ctl_state_colour(state)), state,
                  md_ctl_colour_off(context->colours));
    print_field(context, "reason", version->reason);
    print_field(context, "task", version->task);
    print_field(context, "precision",
                md_ctl_format_precision(version->precision, version->precision_difference, text));
    print_field(context, "path", version->path);
    print_field(context, "sha256", version->sha256);
    print_field(context, "size", md_ctl_format_bytes(version->size_bytes, text));
    print_field(context, "memory", md_ctl_format_bytes(version->memory_bytes, text));
    print_field(context, "loaded", md_ctl_format_time(version->loaded_at_us, text));
    (void)snprintf(counts, sizeof counts, "%llu, %llu failed", (unsigned long long)version->request_count,
                   (unsigned long long)version->error_count);
    print_field(context, "requests", counts);
    print_signatures(context, "inputs", version->inputs, version->input_count);
    print_signatures(context, "outputs", version->outputs, version->output_count);
    print_settings(context, version);
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_ctl_model model;
    struct md_error usage;
    if (md_ctl_model_parse(arguments->operands[0], true, &model, &usage) != MD_OK)
        return md_ctl_usage(context, "show", "%s", usage.message);
    struct md_client_versions *versions = NULL;
    struct md_client_error error;
    if (md_client_get_model(context->client, model.name, model.number, &context->call, &versions, &error) !=
        MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < versions->count && exit_code == MD_CTL_EXIT_OK; i++) {
        if (context->json) {
            exit_code = md_ctl_print_json(context, md_ctl_json_version(versions->items[i]));
            continue;
        }
        if (i > 0)
            (void)fputc('\n', context->out);
        print_version(context, versions->items[i]);
    }
    md_client_versions_destroy(versions);
    return exit_code;
}

const struct md_ctl_command md_ctl_command_show = {
    .name = "show",
    .operands = "MODEL[:VERSION]",
    .summary = "Shows a model: state, signature, effective configuration",
    .help = "Without VERSION: every version. The configuration says for each setting where it came from.",
    .least_operands = 1,
    .most_operands = 1,
    .run = run,
};
