/* http_infer.c - POST /v2/models/{m}/infer: JSON and binary tensors to a ModelInferRequest with raw contents, and
 * its answer back.
 *
 *   body:  {"inputs":[{"name":..,"shape":[..],"datatype":..,"data":[..] | "parameters":{"binary_data_size":N}}],...}
 *          then, if Inference-Header-Content-Length says where the JSON ends, the N bytes of each binary input. */
#include "http_exchange.h"

#include "http_json.h"
#include "json_tensor.h"
#include "wire_tensor.h"

#include <inference/inference.pb-c.h>
#include <inttypes.h>
#include <string.h>

typedef Inference__ModelInferRequest request_message;
typedef Inference__ModelInferRequest__InferInputTensor input_message;
typedef Inference__ModelInferRequest__InferRequestedOutputTensor wanted_message;
typedef Inference__ModelInferResponse response_message;
typedef Inference__ModelInferResponse__InferOutputTensor output_message;

struct parser {
    struct md_http_exchange *exchange;
    struct md_arena *arena;
    request_message *request;
    size_t binary_at; /* in the body: where the next binary input begins */
    bool all_binary;  /* outputs, unless they say otherwise */
    bool *is_binary;  /* per output asked for */
};

/* ---- parameters ---- */

static enum md_code read_parameter(const char *key, const json_t *value, Inference__InferParameter *out,
                                   struct md_error *error)
{
    inference__infer_parameter__init(out);
    if (json_is_boolean(value)) {
        out->parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM;
        out->bool_param = json_is_true(value);
    } else if (json_is_integer(value)) {
        out->parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_INT64_PARAM;
        out->int64_param = json_integer_value(value);
    } else if (json_is_real(value)) {
        out->parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_DOUBLE_PARAM;
        out->double_param = json_real_value(value);
    } else if (json_is_string(value)) {
        out->parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_STRING_PARAM;
        out->string_param = (char *)(uintptr_t)json_string_value(value); /* the message's field predates const */
    } else {
        return md_fail(error, MD_INVALID_ARGUMENT, "parameter \"%.128s\" is neither bool, number nor string", key);
    }
    return MD_OK;
}

/* What is about the form of the answer stays here; the rest is the handler's. */
static enum md_code read_parameters(struct parser *parser, json_t *root, struct md_error *error)
{
    json_t *parameters = json_object_get(root, "parameters"), *value;
    request_message *request = parser->request;
    const char *key;
    size_t count = json_object_size(parameters);
    if (parameters != NULL && !json_is_object(parameters))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"parameters\" is no object");
    MD_TRY(md_http_json_bool(parameters, "binary_data_output", &parser->all_binary, error));
    request->parameters = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *request->parameters);
    Inference__ModelInferRequest__ParametersEntry *entries =
        md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *entries);
    Inference__InferParameter *values = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *values);
    if (request->parameters == NULL || entries == NULL || values == NULL)
        return md_fail_memory(error, "request");
    json_object_foreach(parameters, key, value) {
        if (strcmp(key, "binary_data_output") == 0)
            continue;
        size_t i = request->n_parameters;
        inference__model_infer_request__parameters_entry__init(&entries[i]);
        MD_TRY(read_parameter(key, value, &values[i], error));
        entries[i].key = (char *)(uintptr_t)key; /* as above */
        entries[i].value = &values[i];
        request->parameters[request->n_parameters++] = &entries[i];
    }
    return MD_OK;
}

/* ---- inputs ---- */

static enum md_code read_shape(struct parser *parser, const json_t *input, input_message *message,
                               struct md_error *error)
{
    const json_t *dims;
    MD_TRY(md_http_json_array(input, "shape", &dims, error));
    if (dims == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"shape\" is missing");
    message->n_shape = json_array_size(dims);
    message->shape = md_arena_allocate_zeroed(parser->arena, message->n_shape + 1, sizeof *message->shape);
    if (message->shape == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < message->n_shape; i++) {
        const json_t *dim = json_array_get(dims, i);
        if (!json_is_integer(dim))
            return md_fail(error, MD_INVALID_ARGUMENT, "dimension %zu of \"shape\" is no whole number", i);
        message->shape[i] = json_integer_value(dim);
    }
    return MD_OK;
}

