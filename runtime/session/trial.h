/* trial.h - inputs made up from a session's signature, to run a model that nobody has sent anything yet: for warming up,
 * for `modelctl inspect`, for benchmarks. */
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

/* Sets every input of the run: integers and booleans are 1, floats 0, strings empty; a free dimension has the size that
 * `dims` gives its name, else 1. Bytes are the arena's, which must outlive the execution.
 * UNIMPLEMENTED: an input that is no tensor, or has no shape. RESOURCE_EXHAUSTED: over 1 GiB, or memory. */
MD_NODISCARD enum md_code md_trial_set_inputs(const struct md_session *session, struct md_run *run,
                                              const struct md_trial_dim *dims, size_t dim_count, struct md_arena *arena,
                                              struct md_error *error);

#endif
