/* model_catalogue.h - which model versions are known and in which state, in memory.
 *
 * The registry has the truth on disk; this is the copy that requests, health and readiness may ask, because
 * no SQL runs on the request path. It also holds the claim that keeps two lifecycle operations on one version
 * apart. Threads: any. Its lock is a leaf: nothing is called while it is held. Entries are never removed. */
#ifndef MD_MODEL_CATALOGUE_H
#define MD_MODEL_CATALOGUE_H

#include "arena.h"
#include "registry.h"
#include "status.h"

#include <stdbool.h>
#include <stdint.h>

struct md_allocator;
struct md_catalogue;

enum { MD_CATALOGUE_REASON_SIZE = 256 };

struct md_catalogue_state {
    uint64_t version;
    enum md_version_state state;
    char reason[MD_CATALOGUE_REASON_SIZE]; /* why FAILED; "" otherwise; cut */
};

MD_NODISCARD enum md_code md_catalogue_create(const struct md_allocator *allocator,
                                              struct md_catalogue **out_catalogue, struct md_error *error);
void md_catalogue_destroy(struct md_catalogue *catalogue); /* NULL is allowed */

/* Claims a version for one lifecycle operation until md_catalogue_release. `what` is what ABORTED says of the
 * one that comes second: "is being loaded". A version that has only been claimed is not known yet. */
MD_NODISCARD enum md_code md_catalogue_claim(struct md_catalogue *catalogue, const char *model,
                                             uint64_t version, const char *what, struct md_error *error);
void md_catalogue_release(struct md_catalogue *catalogue, const char *model, uint64_t version);

/* Sets the state of a claimed version. reason NULL: none. */
void md_catalogue_set(struct md_catalogue *catalogue, const char *model, uint64_t version,
                      enum md_version_state state, const char *reason);

/* version 0: the one of the model that is nearest to serving (READY first, then WARMING, LOADING, DRAINING,
 * FAILED, UNLOADED; of equals the highest). False: not known. out_state may be NULL. */
bool md_catalogue_find(struct md_catalogue *catalogue, const char *model, uint64_t version,
                       struct md_catalogue_state *out_state);

/* READY versions of a model, rising; the array lives in `arena`. */
MD_NODISCARD enum md_code md_catalogue_ready_versions(struct md_catalogue *catalogue, const char *model,
                                                      struct md_arena *arena, uint64_t **out_versions,
                                                      size_t *out_count, struct md_error *error);

/* Every version that is known, in no order; the array and the names live in `arena`. */
struct md_catalogue_entry {
    const char *model;
    struct md_catalogue_state state;
};
MD_NODISCARD enum md_code md_catalogue_list(struct md_catalogue *catalogue, struct md_arena *arena,
                                            struct md_catalogue_entry **out_entries, size_t *out_count,
                                            struct md_error *error);

/* The known model that `name` is most likely a slip of, copied into `arena`; NULL: none. */
const char *md_catalogue_nearest(struct md_catalogue *catalogue, const char *name, struct md_arena *arena);

#endif
