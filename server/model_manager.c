/* model_manager.c - see model_manager.h. */
#include "model_manager.h"

#include "allocator.h"
#include "clock.h"
#include "log.h"
#include "pool.h"
#include "repository.h"
#include "session.h"
#include "sha256.h"
#include "signature.h"
#include "task.h"

#include <inttypes.h>
#include <string.h>

struct md_model_manager {
    struct md_model_manager_options options; /* immutable after create */
    struct md_catalogue *catalogue;
};

/* One operation on one version. */
struct operation {
    struct md_model_manager *manager;
    const struct md_lifecycle_request *request;
    struct md_arena *arena;
    struct md_version_record record; /* the row as it is or is to be */
    bool was_loaded; /* it served when the operation began: a failure changes nothing but the audit trail */
    int64_t started_at_us;
};

struct md_catalogue *md_model_manager_catalogue(const struct md_model_manager *manager)
{
    return manager->catalogue;
}

const char *md_model_manager_repository(const struct md_model_manager *manager)
{
    return manager->options.repository;
}

static void changed(struct md_model_manager *manager)
{
    if (manager->options.on_change != NULL)
        manager->options.on_change(manager->options.on_change_owner);
}

/* In the catalogue and to whoever watches. */
static void show_state(struct operation *operation)
{
    const struct md_version_record *record = &operation->record;
    md_catalogue_set(operation->manager->catalogue, record->model, record->version, record->state,
                     record->state == MD_VERSION_FAILED ? record->reason : NULL);
    changed(operation->manager);
}

static struct md_event_record event_of(const struct operation *operation, enum md_code code,
                                       const char *message)
{
    return (struct md_event_record){ .actor = operation->request->actor,
                                     .action = operation->request->action,
                                     .model = operation->record.model,
                                     .version = operation->record.version,
                                     .code = code,
                                     .message = message };
}

/* The row with its state, and an event if `message` is given. */
static enum md_code record_state(struct operation *operation, enum md_version_state state,
                                 const char *message, struct md_error *error)
{
    operation->record.state = state;
    struct md_event_record event = event_of(operation, MD_OK, message);
    return md_registry_record(operation->manager->options.registry, &operation->record,
                              message == NULL ? NULL : &event, error);
}

/* Fills operation->record with the row of the version, or with an empty one. */
static enum md_code read_row(struct operation *operation, const char *model, uint64_t version,
                             struct md_error *error)
{
    struct md_version_record *rows;
    size_t count;
    MD_TRY(md_registry_list_versions(operation->manager->options.registry, model, operation->arena, &rows,
                                     &count, error));
    operation->record = (struct md_version_record){ .model = model,
                                                    .version = version,
                                                    .reason = "",
                                                    .task = "",
                                                    .sha256 = "",
                                                    .path = "",
                                                    .signature = "",
                                                    .precision = "",
                                                    .precision_difference = -1 };
    for (size_t i = 0; i < count; i++)
        if (rows[i].version == version)
            operation->record = rows[i];
    return MD_OK;
}

static bool is_loaded(struct md_model_manager *manager, const char *model, uint64_t version)
{
    struct md_loaded_version *loaded;
    if (md_pool_pin(manager->options.pool, model, version, &loaded, NULL) != MD_OK)
        return false;
    md_loaded_version_unpin(loaded);
    return true;
}

static void log_outcome(const struct operation *operation, enum md_code code, const char *message,
                        const char *what_next)
{
    MD_LOG(operation->manager->options.log, code == MD_OK ? MD_LOG_INFO : MD_LOG_WARNING, what_next,
           MD_LOG_STRING("action", operation->request->action),
           MD_LOG_STRING("model", operation->record.model),
           MD_LOG_COUNT("version", operation->record.version), MD_LOG_STRING("code", md_code_name(code)),
           MD_LOG_STRING("actor", operation->request->actor), MD_LOG_STRING("message", message),
           MD_LOG_NUMBER("duration_us", md_clock_us() - operation->started_at_us));
}

/* ---- load ---- */

static void on_warming(void *owner)
{
    struct operation *operation = owner;
    if (operation->was_loaded)
        return; /* what is shown is what serves */
    struct md_error error;
    enum md_code code = record_state(operation, MD_VERSION_WARMING, NULL, &error);
    if (code != MD_OK) /* READY is what counts, and it will be tried */
        log_outcome(operation, code, error.message, "state WARMING not recorded, load goes on");
    show_state(operation);
}

