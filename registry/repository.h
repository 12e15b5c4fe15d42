/* repository.h - the model repository: a folder `<repository>/<model>/<version>/` per model version.
 *
 * It is read, never written. A model name cannot leave the repository: it has no '/' and does not start with
 * a dot. Links that the operator put into the repository are followed.
 * Versions are folders named by a whole number from 1 without leading zeroes; anything else there is ignored.
 * No state: every call looks at the disk. Threads: any; an arena belongs to its caller's thread. */
#ifndef MD_REPOSITORY_H
#define MD_REPOSITORY_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

struct md_arena;

enum { MD_MODEL_NAME_LIMIT = 128 };

/* A name starts with a letter or digit, goes on with letters, digits, '.', '_' and '-', has at most 128 bytes
 * and no "..". INVALID_ARGUMENT otherwise; the message says where it breaks. It does not repeat the name,
 * which may hold anything. */
MD_NODISCARD enum md_code md_model_name_check(const char *name, struct md_error *error);

/* The models, by name. Folders whose name is no model name are ignored. Names and array live in `arena`.
 * FAILED_PRECONDITION: the repository is not a folder that can be read. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_repository_list_models(const char *repository, struct md_arena *arena,
                                                    const char *const **out_names, size_t *out_count,
                                                    struct md_error *error);

/* The versions of a model, rising; the array lives in `arena`. A model without versions gives OK and 0.
 * INVALID_ARGUMENT: no model name. NOT_FOUND: no such model; the message says which one may be meant.
 * Others as md_repository_list_models. */
MD_NODISCARD enum md_code md_repository_list_versions(const char *repository, const char *model,
                                                      struct md_arena *arena, uint64_t **out_versions,
                                                      size_t *out_count, struct md_error *error);

/* Finds one version; `version` 0 is the highest one. *out_path is its folder and lives in `arena`.
 * NOT_FOUND: no such model (see above), or no such version; the message lists those that exist. */
MD_NODISCARD enum md_code md_repository_find_version(const char *repository, const char *model,
                                                     uint64_t version, struct md_arena *arena,
                                                     uint64_t *out_version, const char **out_path,
                                                     struct md_error *error);

#endif
