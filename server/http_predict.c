/* http_predict.c - POST /v1/models/{m}:predict: {"texts":["..."],"pairs":["..."],"top_k":N,"refuse_long_texts":bool,
 * "id":"..."} to Predict, and its classes back. */
#include "http_exchange.h"

#include "http_json.h"

#include <inttypes.h>
#include <modeld/v1/modeld.pb-c.h>
#include <string.h>

typedef Modeld__V1__PredictRequest request_message;
typedef Modeld__V1__PredictResponse response_message;

static enum md_code read_texts(struct md_arena *arena, const json_t *root, const char *key, char ***out_texts,
                               size_t *out_count, struct md_error *error)
{
    const json_t *array;
    MD_TRY(md_http_json_array(root, key, &array, error));
    size_t count = json_array_size(array);
    char **texts = md_arena_allocate_zeroed(arena, count + 1, sizeof *texts);
    if (texts == NULL)
        return md_fail_memory(error, "texts");
    for (size_t i = 0; i < count; i++) {
        const json_t *text = json_array_get(array, i);
        if (!json_is_string(text))
            return md_fail(error, MD_INVALID_ARGUMENT, "element %zu of \"%s\" is no string", i, key);
        texts[i] = (char *)(uintptr_t)json_string_value(text); /* the message's field predates const */
    }
    *out_texts = texts;
    *out_count = count;
    return MD_OK;
}

static void write_classification(struct md_text *answer, const Modeld__V1__Classification *item)
{
    md_text_put(answer, "{");
    if (item->n_classes > 0) {
        md_text_put(answer, "\"label\":");
        md_text_json(answer, item->classes[0]->label, strlen(item->classes[0]->label));
        md_text_print(answer, ",\"score\":%.7g,", (double)item->classes[0]->score);
    }
    md_text_put(answer, "\"classes\":[");
    for (size_t i = 0; i < item->n_classes; i++) {
        const Modeld__V1__ClassScore *class_score = item->classes[i];
        md_text_put(answer, i > 0 ? ",{\"label\":" : "{\"label\":");
        md_text_json(answer, class_score->label, strlen(class_score->label));
        md_text_print(answer, ",\"score\":%.7g,\"index\":%" PRIu32 "}", (double)class_score->score,
                      class_score->index);
    }
    md_text_print(answer, "],\"token_count\":%" PRIu32 ",\"truncated\":%s}", item->token_count,
                  item->truncated ? "true" : "false");
}

static void write_answer(struct md_text *answer, const response_message *response)
{
    const Modeld__V1__Timings *timings = response->timings;
    md_text_put(answer, "{\"model\":");
    md_text_json(answer, response->model, strlen(response->model));
    md_text_print(answer, ",\"version\":%" PRIu64 ",\"id\":", response->version);
    md_text_json(answer, response->id, strlen(response->id));
    md_text_put(answer, ",\"classifications\":[");
    for (size_t i = 0; i < response->n_classifications; i++) {
        md_text_put(answer, i > 0 ? "," : "");
        write_classification(answer, response->classifications[i]);
    }
    md_text_print(answer,
                  "],\"token_count\":%" PRIu64 ",\"timings\":{\"queue_us\":%" PRIu64 ",\"tokenize_us\":%" PRIu64
                  ",\"batch_wait_us\":%" PRIu64 ",\"compute_us\":%" PRIu64 ",\"serialize_us\":%" PRIu64
                  ",\"total_us\":%" PRIu64 "}}\n",
                  response->token_count, timings->queue_us, timings->tokenize_us, timings->batch_wait_us,
                  timings->compute_us, timings->serialize_us, timings->total_us);
}

static enum md_code predict(struct md_http_exchange *exchange, const json_t *root, struct md_error *error)
{
    struct md_arena *arena = &exchange->rpc.arena;
    request_message request = MODELD__V1__PREDICT_REQUEST__INIT;
    Modeld__V1__PredictOptions options = MODELD__V1__PREDICT_OPTIONS__INIT;
    const char *id;
    json_int_t top_k;
    bool refuse;
    MD_TRY(md_http_json_string(root, "id", false, &id, error));
    MD_TRY(md_http_json_count(root, "top_k", UINT32_MAX, &top_k, error));
    MD_TRY(md_http_json_bool(root, "refuse_long_texts", &refuse, error));
    MD_TRY(read_texts(arena, root, "texts", &request.texts, &request.n_texts, error));
    MD_TRY(read_texts(arena, root, "pairs", &request.pairs, &request.n_pairs, error));
    if (request.n_texts == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "\"texts\" is missing or empty");
    options.top_k = (uint32_t)top_k;
    options.refuse_long_texts = refuse;
    request.options = &options;
    request.model = exchange->model;
    request.version = exchange->version;
    request.id = (char *)(uintptr_t)id; /* as above */
    MD_TRY(md_http_call(exchange, &request.base, error));
    write_answer(&exchange->answer, (const response_message *)exchange->rpc.response);
    return MD_OK;
}

enum md_code md_http_predict(struct md_http_exchange *exchange, struct md_error *error)
{
    json_t *root;
    if (exchange->json_size != exchange->body_size)
        return md_fail(error, MD_INVALID_ARGUMENT, "the body has %zu bytes after its JSON, which takes none here",
                       exchange->body_size - exchange->json_size);
    MD_TRY(md_http_json_parse(exchange, &root, error));
    enum md_code code = predict(exchange, root, error);
    json_decref(root);
    return code;
}
