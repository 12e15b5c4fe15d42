/* events.c - `modelctl events`: the audit trail. */
#include "command.h"

static json_t *event_json(const struct md_client_event *event)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:o, s:o}", "id", (json_int_t)event->id, "at_us",
                     (json_int_t)event->at_us, "actor", md_ctl_json_string(event->actor), "action",
                     md_ctl_json_string(event->action), "model", md_ctl_json_string(event->model), "version",
                     (json_int_t)event->version, "code", md_ctl_json_string(event->code), "message",
                     md_ctl_json_string(event->message));
}

static void print_table(struct md_ctl_context *context, const struct md_client_events *events)
{
    static const char *const titles[] = { "ID",    "WHEN",    "WHO",    "ACTION",
                                          "MODEL", "VERSION", "RESULT", "MESSAGE" };
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 8, 1u << 0 | 1u << 5);
    for (size_t i = 0; i < events->count; i++) {
        const struct md_client_event *event = &events->items[i];
        char when[MD_CTL_TEXT_SIZE];
        enum md_ctl_colour failed = MD_CTL_RED;
        enum md_ctl_colour known = md_ctl_state_colour(event->code);
        md_ctl_table_add(&table, MD_CTL_DIM, "%lld", (long long)event->id);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", md_ctl_format_time(event->at_us, when));
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", event->actor);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", event->action);
        md_ctl_table_add(&table, MD_CTL_BOLD, "%s", event->model);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%llu", (unsigned long long)event->version);
        md_ctl_table_add(&table, known == MD_CTL_GREEN ? known : failed, "%s", event->code);
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", event->message);
    }
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    uint64_t limit = 20;
    struct md_error usage;
    if (md_ctl_arguments_number(arguments, "limit", 1, 10000, &limit, &usage) != MD_OK)
        return md_ctl_usage(context, "events", "%s", usage.message);
    struct md_client_events *events = NULL;
    struct md_client_error error;
    const char *model = arguments->operand_count > 0 ? arguments->operands[0] : NULL;
    if (md_client_list_events(context->client, model, (uint32_t)limit, &context->call, &events, &error) !=
        MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = MD_CTL_EXIT_OK;
    if (context->json)
        for (size_t i = 0; i < events->count && exit_code == MD_CTL_EXIT_OK; i++)
            exit_code = md_ctl_print_json(context, event_json(&events->items[i]));
    else if (events->count == 0)
        (void)fprintf(context->out, "No events%s%s.\n", model != NULL ? " of " : "",
                      model != NULL ? model : "");
    else
        print_table(context, events);
    md_client_events_destroy(events);
    return exit_code;
}

static const struct md_ctl_option options[] = {
    { "limit", "N", "at most so many, newest first (default 20)" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_events = {
    .name = "events",
    .operands = "[MODEL]",
    .summary = "Shows who loaded and unloaded what, when, and how it went",
    .options = options,
    .most_operands = 1,
    .run = run,
};
