/* bench.h - the parts of `modelctl bench`: its arguments (bench_arguments.c), its report (bench_report.c). */
#ifndef MD_CTL_BENCH_H
#define MD_CTL_BENCH_H

#include "arena.h"
#include "command.h"
#include "load.h"

enum { MD_CTL_BENCH_AXES_MAX = 16 };

struct md_ctl_bench {
    struct md_ctl_model model;
    struct md_load_options load;
    struct md_request_options requests;
    struct md_load_range axes[MD_CTL_BENCH_AXES_MAX];
    struct md_load_input inputs[MD_CTL_OPTIONS_MAX];
    const char *texts; /* file; NULL: tensors */
    const char *values; /* --values; NULL: none */
};

extern const struct md_ctl_option md_ctl_bench_options[];

/* Fills *out_bench, but for the inputs that a server must be asked for. Its strings are the arguments' and the arena's.
 * INVALID_ARGUMENT: an option, two that exclude each other. */
MD_NODISCARD enum md_code md_ctl_bench_parse(const struct md_ctl_arguments *arguments, struct md_arena *arena,
                                             struct md_ctl_bench *out_bench, struct md_error *error);
/* Sets the values of the inputs as --values says. INVALID_ARGUMENT: its form, an input that there is not. */
MD_NODISCARD enum md_code md_ctl_bench_set_values(struct md_ctl_bench *bench, struct md_error *error);
/* "8", "8..128", "sequence=8..128": sizes by axis, a name is for the reader. INVALID_ARGUMENT: its form. */
MD_NODISCARD enum md_code md_ctl_bench_parse_dims(const char *text, struct md_load_range axes[MD_CTL_BENCH_AXES_MAX],
                                                  size_t *out_count, struct md_error *error);

/* Prints the result; returns the exit code: MD_CTL_EXIT_REFUSED when no request was answered OK. */
int md_ctl_bench_report(struct md_ctl_context *context, const struct md_ctl_bench *bench,
                        const struct md_load_result *result);

#endif
