/* oip_infer.c - ModelInfer: named tensors in and out; or, for a model with a text task, texts in and classes
 * out. */
#include "service_oip.h"

#include "inference.h"
#include "oip_tensor.h"
#include "services.h"
#include "session.h"
#include "shared_memory.h"
#include "utf8.h"
#include "wire_tensor.h"

#include <inttypes.h>
#include <string.h>

typedef Inference__ModelInferRequest request_message;
typedef Inference__ModelInferResponse response_message;
typedef Inference__ModelInferResponse__InferOutputTensor output_message;

/* ---- parameters ---- */

struct infer_options {
    bool typed;          /* binary_data_output=false */
    uint64_t timeout_us; /* from arrival to answer; 0: none */
    uint64_t priority;   /* 1 goes first, then 2, and so on; 0: after all of these */
};

static enum md_code read_count(const char *key, const Inference__InferParameter *value, uint64_t *out_count,
                               struct md_error *error)
{
    if (value->parameter_choice_case == INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_UINT64_PARAM) {
        *out_count = value->uint64_param;
        return MD_OK;
    }
    if (value->parameter_choice_case != INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"%s\" is no integer", key);
    if (value->int64_param < 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"%s\" is %" PRId64 ", the least is 0", key,
                       value->int64_param);
    *out_count = (uint64_t)value->int64_param;
    return MD_OK;
}

/* Unknown keys are ignored, as the protocol asks; the known ones are read. */
static enum md_code read_parameter(const char *key, const Inference__InferParameter *value,
                                   struct infer_options *options, struct md_error *error)
{
    MD_TRY(md_oip_check_parameter(key, value, error));
    if (strcmp(key, "timeout") == 0)
        return read_count(key, value, &options->timeout_us, error);
    if (strcmp(key, "priority") == 0)
        return read_count(key, value, &options->priority, error);
    if (strcmp(key, "binary_data_output") != 0)
        return MD_OK;
    if (value->parameter_choice_case != INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM)
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"binary_data_output\" is no bool");
    options->typed = !value->bool_param;
    return MD_OK;
}

static enum md_code read_options(const request_message *request, const struct md_rpc *rpc,
                                 struct infer_options *out_options, struct md_error *error)
{
    struct infer_options options = { 0 };
    for (size_t i = 0; i < request->n_parameters; i++)
        MD_TRY(read_parameter(request->parameters[i]->key, request->parameters[i]->value, &options, error));
    for (size_t i = 0; i < request->n_outputs; i++)
        for (size_t p = 0; p < request->outputs[i]->n_parameters; p++)
            MD_TRY(md_oip_check_parameter(request->outputs[i]->parameters[p]->key,
                                          request->outputs[i]->parameters[p]->value, error));
    uint64_t queued_us = (uint64_t)(rpc->started_at_us - rpc->arrived_at_us);
    if (options.timeout_us > 0 && queued_us > options.timeout_us)
        return md_fail(error, MD_DEADLINE_EXCEEDED,
                       "waited %" PRIu64 " us in the queue, parameter \"timeout\" is %" PRIu64, queued_us,
                       options.timeout_us);
    *out_options = options;
    return MD_OK;
}

/* ---- the answer's tensors ---- */

/* The region that the request wants its output `index` in. */
static enum md_code output_region(const request_message *request, size_t index, struct md_oip_region *out_region,
                                  struct md_error *error)
{
    *out_region = (struct md_oip_region){ 0 };
    if (index >= request->n_outputs)
        return MD_OK;
    const Inference__ModelInferRequest__InferRequestedOutputTensor *output = request->outputs[index];
    for (size_t i = 0; i < output->n_parameters; i++)
        MD_TRY(
            md_oip_region_parameter(output->parameters[i]->key, output->parameters[i]->value, out_region, error));
    return MD_OK;
}

