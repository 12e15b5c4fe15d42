/* status_details.h - the one thing we read from `grpc-status-details-bin`: google.rpc.RetryInfo.
 * The bytes come from the network: every length is checked. */
#ifndef MD_STATUS_DETAILS_H
#define MD_STATUS_DETAILS_H

#include <stddef.h>
#include <stdint.h>

/* `bytes` is a google.rpc.Status. Returns its RetryInfo's delay in milliseconds, at least 1; 0 when there is
 * none or the bytes are malformed. */
uint32_t md_status_details_retry_after_ms(const void *bytes, size_t size);

#endif