static enum md_code take_binary(struct parser *parser, json_int_t size, ProtobufCBinaryData *out_raw,
                                struct md_error *error)
{
    struct md_http_exchange *exchange = parser->exchange;
    size_t left = exchange->body_size - parser->binary_at;
    if (!exchange->has_binary)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "binary_data_size is %" JSON_INTEGER_FORMAT
                       ", but the request has no Inference-Header-Content-Length",
                       size);
    if ((uint64_t)size > left)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "binary_data_size is %" JSON_INTEGER_FORMAT ", the body has %zu bytes left", size, left);
    *out_raw = (ProtobufCBinaryData){ (size_t)size, (uint8_t *)(uintptr_t)exchange->body + parser->binary_at };
    parser->binary_at += (size_t)size;
    return MD_OK;
}

static enum md_code read_contents(struct parser *parser, const json_t *input, const input_message *message,
                                  ProtobufCBinaryData *out_raw, struct md_error *error)
{
    const json_t *data = json_object_get(input, "data"), *parameters = json_object_get(input, "parameters");
    const json_t *binary = json_object_get(parameters, "binary_data_size");
    enum md_datatype datatype = MD_DATATYPE_NONE;
    struct md_shape shape;
    json_int_t size;
    if ((data == NULL) == (binary == NULL))
        return md_fail(error, MD_INVALID_ARGUMENT, "it has %s of \"data\" and \"binary_data_size\"",
                       data == NULL ? "none" : "both");
    if (binary != NULL) {
        MD_TRY(md_http_json_count(parameters, "binary_data_size", INT64_MAX, &size, error));
        return take_binary(parser, size, out_raw, error);
    }
    MD_TRY(md_wire_datatype(message->datatype, &datatype, error));
    MD_TRY(md_wire_shape(datatype, message->shape, message->n_shape, &shape, error));
    return md_json_tensor_to_raw(parser->arena, datatype, &shape, data, &out_raw->data, &out_raw->len, error);
}

static enum md_code read_input(struct parser *parser, const json_t *input, input_message *message,
                               ProtobufCBinaryData *out_raw, struct md_error *error)
{
    const char *name, *datatype;
    inference__model_infer_request__infer_input_tensor__init(message);
    MD_TRY(md_http_json_string(input, "name", true, &name, error));
    MD_TRY(md_http_json_string(input, "datatype", true, &datatype, error));
    message->name = (char *)(uintptr_t)name; /* the message's fields predate const */
    message->datatype = (char *)(uintptr_t)datatype;
    MD_TRY(read_shape(parser, input, message, error));
    return read_contents(parser, input, message, out_raw, error);
}

static enum md_code read_inputs(struct parser *parser, const json_t *root, struct md_error *error)
{
    request_message *request = parser->request;
    const json_t *inputs;
    MD_TRY(md_http_json_array(root, "inputs", &inputs, error));
    size_t count = json_array_size(inputs);
    input_message *messages = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *messages);
    request->inputs = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *request->inputs);
    request->raw_input_contents =
        md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *request->raw_input_contents);
    if (messages == NULL || request->inputs == NULL || request->raw_input_contents == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < count; i++) {
        const json_t *input = json_array_get(inputs, i);
        enum md_code code = read_input(parser, input, &messages[i], &request->raw_input_contents[i], error);
        if (code != MD_OK)
            return md_fail_prefix(error, code, "input %zu (\"%.128s\")", i, messages[i].name);
        request->inputs[i] = &messages[i];
    }
    request->n_inputs = request->n_raw_input_contents = count;
    size_t left = parser->exchange->body_size - parser->binary_at;
    if (left > 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "%zu bytes are left in the body after the binary data of %zu inputs",
                       left, count);
    return MD_OK;
}

/* ---- outputs ---- */

static enum md_code read_outputs(struct parser *parser, const json_t *root, struct md_error *error)
{
    request_message *request = parser->request;
    const json_t *outputs;
    MD_TRY(md_http_json_array(root, "outputs", &outputs, error));
    size_t count = json_array_size(outputs);
    wanted_message *messages = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *messages);
    request->outputs = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *request->outputs);
    parser->is_binary = md_arena_allocate_zeroed(parser->arena, count + 1, sizeof *parser->is_binary);
    if (messages == NULL || request->outputs == NULL || parser->is_binary == NULL)
        return md_fail_memory(error, "request");
    for (size_t i = 0; i < count; i++) {
        const json_t *output = json_array_get(outputs, i), *parameters = json_object_get(output, "parameters");
        const char *name;
        inference__model_infer_request__infer_requested_output_tensor__init(&messages[i]);
        MD_TRY(md_http_json_string(output, "name", true, &name, error));
        MD_TRY(md_http_json_bool(parameters, "binary_data", &parser->is_binary[i], error));
        if (json_object_get(parameters, "binary_data") == NULL)
            parser->is_binary[i] = parser->all_binary;
        messages[i].name = (char *)(uintptr_t)name; /* as above */
        request->outputs[i] = &messages[i];
    }
    request->n_outputs = count;
    return MD_OK;
}

