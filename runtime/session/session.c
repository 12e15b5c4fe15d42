/* session.c - from a model to a session; see session.h. */
#include "executor.h"

#include "allocator.h"
#include "constant_release.h"
#include "isa.h"
#include "model_import.h"
#include "packed_cache.h"
#include "pass.h"

#include <string.h>

static enum md_code make_signatures(struct md_model *model, const int32_t *values, size_t count,
                                    struct md_signature **out_signatures, struct md_error *error)
{
    struct md_signature *signatures = md_arena_allocate_zeroed(&model->arena, count, sizeof *signatures);
    if (signatures == NULL)
        return md_fail_memory(error, "signatures");
    for (size_t i = 0; i < count; i++) {
        const struct md_graph_value *value = &model->graph->values[values[i]];
        signatures[i] = (struct md_signature){
            .name = value->name,
            .datatype = value->type.datatype,
            .is_tensor = value->type.kind == MD_TYPE_TENSOR && !value->type.optional,
            .has_shape = value->type.has_shape,
            .shape = value->type.shape,
        };
    }
    *out_signatures = signatures;
    return MD_OK;
}

/* From the graph as passes have left it. */
static enum md_code build(struct md_session *session, const struct md_session_options *options, struct md_error *error)
{
    struct md_model *model = session->model;
    const struct md_graph *graph = model->graph;
    MD_TRY(md_program_create(model, graph, options->precision, &session->prepared, &session->program_count,
                             &session->program, error));
    session->input_count = graph->input_count;
    session->output_count = graph->output_count;
    MD_TRY(make_signatures(model, graph->inputs, graph->input_count, &session->inputs, error));
    return make_signatures(model, graph->outputs, graph->output_count, &session->outputs, error);
}

static enum md_code build_from_source(struct md_session *session, const struct md_session_options *options,
                                      struct md_error *error)
{
    MD_TRY(md_isa_check(error));
    MD_TRY(md_passes_apply(session->model, options->disabled_passes, error));
    MD_TRY(build(session, options, error));
    return md_constants_release(session->model, session->program, error);
}

/* Takes the model. NULL: no memory. */
static struct md_session *session_new(const struct md_allocator *allocator, struct md_model *model,
                                      const struct md_session_options *options)
{
    struct md_session *session = md_allocate_zeroed(allocator, 1, sizeof *session);
    if (session == NULL) {
        md_model_destroy(model);
        return NULL;
    }
    session->allocator = allocator;
    session->model = model;
    session->max_run_bytes = options->max_run_bytes > 0 ? options->max_run_bytes : (size_t)8 << 30;
    session->thread_pool = options->thread_pool;
    return session;
}

static const struct md_session_options defaults = { .disabled_passes = NULL };

enum md_code md_session_create(const struct md_allocator *allocator, struct md_model *model,
                               const struct md_session_options *options, struct md_session **out_session,
                               struct md_error *error)
{
    options = options != NULL ? options : &defaults;
    struct md_session *session = session_new(allocator, model, options);
    if (session == NULL)
        return md_fail_memory(error, "session");
    enum md_code code = build_from_source(session, options, error);
    if (code != MD_OK) {
        md_session_destroy(session);
        return code;
    }
    *out_session = session;
    return MD_OK;
}

/* The session from the packed cache; NULL: there is none that fits. */
static struct md_session *open_packed(const struct md_allocator *allocator, const char *path,
                                      const struct md_session_options *options)
{
    struct md_model *model;
    struct md_prepared prepared;
    if (md_isa_check(NULL) != MD_OK || !md_packed_cache_read(allocator, path, options, &model, &prepared))
        return NULL;
    struct md_session *session = session_new(allocator, model, options);
    if (session == NULL)
        return NULL;
    session->prepared = prepared;
    session->packed_cache = MD_PACKED_CACHE_FOUND;
    if (build(session, options, NULL) != MD_OK || session->prepared.next != session->prepared.count) {
        md_session_destroy(session);
        return NULL;
    }
    return session;
}

enum md_code md_session_open(const struct md_allocator *allocator, const char *path,
                             const struct md_session_options *options, struct md_session **out_session,
                             struct md_error *error)
{
    options = options != NULL ? options : &defaults;
    const bool cached = options->packed_cache_from_bytes > 0;
    struct md_session *session = cached ? open_packed(allocator, path, options) : NULL;
    if (session == NULL) {
        struct md_model *model;
        MD_TRY(md_model_open(allocator, path, &model, error));
        MD_TRY(md_session_create(allocator, model, options, &session, error)); /* takes the model in any case */
        if (cached && model->constant_bytes >= options->packed_cache_from_bytes)
            session->packed_cache = md_packed_cache_write(allocator, path, options, model, &session->prepared) ?
                                        MD_PACKED_CACHE_WRITTEN :
                                        MD_PACKED_CACHE_UNWRITTEN;
    }
    *out_session = session;
    return MD_OK;
}

void md_session_destroy(struct md_session *session)
{
    if (session == NULL)
        return;
    md_model_destroy(session->model);
    md_release(session->allocator, session);
}

size_t md_session_input_count(const struct md_session *session)
{
    return session->input_count;
}

size_t md_session_output_count(const struct md_session *session)
{
    return session->output_count;
}

const struct md_signature *md_session_input(const struct md_session *session, size_t index)
{
    return &session->inputs[index];
}

const struct md_signature *md_session_output(const struct md_session *session, size_t index)
{
    return &session->outputs[index];
}

static int find_signature(const struct md_signature *signatures, size_t count, struct md_span name)
{
    for (size_t i = 0; i < count; i++)
        if (md_span_equal(md_span_of(signatures[i].name), name))
            return (int)i;
    return -1;
}

int md_session_find_input(const struct md_session *session, struct md_span name)
{
    return find_signature(session->inputs, session->input_count, name);
}

int md_session_find_output(const struct md_session *session, struct md_span name)
{
    return find_signature(session->outputs, session->output_count, name);
}

const struct md_model *md_session_model(const struct md_session *session)
{
    return session->model;
}

size_t md_session_mapped_bytes(const struct md_session *session)
{
    size_t bytes = 0;
    for (size_t i = 0; i < session->model->mapping_count; i++)
        bytes += session->model->mappings[i].size;
    return bytes - session->model->released_bytes;
}

enum md_packed_cache md_session_packed_cache(const struct md_session *session)
{
    return session->packed_cache;
}

const char *md_packed_cache_name(enum md_packed_cache cache)
{
    return cache == MD_PACKED_CACHE_FOUND ? "found" : cache == MD_PACKED_CACHE_WRITTEN ? "written" : "unused";
}
