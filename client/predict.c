/* predict.c - Predict with texts or tensors, and the answer as plain structures.
 *
 * The answer is unpacked into the arena of the owned result; the public structures are built beside it and
 * point into it, so nothing is copied but pointers. */
#include "call.h"

#include "allocator.h"
#include "clock.h"
#include "modeld/v1/modeld.pb-c.h"

#include <string.h>

static const char predict_path[] = "/modeld.v1.ModelService/Predict";

struct owned_prediction {
    struct md_client_prediction prediction; /* must be first: the caller has its address */
    struct md_arena arena;                  /* holds everything else */
};

void md_client_prediction_destroy(struct md_client_prediction *prediction)
{
    if (prediction == NULL)
        return;
    struct owned_prediction *owned = (struct owned_prediction *)prediction;
    md_arena_cleanup(&owned->arena);
    md_release(md_process_allocator(), owned);
}

static const struct md_client_class *build_classes(struct md_arena *arena,
                                                   const Modeld__V1__Classification *from)
{
    struct md_client_class *classes = md_arena_allocate_zeroed(arena, from->n_classes, sizeof *classes);
    for (size_t i = 0; classes != NULL && i < from->n_classes; i++)
        classes[i] = (struct md_client_class){ .label = from->classes[i]->label,
                                               .score = from->classes[i]->score,
                                               .index = from->classes[i]->index };
    return classes;
}

static bool build_classifications(struct owned_prediction *owned, const Modeld__V1__PredictResponse *from)
{
    struct md_client_classification *to =
        md_arena_allocate_zeroed(&owned->arena, from->n_classifications, sizeof *to);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < from->n_classifications; i++) {
        const Modeld__V1__Classification *one = from->classifications[i];
        to[i] = (struct md_client_classification){ .classes = build_classes(&owned->arena, one),
                                                   .class_count = one->n_classes,
                                                   .token_count = one->token_count,
                                                   .truncated = one->truncated };
        if (to[i].classes == NULL)
            return false;
    }
    owned->prediction.classifications = to;
    owned->prediction.classification_count = from->n_classifications;
    return true;
}

static bool build_outputs(struct owned_prediction *owned, const Modeld__V1__PredictResponse *from)
{
    struct md_client_tensor *to = md_arena_allocate_zeroed(&owned->arena, from->n_outputs, sizeof *to);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < from->n_outputs; i++) {
        const Modeld__V1__Tensor *tensor = from->outputs[i];
        to[i] = (struct md_client_tensor){ .name = tensor->name,
                                           .datatype = tensor->datatype,
                                           .shape = tensor->shape,
                                           .rank = tensor->n_shape,
                                           .contents = tensor->contents.data,
                                           .contents_size = tensor->contents.len };
    }
    owned->prediction.outputs = to;
    owned->prediction.output_count = from->n_outputs;
    return true;
}

static bool build_prediction(struct owned_prediction *owned, const Modeld__V1__PredictResponse *from)
{
    struct md_client_prediction *to = &owned->prediction;
    to->model = from->model;
    to->version = from->version;
    to->id = from->id;
    to->token_count = from->token_count;
    if (from->timings != NULL)
        to->timings = (struct md_client_timings){ .queue_us = from->timings->queue_us,
                                                  .tokenize_us = from->timings->tokenize_us,
                                                  .compute_us = from->timings->compute_us,
                                                  .total_us = from->timings->total_us };
    return build_classifications(owned, from) && build_outputs(owned, from);
}

static enum md_client_code predict(struct md_client *client, const Modeld__V1__PredictRequest *request,
                                   const struct md_client_call_options *options,
                                   struct md_client_prediction **out_prediction,
                                   struct md_client_error *error)
{
    struct owned_prediction *owned = md_allocate_zeroed(md_process_allocator(), 1, sizeof *owned);
    if (owned == NULL)
        return md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: prediction");
    md_arena_init(&owned->arena, md_process_allocator(), 4096);
    ProtobufCMessage *response = NULL;
    int64_t started_us = md_clock_us();
    enum md_client_code code =
        md_call_unary(client, predict_path, &request->base, &modeld__v1__predict_response__descriptor,
                      options, &owned->arena, &response, error);
    if (code != MD_CLIENT_OK)
        goto fail;
    owned->prediction.round_trip_us = (uint64_t)(md_clock_us() - started_us);
    if (!build_prediction(owned, (const Modeld__V1__PredictResponse *)response)) {
        code = md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: prediction");
        goto fail;
    }
    *out_prediction = &owned->prediction;
    return MD_CLIENT_OK;
fail:
    md_client_prediction_destroy(&owned->prediction);
    return code;
}

