/* rpc_status.h - how a code and a message become the status of an RPC: the one table for every service.
 *
 * md codes have gRPC's numbers, so nothing is translated; what the table adds is whether trying again makes
 * sense. Threads: any. No memory is allocated. */
#ifndef MD_RPC_STATUS_H
#define MD_RPC_STATUS_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

/* Milliseconds after which the client may try again (google.rpc.RetryInfo); 0: the answer does not change by
 * itself. */
uint32_t md_rpc_status_retry_ms(enum md_code code);

/* The status of an HTTP answer. */
unsigned md_rpc_status_http(enum md_code code);

/* Room that md_rpc_status_details needs at most. */
enum { MD_RPC_STATUS_DETAILS_SIZE = MD_ERROR_MESSAGE_SIZE + 128 };

/* Writes the value of `grpc-status-details-bin`: a google.rpc.Status with a RetryInfo. Returns its size. */
size_t md_rpc_status_details(enum md_code code, const char *message, uint32_t retry_ms,
                             unsigned char buffer[MD_RPC_STATUS_DETAILS_SIZE]);

/* Makes a message fit for the wire, in place: what is not UTF-8 (a name may be cut in the middle of a
 * character) becomes '?', control characters become spaces. */
void md_rpc_status_clean(struct md_error *error);

#endif