/* What the answer says of an output that is in shared memory: which region, and how much of it. */
static enum md_code add_region_parameters(struct md_arena *arena, const struct md_oip_region *region, size_t size,
                                          output_message *output, struct md_error *error)
{
    typedef Inference__ModelInferResponse__InferOutputTensor__ParametersEntry entry_message;
    entry_message *entries = md_arena_allocate_zeroed(arena, 2, sizeof *entries);
    Inference__InferParameter *values = md_arena_allocate_zeroed(arena, 2, sizeof *values);
    output->parameters = md_arena_allocate_zeroed(arena, 2, sizeof *output->parameters);
    if (entries == NULL || values == NULL || output->parameters == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < 2; i++) {
        inference__model_infer_response__infer_output_tensor__parameters_entry__init(&entries[i]);
        inference__infer_parameter__init(&values[i]);
        entries[i].value = &values[i];
        output->parameters[i] = &entries[i];
    }
    entries[0].key = md_rpc_echo(arena, "shared_memory_region");
    values[0].parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_STRING_PARAM;
    values[0].string_param = md_rpc_echo(arena, region->name);
    entries[1].key = md_rpc_echo(arena, "shared_memory_byte_size");
    values[1].parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM;
    values[1].int64_param = (int64_t)size;
    output->n_parameters = 2;
    return entries[0].key == NULL || entries[1].key == NULL || values[0].string_param == NULL
               ? md_fail_memory(error, "answer")
               : MD_OK;
}

/* The output's raw bytes go into the region; its entry of raw_output_contents stays empty, so that clients that
 * count entries find the others. */
static enum md_code put_in_region(struct md_inference *inference, const struct md_tensor *tensor,
                                  const struct md_oip_region *region, output_message *output,
                                  struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    uint8_t *bytes;
    size_t size;
    MD_TRY(md_wire_tensor_to_raw(arena, tensor, &bytes, &size, error));
    if (size > region->size)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "it has %zu bytes, parameter \"shared_memory_byte_size\" is %" PRIu64, size, region->size);
    MD_TRY(md_shared_memory_write(inference->services->memory, region->name, region->offset, bytes, size, error));
    return add_region_parameters(arena, region, size, output, error);
}

/* One output: in shared memory, typed or raw; never two of them. raw entries are as many as outputs. */
static enum md_code add_output(struct md_inference *inference, const request_message *request, const char *name,
                               const struct md_tensor *tensor, bool typed, response_message *response,
                               struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    const char *datatype = md_datatype_name(tensor->datatype);
    output_message *output = md_arena_allocate(arena, sizeof *output);
    struct md_oip_region region;
    if (output == NULL)
        return md_fail_memory(error, "answer");
    inference__model_infer_response__infer_output_tensor__init(output);
    ProtobufCBinaryData *raw = typed ? NULL : &response->raw_output_contents[response->n_raw_output_contents++];
    enum md_code code = output_region(request, response->n_outputs, &region, error);
    if (code == MD_OK && region.name != NULL)
        code = put_in_region(inference, tensor, &region, output, error);
    else if (code == MD_OK && typed)
        code = md_oip_output_contents(arena, tensor, &output->contents, error);
    else if (code == MD_OK)
        code = md_wire_tensor_to_raw(arena, tensor, &raw->data, &raw->len, error);
    if (code != MD_OK)
        return md_inference_fail_tensor(inference, code, "output", name, error);
    output->name = md_arena_copy_string(arena, name, strlen(name));
    output->datatype = md_arena_copy_string(arena, datatype, strlen(datatype));
    output->shape = md_arena_allocate(arena, sizeof tensor->shape.dims);
    if (output->name == NULL || output->datatype == NULL || output->shape == NULL)
        return md_fail_memory(error, "answer");
    memcpy(output->shape, tensor->shape.dims, sizeof tensor->shape.dims);
    output->n_shape = (size_t)tensor->shape.rank;
    response->outputs[response->n_outputs++] = output;
    return MD_OK;
}

static enum md_code make_room(struct md_arena *arena, size_t count, response_message *response,
                              struct md_error *error)
{
    response->outputs = md_arena_allocate_zeroed(arena, count + 1, sizeof *response->outputs);
    response->raw_output_contents =
        md_arena_allocate_zeroed(arena, count + 1, sizeof *response->raw_output_contents);
    return response->outputs == NULL || response->raw_output_contents == NULL
               ? md_fail_memory(error, "answer")
               : MD_OK;
}

/* The bytes of an input: its entry of raw_input_contents, which counts the inputs that are not in shared memory, or
 * what the region holds, copied. NULL: its contents count. */
static enum md_code find_raw(struct md_inference *inference, const request_message *request, size_t index,
                             ProtobufCBinaryData *out_raw, bool *out_is_raw, struct md_error *error)
{
    struct md_oip_region region;
    size_t entry = 0;
    for (size_t i = 0; i < index; i++) {
        MD_TRY(md_oip_input_region(request->inputs[i], &region, error));
        entry += region.name == NULL ? 1 : 0;
    }
    MD_TRY(md_oip_input_region(request->inputs[index], &region, error));
    *out_is_raw = region.name != NULL || request->n_raw_input_contents > 0;
    if (region.name == NULL) {
        if (*out_is_raw)
            *out_raw = request->raw_input_contents[entry];
        return MD_OK;
    }
    out_raw->len = (size_t)region.size;
    return md_shared_memory_read(inference->services->memory, region.name, region.offset, region.size,
                                 &inference->rpc->arena, &out_raw->data, error);
}

