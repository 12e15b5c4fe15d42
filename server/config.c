/* config.c - see config.h. The table comes first; flags, environment and file all end in set_option. */
#include "config.h"

#include "allocator.h"
#include "file.h"
#include "thread_pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum option_type { OPTION_TEXT, OPTION_NUMBER, OPTION_BYTES, OPTION_BOOL, OPTION_CHOICE };

struct option {
    const char *name;
    enum option_type type;
    size_t offset;        /* of the field in struct md_config: const char *, uint64_t or bool */
    const char *fallback; /* the default, as text */
    uint64_t min, max;    /* numbers and bytes */
    const char *choices;  /* "text|json": the value is the position */
    const char *help;
};

#define FIELD(name) offsetof(struct md_config, name)
#define KIB         ((uint64_t)1024)
#define MIB         (1024 * KIB)
#define GIB         (1024 * MIB)

static const struct option options[] = {
    { "config", OPTION_TEXT, FIELD(file), "", 0, 0, NULL, "file of `name = value` lines" },
    { "listen", OPTION_TEXT, FIELD(listen), "127.0.0.1:8001", 0, 0, NULL,
      "address of the gRPC port: HOST:PORT, [IPV6]:PORT or unix:PATH; port 0: any free one" },
    { "port-file", OPTION_TEXT, FIELD(port_file), "", 0, 0, NULL,
      "file that gets the bound port once it is open (0 for a unix socket)" },
    { "tls-certificate", OPTION_TEXT, FIELD(tls_certificate), "", 0, 0, NULL,
      "PEM file with the certificate chain of the gRPC port; goes with tls-key" },
    { "tls-key", OPTION_TEXT, FIELD(tls_key), "", 0, 0, NULL, "PEM file with its private key" },
    { "tls-client-ca", OPTION_TEXT, FIELD(tls_client_ca), "", 0, 0, NULL,
      "PEM file; clients must show a certificate that it has signed" },
    { "insecure", OPTION_BOOL, FIELD(insecure), "false", 0, 0, NULL,
      "allow plain text on addresses that other machines reach" },
    { "http", OPTION_TEXT, FIELD(http), "127.0.0.1:8000", 0, 0, NULL,
      "address of the HTTP port (metrics, health, REST), as listen; \"\": none" },
    { "http-port-file", OPTION_TEXT, FIELD(http_port_file), "", 0, 0, NULL, "as port-file, for the HTTP port" },
    { "registry", OPTION_TEXT, FIELD(registry), "./modeld.db", 0, 0, NULL, "file of the model registry" },
    { "repository", OPTION_TEXT, FIELD(repository), "./models", 0, 0, NULL,
      "model repository: folders MODEL/VERSION/model.onnx" },
    { "load", OPTION_TEXT, FIELD(load), "", 0, 0, NULL,
      "models to load at start besides those of the registry: NAME[:VERSION],..." },
    { "load-all", OPTION_BOOL, FIELD(load_all), "false", 0, 0, NULL,
      "load every version of the repository at start" },
    { "packed-cache", OPTION_BOOL, FIELD(packed_cache), "true", 0, 0, NULL,
      "keep the packed weights of large models beside their model.onnx, for the next load" },
    { "threads", OPTION_NUMBER, FIELD(threads), "0", 0, MD_MAX_THREADS, NULL,
      "cores to compute with: one request takes all of them, many take one each; 0: those of the machine" },
    { "max-inflight", OPTION_NUMBER, FIELD(max_inflight), "256", 1, 65536, NULL,
      "inference calls accepted at a time; more are answered RESOURCE_EXHAUSTED" },
    { "max-inflight-per-client", OPTION_NUMBER, FIELD(max_inflight_per_client), "0", 0, 65536, NULL,
      "of them from one client address; 0: as many as max-inflight" },
    { "max-queued-per-model", OPTION_NUMBER, FIELD(max_queued_per_model), "0", 0, 65536, NULL,
      "requests of one model version that wait to compute; more are refused as well; 0: as many as max-inflight" },
    { "max-batch-rows", OPTION_NUMBER, FIELD(max_batch_rows), "32", 1, 4096, NULL,
      "rows (texts) of requests that compute together, when they wait anyhow; 1: no batching" },
    { "max-batch-tokens", OPTION_NUMBER, FIELD(max_batch_tokens), "512", 1, 1 << 20, NULL,
      "tokens of texts that compute together; a single request may have more" },
    { "max-inflight-bytes", OPTION_BYTES, FIELD(max_inflight_bytes), "256MiB", 1 * MIB, 1024 * GIB, NULL,
      "bytes of their requests at a time" },
    { "max-message-bytes", OPTION_BYTES, FIELD(max_message_bytes), "64MiB", 4 * KIB, 2 * GIB - 1, NULL,
      "largest request" },
    { "max-connections", OPTION_NUMBER, FIELD(max_connections), "1000", 1, 500000, NULL,
      "open connections; more are closed at once" },
    { "max-http-connections", OPTION_NUMBER, FIELD(max_http_connections), "256", 1, 65536, NULL,
      "open connections of the HTTP port; more wait" },
    { "drain-seconds", OPTION_NUMBER, FIELD(drain_seconds), "20", 0, 3600, NULL,
      "on SIGTERM: how long calls may take to finish" },
    { "log-format", OPTION_CHOICE, FIELD(log_format), "text", 0, 0, "text|json",
      "form of the lines on stderr" },
    { "log-level", OPTION_CHOICE, FIELD(log_level), "info", 0, 0, "debug|info|warning|error",
      "least important lines that are written" },
    { "log-requests", OPTION_BOOL, FIELD(log_requests), "false", 0, 0, NULL, "write a line per request" },
    { "slow-request-ms", OPTION_NUMBER, FIELD(slow_request_ms), "1000", 0, 3600000, NULL,
      "log an inference that takes longer, with its stages; 0: none" },
};
enum { OPTION_COUNT = sizeof options / sizeof *options };
_Static_assert((int)OPTION_COUNT <= (int)MD_CONFIG_OPTION_LIMIT, "room for every source");

