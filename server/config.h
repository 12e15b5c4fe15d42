/* config.h - the daemon's configuration: one table of options behind flags, environment and file.
 *
 * Precedence: flags, environment (MODELD_ + NAME, '-' written '_'), file (--config FILE; lines `name =
 * value`,
 * '#' starts a comment), default. Every name works in all three places. A value is checked by the table
 * before anything starts. Unknown MODELD_* variables are ignored: Kubernetes makes such
 * (MODELD_PORT=tcp://...) for every Service. Threads: read-only after md_config_load. Adding an option is a
 * field and a row in config.c. */
#ifndef MD_CONFIG_H
#define MD_CONFIG_H

#include "arena.h"
#include "log.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct md_allocator;

enum md_config_action {
    MD_CONFIG_RUN = 0,
    MD_CONFIG_HELP = 1,    /* --help */
    MD_CONFIG_VERSION = 2, /* --version */
    MD_CONFIG_PRINT = 3    /* --print-config */
};

enum { MD_CONFIG_OPTION_LIMIT = 32 };

struct md_config {
    const char *file; /* --config; "" none */
    const char *listen;
    const char *registry;
    const char *repository;
    const char *load; /* comma list of name[:version] */
    const char *port_file;
    const char *tls_certificate; /* "" plain text */
    const char *tls_key;
    const char *tls_client_ca;
    const char *http; /* "" off */
    const char *http_port_file;
    uint64_t threads; /* cores to compute with */
    uint64_t max_inflight;
    uint64_t max_inflight_per_client;
    uint64_t max_queued_per_model;
    uint64_t max_batch_rows;
    uint64_t max_batch_tokens;
    uint64_t max_inflight_bytes;
    uint64_t max_message_bytes;
    uint64_t max_connections;
    uint64_t drain_seconds;
    uint64_t log_format; /* enum md_log_format */
    uint64_t log_level;  /* enum md_log_level */
    uint64_t max_http_connections;
    bool load_all;
    bool packed_cache;
    bool insecure;
    bool is_http_default; /* nobody asked for `http`: a port that is taken is no reason not to start */
    bool log_requests;
    uint64_t slow_request_ms; /* 0: no request is slow */

    struct md_arena arena;                       /* every string above */
    const char *sources[MD_CONFIG_OPTION_LIMIT]; /* where each option of the table came from */
};

/* argv[0] is skipped; `environment` is a NULL-terminated list of NAME=value. Everything is copied.
 * OK: release with md_config_cleanup. INVALID_ARGUMENT: an unknown option, a wrong value, an unreadable file;
 * the message names option, value and where it stands. On failure nothing is to be released. */
MD_NODISCARD enum md_code md_config_load(struct md_config *config, const struct md_allocator *allocator,
                                         int argc, char *const *argv, char *const *environment,
                                         enum md_config_action *out_action, struct md_error *error);
void md_config_cleanup(struct md_config *config);

void md_config_help(FILE *out);
/* Every option as a line that a configuration file takes, with where it came from as the comment. */
void md_config_print(const struct md_config *config, FILE *out);

#endif
