/* completion.h - what stands behind a completion queue's `void *`.
 *
 * Every operation that is handed to the gRPC core carries a struct md_tag, embedded in the object that waits
 * for it; the poller calls its function. The core gives the happens-before from submit to completion, but a
 * thread sanitizer does not see into it: md_tag_submitted and md_tag_completed tell it. */
#ifndef MD_COMPLETION_H
#define MD_COMPLETION_H

#include <stdbool.h>

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#endif

/* On the poller, once per submitted operation. ok as in grpc_event.success. It must not block. */
typedef void (*md_completed_fn)(void *owner, bool ok);

struct md_tag {
    md_completed_fn function;
    void *owner;
};

/* Just before the tag is given to the core: after the last access to what its completion may take over. */
static inline void md_tag_submitted(struct md_tag *tag)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_release(tag);
#else
    (void)tag;
#endif
}

/* Just after the tag came out of the completion queue. */
static inline void md_tag_completed(struct md_tag *tag)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(tag);
#else
    (void)tag;
#endif
}

#endif
