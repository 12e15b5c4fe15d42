/* arguments.h - a command line as options and operands.
 *
 * Long options only: `--name`, `--name VALUE`, `--name=VALUE`, anywhere; `--` ends them; `-` is an operand.
 * An unknown name is an error that names the nearest known one. Nothing is copied: all strings are argv's. */
#ifndef MD_CTL_ARGUMENTS_H
#define MD_CTL_ARGUMENTS_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_ctl_option {
    const char *name;       /* without the dashes; NULL ends a table */
    const char *value_name; /* NULL: takes no value */
    const char *help;
};

enum { MD_CTL_OPTIONS_MAX = 64 };

struct md_ctl_arguments {
    const char *const *operands; /* of the caller's array */
    size_t operand_count;
    struct {
        const char *name;
        const char *value; /* "" for an option without one */
    } given[MD_CTL_OPTIONS_MAX];
    size_t given_count;
};

/* Parses argv[0..count). `tables` are option tables, `table_count` of them. Operands are written to
 * `operands`, which has room for `count`. Options are added to those that *arguments has already.
 * stop_at_operand: ends before the first operand. *out_used: how many of argv were read.
 * INVALID_ARGUMENT: unknown option, value missing or not wanted, too many options. */
MD_NODISCARD enum md_code md_ctl_arguments_parse(struct md_ctl_arguments *arguments, const char *const *argv,
                                                 size_t count, const struct md_ctl_option *const *tables,
                                                 size_t table_count, bool stop_at_operand,
                                                 const char **operands, size_t *out_used,
                                                 struct md_error *error);

/* The last value given, "" for an option without a value, or NULL when it was not given. */
const char *md_ctl_arguments_value(const struct md_ctl_arguments *arguments, const char *name);
bool md_ctl_arguments_has(const struct md_ctl_arguments *arguments, const char *name);

/* The value as a whole number. OK and *out_value untouched when the option was not given.
 * INVALID_ARGUMENT: not a number, or not from `least` to `most`. */
MD_NODISCARD enum md_code md_ctl_arguments_number(const struct md_ctl_arguments *arguments, const char *name,
                                                  uint64_t least, uint64_t most, uint64_t *out_value,
                                                  struct md_error *error);
/* The value, seconds with an optional fraction ("2.5"), as milliseconds from 1 to 3,600,000. Else as above.
 */
MD_NODISCARD enum md_code md_ctl_arguments_milliseconds(const struct md_ctl_arguments *arguments,
                                                        const char *name, uint32_t *out_value,
                                                        struct md_error *error);

/* "MODEL" or "MODEL:VERSION", split at the last colon. */
struct md_ctl_model {
    char name[256];
    char version[64]; /* "" when not given */
    uint64_t number;  /* 0 when not given or not a number */
};
/* INVALID_ARGUMENT: empty or too long; with need_number also a version that is no number from 1. */
MD_NODISCARD enum md_code md_ctl_model_parse(const char *text, bool need_number,
                                             struct md_ctl_model *out_model, struct md_error *error);

/* The entry of `names` nearest to `name`, or NULL when none is near (an edit distance of at most 2, and less
 * than the length of the name). */
const char *md_ctl_nearest(const char *name, const char *const *names, size_t count);

#endif