static enum md_code read_input(struct md_inference *inference, const request_message *request, size_t index,
                               struct md_tensor *out_tensor, struct md_error *error)
{
    ProtobufCBinaryData raw;
    bool is_raw;
    enum md_code code = find_raw(inference, request, index, &raw, &is_raw, error);
    if (code == MD_OK)
        code = md_oip_input_tensor(&inference->rpc->arena, request->inputs[index], is_raw ? &raw : NULL, out_tensor,
                                   error);
    if (code != MD_OK)
        return md_inference_fail_tensor(inference, code, "input", request->inputs[index]->name, error);
    return MD_OK;
}

/* ---- tensors ---- */

static enum md_code infer_tensors(struct md_inference *inference, const request_message *request,
                                  const struct infer_options *options, response_message *response,
                                  struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    size_t *chosen, count;
    const char **names = md_arena_allocate_zeroed(arena, request->n_outputs + 1, sizeof *names);
    if (names == NULL)
        return md_fail_memory(error, "outputs");
    for (size_t i = 0; i < request->n_outputs; i++)
        names[i] = request->outputs[i]->name;
    MD_TRY(md_inference_choose_outputs(inference, names, request->n_outputs, &chosen, &count, error));
    for (size_t i = 0; i < request->n_inputs; i++) {
        struct md_tensor tensor;
        MD_TRY(read_input(inference, request, i, &tensor, error));
        MD_TRY(md_inference_set_input(inference, request->inputs[i]->name, &tensor, error));
    }
    MD_TRY(md_inference_execute(inference, error));
    MD_TRY(make_room(arena, count, response, error));
    for (size_t i = 0; i < count; i++)
        MD_TRY(add_output(inference, request, md_session_output(inference->session, chosen[i])->name,
                          md_inference_output(inference, chosen[i]), options->typed, response, error));
    return MD_OK;
}

/* ---- texts ---- */

static bool is_text_request(const struct md_inference *inference, const request_message *request)
{
    return inference->task != NULL && request->n_inputs == 1 &&
           strcmp(request->inputs[0]->name, MD_OIP_TEXT_INPUT) == 0 &&
           md_session_find_input(inference->session, md_span_of(MD_OIP_TEXT_INPUT)) < 0;
}

static enum md_code classify(struct md_inference *inference, const request_message *request,
                             struct md_task_result *out_result, struct md_error *error)
{
    struct md_tensor tensor;
    char text[MD_SHAPE_TEXT_SIZE];
    struct md_task_options options = { .top_k = 1 };
    MD_TRY(read_input(inference, request, 0, &tensor, error));
    if (tensor.datatype != MD_BYTES)
        return md_inference_fail_tensor(inference,
                                        md_fail(error, MD_INVALID_ARGUMENT, "datatype %s, texts are BYTES",
                                                md_datatype_name(tensor.datatype)),
                                        "input", MD_OIP_TEXT_INPUT, error);
    /* [n] as the metadata says; a scalar and [n,1] are what some clients make of it. */
    if (tensor.shape.rank > 2 || (tensor.shape.rank == 2 && tensor.shape.dims[1] != 1))
        return md_inference_fail_tensor(inference,
                                        md_fail(error, MD_INVALID_ARGUMENT, "shape %s, the model takes [-1]",
                                                md_shape_text(&tensor.shape, text, sizeof text)),
                                        "input", MD_OIP_TEXT_INPUT, error);
    return md_inference_texts(inference, md_elements(const struct md_span, &tensor), NULL, tensor.count,
                              &options, out_result, error);
}

static enum md_code add_classes(struct md_inference *inference, const request_message *request,
                                const struct md_task_result *result, const char *name, bool typed, response_message *response,
                                struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    bool labels = strcmp(name, MD_OIP_LABEL_OUTPUT) == 0;
    const struct md_shape shape = { .rank = 1, .dims = { (int64_t)result->count } };
    struct md_tensor tensor;
    struct md_span *spans = md_arena_allocate_zeroed(arena, result->count + 1, sizeof *spans);
    float *scores = md_arena_allocate_zeroed(arena, result->count + 1, sizeof *scores);
    if (spans == NULL || scores == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < result->count; i++)
        if (result->answers[i].class_count > 0) {
            spans[i] = md_span_of(result->answers[i].classes[0].label);
            scores[i] = result->answers[i].classes[0].score;
        }
    MD_TRY(md_tensor_describe(labels ? MD_BYTES : MD_FP32, &shape, labels ? (void *)spans : (void *)scores,
                              &tensor, error));
    return add_output(inference, request, name, &tensor, typed, response, error);
}

