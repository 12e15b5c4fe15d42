/* test_server.c - the real server through the client library. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "goldens.h"
#include "harness.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static const char *const models[] = { "sentiment-lstm", "spam-textcnn", "sentiment-transformer" };
enum { MODEL_COUNT = sizeof models / sizeof models[0] };
static const double tolerance = 1e-5;
static const char *const load_models[] = { "--load", "sentiment-lstm,spam-textcnn,sentiment-transformer",
                                           NULL };

static int set_up(void **state)
{
    static struct md_harness harness;
    *state = &harness; /* first: it is torn down also when it does not start */
    md_harness_start(&harness, load_models);
    return 0;
}

static int tear_down(void **state)
{
    if (*state != NULL)
        md_harness_cleanup(*state, 0);
    return 0;
}

/* Fails with the client's message unless the call worked. */
static void check(enum md_client_code code, const struct md_client_error *error)
{
    if (code != MD_CLIENT_OK)
        fail_msg("%s: %s", error->name, error->message);
}

static void check_scores(struct md_client *client, const char *model, const struct md_golden *golden)
{
    struct md_client_prediction *prediction = NULL;
    struct md_client_error error;
    check(md_client_predict_texts(client, model, NULL, golden->texts, golden->text_count, NULL, NULL,
                                  &prediction, &error),
          &error);
    assert_string_equal(prediction->model, model);
    assert_int_equal(prediction->version, 1);
    assert_int_equal(prediction->classification_count, golden->text_count);
    for (size_t i = 0; i < golden->text_count; i++) {
        const struct md_client_classification *one = &prediction->classifications[i];
        assert_int_equal(one->class_count, golden->class_count);
        assert_string_equal(one->classes[0].label, json_string_value(json_array_get(golden->labels, i)));
        for (size_t c = 0; c < one->class_count; c++)
            assert_true(fabs((double)one->classes[c].score -
                             md_golden_value(golden->scores, i, one->classes[c].index)) <= tolerance);
    }
    assert_true(prediction->round_trip_us >= prediction->timings.total_us);
    md_client_prediction_destroy(prediction);
}

static void check_logits(struct md_client *client, const char *model, const struct md_golden *golden)
{
    const int64_t shape[] = { (int64_t)golden->text_count, (int64_t)golden->width };
    size_t size = golden->text_count * golden->width * sizeof(int64_t);
    const struct md_client_tensor inputs[] = {
        { "input_ids", "INT64", shape, 2, golden->input_ids, size },
        { "attention_mask", "INT64", shape, 2, golden->attention_mask, size },
    };
    struct md_client_prediction *prediction = NULL;
    struct md_client_error error;
    check(md_client_predict_tensors(client, model, "1", inputs, 2, NULL, NULL, &prediction, &error), &error);
    assert_int_equal(prediction->output_count, 1);
    const struct md_client_tensor *logits = &prediction->outputs[0];
    assert_string_equal(logits->name, "logits");
    assert_int_equal(logits->contents_size, golden->text_count * golden->class_count * sizeof(float));
    for (size_t i = 0; i < golden->text_count * golden->class_count; i++) {
        float got;
        memcpy(&got, (const char *)logits->contents + i * sizeof got, sizeof got);
        assert_true(fabs((double)got - md_golden_value(golden->logits, i / golden->class_count,
                                                       i % golden->class_count)) <= tolerance);
    }
    md_client_prediction_destroy(prediction);
}

static void test_every_model_gives_its_golden_answers(void **state)
{
    struct md_harness *harness = *state;
    for (size_t m = 0; m < MODEL_COUNT; m++) {
        json_t *document = md_goldens_read(models[m]);
        assert_true(md_goldens_count(document) > 0);
        for (size_t i = 0; i < md_goldens_count(document); i++) {
            struct md_golden golden;
            md_golden_init(&golden, document, i);
            check_scores(harness->client, models[m], &golden);
            check_logits(harness->client, models[m], &golden);
            md_golden_cleanup(&golden);
        }
        json_decref(document);
    }
}

static void test_lists_and_shows_models(void **state)
{
    struct md_harness *harness = *state;
    struct md_client_versions *versions = NULL;
    struct md_client_error error;
    check(md_client_list_models(harness->client, NULL, &versions, &error), &error);
    assert_int_equal(versions->count, MODEL_COUNT);
    md_client_versions_destroy(versions);
    check(md_client_get_model(harness->client, models[0], 0, NULL, &versions, &error), &error);
    assert_int_equal(versions->count, 1);
    const struct md_client_version *version = versions->items[0];
    assert_int_equal(version->state, MD_CLIENT_STATE_READY);
    assert_string_equal(version->task, "text-classification");
    assert_int_equal(strlen(version->sha256), 64);
    assert_true(version->memory_bytes > 0);
    assert_int_equal(version->input_count, 2);
    assert_true(version->setting_count > 0);
    md_client_versions_destroy(versions);
}

static enum md_client_code predict_one(struct md_client *client, const char *model, const char *text,
                                       struct md_client_error *error)
{
    struct md_client_prediction *prediction = NULL;
    enum md_client_code code =
        md_client_predict_texts(client, model, NULL, &text, 1, NULL, NULL, &prediction, error);
    md_client_prediction_destroy(prediction);
    return code;
}