static const struct option *find_option(const char *name, size_t size)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

static void *field_of(struct md_config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

/* Digits and, for bytes, a unit. False: not a number. UINT64_MAX stands for everything that is too large. */
static bool parse_number(const char *text, bool bytes, uint64_t *out_value)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } units[] = { { "", 1 },
                  { "K", 1024 },
                  { "KiB", 1024 },
                  { "M", 1024 * 1024 },
                  { "MiB", 1024 * 1024 },
                  { "G", 1024 * 1024 * 1024 },
                  { "GiB", 1024 * 1024 * 1024 } };
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno == ERANGE)
        value = UINT64_MAX;
    for (size_t i = 0; i < (bytes ? sizeof units / sizeof *units : 1); i++)
        if (strcmp(end, units[i].name) == 0) {
            if (__builtin_mul_overflow(value, units[i].factor, out_value))
                *out_value = UINT64_MAX;
            return true;
        }
    return false;
}

static enum md_code set_number(struct md_config *config, const struct option *option, const char *text,
                               const char *source, struct md_error *error)
{
    uint64_t value;
    bool bytes = option->type == OPTION_BYTES;
    if (!parse_number(text, bytes, &value))
        return md_fail(error, MD_INVALID_ARGUMENT, "option \"%s\" (%s): \"%s\" is not a number%s",
                       option->name, source, text, bytes ? " of bytes (units: KiB, MiB, GiB)" : "");
    if (value < option->min || value > option->max)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "option \"%s\" (%s): %s is out of range, limits are %" PRIu64 " to %" PRIu64,
                       option->name, source, text, option->min, option->max);
    memcpy(field_of(config, option), &value, sizeof value);
    return MD_OK;
}

static enum md_code set_bool(struct md_config *config, const struct option *option, const char *text,
                             const char *source, struct md_error *error)
{
    bool value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (!value && strcmp(text, "false") != 0 && strcmp(text, "0") != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "option \"%s\" (%s): \"%s\" is neither true nor false",
                       option->name, source, text);
    memcpy(field_of(config, option), &value, sizeof value);
    return MD_OK;
}

static enum md_code set_choice(struct md_config *config, const struct option *option, const char *text,
                               const char *source, struct md_error *error)
{
    uint64_t position = 0;
    for (const char *choice = option->choices; *choice != '\0'; position++) {
        size_t size = strcspn(choice, "|");
        if (strlen(text) == size && memcmp(text, choice, size) == 0) {
            memcpy(field_of(config, option), &position, sizeof position);
            return MD_OK;
        }
        choice += size + (choice[size] == '|' ? 1 : 0);
    }
    return md_fail(error, MD_INVALID_ARGUMENT, "option \"%s\" (%s): \"%s\" is none of %s", option->name,
                   source, text, option->choices);
}

static enum md_code set_text(struct md_config *config, const struct option *option, const char *text,
                             struct md_error *error)
{
    const char *copy = md_arena_copy_string(&config->arena, text, strlen(text));
    if (copy == NULL)
        return md_fail_memory(error, "configuration");
    memcpy(field_of(config, option), &copy, sizeof copy);
    return MD_OK;
}

/* `source` lives as long as the configuration. */
static enum md_code set_option(struct md_config *config, const struct option *option, const char *text,
                               const char *source, struct md_error *error)
{
    enum md_code code = MD_INTERNAL;
    switch (option->type) {
    case OPTION_TEXT:
        code = set_text(config, option, text, error);
        break;
    case OPTION_NUMBER:
    case OPTION_BYTES:
        code = set_number(config, option, text, source, error);
        break;
    case OPTION_BOOL:
        code = set_bool(config, option, text, source, error);
        break;
    case OPTION_CHOICE:
        code = set_choice(config, option, text, source, error);
        break;
    }
    if (code == MD_OK)
        config->sources[option - options] = source;
    return code;
}