static enum md_code check_class_output(const struct md_inference *inference, const request_message *request,
                                       size_t index, struct md_error *error)
{
    const char *name = request->outputs[index]->name;
    if (strcmp(name, MD_OIP_LABEL_OUTPUT) != 0 && strcmp(name, MD_OIP_SCORE_OUTPUT) != 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "unknown output \"%.128s\"; outputs of model \"%s\" version %" PRIu64
                       " for input \"text\" are \"label\", "
                       "\"score\"",
                       name, inference->model, inference->number);
    for (size_t i = 0; i < index; i++)
        if (strcmp(request->outputs[i]->name, name) == 0)
            return md_inference_fail_tensor(inference, md_fail(error, MD_INVALID_ARGUMENT, "asked for twice"),
                                            "output", name, error);
    return MD_OK;
}

static enum md_code infer_texts(struct md_inference *inference, const request_message *request,
                                const struct infer_options *options, response_message *response,
                                struct md_error *error)
{
    static const char *const all[] = { MD_OIP_LABEL_OUTPUT, MD_OIP_SCORE_OUTPUT };
    struct md_task_result result;
    size_t count = request->n_outputs > 0 ? request->n_outputs : 2;
    for (size_t i = 0; i < request->n_outputs; i++)
        MD_TRY(check_class_output(inference, request, i, error));
    MD_TRY(classify(inference, request, &result, error));
    MD_TRY(make_room(&inference->rpc->arena, count, response, error));
    for (size_t i = 0; i < count; i++)
        MD_TRY(add_classes(inference, request, &result, request->n_outputs > 0 ? request->outputs[i]->name : all[i],
                           options->typed, response, error));
    return MD_OK;
}

/* ---- both ---- */

static enum md_code infer(struct md_inference *inference, struct md_services *services, struct md_rpc *rpc,
                          const request_message *request, response_message *response, struct md_error *error)
{
    struct infer_options options;
    MD_TRY(md_inference_begin(inference, services, rpc, request->model_name, request->model_version, error));
    MD_TRY(read_options(request, rpc, &options, error));
    if (options.timeout_us > 0 && options.timeout_us < INT64_MAX / 2 &&
        rpc->arrived_at_us + (int64_t)options.timeout_us < rpc->deadline_us)
        rpc->deadline_us = rpc->arrived_at_us + (int64_t)options.timeout_us;
    if (options.priority > 0)
        inference->work.priority = options.priority < INT32_MAX ? INT32_MAX - (int32_t)options.priority : 1;
    MD_TRY(md_oip_check_contents(request, error));
    if (is_text_request(inference, request))
        return infer_texts(inference, request, &options, response, error);
    return infer_tensors(inference, request, &options, response, error);
}

enum md_code md_oip_model_infer(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const request_message *request = (const request_message *)rpc->request;
    response_message *response = md_arena_allocate(&rpc->arena, sizeof *response);
    struct md_inference inference;
    if (response == NULL)
        return md_fail_memory(error, "answer");
    inference__model_infer_response__init(response);
    size_t id_size = strlen(request->id), valid = md_utf8_valid_prefix(request->id, id_size);
    if (valid != id_size) /* it is echoed in a string field */
        return md_fail(error, MD_INVALID_ARGUMENT, "id is not UTF-8 at byte %zu of %zu", valid, id_size);
    enum md_code code = infer(&inference, services, rpc, request, response, error);
    md_inference_end(&inference, code);
    if (code != MD_OK)
        return code;
    response->model_name = request->model_name;
    response->model_version = md_arena_printf(&rpc->arena, "%" PRIu64, inference.number);
    response->id = request->id;
    if (response->model_version == NULL)
        return md_fail_memory(error, "answer");
    rpc->response = &response->base;
    return MD_OK;
}

bool md_oip_model_infer_is_quick(struct md_services *services, const struct md_rpc *rpc)
{
    const request_message *request = (const request_message *)rpc->request;
    return md_inference_is_quick(services, rpc, request->model_name, request->model_version);
}
