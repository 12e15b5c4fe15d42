/* load_report.h - how busy the process is, as an ORCA report (xds.data.orca.v3.OrcaLoadReport) in the trailers of a
 * call: balancers that weigh servers by load read it. Only calls with `endpoint-load-metrics-format` get one.
 *
 * Threads: any. Processor time and calls are sampled by whoever asks, at most once a second. */
#ifndef MD_LOAD_REPORT_H
#define MD_LOAD_REPORT_H

#include <grpc/grpc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct md_server;

/* Of the second (or longer) before the last sample. Zeroed at first; relaxed: one sampler at a time, and a report may
 * mix two samples. */
struct md_load_sampler {
    atomic_flag is_sampling;
    atomic_int_least64_t sampled_at_us, processor_us;
    atomic_uint_least64_t calls; /* that had come by then */
    atomic_uint_least32_t cpu_permille;    /* of all cores of the machine */
    atomic_uint_least32_t memory_permille; /* of its memory */
    atomic_uint_least32_t millicalls;      /* a second, in thousandths */
};

/* `endpoint-load-metrics-bin` if the call's metadata asks for it. Its value is owned by the caller, who unrefs it. */
bool md_load_report(struct md_server *server, const grpc_metadata_array *metadata, grpc_metadata *out_report);

#endif
