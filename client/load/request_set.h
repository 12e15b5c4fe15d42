/* request_set.h - the requests of a load, packed before the clock starts.
 *
 * Memory: the process allocator's; a set is not changed once it is made, so threads may share it. */
#ifndef MD_REQUEST_SET_H
#define MD_REQUEST_SET_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

enum md_load_protocol { MD_LOAD_MODELD, MD_LOAD_OIP };

/* A size or a value: least to most, both included, a number of its own each time. */
struct md_load_range {
    int64_t least, most;
};

/* A tensor to make up. Free dimensions (-1) on the same axis of several inputs of a request have the same size. */
struct md_load_input {
    const char *name;
    const char *datatype; /* BYTES and what is no number cannot be made up */
    const int64_t *shape;
    size_t rank;
    struct md_load_range values; /* of integers; floating point is uniform from -1 to 1 */
};

struct md_request_options {
    const char *model;
    const char *version; /* "": the highest that is ready */
    enum md_load_protocol protocol;
    uint64_t seed;
    size_t count; /* of different requests with tensors */
    const struct md_load_input *inputs;
    size_t input_count;
    const struct md_load_range *axes; /* sizes of free dimensions, by axis */
    size_t axis_count;                /* an axis beyond has size 1 */
};

struct md_request {
    void *bytes;
    size_t size;
};

struct md_request_set {
    struct md_request *requests; /* owned */
    size_t count;
    const char *path; /* of the method; static */
};

/* OK: *out_set is released with md_request_set_cleanup. INVALID_ARGUMENT: a datatype, a size, no request.
 * RESOURCE_EXHAUSTED: memory, or a tensor above 64 MiB. */
MD_NODISCARD enum md_code md_request_set_from_tensors(const struct md_request_options *options,
                                                      struct md_request_set *out_set, struct md_error *error);
/* The same, a request for each text; UNIMPLEMENTED over OIP, which has no texts. */
MD_NODISCARD enum md_code md_request_set_from_texts(const struct md_request_options *options, char *const *texts,
                                                    size_t count, struct md_request_set *out_set,
                                                    struct md_error *error);
void md_request_set_cleanup(struct md_request_set *set); /* a zeroed one is allowed */

#endif
