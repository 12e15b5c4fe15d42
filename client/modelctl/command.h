/* command.h - what a command of modelctl is: a row of the table in commands.c and a file of its own.
 * Adding one: write its file with its `const struct md_ctl_command md_ctl_command_NAME`, name it in
 * commands.c. */
#ifndef MD_CTL_COMMAND_H
#define MD_CTL_COMMAND_H

#include "arguments.h"
#include "modeld/client.h"
#include "output.h"

#include <jansson.h>

/* Exit codes are part of the interface. */
enum md_ctl_exit {
    MD_CTL_EXIT_OK = 0,
    MD_CTL_EXIT_REFUSED = 1,    /* the server said no */
    MD_CTL_EXIT_USAGE = 2,      /* the command line, or a file it names */
    MD_CTL_EXIT_UNREACHABLE = 3 /* no connection, or the deadline passed */
};

struct md_ctl_context {
    struct md_client *client; /* NULL for a command that works on files only */
    const char *server;
    struct md_client_call_options call;
    bool json;
    bool colours; /* of stdout */
    FILE *out;
    FILE *err;
};

struct md_ctl_command {
    const char *name;
    const char *operands; /* "MODEL[:VERSION]", for the usage line */
    const char *summary;  /* one line */
    const char *help;     /* more lines, or NULL */
    const struct md_ctl_option *options;
    size_t least_operands, most_operands;
    uint32_t timeout_ms; /* without --timeout; 0: the client library's default */
    bool works_offline;  /* needs no server */
    /* Returns the exit code; has printed its own error. */
    int (*run)(struct md_ctl_context *context, const struct md_ctl_arguments *arguments);
};

extern const struct md_ctl_command *const md_ctl_commands[]; /* ends with NULL */
extern const struct md_ctl_option md_ctl_global_options[];

extern const struct md_ctl_command md_ctl_command_bench;
extern const struct md_ctl_command md_ctl_command_events;
extern const struct md_ctl_command md_ctl_command_health;
extern const struct md_ctl_command md_ctl_command_inspect;
extern const struct md_ctl_command md_ctl_command_load;
extern const struct md_ctl_command md_ctl_command_models;
extern const struct md_ctl_command md_ctl_command_predict;
extern const struct md_ctl_command md_ctl_command_show;
extern const struct md_ctl_command md_ctl_command_top;
extern const struct md_ctl_command md_ctl_command_unload;

/* Runs a whole command line and returns the exit code. */
int md_ctl_run(int argc, const char *const *argv, FILE *out, FILE *err);

/* "modelctl: NOT_FOUND: message"; returns the exit code that belongs to the error. */
int md_ctl_refused(struct md_ctl_context *context, const struct md_client_error *error);
/* "modelctl: message", and where help is. Returns MD_CTL_EXIT_USAGE. */
int md_ctl_usage(struct md_ctl_context *context, const char *command, const char *format, ...)
    MD_PRINTF(3, 4);

/* Who asks, for the audit trail: the login name, "modelctl" when there is none. */
const char *md_ctl_actor(void);

/* One line of JSON; takes the reference. A NULL line (no memory) is a usage error of its own. */
int md_ctl_print_json(struct md_ctl_context *context, json_t *line);
/* A string for JSON, also when the server sent what is not UTF-8. */
json_t *md_ctl_json_string(const char *text);
json_t *md_ctl_json_version(const struct md_client_version *version);

#endif
