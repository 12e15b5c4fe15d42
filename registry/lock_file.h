/* lock_file.h - keeps a second process away from a registry.
 *
 * An exclusive flock on "<file>.lock". SQLite's own locks are of no use here: they are per transaction, and
 * two servers that take turns would both believe that their loaded models are the registry's.
 * The kernel drops the lock when the process dies, however it dies. The lock file itself stays: removing it
 * would let two processes lock two different files of one name. */
#ifndef MD_LOCK_FILE_H
#define MD_LOCK_FILE_H

#include "status.h"

/* `file` is the resolved path of what is locked, `path` the one for messages.
 * OK: *out_fd is owned by the caller (md_lock_file_close). FAILED_PRECONDITION: held by another process,
 * whose number is named, or by this one. INTERNAL: the lock file cannot be made. */
MD_NODISCARD enum md_code md_lock_file_open(const char *file, const char *path, int *out_fd,
                                            struct md_error *error);
void md_lock_file_close(int fd); /* -1 is allowed */

#endif
