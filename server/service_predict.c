/* service_predict.c - Predict: texts or named tensors in, answers out. */
#include "service_modeld.h"

#include "clock.h"
#include "inference.h"
#include "services.h"
#include "session.h"
#include "utf8.h"
#include "wire_tensor.h"

#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

typedef Modeld__V1__PredictRequest request_message;
typedef Modeld__V1__PredictResponse response_message;

/* ---- texts ---- */

static enum md_code make_spans(struct md_arena *arena, char *const *texts, size_t count,
                               struct md_span **out_spans, struct md_error *error)
{
    struct md_span *spans = md_arena_allocate_zeroed(arena, count + 1, sizeof *spans);
    if (spans == NULL)
        return md_fail_memory(error, "texts");
    for (size_t i = 0; i < count; i++)
        spans[i] = md_span_of(texts[i]);
    *out_spans = spans;
    return MD_OK;
}

static enum md_code fill_classification(struct md_arena *arena, const struct md_text_answer *answer,
                                        Modeld__V1__Classification *out, struct md_error *error)
{
    size_t count = answer->class_count;
    Modeld__V1__ClassScore *scores = md_arena_allocate_zeroed(arena, count + 1, sizeof *scores);
    out->classes = md_arena_allocate_zeroed(arena, count + 1, sizeof *out->classes);
    if (scores == NULL || out->classes == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        const char *label = answer->classes[i].label;
        modeld__v1__class_score__init(&scores[i]);
        /* A copy: the label belongs to the version, which is not pinned any more when the answer is packed.
         */
        scores[i].label = md_arena_copy_string(arena, label, strlen(label));
        scores[i].score = answer->classes[i].score;
        scores[i].index = answer->classes[i].index;
        out->classes[i] = &scores[i];
        if (scores[i].label == NULL)
            return md_fail_memory(error, "answer");
    }
    out->n_classes = count;
    out->token_count = answer->token_count;
    out->truncated = answer->truncated;
    return MD_OK;
}

static enum md_code predict_texts(struct md_inference *inference, const request_message *request,
                                  response_message *response, struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    struct md_task_options options = { 0 };
    struct md_task_result result = { 0 };
    struct md_span *texts, *pairs = NULL;
    if (request->options != NULL)
        options = (struct md_task_options){ .refuse_long_texts = request->options->refuse_long_texts,
                                            .top_k = request->options->top_k };
    MD_TRY(make_spans(arena, request->texts, request->n_texts, &texts, error));
    if (request->n_pairs > 0)
        MD_TRY(make_spans(arena, request->pairs, request->n_pairs, &pairs, error));
    MD_TRY(md_inference_texts(inference, texts, pairs, request->n_texts, &options, &result, error));

    Modeld__V1__Classification *items = md_arena_allocate_zeroed(arena, result.count + 1, sizeof *items);
    response->classifications =
        md_arena_allocate_zeroed(arena, result.count + 1, sizeof *response->classifications);
    if (items == NULL || response->classifications == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < result.count; i++) {
        modeld__v1__classification__init(&items[i]);
        MD_TRY(fill_classification(arena, &result.answers[i], &items[i], error));
        response->classifications[i] = &items[i];
    }
    response->n_classifications = result.count;
    response->token_count = result.token_count;
    response->timings->tokenize_us = result.tokenize_us;
    return MD_OK;
}

/* ---- tensors ---- */

static enum md_code set_input(struct md_inference *inference, const Modeld__V1__Tensor *input,
                              struct md_error *error)
{
    enum md_datatype datatype = MD_DATATYPE_NONE;
    struct md_shape shape;
    struct md_tensor tensor;
    enum md_code code = md_wire_datatype(input->datatype, &datatype, error);
    if (code == MD_OK)
        code = md_wire_shape(datatype, input->shape, input->n_shape, &shape, error);
    if (code == MD_OK)
        code = md_wire_tensor_from_raw(&inference->rpc->arena, datatype, &shape, input->contents.data,
                                       input->contents.len, &tensor, error);
    if (code != MD_OK)
        return md_inference_fail_tensor(inference, code, "input", input->name, error);
    return md_inference_set_input(inference, input->name, &tensor, error);
}

static enum md_code fill_output(struct md_inference *inference, size_t index, Modeld__V1__Tensor *out,
                                struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    const struct md_tensor *tensor = md_inference_output(inference, index);
    const char *name = md_session_output(inference->session, index)->name;
    enum md_code code = md_wire_tensor_to_raw(arena, tensor, &out->contents.data, &out->contents.len, error);
    if (code != MD_OK)
        return md_inference_fail_tensor(inference, code, "output", name, error);
    out->name = md_arena_copy_string(arena, name, strlen(name));
    out->datatype = md_arena_copy_string(arena, md_datatype_name(tensor->datatype),
                                         strlen(md_datatype_name(tensor->datatype)));
    out->shape = md_arena_allocate(arena, sizeof tensor->shape.dims);
    if (out->name == NULL || out->datatype == NULL || out->shape == NULL)
        return md_fail_memory(error, "answer");
    memcpy(out->shape, tensor->shape.dims, sizeof tensor->shape.dims);
    out->n_shape = (size_t)tensor->shape.rank;
    return MD_OK;
}