/* The event and, unless an older load of the version serves on, the state FAILED. Returns `code`. */
static enum md_code fail_load(struct operation *operation, enum md_code code, struct md_error *error)
{
    const struct md_model_manager_options *options = &operation->manager->options;
    struct md_event_record event = event_of(operation, code, error->message);
    struct md_error second;
    enum md_code recorded;
    if (operation->was_loaded) {
        recorded = md_registry_append_event(options->registry, &event, &second);
    } else {
        operation->record.state = MD_VERSION_FAILED;
        operation->record.reason = error->message;
        recorded = md_registry_record(options->registry, &operation->record, &event, &second);
        show_state(operation);
    }
    if (recorded != MD_OK)
        log_outcome(operation, recorded, second.message,
                    "failed load not recorded, its state is known until a restart");
    log_outcome(operation, code, error->message,
                operation->was_loaded ? "load failed, the version goes on serving as it was" : "load failed");
    return code;
}

/* NULL as *out_choice: the request leaves it to the version's files. */
static enum md_code choose_precision(const struct md_lifecycle_request *request, enum md_precision *precision,
                                     const enum md_precision **out_choice, struct md_error *error)
{
    const char *name = request->precision == NULL ? "" : request->precision;
    if (*name != '\0' && !md_precision_find(md_span_of(name), precision))
        return md_fail(error, MD_INVALID_ARGUMENT, "precision \"%s\" is not known; known are fp32, bf16, int8", name);
    *out_choice = *name == '\0' ? NULL : precision;
    return MD_OK;
}

static void describe_accuracy(struct md_version_record *record, const struct md_accuracy *accuracy)
{
    record->precision = md_precision_name(accuracy->precision); /* static */
    record->precision_difference = accuracy->precision == MD_PRECISION_FP32 ? -1 : accuracy->difference;
}

/* "READY after 5 us, 7 bytes in memory, precision int8, difference 0.013 of 0.15"; NULL when there is no memory. */
static const char *ready_message(const struct operation *operation, size_t memory_bytes,
                                 const struct md_accuracy *accuracy)
{
    const char *difference = accuracy->precision == MD_PRECISION_FP32
                                 ? ""
                                 : md_arena_printf(operation->arena, ", difference %.3g of %.3g", accuracy->difference,
                                                   accuracy->bound);
    return difference == NULL
               ? NULL
               : md_arena_printf(operation->arena, "READY after %" PRId64 " us, %zu bytes in memory, precision %s%s",
                                 md_clock_us() - operation->started_at_us, memory_bytes,
                                 md_precision_name(accuracy->precision), difference);
}

/* No cache is no failure: the next load takes as long as this one. */
static void log_packed_cache(const struct operation *operation, const struct md_session *session)
{
    if (md_session_packed_cache(session) == MD_PACKED_CACHE_UNWRITTEN)
        MD_LOG(operation->manager->options.log, MD_LOG_DEBUG, "packed cache not written, the next load packs again",
               MD_LOG_STRING("model", operation->record.model), MD_LOG_COUNT("version", operation->record.version));
}

/* What is known only when the version is loaded: task, signature, memory, accuracy. */
static enum md_code describe_loaded(struct operation *operation, size_t *out_memory_bytes,
                                    struct md_accuracy *out_accuracy, struct md_error *error)
{
    struct md_version_record *record = &operation->record;
    struct md_loaded_version *loaded;
    Modeld__V1__ModelVersion wire = MODELD__V1__MODEL_VERSION__INIT;
    MD_TRY(md_pool_pin(operation->manager->options.pool, record->model, record->version, &loaded, error));
    const struct md_task *task = md_loaded_version_task(loaded);
    record->task = task == NULL ? "tensors" : md_task_name(task); /* static */
    *out_memory_bytes = md_loaded_version_memory_bytes(loaded);
    *out_accuracy = md_loaded_version_accuracy(loaded);
    describe_accuracy(record, out_accuracy);
    log_packed_cache(operation, md_loaded_version_session(loaded));
    enum md_code code =
        md_signature_of_session(md_loaded_version_session(loaded), operation->arena, &wire, error);
    md_loaded_version_unpin(loaded);
    if (code != MD_OK)
        return code;
    record->signature = md_signature_to_json(&wire, operation->arena);
    return record->signature == NULL ? md_fail_memory(error, "signature") : MD_OK;
}

