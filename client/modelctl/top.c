/* top.c - `modelctl top`: what the models do now, refreshed. Rates are differences of the registry's counters. */
#include "command.h"

#include "clock.h"

#include <string.h>
#include <time.h>

enum { INTERVAL_MS = 2000 };

/* One reading of the counters. */
struct reading {
    struct md_client_versions *versions; /* owned; NULL: none yet */
    int64_t at_us;
};

static const struct md_client_version *find_version(const struct reading *reading,
                                                    const struct md_client_version *like)
{
    for (size_t i = 0; reading->versions != NULL && i < reading->versions->count; i++) {
        const struct md_client_version *version = reading->versions->items[i];
        if (version->version == like->version && strcmp(version->model, like->model) == 0)
            return version;
    }
    return NULL;
}

/* A second's increase; negative: not known. A counter that went back belongs to another life of the registry. */
static double rate(uint64_t before, uint64_t now, const struct reading *earlier, const struct reading *latest)
{
    int64_t us = latest->at_us - earlier->at_us;
    return us > 0 && now >= before ? (double)(now - before) * 1e6 / (double)us : -1.0;
}

static void add_rate(struct md_ctl_table *table, double value)
{
    if (value < 0.0)
        md_ctl_table_add(table, MD_CTL_DIM, "-");
    else
        md_ctl_table_add(table, MD_CTL_PLAIN, "%.1f", value);
}

static void add_row(struct md_ctl_table *table, const struct reading *earlier, const struct reading *latest,
                    const struct md_client_version *version)
{
    const struct md_client_version *before = find_version(earlier, version);
    const char *state = md_client_state_name(version->state);
    char text[MD_CTL_TEXT_SIZE];
    md_ctl_table_add(table, MD_CTL_BOLD, "%s", version->model);
    md_ctl_table_add(table, MD_CTL_PLAIN, "%llu", (unsigned long long)version->version);
    md_ctl_table_add(table, md_ctl_state_colour(state), "%s", state);
    add_rate(table, before == NULL ? -1.0 : rate(before->request_count, version->request_count, earlier, latest));
    add_rate(table, before == NULL ? -1.0 : rate(before->error_count, version->error_count, earlier, latest));
    for (int i = 0; i < 4; i++) /* p50, p99, queue, batch: this server does not tell them */
        md_ctl_table_add(table, MD_CTL_DIM, "-");
    md_ctl_table_add(table, MD_CTL_PLAIN, "%s", md_ctl_format_bytes(version->memory_bytes, text));
}

static bool is_shown(const struct md_client_version *version)
{
    return version->state != MD_CLIENT_STATE_UNLOADED;
}

static void print_table(struct md_ctl_context *context, const struct reading *earlier, const struct reading *latest)
{
    static const char *const titles[] = { "MODEL", "VERSION", "STATE", "RATE/S", "ERRORS/S",
                                          "P50",   "P99",     "QUEUE", "BATCH",  "MEMORY" };
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 10, 1u << 1 | 0x3f8u);
    for (size_t i = 0; i < latest->versions->count; i++)
        if (is_shown(latest->versions->items[i]))
            add_row(&table, earlier, latest, latest->versions->items[i]);
    if (context->colours)
        (void)fputs("\033[H\033[J", context->out);
    md_ctl_table_print(&table, context->out, context->colours);
    md_ctl_table_cleanup(&table);
}

static int print_json(struct md_ctl_context *context, const struct reading *earlier, const struct reading *latest)
{
    int exit_code = MD_CTL_EXIT_OK;
    for (size_t i = 0; i < latest->versions->count && exit_code == MD_CTL_EXIT_OK; i++) {
        const struct md_client_version *version = latest->versions->items[i], *before = find_version(earlier, version);
        if (!is_shown(version))
            continue;
        double requests = before != NULL ? rate(before->request_count, version->request_count, earlier, latest) : -1.0;
        double errors = before != NULL ? rate(before->error_count, version->error_count, earlier, latest) : -1.0;
        exit_code = md_ctl_print_json(
            context, json_pack("{s:o, s:I, s:s, s:o, s:o, s:I}", "model", md_ctl_json_string(version->model), "version",
                               (json_int_t)version->version, "state", md_client_state_name(version->state),
                               "requests_per_second", requests < 0.0 ? json_null() : json_real(requests),
                               "errors_per_second", errors < 0.0 ? json_null() : json_real(errors), "memory_bytes",
                               (json_int_t)version->memory_bytes));
    }
    return exit_code;
}

static void pause_ms(uint32_t ms)
{
    struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    (void)nanosleep(&pause, NULL); /* cut short: an earlier table */
}

static int run(struct md_ctl_context *context, const struct md_ctl_arguments *arguments)
{
    struct reading earlier = { 0 }, latest = { 0 };
    uint32_t interval_ms = INTERVAL_MS;
    uint64_t count = 0;
    struct md_error usage;
    struct md_client_error error;
    int exit_code = MD_CTL_EXIT_OK;
    if (md_ctl_arguments_milliseconds(arguments, "interval", &interval_ms, &usage) != MD_OK ||
        md_ctl_arguments_number(arguments, "count", 1, UINT32_MAX, &count, &usage) != MD_OK)
        return md_ctl_usage(context, "top", "%s", usage.message);
    for (uint64_t i = 0; exit_code == MD_CTL_EXIT_OK && (count == 0 || i < count); i++) {
        if (i > 0)
            pause_ms(interval_ms);
        latest = (struct reading){ .at_us = md_clock_us() };
        if (md_client_list_models(context->client, &context->call, &latest.versions, &error) != MD_CLIENT_OK) {
            exit_code = md_ctl_refused(context, &error);
            break;
        }
        if (context->json)
            exit_code = print_json(context, &earlier, &latest);
        else
            print_table(context, &earlier, &latest);
        (void)fflush(context->out); /* the end of the command tells of failures */
        md_client_versions_destroy(earlier.versions);
        earlier = latest;
    }
    md_client_versions_destroy(earlier.versions);
    return exit_code;
}

static const struct md_ctl_option options[] = {
    { "interval", "SECONDS", "between two tables (default 2)" },
    { "count", "N", "tables to print (default: until it is interrupted)" },
    { NULL, NULL, NULL },
};

const struct md_ctl_command md_ctl_command_top = {
    .name = "top",
    .operands = "",
    .summary = "Shows what the models do now, refreshed",
    .help = "Rates are those since the table before; \"-\": not known, or not told by this server.",
    .options = options,
    .run = run,
};