static bool is_binary(const struct parser *parser, size_t index)
{
    return index < parser->request->n_outputs ? parser->is_binary[index] : parser->all_binary;
}

static enum md_code write_output(const struct parser *parser, const output_message *output,
                                 const ProtobufCBinaryData *raw, bool binary, struct md_error *error)
{
    struct md_text *answer = &parser->exchange->answer;
    enum md_datatype datatype;
    MD_TRY(md_wire_datatype(output->datatype, &datatype, error));
    md_text_put(answer, "{\"name\":");
    md_text_json(answer, output->name, strlen(output->name));
    md_text_print(answer, ",\"datatype\":\"%s\",\"shape\":[", output->datatype);
    for (size_t d = 0; d < output->n_shape; d++)
        md_text_print(answer, "%s%" PRId64, d > 0 ? "," : "", output->shape[d]);
    if (binary) {
        md_text_print(answer, "],\"parameters\":{\"binary_data_size\":%zu}}", raw->len);
        return MD_OK;
    }
    md_text_put(answer, "],\"data\":");
    enum md_code code = md_json_tensor_write(answer, datatype, raw->data, raw->len, error);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "output \"%.128s\"", output->name);
    md_text_put(answer, "}");
    return MD_OK;
}

static enum md_code write_answer(const struct parser *parser, const response_message *response,
                                 struct md_error *error)
{
    struct md_http_exchange *exchange = parser->exchange;
    struct md_text *answer = &exchange->answer;
    bool any_binary = false;
    md_text_put(answer, "{\"model_name\":");
    md_text_json(answer, response->model_name, strlen(response->model_name));
    md_text_print(answer, ",\"model_version\":\"%s\"", response->model_version);
    if (*response->id != '\0') {
        md_text_put(answer, ",\"id\":");
        md_text_json(answer, response->id, strlen(response->id));
    }
    md_text_put(answer, ",\"outputs\":[");
    for (size_t i = 0; i < response->n_outputs; i++) {
        md_text_put(answer, i > 0 ? "," : "");
        MD_TRY(write_output(parser, response->outputs[i], &response->raw_output_contents[i], is_binary(parser, i),
                            error));
        any_binary = any_binary || is_binary(parser, i);
    }
    md_text_put(answer, any_binary ? "]}" : "]}\n");
    if (!any_binary)
        return MD_OK;
    exchange->answer_json_size = answer->size;
    exchange->content_type = "application/octet-stream";
    for (size_t i = 0; i < response->n_outputs; i++)
        if (is_binary(parser, i))
            md_text_add(answer, response->raw_output_contents[i].data, response->raw_output_contents[i].len);
    return MD_OK;
}

/* ---- both ---- */

static enum md_code infer(struct parser *parser, json_t *root, struct md_error *error)
{
    struct md_http_exchange *exchange = parser->exchange;
    const char *id;
    MD_TRY(md_http_json_string(root, "id", false, &id, error));
    parser->request->model_name = exchange->model;
    parser->request->model_version = exchange->version;
    parser->request->id = (char *)(uintptr_t)id; /* as above */
    MD_TRY(read_parameters(parser, root, error));
    MD_TRY(read_inputs(parser, root, error));
    MD_TRY(read_outputs(parser, root, error));
    MD_TRY(md_http_call(exchange, &parser->request->base, error));
    return write_answer(parser, (const response_message *)exchange->rpc.response, error);
}

enum md_code md_http_infer(struct md_http_exchange *exchange, struct md_error *error)
{
    request_message request = INFERENCE__MODEL_INFER_REQUEST__INIT;
    struct parser parser = {
        .exchange = exchange, .arena = &exchange->rpc.arena, .request = &request, .binary_at = exchange->json_size
    };
    json_t *root;
    MD_TRY(md_http_json_parse(exchange, &root, error));
    enum md_code code = infer(&parser, root, error);
    json_decref(root);
    return code;
}