/* The version is in the pool: makes that durable, or takes it out again. */
static enum md_code acknowledge(struct operation *operation, struct md_error *error)
{
    struct md_version_record *record = &operation->record;
    const struct md_version_record before = *record;
    struct md_accuracy accuracy;
    size_t memory_bytes = 0;
    const char *message = NULL;
    enum md_code code = describe_loaded(operation, &memory_bytes, &accuracy, error);
    if (code == MD_OK) {
        record->desired = true;
        record->reason = "";
        record->loaded_at_us = md_clock_wall_us();
        message = ready_message(operation, memory_bytes, &accuracy);
        code = message == NULL ? md_fail_memory(error, "event")
                               : record_state(operation, MD_VERSION_READY, message, error);
    }
    if (code == MD_OK) {
        show_state(operation);
        log_outcome(operation, MD_OK, message, "model loaded");
        return MD_OK;
    }
    *record = before;
    if (!operation->was_loaded) {
        struct md_error second; /* a version that serves stays; a new one that cannot be recorded goes */
        if (md_pool_unload(operation->manager->options.pool, record->model, record->version, md_clock_us(),
                           &second) != MD_OK)
            log_outcome(operation, code, second.message, "unloading a version that could not be recorded");
    }
    return fail_load(operation, code, error);
}

static enum md_code load_claimed(struct operation *operation, const char *path, const enum md_precision *precision,
                                 struct md_error *error)
{
    const struct md_pool_load_options load_options = {
        .precision = precision, .on_warming = on_warming, .owner = operation
    };
    const struct md_model_manager_options *options = &operation->manager->options;
    struct md_version_record *record = &operation->record;
    char sha256[MD_SHA256_HEX_SIZE];
    record->path = path;
    if (!operation->was_loaded) { /* else the row goes on saying what serves */
        record->reason = md_arena_printf(operation->arena, "%s asked for by %s", operation->request->action,
                                         operation->request->actor);
        if (record->reason == NULL)
            return md_fail_memory(error, "load");
        MD_TRY(record_state(operation, MD_VERSION_LOADING, NULL, error));
        show_state(operation);
    }
    enum md_code code = md_sha256_directory(options->allocator, path, sha256, &record->size_bytes, error);
    if (code == MD_OK) {
        record->sha256 = sha256;
        code =
            md_pool_load(options->pool, record->model, record->version, path, &load_options, error);
    }
    if (code != MD_OK)
        return fail_load(
            operation,
            md_fail_prefix(error, code, "model \"%s\" version %" PRIu64, record->model, record->version),
            error);
    return acknowledge(operation, error);
}

/* A load of something that is not there leaves a trace as well. */
static enum md_code refuse_load(struct operation *operation, enum md_code code, struct md_error *error)
{
    struct md_error second;
    operation->record.model = operation->request->model;
    operation->record.version = operation->request->version;
    struct md_event_record event = event_of(operation, code, error->message);
    enum md_code recorded = md_registry_append_event(operation->manager->options.registry, &event, &second);
    if (recorded != MD_OK)
        log_outcome(operation, recorded, second.message, "refused load not recorded");
    log_outcome(operation, code, error->message, "load refused");
    return code;
}

/* A wanted version whose files are gone: its row says so. */
static enum md_code fail_known(struct operation *operation, enum md_code code, struct md_error *error)
{
    const struct md_lifecycle_request *request = operation->request;
    struct md_error second;
    if (request->version == 0 ||
        !md_catalogue_find(operation->manager->catalogue, request->model, request->version, NULL) ||
        is_loaded(operation->manager, request->model, request->version) ||
        md_catalogue_claim(operation->manager->catalogue, request->model, request->version, "is being loaded",
                           NULL) != MD_OK)
        return refuse_load(operation, code, error);
    if (read_row(operation, request->model, request->version, &second) != MD_OK)
        code = refuse_load(operation, code, error);
    else
        code = fail_load(operation, code, error);
    md_catalogue_release(operation->manager->catalogue, request->model, request->version);
    return code;
}

