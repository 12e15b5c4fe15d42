/* request_set.c - see request_set.h. Tensors are made in an arena that is reset for each request. */
#include "request_set.h"

#include "allocator.h"
#include "arena.h"
#include "arrivals.h"
#include "checked.h"
#include "inference/inference.pb-c.h"
#include "modeld/v1/modeld.pb-c.h"

#include <string.h>

enum { RANK_MAX = 16, TENSOR_BYTES_MAX = 64 * 1024 * 1024 };

struct tensor {
    const struct md_load_input *input;
    int64_t shape[RANK_MAX];
    unsigned char *contents;
    size_t size;
};

static const struct datatype {
    const char *name;
    unsigned char size;
    char kind; /* i: integer, f: FP32, d: FP64 */
} datatypes[] = { { "BOOL", 1, 'i' },   { "INT8", 1, 'i' },   { "UINT8", 1, 'i' }, { "INT16", 2, 'i' },
                  { "UINT16", 2, 'i' }, { "INT32", 4, 'i' },  { "UINT32", 4, 'i' }, { "INT64", 8, 'i' },
                  { "UINT64", 8, 'i' }, { "FP32", 4, 'f' },   { "FP64", 8, 'd' } };

static const struct datatype *find_datatype(const char *name)
{
    for (size_t i = 0; i < sizeof datatypes / sizeof *datatypes; i++)
        if (strcmp(datatypes[i].name, name) == 0)
            return &datatypes[i];
    return NULL;
}

/* The machine is little-endian, as the wire is. */
static void make_element(const struct datatype *type, struct md_load_range values, uint64_t *state, void *out)
{
    double real = 2 * md_random_unit(state) - 1;
    float single = (float)real;
    int64_t integer = type->kind == 'i' ? md_random_between(state, values.least, values.most) : 0;
    memcpy(out, type->kind == 'i' ? (const void *)&integer : type->kind == 'f' ? (const void *)&single : &real,
           type->size);
}

static enum md_code make_tensor(const struct md_load_input *input, const int64_t *axes, uint64_t *state,
                                struct md_arena *arena, struct tensor *out, struct md_error *error)
{
    const struct datatype *type = find_datatype(input->datatype);
    size_t size;
    if (type == NULL || input->rank > RANK_MAX)
        return md_fail(error, MD_INVALID_ARGUMENT, "input \"%.128s\": %.16s of rank %zu cannot be made up", input->name,
                       input->datatype, input->rank);
    size = type->size;
    for (size_t i = 0; i < input->rank; i++) {
        out->shape[i] = input->shape[i] < 0 ? axes[i] : input->shape[i];
        if (!md_checked_multiply(size, (size_t)out->shape[i], &size) || size > TENSOR_BYTES_MAX)
            return md_fail(error, MD_RESOURCE_EXHAUSTED, "input \"%.128s\" is larger than %d bytes", input->name,
                           TENSOR_BYTES_MAX);
    }
    out->input = input;
    out->size = size;
    out->contents = md_arena_allocate(arena, size + 1);
    if (out->contents == NULL)
        return md_fail_memory(error, "tensor");
    for (size_t at = 0; at < size; at += type->size)
        make_element(type, input->values, state, out->contents + at);
    return MD_OK;
}

static enum md_code pack(const ProtobufCMessage *message, struct md_request *out_request, struct md_error *error)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    void *bytes = md_allocate(md_process_allocator(), size + 1);
    if (bytes == NULL)
        return md_fail_memory(error, "request");
    (void)protobuf_c_message_pack(message, bytes); /* the size is known */
    *out_request = (struct md_request){ bytes, size };
    return MD_OK;
}

/* protobuf-c's members are not const, but packing only reads them. */
static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

static Modeld__V1__PredictRequest modeld_request(const struct md_request_options *options)
{
    Modeld__V1__PredictRequest request = MODELD__V1__PREDICT_REQUEST__INIT;
    request.model = unconst(options->model);
    request.version = unconst(options->version);
    return request;
}

static enum md_code pack_modeld(const struct md_request_options *options, struct tensor *tensors,
                                struct md_arena *arena, struct md_request *out_request, struct md_error *error)
{
    Modeld__V1__PredictRequest request = modeld_request(options);
    Modeld__V1__Tensor *messages = md_arena_allocate(arena, (options->input_count + 1) * sizeof *messages);
    request.inputs = md_arena_allocate(arena, (options->input_count + 1) * sizeof *request.inputs);
    if (messages == NULL || request.inputs == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < options->input_count; i++) {
        modeld__v1__tensor__init(&messages[i]);
        messages[i].name = unconst(tensors[i].input->name);
        messages[i].datatype = unconst(tensors[i].input->datatype);
        messages[i].shape = tensors[i].shape;
        messages[i].n_shape = tensors[i].input->rank;
        messages[i].contents = (ProtobufCBinaryData){ tensors[i].size, tensors[i].contents };
        request.inputs[i] = &messages[i];
    }
    request.n_inputs = options->input_count;
    return pack(&request.base, out_request, error);
}

