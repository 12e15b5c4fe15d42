/* unload.c - `modelctl unload`. */
#include "command.h"

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_ctl_model model;
    struct md_error usage;
    if (md_ctl_model_parse(arguments->operands[0], true, &model, &usage) != MD_OK)
        return md_ctl_usage(context, "unload", "%s", usage.message);
    const char *actor = md_ctl_arguments_value(arguments, "actor");
    struct md_client_versions *versions = NULL;
    struct md_client_error error;
    if (md_client_unload_model(context->client, model.name, model.number,
                               actor != NULL ? actor : md_ctl_actor(), &context->call, &versions,
                               &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < versions->count && exit_code == MD_CTL_EXIT_OK; i++) {
        const struct md_client_version *version = versions->items[i];
        if (context->json)
            exit_code = md_ctl_print_json(context, md_ctl_json_version(version));
        else
            (void)fprintf(context->out, "%s:%llu is %s\n", version->model,
                          (unsigned long long)version->version, md_client_state_name(version->state));
    }
    md_client_versions_destroy(versions);
    return exit_code;
}

static const struct md_ctl_option options[] = {
    { "actor", "NAME", "who asks, for the audit trail (default: the login name)" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_unload = {
    .name = "unload",
    .operands = "MODEL[:VERSION]",
    .summary = "Stops serving a version and gives its memory back",
    .help = "Without VERSION: every loaded version. Requests in flight finish first.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .timeout_ms = 300000,
    .run = run,
};