enum md_code md_model_manager_load(struct md_model_manager *manager,
                                   const struct md_lifecycle_request *request, struct md_arena *arena,
                                   uint64_t *out_version, struct md_error *error)
{
    struct md_error local;
    struct operation operation = {
        .manager = manager, .request = request, .arena = arena, .started_at_us = md_clock_us()
    };
    enum md_precision precision;
    const enum md_precision *choice;
    const char *path;
    uint64_t version;
    if (error == NULL)
        error = &local; /* its text goes into the audit trail */
    MD_TRY(md_model_name_check(request->model, error));
    MD_TRY(choose_precision(request, &precision, &choice, error));
    enum md_code code = md_repository_find_version(manager->options.repository, request->model,
                                                   request->version, arena, &version, &path, error);
    if (code != MD_OK)
        return fail_known(&operation, code, error);
    MD_TRY(md_catalogue_claim(manager->catalogue, request->model, version, "is being loaded", error));
    code = read_row(&operation, request->model, version, error);
    if (code == MD_OK) {
        operation.was_loaded = is_loaded(manager, request->model, version);
        code = load_claimed(&operation, path, choice, error);
    }
    md_catalogue_release(manager->catalogue, request->model, version);
    if (code == MD_OK)
        *out_version = version;
    return code;
}

/* ---- unload ---- */

static enum md_code drain(struct operation *operation, int64_t deadline_us, struct md_error *error)
{
    struct md_version_record *record = &operation->record;
    struct md_registry *registry = operation->manager->options.registry;
    bool loaded = is_loaded(operation->manager, record->model, record->version);
    if (!loaded && !record->desired)
        return md_fail(error, MD_FAILED_PRECONDITION, "model \"%s\" version %" PRIu64 " is not loaded: %s",
                       record->model, record->version, md_version_state_name(record->state));
    record->desired = false;
    record->reason = "";
    /* The event is written with the decision: from here on a crash does not bring the version back. */
    MD_TRY(record_state(operation, MD_VERSION_DRAINING, loaded ? "unloaded" : "no longer wanted", error));
    show_state(operation);
    enum md_code code = MD_OK;
    if (loaded)
        code = md_pool_unload(operation->manager->options.pool, record->model, record->version, deadline_us,
                              error);
    if (code == MD_NOT_FOUND)
        code = MD_OK; /* it is gone, which is what was asked for */
    record->state = MD_VERSION_UNLOADED;
    struct md_event_record late = event_of(operation, code, error->message);
    struct md_error second;
    enum md_code recorded = md_registry_record(registry, record, code == MD_OK ? NULL : &late, &second);
    show_state(operation);
    log_outcome(operation, code, code == MD_OK ? "" : error->message, "model unloaded");
    if (recorded == MD_OK || code != MD_OK)
        return code;
    return md_fail(error, recorded,
                   "model \"%s\" version %" PRIu64 " is unloaded, but that could not be recorded: %.300s",
                   record->model, record->version, second.message);
}

static enum md_code unload_version(struct md_model_manager *manager,
                                   const struct md_lifecycle_request *request, uint64_t version,
                                   int64_t deadline_us, struct md_arena *arena, struct md_error *error)
{
    struct operation operation = {
        .manager = manager, .request = request, .arena = arena, .started_at_us = md_clock_us()
    };
    MD_TRY(md_catalogue_claim(manager->catalogue, request->model, version, "is being loaded or unloaded",
                              error));
    enum md_code code = read_row(&operation, request->model, version, error);
    if (code == MD_OK)
        code = drain(&operation, deadline_us, error);
    md_catalogue_release(manager->catalogue, request->model, version);
    return code;
}

static enum md_code unknown_model(struct md_model_manager *manager,
                                  const struct md_lifecycle_request *request, struct md_arena *arena,
                                  struct md_error *error)
{
    if (md_catalogue_find(manager->catalogue, request->model, 0, NULL))
        return md_fail(error, MD_NOT_FOUND, "unknown version %" PRIu64 " of model \"%s\"", request->version,
                       request->model);
    const char *near = md_catalogue_nearest(manager->catalogue, request->model, arena);
    return near == NULL ? md_fail(error, MD_NOT_FOUND, "unknown model \"%s\"", request->model)
                        : md_fail(error, MD_NOT_FOUND, "unknown model \"%s\"; did you mean \"%s\"?",
                                  request->model, near);
}

/* The versions that version 0 stands for. */
static enum md_code list_loaded(struct md_model_manager *manager, const char *model, struct md_arena *arena,
                                uint64_t **out_versions, size_t *out_count, struct md_error *error)
{
    struct md_version_record *rows;
    size_t row_count, count = 0;
    MD_TRY(md_registry_list_versions(manager->options.registry, model, arena, &rows, &row_count, error));
    uint64_t *versions = md_arena_allocate_zeroed(arena, row_count + 1, sizeof *versions);
    if (versions == NULL)
        return md_fail_memory(error, "versions");
    for (size_t i = 0; i < row_count; i++)
        if (rows[i].desired || is_loaded(manager, model, rows[i].version))
            versions[count++] = rows[i].version;
    if (count == 0)
        return md_fail(error, MD_FAILED_PRECONDITION, "no version of model \"%s\" is loaded", model);
    *out_versions = versions;
    *out_count = count;
    return MD_OK;
}

