/* trace.h - W3C Trace Context: the trace that a call belongs to, from `traceparent` and back to it.
 *
 * A call keeps the trace id of its caller and gets a span id of its own; without a (valid) traceparent it begins a
 * trace that is not sampled. Threads: any; no memory. */
#ifndef MD_TRACE_H
#define MD_TRACE_H

#include <stddef.h>
#include <stdint.h>

enum { MD_TRACEPARENT_SIZE = 55 };

struct md_trace {
    char trace_id[33];
    char span_id[17];   /* of this call */
    char parent_id[17]; /* of the caller; "" none */
    char flags[3];
};

/* header: the caller's traceparent, not NUL-terminated; NULL: none. seed: never the same twice. */
void md_trace_begin(struct md_trace *trace, const char *header, size_t size, uint64_t seed);

/* "00-TRACE-SPAN-FLAGS", NUL-terminated. */
void md_trace_format(const struct md_trace *trace, char out_header[MD_TRACEPARENT_SIZE + 1]);

/* Finalizer of splitmix64: seeds that are near each other give ids that are not. */
uint64_t md_trace_mix(uint64_t value);

#endif
