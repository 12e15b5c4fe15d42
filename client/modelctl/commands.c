/* commands.c - the table of commands, and how a command line becomes a call of one of them. */
#include "command.h"

#include "allocator.h"

#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_server[] = "127.0.0.1:8001";

const struct md_ctl_command *const md_ctl_commands[] = {
    &md_ctl_command_models,  &md_ctl_command_load,   &md_ctl_command_unload, &md_ctl_command_show,
    &md_ctl_command_inspect, &md_ctl_command_predict, &md_ctl_command_events, &md_ctl_command_health,
    &md_ctl_command_top,     &md_ctl_command_bench,  NULL,
};

const struct md_ctl_option md_ctl_global_options[] = {
    { "server", "ADDR",
      "the server, host:port or unix:/path (environment MODELD_SERVER; default 127.0.0.1:8001)" },
    { "timeout", "SECONDS", "give up after so long" },
    { "json", NULL, "print JSON, one object a line" },
    { "help", NULL, "print this and exit" },
    { "version", NULL, "print the version and exit" },
    { NULL, NULL, NULL },
};

static void print_options(FILE *out, const struct md_ctl_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", options->name, options->value_name != NULL ? " " : "",
                       options->value_name != NULL ? options->value_name : "");
        (void)fprintf(out, "  %-22s %s\n", left, options->help);
    }
}

static int print_help(FILE *out)
{
    (void)fputs(
        "usage: modelctl [OPTION]... COMMAND [ARGUMENT]...\n\nTalks to a running modeld.\n\nCommands:\n",
        out);
    for (size_t i = 0; md_ctl_commands[i] != NULL; i++)
        (void)fprintf(out, "  %-9s %s\n", md_ctl_commands[i]->name, md_ctl_commands[i]->summary);
    (void)fputs("\nOptions, before or after the command:\n", out);
    print_options(out, md_ctl_global_options);
    (void)fputs("\nExit code: 0 done, 1 the server refused, 2 usage, 3 no connection or no answer in time.\n"
                "\"modelctl COMMAND --help\" tells more.\n",
                out);
    return MD_CTL_EXIT_OK;
}

static int print_command_help(FILE *out, const struct md_ctl_command *command)
{
    (void)fprintf(out, "usage: modelctl %s [OPTION]... %s\n\n%s.\n", command->name, command->operands,
                  command->summary);
    if (command->help != NULL)
        (void)fprintf(out, "%s\n", command->help);
    (void)fputs("\nOptions:\n", out);
    print_options(out, command->options);
    print_options(out, md_ctl_global_options);
    return MD_CTL_EXIT_OK;
}

int md_ctl_usage(struct md_ctl_context *context, const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("modelctl: ", context->err);
    (void)vfprintf(context->err, format, arguments);
    va_end(arguments);
    (void)fprintf(context->err, "\nTry \"modelctl %s%s--help\".\n", command != NULL ? command : "",
                  command != NULL ? " " : "");
    return MD_CTL_EXIT_USAGE;
}

int md_ctl_refused(struct md_ctl_context *context, const struct md_client_error *error)
{
    bool colours = md_ctl_wants_colour(context->err);
    (void)fprintf(context->err, "modelctl: %s%s%s: ", md_ctl_colour_on(colours, MD_CTL_RED), error->name,
                  md_ctl_colour_off(colours));
    md_ctl_print_clean(context->err, error->message);
    if (error->retry_after_ms != 0)
        (void)fprintf(context->err, " (try again in %u ms)", error->retry_after_ms);
    (void)fputc('\n', context->err);
    if (error->code == MD_CLIENT_DEADLINE_EXCEEDED ||
        (error->code == MD_CLIENT_UNAVAILABLE && !error->from_server))
        return MD_CTL_EXIT_UNREACHABLE;
    return MD_CTL_EXIT_REFUSED;
}

const char *md_ctl_actor(void)
{
    const struct passwd *user = getpwuid(geteuid());
    return user != NULL && user->pw_name[0] != '\0' ? user->pw_name : "modelctl";
}

static enum md_code find_command(const char *name, const struct md_ctl_command **out_command,
                                 struct md_error *error)
{
    const char *names[32];
    size_t count = 0;
    for (; md_ctl_commands[count] != NULL && count < sizeof names / sizeof names[0]; count++) {
        names[count] = md_ctl_commands[count]->name;
        if (strcmp(names[count], name) == 0) {
            *out_command = md_ctl_commands[count];
            return MD_OK;
        }
    }
    const char *nearest = md_ctl_nearest(name, names, count);
    if (nearest != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "unknown command \"%s\"; did you mean \"%s\"?", name,
                       nearest);
    return md_fail(error, MD_INVALID_ARGUMENT, "unknown command \"%s\"", name);
}

