/* load.c - `modelctl load`. */
#include "command.h"

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct md_ctl_model model;
    struct md_error usage;
    if (md_ctl_model_parse(arguments->operands[0], true, &model, &usage) != MD_OK)
        return md_ctl_usage(context, "load", "%s", usage.message);
    const struct md_client_load_options load_options = { .precision = md_ctl_arguments_value(arguments, "precision") };
    const char *actor = md_ctl_arguments_value(arguments, "actor");
    struct md_client_versions *versions = NULL;
    struct md_client_error error;
    if (md_client_load_model(context->client, model.name, model.number,
                             actor != NULL ? actor : md_ctl_actor(), &load_options, &context->call, &versions,
                             &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < versions->count && exit_code == MD_CTL_EXIT_OK; i++) {
        const struct md_client_version *version = versions->items[i];
        char duration[MD_CTL_TEXT_SIZE], memory[MD_CTL_TEXT_SIZE], precision[MD_CTL_TEXT_SIZE];
        const char *state = md_client_state_name(version->state);
        if (context->json) {
            json_t *line = md_ctl_json_version(version);
            (void)json_object_set_new(line, "load_us", json_integer((json_int_t)versions->load_us));
            exit_code = md_ctl_print_json(context, line);
            continue;
        }
        (void)fprintf(context->out, "%s:%llu is %s%s%s  (%s, %s, %s of memory, loaded in %s)\n", version->model,
                      (unsigned long long)version->version,
                      md_ctl_colour_on(context->colours, md_ctl_state_colour(state)), state,
                      md_ctl_colour_off(context->colours), version->task,
                      md_ctl_format_precision(version->precision, version->precision_difference, precision),
                      md_ctl_format_bytes(version->memory_bytes, memory),
                      md_ctl_format_duration(versions->load_us, duration));
    }
    md_client_versions_destroy(versions);
    return exit_code;
}

static const struct md_ctl_option options[] = {
    { "actor", "NAME", "who asks, for the audit trail (default: the login name)" },
    { "precision", "NAME", "fp32, bf16 or int8 (default: what the model's model.json says, else fp32)" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_load = {
    .name = "load",
    .operands = "MODEL[:VERSION]",
    .summary = "Loads a version from the server's repository and waits until it is ready",
    .help = "Without VERSION: the highest one. A load that fails leaves what is serving as it is. A precision other than\n"
            "fp32 is compared with fp32 during the load, which fails when the outputs differ too much.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .timeout_ms = 300000,
    .run = run,
};