static enum md_code predict_tensors(struct md_inference *inference, const request_message *request,
                                    response_message *response, struct md_error *error)
{
    struct md_arena *arena = &inference->rpc->arena;
    size_t *chosen, count;
    MD_TRY(md_inference_choose_outputs(inference, (const char *const *)request->output_names,
                                       request->n_output_names, &chosen, &count, error));
    for (size_t i = 0; i < request->n_inputs; i++)
        MD_TRY(set_input(inference, request->inputs[i], error));
    MD_TRY(md_inference_execute(inference, error));
    Modeld__V1__Tensor *outputs = md_arena_allocate_zeroed(arena, count + 1, sizeof *outputs);
    response->outputs = md_arena_allocate_zeroed(arena, count + 1, sizeof *response->outputs);
    if (outputs == NULL || response->outputs == NULL)
        return md_fail_memory(error, "answer");
    for (size_t i = 0; i < count; i++) {
        modeld__v1__tensor__init(&outputs[i]);
        MD_TRY(fill_output(inference, chosen[i], &outputs[i], error));
        response->outputs[i] = &outputs[i];
    }
    response->n_outputs = count;
    return MD_OK;
}

/* ---- both ---- */

static enum md_code check_request(const request_message *request, struct md_error *error)
{
    if (request->n_texts > 0 && request->n_inputs > 0)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "the request has %zu texts and %zu inputs; send one or the other", request->n_texts,
                       request->n_inputs);
    if (request->n_pairs > 0 && request->n_pairs != request->n_texts)
        return md_fail(error, MD_INVALID_ARGUMENT, "the request has %zu pairs for %zu texts",
                       request->n_pairs, request->n_texts);
    if (request->n_texts > 0 && request->n_output_names > 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "output_names goes with inputs; the request has %zu texts",
                       request->n_texts);
    size_t id_size = strlen(request->id), valid = md_utf8_valid_prefix(request->id, id_size);
    if (valid != id_size) /* it is echoed in a string field */
        return md_fail(error, MD_INVALID_ARGUMENT, "id is not UTF-8 at byte %zu of %zu", valid, id_size);
    return MD_OK;
}

static enum md_code predict(struct md_inference *inference, struct md_services *services, struct md_rpc *rpc,
                            const request_message *request, response_message *response,
                            struct md_error *error)
{
    MD_TRY(md_inference_begin(inference, services, rpc, request->model, request->version, error));
    if (request->n_texts == 0 && (request->n_inputs > 0 || inference->task == NULL))
        return predict_tensors(inference, request, response, error);
    if (request->n_texts == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "model \"%s\": the request has neither texts nor inputs",
                       inference->model);
    return predict_texts(inference, request, response, error);
}

enum md_code md_modeld_predict(struct md_services *services, struct md_rpc *rpc, struct md_error *error)
{
    const request_message *request = (const request_message *)rpc->request;
    response_message *response = md_arena_allocate(&rpc->arena, sizeof *response);
    Modeld__V1__Timings *timings = md_arena_allocate(&rpc->arena, sizeof *timings);
    struct md_inference inference;
    if (response == NULL || timings == NULL)
        return md_fail_memory(error, "answer");
    modeld__v1__predict_response__init(response);
    modeld__v1__timings__init(timings);
    response->timings = timings;
    MD_TRY(check_request(request, error));
    enum md_code code = predict(&inference, services, rpc, request, response, error);
    md_inference_end(&inference, code);
    if (code != MD_OK)
        return code;
    response->model = request->model;
    response->version = inference.number;
    response->id = request->id;
    timings->queue_us = (uint64_t)(rpc->started_at_us - rpc->arrived_at_us);
    timings->compute_us = inference.compute_us;
    int64_t now_us = md_clock_us();
    timings->batch_wait_us = rpc->stage_us[MD_STAGE_BATCH_WAIT] > 0 ? (uint64_t)rpc->stage_us[MD_STAGE_BATCH_WAIT] : 0;
    timings->serialize_us = (uint64_t)(now_us - rpc->computed_at_us);
    timings->total_us = (uint64_t)(now_us - rpc->arrived_at_us);
    rpc->response = &response->base;
    return MD_OK;
}

bool md_modeld_predict_is_quick(struct md_services *services, const struct md_rpc *rpc)
{
    const request_message *request = (const request_message *)rpc->request;
    return md_inference_is_quick(services, rpc, request->model, request->version);
}
