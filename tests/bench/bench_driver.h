/* bench_driver.h - what modeld's sides of the benchmarks share: a process that is driven line by line through stdin, so
 * that its runs can alternate with runs of something else. Each command is answered by one line, "ok ..." or
 * "error MESSAGE". */
#ifndef MD_BENCH_DRIVER_H
#define MD_BENCH_DRIVER_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

enum { MD_BENCH_LINE = 4096 };

/* `words` is what follows the command's name, "" without any; the answer's words go to out_text ("" at first, of
 * `size` bytes). */
struct md_bench_command {
    const char *name;
    enum md_code (*run)(void *owner, char *words, char *out_text, size_t size, struct md_error *error);
};

/* Answers "ok" for a start that went well, then the commands of stdin until its end; `commands` ends with a NULL name.
 * Returns the exit status. */
int md_bench_drive(enum md_code started, const struct md_error *error, const struct md_bench_command *commands,
                   void *owner);

/* The wall's clock, or with MD_BENCH_CLOCK=cpu the thread's: for machines that are shared with other work. */
int64_t md_bench_now_ns(void);

/* Runs `run` as often as `words` says, 1 to 10000 times, and puts the median nanoseconds into out_text. */
MD_NODISCARD enum md_code md_bench_time(const char *words, enum md_code (*run)(void *owner, struct md_error *error),
                                        void *owner, char *out_text, size_t size, struct md_error *error);

#endif