/* ---- flags ---- */

static bool is_bool_word(const char *word)
{
    return word != NULL && (strcmp(word, "true") == 0 || strcmp(word, "false") == 0);
}

static enum md_config_action action_of(const char *flag)
{
    return strcmp(flag, "--help") == 0           ? MD_CONFIG_HELP
           : strcmp(flag, "--version") == 0      ? MD_CONFIG_VERSION
           : strcmp(flag, "--print-config") == 0 ? MD_CONFIG_PRINT
                                                 : MD_CONFIG_RUN;
}

/* Reads one flag at argv[*index] and moves *index past it. *out_option NULL: it was an action. */
static enum md_code read_flag(char *const *argv, int argc, int *index, const struct option **out_option,
                              const char **out_value, struct md_error *error)
{
    const char *flag = argv[(*index)++];
    *out_option = NULL;
    if (action_of(flag) != MD_CONFIG_RUN)
        return MD_OK;
    if (strncmp(flag, "--", 2) != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is not an option; try --help", flag);
    size_t size = strcspn(flag + 2, "=");
    const struct option *option = find_option(flag + 2, size);
    if (option == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "unknown option \"%.*s\"; try --help", (int)size + 2,
                       flag);
    const char *next = *index < argc ? argv[*index] : NULL;
    if (flag[2 + size] == '=') {
        *out_value = flag + size + 3;
    } else if (option->type == OPTION_BOOL && !is_bool_word(next)) {
        *out_value = "true";
    } else if (next == NULL) {
        return md_fail(error, MD_INVALID_ARGUMENT, "option \"--%s\" needs a value", option->name);
    } else {
        *out_value = next;
        (*index)++;
    }
    *out_option = option;
    return MD_OK;
}

/* only: set this option alone (the first pass looks for --config); NULL: all. */
static enum md_code read_flags(struct md_config *config, int argc, char *const *argv, const char *only,
                               enum md_config_action *out_action, struct md_error *error)
{
    for (int index = 1; index < argc;) {
        const struct option *option;
        const char *value = NULL;
        enum md_config_action action = action_of(argv[index]);
        MD_TRY(read_flag(argv, argc, &index, &option, &value, error));
        if (action != MD_CONFIG_RUN && *out_action == MD_CONFIG_RUN)
            *out_action = action;
        if (option != NULL && (only == NULL || strcmp(only, option->name) == 0))
            MD_TRY(set_option(config, option, value, "flag", error));
    }
    return MD_OK;
}

/* ---- environment ---- */

static bool is_variable_of(const char *variable, const struct option *option)
{
    static const char prefix[] = "MODELD_";
    if (strncmp(variable, prefix, sizeof prefix - 1) != 0)
        return false;
    variable += sizeof prefix - 1;
    for (const char *name = option->name; *name != '\0'; name++, variable++) {
        char expected = *name == '-' ? '_' : (char)(*name - 'a' + 'A');
        if (*variable != expected)
            return false;
    }
    return *variable == '=';
}

static enum md_code read_environment(struct md_config *config, char *const *environment, const char *only,
                                     struct md_error *error)
{
    for (; *environment != NULL; environment++)
        for (size_t i = 0; i < OPTION_COUNT; i++)
            if (is_variable_of(*environment, &options[i]) &&
                (only == NULL || strcmp(only, options[i].name) == 0))
                MD_TRY(set_option(config, &options[i], strchr(*environment, '=') + 1, "environment", error));
    return MD_OK;
}

/* ---- file ---- */

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL)
        size--;
    text[size] = '\0';
    return text;
}

static enum md_code read_line(struct md_config *config, char *line, const char *source,
                              struct md_error *error)
{
    if (*line == '#')
        return MD_OK;
    char *comment = strstr(line, " #");
    if (comment != NULL)
        *comment = '\0';
    line = trim(line);
    if (*line == '\0')
        return MD_OK;
    char *value = strchr(line, '=');
    if (value == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "%s: expected `name = value`, found \"%s\"", source, line);
    *value++ = '\0';
    const char *name = trim(line);
    const struct option *option = find_option(name, strlen(name));
    if (option == NULL || option == &options[0])
        return md_fail(error, MD_INVALID_ARGUMENT, "%s: unknown option \"%s\"", source, name);
    return set_option(config, option, trim(value), source, error);
}