static enum md_code check_operands(const struct md_ctl_command *command, size_t count, struct md_error *error)
{
    if (count < command->least_operands)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" needs %s", command->name, command->operands);
    if (count > command->most_operands)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" has %zu arguments, it takes %zu: %s",
                       command->name, count, command->most_operands, command->operands);
    return MD_OK;
}

/* With everything parsed: connects (lazily) and runs. */
static int run_command(struct md_ctl_context *context, const struct md_ctl_command *command,
                       const struct md_ctl_arguments *arguments)
{
    struct md_error usage;
    if (check_operands(command, arguments->operand_count, &usage) != MD_OK)
        return md_ctl_usage(context, command->name, "%s", usage.message);
    context->call.timeout_ms = command->timeout_ms;
    if (md_ctl_arguments_milliseconds(arguments, "timeout", &context->call.timeout_ms, &usage) != MD_OK)
        return md_ctl_usage(context, command->name, "%s", usage.message);
    const char *server = md_ctl_arguments_value(arguments, "server");
    const char *environment = getenv("MODELD_SERVER");
    context->server = server != NULL                                  ? server
                      : environment != NULL && environment[0] != '\0' ? environment
                                                                      : default_server;
    context->json = md_ctl_arguments_has(arguments, "json");
    context->colours = md_ctl_wants_colour(context->out);
    if (command->works_offline)
        return command->run(context, arguments);
    struct md_client_error error;
    if (md_client_create(context->server, NULL, &context->client, &error) != MD_CLIENT_OK)
        return md_ctl_refused(context, &error);
    int exit_code = command->run(context, arguments);
    md_client_destroy(context->client);
    return exit_code;
}

/* Global options, the command's name, then its options and operands. `operands` has room for all words. */
static int parse_and_run(struct md_ctl_context *context, const char *const *argv, size_t count,
                         const char **operands)
{
    struct md_ctl_arguments arguments = { 0 };
    struct md_error error;
    size_t used = 0;
    const struct md_ctl_option *tables[2] = { md_ctl_global_options, NULL };
    if (md_ctl_arguments_parse(&arguments, argv, count, tables, 1, true, operands, &used, &error) != MD_OK)
        return md_ctl_usage(context, NULL, "%s", error.message);
    if (md_ctl_arguments_has(&arguments, "version"))
        return fprintf(context->out, "modelctl %s\n", md_client_library_version()) < 0 ? MD_CTL_EXIT_USAGE
                                                                                       : MD_CTL_EXIT_OK;
    if (used == count && md_ctl_arguments_has(&arguments, "help"))
        return print_help(context->out);
    if (used == count) {
        (void)print_help(context->err);
        return MD_CTL_EXIT_USAGE;
    }
    const struct md_ctl_command *command = NULL;
    if (find_command(argv[used], &command, &error) != MD_OK)
        return md_ctl_usage(context, NULL, "%s", error.message);
    argv += used + 1;
    count -= used + 1;
    tables[1] = command->options;
    if (md_ctl_arguments_parse(&arguments, argv, count, tables, 2, false, operands, &used, &error) != MD_OK)
        return md_ctl_usage(context, command->name, "%s", error.message);
    if (md_ctl_arguments_has(&arguments, "help"))
        return print_command_help(context->out, command);
    return run_command(context, command, &arguments);
}

int md_ctl_run(int argc, const char *const *argv, FILE *out, FILE *err)
{
    struct md_ctl_context context = { .out = out, .err = err };
    size_t count = argc > 0 ? (size_t)argc - 1 : 0;
    const char **operands = md_allocate_zeroed(md_process_allocator(), count + 1, sizeof *operands);
    if (operands == NULL) {
        (void)fputs("modelctl: out of memory\n", err);
        return MD_CTL_EXIT_USAGE;
    }
    int exit_code = parse_and_run(&context, argv + 1, count, operands);
    md_release(md_process_allocator(), operands);
    if (fflush(out) != 0 && exit_code == MD_CTL_EXIT_OK) {
        (void)fputs("modelctl: cannot write the output\n", err);
        return MD_CTL_EXIT_USAGE;
    }
    return exit_code;
}
