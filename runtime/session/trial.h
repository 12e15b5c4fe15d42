/* trial.h - inputs made up from a session's signature, to run a model that nobody has sent anything yet: for warming up,
 * for the accuracy check of a load, for `modelctl inspect`. */
#ifndef MD_TRIAL_H
#define MD_TRIAL_H

#include "span.h"
#include "status.h"

#include <stddef.h>
#include <stdint.h>

struct md_arena;
struct md_run;
struct md_session;

/* The size of a symbolic dimension, by the name that the file gives it. */
struct md_trial_dim {
    struct md_span name;
    int64_t size;
};

struct md_trial_options {
    const struct md_trial_dim *dims;
    size_t dim_count;
    int64_t free_size; /* of a free dimension that `dims` does not name; 0: 1 */
    uint64_t seed;     /* 0: integers and booleans are 1, floats 0. Else floats are normal, integers and booleans 0 or 1;
                          the same seed gives the same inputs */
};

/* Sets every input of the run; strings are empty. options may be NULL. Bytes are the arena's, which must outlive the
 * execution. UNIMPLEMENTED: an input that is no tensor, or has no shape. RESOURCE_EXHAUSTED: over 256 MiB, or memory. */
MD_NODISCARD enum md_code md_trial_set_inputs(const struct md_session *session, struct md_run *run,
                                              const struct md_trial_options *options, struct md_arena *arena,
                                              struct md_error *error);

#endif
