/* models.c - `modelctl models`: what the registry knows. */
#include "command.h"

static int print_table(struct md_ctl_context *context, const struct md_client_versions *versions)
{
    static const char *const titles[] = { "MODEL",  "VERSION",  "STATE",  "TASK",   "PRECISION",
                                          "SIZE",   "MEMORY",   "REQUESTS", "ERRORS", "LOADED" };
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 10, 1u << 1 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8);
    for (size_t i = 0; i < versions->count; i++) {
        const struct md_client_version *version = versions->items[i];
        const char *state = md_client_state_name(version->state);
        char text[MD_CTL_TEXT_SIZE];
        md_ctl_table_add(&table, MD_CTL_BOLD, "%s", version->model);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%llu", (unsigned long long)version->version);
        md_ctl_table_add(&table, md_ctl_state_colour(state), "%s", state);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", version->task);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s",
                         md_ctl_format_precision(version->precision, version->precision_difference, text));
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", md_ctl_format_bytes(version->size_bytes, text));
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", md_ctl_format_bytes(version->memory_bytes, text));
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%llu", (unsigned long long)version->request_count);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%llu", (unsigned long long)version->error_count);
        md_ctl_table_add(&table, MD_CTL_DIM, "%s", md_ctl_format_time(version->loaded_at_us, text));
    }
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
    for (size_t i = 0; i < versions->count; i++) {
        if (versions->items[i]->state != MD_CLIENT_STATE_FAILED)
            continue;
        (void)fprintf(context->out, "%s:%llu failed: ", versions->items[i]->model,
                      (unsigned long long)versions->items[i]->version);
        md_ctl_print_clean(context->out, versions->items[i]->reason);
        (void)fputc('\n', context->out);
    }
    return MD_CTL_EXIT_OK;
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    (void)arguments;
    struct md_client_versions *versions = NULL;
    struct md_client_error error;
    if (md_client_list_models(context->client, &context->call, &versions, &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    if (context->json)
        for (size_t i = 0; i < versions->count && exit_code == MD_CTL_EXIT_OK; i++)
            exit_code = md_ctl_print_json(context, md_ctl_json_version(versions->items[i]));
    else if (versions->count == 0)
        (void)fprintf(context->out, "No models yet. Load one: modelctl load MODEL\n");
    else
        exit_code = print_table(context, versions);
    md_client_versions_destroy(versions);
    return exit_code;
}

const struct md_ctl_command md_ctl_command_models = {
    .name = "models",
    .operands = "",
    .summary = "Lists the models of the registry, loaded or not",
    .run = run,
};
