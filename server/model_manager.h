/* model_manager.h - loading and unloading: the only place where registry and pool meet.
 *
 *   load:   registry LOADING -> sha256 of the folder -> pool load (-> registry WARMING) -> registry READY or
 * FAILED + event unload: registry DRAINING + event -> pool unload -> registry UNLOADED
 *
 * Each operation has one event, written in one transaction with the state that decides it. While a load is
 * under way, its row's reason says who asked for it. What is answered OK is on disk. A failed load leaves
 * what served as it was. One operation at a time per version (ABORTED for the second); different versions run
 * in parallel, each on its caller's thread. Threads: any. Locks: none of its own; the catalogue's is a leaf.
 */
#ifndef MD_MODEL_MANAGER_H
#define MD_MODEL_MANAGER_H

#include "model_catalogue.h"
#include "status.h"

#include <stdint.h>

struct md_allocator;
struct md_arena;
struct md_log;
struct md_model_manager;
struct md_pool;
struct md_registry;

/* Called without locks, on the thread that made the change, after a version's state has changed. */
typedef void (*md_models_changed_fn)(void *owner);

struct md_model_manager_options {
    const struct md_allocator *allocator;
    struct md_registry *registry; /* borrowed, as all below, until md_model_manager_destroy */
    struct md_pool *pool;
    const struct md_log *log;
    const char *repository;
    md_models_changed_fn on_change; /* may be NULL */
    void *on_change_owner;
};

/* Reads the registry into the catalogue and settles what a crash left behind: a load that was never
 * acknowledged is FAILED "interrupted by a restart", an unload is finished. Versions that are wanted are
 * LOADING until md_restore_start has dealt with them. OK: *out_manager is owned by the caller, who releases
 * it with md_model_manager_destroy. Other: the registry's. */
MD_NODISCARD enum md_code md_model_manager_create(const struct md_model_manager_options *options,
                                                  struct md_model_manager **out_manager,
                                                  struct md_error *error);
void md_model_manager_destroy(
    struct md_model_manager *manager); /* no operation may be under way; NULL is allowed */

struct md_catalogue *md_model_manager_catalogue(const struct md_model_manager *manager);

const char *md_model_manager_repository(const struct md_model_manager *manager); /* borrowed */

/* Who asks for what, for the audit trail. */
struct md_lifecycle_request {
    const char *model;
    uint64_t version; /* load: 0 the highest in the repository; unload: 0 every loaded one */
    const char *actor;
    const char *action; /* "load", "unload", "restore"; static */
    const char *precision; /* load: "fp32", "bf16", "int8"; NULL or "": what model.json says, else fp32 */
};

/* Blocks until the version is READY or has failed. `arena` is scratch.
 * INVALID_ARGUMENT: no model name, no precision. NOT_FOUND: not in the repository. ABORTED: another operation is under way.
 * Others: of the hash, the pool or the registry. */
MD_NODISCARD enum md_code md_model_manager_load(struct md_model_manager *manager,
                                                const struct md_lifecycle_request *request,
                                                struct md_arena *arena, uint64_t *out_version,
                                                struct md_error *error);

/* Blocks until the memory has been given back, at most until deadline_us. *out_versions lives in `arena`.
 * NOT_FOUND: not known. FAILED_PRECONDITION: known, but not loaded. ABORTED: as above. DEADLINE_EXCEEDED: out
 * of sight, but requests still run on it. */
MD_NODISCARD enum md_code md_model_manager_unload(struct md_model_manager *manager,
                                                  const struct md_lifecycle_request *request,
                                                  int64_t deadline_us, struct md_arena *arena,
                                                  uint64_t **out_versions, size_t *out_count,
                                                  struct md_error *error);

#endif
