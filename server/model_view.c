/* model_view.c - see model_view.h. */
#include "model_view.h"

#include "model_catalogue.h"
#include "pool.h"
#include "registry.h"
#include "services.h"
#include "signature.h"

#include <string.h>

/* The catalogue is ahead of the row when the disk is full: what is served is what is said. */
static void show_current_state(struct md_services *services, struct md_arena *arena,
                               Modeld__V1__ModelVersion *view)
{
    struct md_catalogue_state state;
    if (!md_catalogue_find(services->catalogue, view->model, view->version, &state))
        return;
    view->state = (Modeld__V1__ModelState)state.state;
    if (*view->reason != '\0' || *state.reason == '\0')
        return; /* the row has the whole reason */
    char *reason = md_arena_copy_string(arena, state.reason, strlen(state.reason));
    if (reason != NULL)
        view->reason = reason;
}

enum md_code md_model_view(struct md_services *services, struct md_arena *arena,
                           const struct md_version_record *record, Modeld__V1__ModelVersion **out_view,
                           struct md_error *error)
{
    Modeld__V1__ModelVersion *view = md_arena_allocate(arena, sizeof *view);
    struct md_loaded_version *loaded;
    if (view == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__model_version__init(view);
    /* The strings are the arena's, as the row is; protobuf-c only reads them. */
    view->model = (char *)(uintptr_t)record->model;
    view->version = record->version;
    view->state = (Modeld__V1__ModelState)record->state;
    view->reason = (char *)(uintptr_t)record->reason;
    view->task = (char *)(uintptr_t)record->task;
    view->sha256 = (char *)(uintptr_t)record->sha256;
    view->size_bytes = record->size_bytes;
    view->path = (char *)(uintptr_t)record->path;
    view->loaded_at_us = record->loaded_at_us;
    view->request_count = record->request_count;
    view->error_count = record->error_count;
    view->precision = (char *)(uintptr_t)record->precision;
    view->precision_difference = record->precision_difference > 0 ? record->precision_difference : 0;
    show_current_state(services, arena, view);
    if (md_pool_pin(services->pool, record->model, record->version, &loaded, NULL) == MD_OK) {
        view->memory_bytes = md_loaded_version_memory_bytes(loaded);
        md_loaded_version_unpin(loaded);
    }
    MD_TRY(md_signature_from_json(record->signature, arena, view, error));
    *out_view = view;
    return MD_OK;
}

enum md_code md_model_view_list(struct md_services *services, struct md_arena *arena, const char *model,
                                uint64_t version, Modeld__V1__ModelVersion ***out_views, size_t *out_count,
                                struct md_error *error)
{
    struct md_version_record *rows;
    size_t row_count, count = 0;
    MD_TRY(md_registry_list_versions(services->registry, model, arena, &rows, &row_count, error));
    Modeld__V1__ModelVersion **views = md_arena_allocate_zeroed(arena, row_count + 1, sizeof *views);
    if (views == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < row_count; i++)
        if (version == 0 || rows[i].version == version)
            MD_TRY(md_model_view(services, arena, &rows[i], &views[count++], error));
    *out_views = views;
    *out_count = count;
    return MD_OK;
}
