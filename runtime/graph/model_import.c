/* model_import.c - ModelProto: the two ways in, producer, opsets; see model_import.h and importer.h. */
#include "model_import.h"

#include "importer.h"

#include <inttypes.h>
#include <string.h>
#include <sys/random.h>

enum { SCRATCH_BLOCK_BYTES = 64 * 1024 };

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static uint64_t random_seed(void)
{
    uint64_t seed = UINT64_C(0x2545F4914F6CDD1D);
    ssize_t got = getrandom(&seed, sizeof seed, GRND_NONBLOCK);
    (void)got; /* without entropy the fixed seed is as good as most */
    return seed;
}

static enum md_code import_producer(struct md_model *model, const Onnx__ModelProto *proto,
                                    struct md_error *error)
{
    const char *name = text_of(proto->producer_name);
    const char *version = text_of(proto->producer_version);
    bool both = name[0] != '\0' && version[0] != '\0';
    model->producer = md_arena_printf(&model->arena, "%s%s%s", name, both ? " " : "", version);
    return model->producer != NULL ? MD_OK : md_fail_memory(error, "producer");
}

static enum md_code import_opsets(struct md_importer *importer, struct md_error *error)
{
    const Onnx__ModelProto *proto = importer->proto;
    struct md_arena *arena = &importer->model->arena;
    struct md_opset *opsets = md_arena_allocate_zeroed(arena, proto->n_opset_import, sizeof *opsets);
    size_t count = 0;
    if (opsets == NULL)
        return md_fail_memory(error, "opsets");
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        struct md_span domain = md_span_of(md_domain_normalize(proto->opset_import[i]->domain));
        int64_t version = proto->opset_import[i]->version;
        int32_t twin = md_name_map_find(&importer->opsets, domain);
        if (twin >= 0 && opsets[twin].version != version)
            return md_fail(error, MD_INVALID_ARGUMENT,
                           "domain \"%s\" is imported twice, with version %" PRId64 " and %" PRId64,
                           domain.bytes, opsets[twin].version, version);
        if (twin >= 0)
            continue;
        opsets[count] = (struct md_opset){ md_arena_copy_string(arena, domain.bytes, domain.size), version };
        if (opsets[count].domain == NULL || !md_name_map_add(&importer->opsets, domain, (int32_t)count))
            return md_fail_memory(error, "opsets");
        count++;
    }
    importer->model->opsets = opsets;
    importer->model->opset_count = count;
    return MD_OK;
}

static void importer_init(struct md_importer *importer, struct md_model *model, struct md_span bytes,
                          bool keep_bytes, const char *directory, size_t mapping_capacity)
{
    *importer = (struct md_importer){ .model = model, .seed = random_seed() };
    struct md_arena *scratch = &importer->scratch;
    md_arena_init(scratch, model->allocator, SCRATCH_BLOCK_BYTES);
    importer->external = (struct md_external_data){
        .model = model, .scratch = scratch, .directory = directory, .mapping_capacity = mapping_capacity
    };
    importer->tensors = (struct md_tensor_source){
        .arena = &model->arena, .bytes = bytes, .keep_bytes = keep_bytes, .external = &importer->external
    };
    md_name_map_init(&importer->external.files, scratch, importer->seed);
    md_name_map_init(&importer->opsets, scratch, importer->seed);
    md_name_map_init(&importer->function_names, scratch, importer->seed);
    md_name_map_init(&importer->shared, scratch, importer->seed);
}

static enum md_code import_model(struct md_importer *importer, struct md_error *error)
{
    struct md_model *model = importer->model;
    ProtobufCMessage *message;
    MD_TRY(md_wire_unpack(&onnx__model_proto__descriptor, importer->tensors.bytes, &importer->scratch,
                          &message, error));
    const Onnx__ModelProto *proto = (const Onnx__ModelProto *)message;
    importer->proto = proto;
    model->ir_version = proto->has_ir_version ? proto->ir_version : 0;
    if (proto->graph == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "not an ONNX model: %zu bytes without a graph",
                       importer->tensors.bytes.size);
    MD_TRY(import_producer(model, proto, error));
    MD_TRY(import_opsets(importer, error));
    MD_TRY(md_functions_import(importer, error));
    MD_TRY(md_graph_import(importer, proto->graph, NULL, NULL, &model->graph, error));
    md_graph_share_constants(model->graph);
    model->constant_bytes = importer->tensors.constant_bytes;
    return MD_OK;
}

/* Takes the model: destroys it on failure. */
static enum md_code fill_model(struct md_model *model, struct md_span bytes, bool keep_bytes,
                               const char *directory, size_t mapping_capacity, struct md_model **out_model,
                               struct md_error *error)
{
    struct md_importer importer;
    importer_init(&importer, model, bytes, keep_bytes, directory, mapping_capacity);
    enum md_code code = import_model(&importer, error);
    md_arena_cleanup(&importer.scratch);
    if (code == MD_OK)
        *out_model = model;
    else
        md_model_destroy(model);
    return code;
}

enum md_code md_model_import(const struct md_allocator *allocator, const void *bytes, size_t size,
                             bool keep_bytes, const char *directory, struct md_model **out_model,
                             struct md_error *error)
{
    struct md_model *model = md_model_create(allocator);
    if (model == NULL)
        return md_fail_memory(error, "model");
    return fill_model(model, (struct md_span){ bytes, size }, keep_bytes, directory, 0, out_model, error);
}

enum md_code md_model_open(const struct md_allocator *allocator, const char *path,
                           struct md_model **out_model, struct md_error *error)
{
    struct md_model *model = md_model_create(allocator);
    if (model == NULL)
        return md_fail_memory(error, "model");
    size_t capacity = 0;
    const char *slash = strrchr(path, '/');
    const char *directory = slash == path ? md_arena_printf(&model->arena, "/")
                            : slash != NULL
                                ? md_arena_copy_string(&model->arena, path, (size_t)(slash - path))
                                : md_arena_printf(&model->arena, ".");
    enum md_code code =
        directory != NULL ? md_model_reserve_mapping(model, &capacity, error) : md_fail_memory(error, "path");
    if (code == MD_OK)
        code = md_file_map(path, &model->mappings[0], error);
    if (code != MD_OK) {
        md_model_destroy(model);
        return code;
    }
    model->mappings[0].name = md_arena_printf(&model->arena, "%s", slash != NULL ? slash + 1 : path);
    model->mapping_count = 1;
    if (model->mappings[0].name == NULL) {
        md_model_destroy(model);
        return md_fail_memory(error, "path");
    }
    struct md_span bytes = { model->mappings[0].bytes, model->mappings[0].size };
    code = fill_model(model, bytes, true, directory, capacity, out_model, error);
    return code == MD_OK ? MD_OK : md_fail_prefix(error, code, "model file \"%s\"", path);
}
