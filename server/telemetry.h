/* telemetry.h - what is noted of every call, whichever protocol it came by: stages, metrics, the slow ones.
 * Threads: that of the call. */
#ifndef MD_TELEMETRY_H
#define MD_TELEMETRY_H

#include "status.h"

struct md_method_metrics;
struct md_rpc;
struct md_services;

/* Forgets what the last call noted. */
void md_telemetry_begin(struct md_rpc *rpc);

/* The stages that are over, and now: "queue;dur=0.021, compute;dur=1.5, ..." in milliseconds, for the header
 * Server-Timing. Cut at size. */
enum { MD_SERVER_TIMING_SIZE = 192 };
const char *md_telemetry_server_timing(const struct md_rpc *rpc, char buffer[MD_SERVER_TIMING_SIZE]);

/* When the answer is ready to be sent: counts the call, and logs an inference that took too long. */
void md_telemetry_end(struct md_services *services, struct md_rpc *rpc, struct md_method_metrics *method,
                      const char *method_name, enum md_code code);

#endif