enum md_code md_model_manager_unload(struct md_model_manager *manager,
                                     const struct md_lifecycle_request *request, int64_t deadline_us,
                                     struct md_arena *arena, uint64_t **out_versions, size_t *out_count,
                                     struct md_error *error)
{
    struct md_error local;
    uint64_t *versions = NULL;
    size_t count = 1;
    if (error == NULL)
        error = &local; /* its text goes into the audit trail */
    MD_TRY(md_model_name_check(request->model, error));
    if (!md_catalogue_find(manager->catalogue, request->model, request->version, NULL))
        return unknown_model(manager, request, arena, error);
    if (request->version == 0)
        MD_TRY(list_loaded(manager, request->model, arena, &versions, &count, error));
    else
        versions = md_arena_allocate(arena, sizeof *versions);
    if (versions == NULL)
        return md_fail_memory(error, "versions");
    if (request->version != 0)
        versions[0] = request->version;
    for (size_t i = 0; i < count; i++)
        MD_TRY(unload_version(manager, request, versions[i], deadline_us, arena, error));
    *out_versions = versions;
    *out_count = count;
    return MD_OK;
}

/* ---- create ---- */

/* What a crash can leave in a row; a wanted version is left to the restore. */
static enum md_code settle(struct operation *operation, struct md_error *error)
{
    struct md_version_record *record = &operation->record;
    const char *message = NULL;
    enum md_version_state before = record->state;
    if (record->desired) {
        record->state = MD_VERSION_LOADING;
        record->reason = "";
    } else if (before == MD_VERSION_LOADING || before == MD_VERSION_WARMING) {
        record->state = MD_VERSION_FAILED;
        message = md_arena_printf(operation->arena, "interrupted by a restart%s%s",
                                  *record->reason == '\0' ? "" : "; ", record->reason); /* who asked for it */
        if (message == NULL)
            return md_fail_memory(error, "event");
        record->reason = message;
    } else if (before == MD_VERSION_DRAINING || before == MD_VERSION_READY) {
        record->state = MD_VERSION_UNLOADED; /* the unload has its event already */
    }
    const struct md_lifecycle_request request = { .actor = "modeld", .action = "load" };
    operation->request = &request;
    struct md_event_record event = event_of(operation, MD_ABORTED, message);
    if (record->state != before && !record->desired)
        MD_TRY(md_registry_record(operation->manager->options.registry, record,
                                  message == NULL ? NULL : &event, error));
    MD_TRY(
        md_catalogue_claim(operation->manager->catalogue, record->model, record->version, "is new", error));
    md_catalogue_set(operation->manager->catalogue, record->model, record->version, record->state,
                     record->reason);
    md_catalogue_release(operation->manager->catalogue, record->model, record->version);
    return MD_OK;
}

static enum md_code settle_all(struct md_model_manager *manager, struct md_arena *arena,
                               struct md_error *error)
{
    struct md_version_record *rows;
    size_t count;
    MD_TRY(md_registry_list_versions(manager->options.registry, NULL, arena, &rows, &count, error));
    for (size_t i = 0; i < count; i++) {
        struct operation operation = { .manager = manager, .arena = arena, .record = rows[i] };
        MD_TRY(settle(&operation, error));
    }
    return MD_OK;
}

enum md_code md_model_manager_create(const struct md_model_manager_options *options,
                                     struct md_model_manager **out_manager, struct md_error *error)
{
    struct md_arena arena;
    struct md_model_manager *manager = md_allocate_zeroed(options->allocator, 1, sizeof *manager);
    if (manager == NULL)
        return md_fail_memory(error, "model manager");
    manager->options = *options;
    md_arena_init(&arena, options->allocator, 0);
    enum md_code code = md_catalogue_create(options->allocator, &manager->catalogue, error);
    if (code == MD_OK)
        code = settle_all(manager, &arena, error);
    md_arena_cleanup(&arena);
    if (code != MD_OK) {
        md_model_manager_destroy(manager);
        return code;
    }
    *out_manager = manager;
    return MD_OK;
}

void md_model_manager_destroy(struct md_model_manager *manager)
{
    if (manager == NULL)
        return;
    md_catalogue_destroy(manager->catalogue);
    md_release(manager->options.allocator, manager);
}