static void test_loads_and_unloads_and_remembers(void **state)
{
    struct md_harness *harness = *state;
    struct md_client_versions *versions = NULL;
    struct md_client_events *events = NULL;
    struct md_client_error error;
    enum md_client_health health;
    check(md_client_unload_model(harness->client, models[1], 0, "tester", NULL, &versions, &error), &error);
    assert_int_equal(versions->count, 1);
    assert_int_equal(versions->items[0]->state, MD_CLIENT_STATE_UNLOADED);
    md_client_versions_destroy(versions);
    assert_int_not_equal(predict_one(harness->client, models[1], "x", &error), MD_CLIENT_OK);
    assert_true(error.from_server);
    check(md_client_health_check(harness->client, models[1], NULL, &health, &error), &error);
    assert_int_equal(health, MD_CLIENT_HEALTH_NOT_SERVING);
    check(md_client_load_model(harness->client, models[1], 1, "tester", NULL, NULL, &versions, &error), &error);
    assert_int_equal(versions->items[0]->state, MD_CLIENT_STATE_READY);
    assert_true(versions->load_us > 0);
    md_client_versions_destroy(versions);
    check(md_client_wait_until_serving(harness->client, models[1], NULL, &error), &error);
    check(predict_one(harness->client, models[1], "x", &error), &error);
    check(md_client_list_events(harness->client, models[1], 2, NULL, &events, &error), &error);
    assert_int_equal(events->count, 2);
    assert_string_equal(events->items[0].action, "load");
    assert_string_equal(events->items[1].action, "unload");
    assert_string_equal(events->items[1].actor, "tester");
    assert_string_equal(events->items[1].code, "OK");
    md_client_events_destroy(events);
}

static void test_refusals_carry_code_and_message(void **state)
{
    struct md_harness *harness = *state;
    struct md_client_error error;
    enum md_client_health health;
    assert_int_equal(predict_one(harness->client, "nosuch", "x", &error), MD_CLIENT_NOT_FOUND);
    assert_string_equal(error.name, "NOT_FOUND");
    assert_true(error.from_server);
    assert_non_null(strstr(error.message, "nosuch"));
    assert_int_equal(predict_one(harness->client, models[0], "", &error), MD_CLIENT_INVALID_ARGUMENT);
    assert_int_equal(predict_one(harness->client, models[0], "\xff\xfe", &error), MD_CLIENT_INVALID_ARGUMENT);
    assert_int_equal(md_client_health_check(harness->client, "nosuch", NULL, &health, &error),
                     MD_CLIENT_NOT_FOUND);
}

static void test_a_request_over_the_clients_limit_is_not_sent(void **state)
{
    struct md_harness *harness = *state;
    const struct md_client_options options = { .max_message_bytes = 1000 };
    static char text[2000];
    struct md_client *client = NULL;
    struct md_client_error error;
    check(md_client_create(harness->address, &options, &client, &error), &error);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(predict_one(client, models[0], text, &error), MD_CLIENT_RESOURCE_EXHAUSTED);
    assert_false(error.from_server);
    assert_non_null(strstr(error.message, "1000"));
    md_client_destroy(client);
}

static void test_a_deadline_ends_the_call(void **state)
{
    struct md_harness *harness = *state;
    enum { TEXTS = 400 };
    static char text[2000];
    const char *texts[TEXTS];
    const struct md_client_call_options hurried = { .timeout_ms = 2 };
    struct md_client_prediction *prediction = NULL;
    struct md_client_error error;
    for (size_t i = 0; i + 5 < sizeof text; i += 5)
        memcpy(text + i, "word ", 5);
    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = text;
    assert_int_equal(md_client_predict_texts(harness->client, models[2], NULL, texts, TEXTS, NULL, &hurried,
                                             &prediction, &error),
                     MD_CLIENT_DEADLINE_EXCEEDED);
    assert_null(prediction);
}

struct caller {
    struct md_client *client;
    const char *model;
    atomic_int failures;
};

static void *call_often(void *argument)
{
    struct caller *caller = argument;
    struct md_client_error error;
    for (int i = 0; i < 50; i++)
        if (predict_one(caller->client, caller->model, "This is great.", &error) != MD_CLIENT_OK)
            atomic_fetch_add(&caller->failures, 1);
    return NULL;
}

static void test_many_threads_share_a_client(void **state)
{
    struct md_harness *harness = *state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    struct caller callers[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){ .client = harness->client, .model = models[i % MODEL_COUNT] };
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].failures, 0);
    }
}

static void test_a_stopped_server_is_named_and_a_restart_restores(void **state)
{
    struct md_harness *harness = *state;
    struct md_client_error error;
    char old_address[sizeof harness->address];
    memcpy(old_address, harness->address, sizeof old_address);
    md_harness_stop(harness);
    struct md_client *client = NULL;
    check(md_client_create(old_address, NULL, &client, &error), &error);
    assert_int_equal(predict_one(client, models[0], "x", &error), MD_CLIENT_UNAVAILABLE);
    assert_false(error.from_server);
    assert_non_null(strstr(error.message, "is modeld running?"));
    md_client_destroy(client);
    md_harness_restart(harness, NULL); /* without --load: the registry knows */
    for (size_t m = 0; m < MODEL_COUNT; m++)
        check(predict_one(harness->client, models[m], "This is great.", &error), &error);
}

static void test_a_killed_server_comes_back(void **state)
{
    struct md_harness *harness = *state;
    struct md_client_error error;
    md_harness_kill(harness);
    md_harness_restart(harness, NULL);
    check(predict_one(harness->client, models[0], "This is great.", &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_model_gives_its_golden_answers),
        cmocka_unit_test(test_lists_and_shows_models),
        cmocka_unit_test(test_loads_and_unloads_and_remembers),
        cmocka_unit_test(test_refusals_carry_code_and_message),
        cmocka_unit_test(test_a_request_over_the_clients_limit_is_not_sent),
        cmocka_unit_test(test_a_deadline_ends_the_call),
        cmocka_unit_test(test_many_threads_share_a_client),
        cmocka_unit_test(test_a_stopped_server_is_named_and_a_restart_restores),
        cmocka_unit_test(test_a_killed_server_comes_back),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
