/* model_view.h - a version as ListModels, GetModel, LoadModel and UnloadModel answer it: the registry's row,
 * and what only a loaded version knows. Runs SQL: not for the poller or the inference workers. Memory: the
 * request's arena. */
#ifndef MD_MODEL_VIEW_H
#define MD_MODEL_VIEW_H

#include "arena.h"
#include "status.h"

#include <modeld/v1/modeld.pb-c.h>
#include <stddef.h>
#include <stdint.h>

struct md_services;
struct md_version_record;

/* INTERNAL: the row's signature is no JSON. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_model_view(struct md_services *services, struct md_arena *arena,
                                        const struct md_version_record *record,
                                        Modeld__V1__ModelVersion **out_view, struct md_error *error);

/* The versions of `model` (NULL: of all) that the registry knows; version 0: each. May be none. */
MD_NODISCARD enum md_code md_model_view_list(struct md_services *services, struct md_arena *arena,
                                             const char *model, uint64_t version,
                                             Modeld__V1__ModelVersion ***out_views, size_t *out_count,
                                             struct md_error *error);

#endif
