/* restore.h - what is loaded at start: every version that was wanted before, and what the options ask for.
 *
 * Runs on a few threads of its own while the server already answers; health says SERVING when it is done.
 * A version that cannot be loaded is FAILED and stays wanted; the others are served. */
#ifndef MD_RESTORE_H
#define MD_RESTORE_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_allocator;
struct md_log;
struct md_model_manager;
struct md_registry;
struct md_restore;

struct md_restore_options {
    const struct md_allocator *allocator;
    struct md_model_manager *manager; /* borrowed, as the others, until md_restore_destroy */
    struct md_registry *registry;
    const struct md_log *log;
    const char *repository;
    const char *load; /* "name[:version],..." */
    bool load_all;    /* every version in the repository */
    size_t thread_count;
    /* Called without locks on the thread that did the last load, or on the caller of md_restore_start if
     * there is nothing to do. */
    void (*on_done)(void *owner, size_t loaded, size_t failed);
    void *owner;
};

/* Makes the list. OK: *out_restore is owned by the caller, who releases it with md_restore_destroy.
 * INVALID_ARGUMENT: `load` is malformed. Others: the registry's, the repository's (load_all). */
MD_NODISCARD enum md_code md_restore_create(const struct md_restore_options *options,
                                            struct md_restore **out_restore, struct md_error *error);
/* RESOURCE_EXHAUSTED: no thread. */
MD_NODISCARD enum md_code md_restore_start(struct md_restore *restore, struct md_error *error);
/* Lets the loads under way finish, begins no other, joins. NULL is allowed. */
void md_restore_destroy(struct md_restore *restore);

#endif