static enum md_code read_lines(struct md_config *config, char *text, struct md_error *error)
{
    int number = 1;
    for (char *line = text; line != NULL; number++) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        const char *source = md_arena_printf(&config->arena, "%s:%d", config->file, number);
        if (source == NULL)
            return md_fail_memory(error, "configuration");
        MD_TRY(read_line(config, line, source, error));
        line = end;
    }
    return MD_OK;
}

static enum md_code read_file(struct md_config *config, struct md_error *error)
{
    char *text;
    size_t size;
    enum md_code code = md_file_read(config->arena.allocator, config->file, 1024 * 1024, &text, &size, error);
    if (code != MD_OK)
        return code == MD_RESOURCE_EXHAUSTED
                   ? code
                   : md_fail_prefix(error, MD_INVALID_ARGUMENT, "option \"config\"");
    code = read_lines(config, text, error);
    md_release(config->arena.allocator, text);
    return code;
}

/* ---- all of it ---- */

static enum md_code read_everything(struct md_config *config, int argc, char *const *argv,
                                    char *const *environment, enum md_config_action *out_action,
                                    struct md_error *error)
{
    for (size_t i = 0; i < OPTION_COUNT; i++)
        MD_TRY(set_option(config, &options[i], options[i].fallback, "default", error));
    MD_TRY(read_environment(config, environment, "config", error));
    MD_TRY(read_flags(config, argc, argv, "config", out_action, error));
    if (*out_action == MD_CONFIG_HELP || *out_action == MD_CONFIG_VERSION)
        return MD_OK; /* these work with a broken configuration */
    if (*config->file != '\0')
        MD_TRY(read_file(config, error));
    MD_TRY(read_environment(config, environment, NULL, error));
    MD_TRY(read_flags(config, argc, argv, NULL, out_action, error));
    config->is_http_default = strcmp(config->sources[find_option("http", 4) - options], "default") == 0;
    if (config->threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->threads = cores < 1 ? 1 : cores < MD_MAX_THREADS ? (uint64_t)cores : MD_MAX_THREADS;
    }
    return MD_OK;
}

enum md_code md_config_load(struct md_config *config, const struct md_allocator *allocator, int argc,
                            char *const *argv, char *const *environment, enum md_config_action *out_action,
                            struct md_error *error)
{
    enum md_config_action action = MD_CONFIG_RUN;
    memset(config, 0, sizeof *config);
    md_arena_init(&config->arena, allocator, 4096);
    enum md_code code = read_everything(config, argc, argv, environment, &action, error);
    if (code != MD_OK) {
        md_config_cleanup(config);
        return code;
    }
    *out_action = action;
    return MD_OK;
}

void md_config_cleanup(struct md_config *config)
{
    md_arena_cleanup(&config->arena);
}

void md_config_help(FILE *out)
{
    (void)fprintf(
        out,
        "Usage: modeld [--OPTION VALUE | --OPTION=VALUE]...\n"
        "Serves ONNX models over gRPC. Each option is also an environment variable (MODELD_LISTEN)\n"
        "and a line of the configuration file (listen = VALUE); flags win, then environment, then file.\n"
        "\n"); /* as below: what cannot be printed is the reader's loss */
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        const char *value = option->type == OPTION_TEXT     ? "TEXT"
                            : option->type == OPTION_BOOL   ? "true|false"
                            : option->type == OPTION_CHOICE ? option->choices
                            : option->type == OPTION_BYTES  ? "BYTES"
                                                            : "NUMBER";
        (void)fprintf(out, "  --%-20s %s", option->name, value);
        (void)fprintf(out, "\n      %s (default: %s)\n", option->help,
                      *option->fallback ? option->fallback : "none");
    }
    (void)fprintf(out,
                  "  --print-config\n      print the effective value of every option and where it came from\n"
                  "  --version\n  --help\n");
}

static void print_choice(FILE *out, const char *choices, uint64_t position)
{
    for (; position > 0; position--)
        choices += strcspn(choices, "|") + 1;
    (void)fprintf(out, "%.*s", (int)strcspn(choices, "|"), choices);
}

void md_config_print(const struct md_config *config, FILE *out)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &options[i];
        const char *field = (const char *)config + option->offset;
        const char *text;
        uint64_t number;
        /* --config is no line of a file: printed as a comment, so that the output is one. */
        (void)fprintf(out, "%s%s = ", i == 0 ? "# " : "", option->name);
        if (option->type == OPTION_TEXT) {
            memcpy(&text, field, sizeof text);
            (void)fputs(text, out);
        } else if (option->type == OPTION_BOOL) {
            (void)fputs(*field ? "true" : "false", out);
        } else {
            memcpy(&number, field, sizeof number);
            if (option->type == OPTION_CHOICE)
                print_choice(out, option->choices, number);
            else
                (void)fprintf(out, "%" PRIu64, number);
        }
        (void)fprintf(out, "  # %s\n", config->sources[i]);
    }
}
