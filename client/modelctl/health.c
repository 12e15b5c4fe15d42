/* health.c - `modelctl health`: the standard gRPC health check, or a wait for SERVING. */
#include "command.h"

static int report(struct md_ctl_context *context, const char *service, enum md_client_health health)
{
    const char *name = md_client_health_name(health);
    int exit_code = health == MD_CLIENT_HEALTH_SERVING ? MD_CTL_EXIT_OK : MD_CTL_EXIT_REFUSED;
    if (context->json) {
        int printed = md_ctl_print_json(
            context, json_pack("{s:o, s:s}", "service", md_ctl_json_string(service), "status", name));
        return printed != MD_CTL_EXIT_OK ? printed : exit_code;
    }
    (void)fprintf(context->out, "%s%s%s\n", md_ctl_colour_on(context->colours, md_ctl_state_colour(name)),
                  name, md_ctl_colour_off(context->colours));
    return exit_code;
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    const char *service = arguments->operand_count > 0 ? arguments->operands[0] : "";
    struct md_error usage;
    uint32_t wait_ms = 0;
    if (md_ctl_arguments_milliseconds(arguments, "wait", &wait_ms, &usage) != MD_OK)
        return md_ctl_usage(context, "health", "%s", usage.message);
    struct md_client_error error;
    enum md_client_health health = MD_CLIENT_HEALTH_SERVING;
    enum md_client_code code;
    if (wait_ms > 0) {
        context->call.timeout_ms = wait_ms;
        code = md_client_wait_until_serving(context->client, service, &context->call, &error);
    } else {
        code = md_client_health_check(context->client, service, &context->call, &health, &error);
    }
    return code == MD_CLIENT_OK ? report(context, service, health) : md_ctl_refused(context, &error);
}

static const struct md_ctl_option options[] = {
    { "wait", "SECONDS", "wait until it is SERVING, also for a server that is not up yet" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_health = {
    .name = "health",
    .operands = "[SERVICE]",
    .summary = "Asks whether the server, a service or a model is serving",
    .help = "SERVICE: nothing for the server, a gRPC service, \"MODEL\" or \"MODEL/VERSION\".\n"
            "Exit code 0 means SERVING.",
    .options = options,
    .most_operands = 1,
    .run = run,
};