static void set_names(Modeld__V1__PredictRequest *request, const char *model, const char *version)
{
    request->model = md_call_string(model);
    request->version = md_call_string(version);
}

static void set_options(Modeld__V1__PredictRequest *request, Modeld__V1__PredictOptions *message,
                        const struct md_client_predict_options *options)
{
    if (options == NULL)
        return;
    message->top_k = options->top_k;
    message->refuse_long_texts = options->refuse_long_texts != 0;
    request->options = message;
    request->id = md_call_string(options->id);
    request->output_names = (char **)(uintptr_t)options->output_names;
    request->n_output_names = options->output_name_count;
}

enum md_client_code md_client_predict_texts(struct md_client *client, const char *model, const char *version,
                                            const char *const *texts, size_t text_count,
                                            const struct md_client_predict_options *predict_options,
                                            const struct md_client_call_options *options,
                                            struct md_client_prediction **out_prediction,
                                            struct md_client_error *error)
{
    Modeld__V1__PredictRequest request = MODELD__V1__PREDICT_REQUEST__INIT;
    Modeld__V1__PredictOptions message = MODELD__V1__PREDICT_OPTIONS__INIT;
    set_names(&request, model, version);
    set_options(&request, &message, predict_options);
    request.texts = (char **)(uintptr_t)texts;
    request.n_texts = text_count;
    if (predict_options != NULL && predict_options->pairs != NULL) {
        request.pairs = (char **)(uintptr_t)predict_options->pairs;
        request.n_pairs = text_count;
    }
    return predict(client, &request, options, out_prediction, error);
}

static Modeld__V1__Tensor message_of(const struct md_client_tensor *tensor)
{
    Modeld__V1__Tensor message = MODELD__V1__TENSOR__INIT;
    message.name = md_call_string(tensor->name);
    message.datatype = md_call_string(tensor->datatype);
    message.shape = (int64_t *)(uintptr_t)tensor->shape;
    message.n_shape = tensor->rank;
    message.contents.data = (uint8_t *)(uintptr_t)tensor->contents;
    message.contents.len = tensor->contents_size;
    return message;
}

enum md_client_code md_client_predict_tensors(struct md_client *client, const char *model,
                                              const char *version, const struct md_client_tensor *inputs,
                                              size_t input_count,
                                              const struct md_client_predict_options *predict_options,
                                              const struct md_client_call_options *options,
                                              struct md_client_prediction **out_prediction,
                                              struct md_client_error *error)
{
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    Modeld__V1__PredictRequest request = MODELD__V1__PREDICT_REQUEST__INIT;
    Modeld__V1__PredictOptions message = MODELD__V1__PREDICT_OPTIONS__INIT;
    set_names(&request, model, version);
    set_options(&request, &message, predict_options);
    Modeld__V1__Tensor *tensors = md_arena_allocate_zeroed(&arena, input_count, sizeof *tensors);
    request.inputs = md_arena_allocate_zeroed(&arena, input_count, sizeof *request.inputs);
    enum md_client_code code;
    if (tensors == NULL || request.inputs == NULL) {
        code = md_call_fail(error, MD_CLIENT_RESOURCE_EXHAUSTED, "out of memory: %zu inputs", input_count);
    } else {
        for (size_t i = 0; i < input_count; i++) {
            tensors[i] = message_of(&inputs[i]);
            request.inputs[i] = &tensors[i];
        }
        request.n_inputs = input_count;
        code = predict(client, &request, options, out_prediction, error);
    }
    md_arena_cleanup(&arena);
    return code;
}
