/* process.h - what the daemon asks of its process: signals, limits, malloc, its own age. Linux. */
#ifndef MD_PROCESS_H
#define MD_PROCESS_H

#include "status.h"

#include <stdint.h>

struct md_log;

/* When the process started, on md_clock_us(). */
int64_t md_process_started_at_us(void);

/* Blocks SIGTERM and SIGINT for this thread and those it makes, ignores SIGPIPE, and returns a descriptor
 * that reads the former (non-blocking). Called before any other thread exists. -1: no descriptor. */
int md_process_open_signals(void);

/* Raises the limit of open files to at least `wanted` if the hard limit allows; returns the limit. */
uint64_t md_process_raise_files(uint64_t wanted);

/* Tells glibc's malloc to keep what a request needs: trimming and mapping large buffers again for each 1 MiB
 * message costs five times the message. */
void md_process_tune_memory(void);

/* Writes a number and a newline so that a reader sees all of it or no file. INTERNAL: the path and the
 * reason. */
MD_NODISCARD enum md_code md_process_write_number(const char *path, unsigned number, struct md_error *error);

struct md_process_usage {
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t open_files;
    uint64_t open_files_limit;
    uint64_t threads;
    uint64_t cpu_us;
    uint64_t started_at_ms; /* wall clock */
    uint64_t uptime_ms;
};
/* What cannot be found out is 0. */
void md_process_usage(struct md_process_usage *out_usage);

struct md_exit_timer {
    unsigned seconds;
    const struct md_log *log;
};

/* From now on the process has this long to end by itself; then it logs that and exits with status 1. `timer`
 * is borrowed until the process ends. */
void md_process_exit_after(struct md_exit_timer *timer);

#endif