static enum md_code pack_oip(const struct md_request_options *options, struct tensor *tensors, struct md_arena *arena,
                             struct md_request *out_request, struct md_error *error)
{
    size_t count = options->input_count;
    Inference__ModelInferRequest request = INFERENCE__MODEL_INFER_REQUEST__INIT;
    Inference__ModelInferRequest__InferInputTensor *messages = md_arena_allocate(arena, (count + 1) * sizeof *messages);
    request.model_name = unconst(options->model);
    request.model_version = unconst(options->version);
    request.inputs = md_arena_allocate(arena, (count + 1) * sizeof *request.inputs);
    request.raw_input_contents = md_arena_allocate(arena, (count + 1) * sizeof *request.raw_input_contents);
    if (messages == NULL || request.inputs == NULL || request.raw_input_contents == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < count; i++) {
        inference__model_infer_request__infer_input_tensor__init(&messages[i]);
        messages[i].name = unconst(tensors[i].input->name);
        messages[i].datatype = unconst(tensors[i].input->datatype);
        messages[i].shape = tensors[i].shape;
        messages[i].n_shape = tensors[i].input->rank;
        request.inputs[i] = &messages[i];
        request.raw_input_contents[i] = (ProtobufCBinaryData){ tensors[i].size, tensors[i].contents };
    }
    request.n_inputs = request.n_raw_input_contents = count;
    return pack(&request.base, out_request, error);
}

static enum md_code make_request(const struct md_request_options *options, uint64_t *state, struct md_arena *arena,
                                 struct md_request *out_request, struct md_error *error)
{
    int64_t axes[RANK_MAX];
    for (size_t i = 0; i < RANK_MAX; i++)
        axes[i] = i < options->axis_count ? md_random_between(state, options->axes[i].least, options->axes[i].most) : 1;
    struct tensor *tensors = md_arena_allocate_zeroed(arena, options->input_count + 1, sizeof *tensors);
    if (tensors == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < options->input_count; i++)
        MD_TRY(make_tensor(&options->inputs[i], axes, state, arena, &tensors[i], error));
    return options->protocol == MD_LOAD_OIP ? pack_oip(options, tensors, arena, out_request, error)
                                            : pack_modeld(options, tensors, arena, out_request, error);
}

static enum md_code begin_set(const struct md_request_options *options, size_t count, struct md_request_set *set,
                              struct md_error *error)
{
    *set = (struct md_request_set){ .path = options->protocol == MD_LOAD_OIP
                                                ? "/inference.GRPCInferenceService/ModelInfer"
                                                : "/modeld.v1.ModelService/Predict" };
    if (count == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "there is no request to send");
    set->requests = md_allocate_zeroed(md_process_allocator(), count, sizeof *set->requests);
    if (set->requests == NULL)
        return md_fail_memory(error, "requests");
    return MD_OK;
}

enum md_code md_request_set_from_tensors(const struct md_request_options *options, struct md_request_set *out_set,
                                         struct md_error *error)
{
    struct md_request_set set;
    uint64_t state = options->seed;
    MD_TRY(begin_set(options, options->count, &set, error));
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    enum md_code code = MD_OK;
    while (code == MD_OK && set.count < options->count) {
        code = make_request(options, &state, &arena, &set.requests[set.count], error);
        set.count += code == MD_OK;
        md_arena_reset(&arena);
    }
    md_arena_cleanup(&arena);
    if (code != MD_OK)
        md_request_set_cleanup(&set);
    else
        *out_set = set;
    return code;
}

enum md_code md_request_set_from_texts(const struct md_request_options *options, char *const *texts, size_t count,
                                       struct md_request_set *out_set, struct md_error *error)
{
    struct md_request_set set;
    Modeld__V1__PredictRequest request = modeld_request(options);
    if (options->protocol == MD_LOAD_OIP)
        return md_fail(error, MD_UNIMPLEMENTED, "texts go over modeld.v1 only");
    MD_TRY(begin_set(options, count, &set, error));
    request.n_texts = 1;
    for (; set.count < count; set.count++) {
        request.texts = (char **)(uintptr_t)&texts[set.count];
        enum md_code code = pack(&request.base, &set.requests[set.count], error);
        if (code != MD_OK) {
            md_request_set_cleanup(&set);
            return code;
        }
    }
    *out_set = set;
    return MD_OK;
}

void md_request_set_cleanup(struct md_request_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        md_release(md_process_allocator(), set->requests[i].bytes);
    md_release(md_process_allocator(), set->requests);
    *set = (struct md_request_set){ 0 };
}
