/* test_pool.c - loading, finding, replacing, unloading; what is counted and what is given back. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "clock.h"
#include "md_test.h"
#include "pool.h"
#include "session.h"
#include "task.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LSTM MD_SOURCE_DIR "/deploy/models/sentiment-lstm/1"

static struct md_pool *make_pool(const struct md_allocator *allocator)
{
    struct md_pool *pool = NULL;
    assert_int_equal(md_pool_create(allocator, NULL, &pool, NULL), MD_OK);
    return pool;
}

static void load(struct md_pool *pool, const char *model, uint64_t version)
{
    struct md_error error = { "" };
    if (md_pool_load(pool, model, version, LSTM, NULL, &error) != MD_OK)
        fail_msg("%s", error.message);
}

static struct md_loaded_version *pin(struct md_pool *pool, const char *model, uint64_t version)
{
    struct md_loaded_version *pinned = NULL;
    struct md_error error = { "" };
    if (md_pool_pin(pool, model, version, &pinned, &error) != MD_OK)
        fail_msg("%s", error.message);
    return pinned;
}

static void check_not_found(struct md_pool *pool, const char *model, uint64_t version, const char *message)
{
    struct md_loaded_version *pinned = NULL;
    struct md_error error = { "" };
    assert_int_equal(md_pool_pin(pool, model, version, &pinned, &error), MD_NOT_FOUND);
    assert_string_equal(error.message, message);
    assert_null(pinned);
}

static void predict(struct md_loaded_version *version)
{
    struct md_run *run = NULL;
    struct md_arena arena;
    struct md_task_result result;
    struct md_span text = md_span_of("This is great.");
    assert_int_equal(md_loaded_version_take_run(version, &run, NULL), MD_OK);
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(
        md_task_predict(md_loaded_version_task(version), run, &arena, &text, NULL, 1, NULL, &result, NULL),
        MD_OK);
    assert_string_equal(result.answers[0].classes[0].label, "positive");
    md_arena_cleanup(&arena);
    md_loaded_version_return_run(version, run);
}

static void test_a_loaded_version_answers(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_pool *pool = make_pool(&faulty.allocator);
    load(pool, "lstm", 1);
    assert_int_equal(md_pool_count(pool), 1);
    struct md_loaded_version *version = pin(pool, "lstm", 0);
    assert_string_equal(md_loaded_version_model(version), "lstm");
    assert_int_equal(md_loaded_version_number(version), 1);
    assert_non_null(md_loaded_version_session(version));
    predict(version);
    assert_true(md_loaded_version_memory_bytes(version) > 1000000); /* at least the mapped model */
    md_loaded_version_unpin(version);
    md_pool_destroy(pool);
    assert_int_equal(faulty.live, 0);
}

static void test_versions_are_found_by_number_or_highest(void **state)
{
    (void)state;
    struct md_pool *pool = make_pool(md_process_allocator());
    check_not_found(pool, "lstm", 0, "model \"lstm\" is not loaded");
    load(pool, "lstm", 2);
    load(pool, "lstm", 10);
    load(pool, "lstm", 7);
    load(pool, "other", 99);
    check_not_found(pool, "lstm", 3, "model \"lstm\" version 3 is not loaded; loaded: 7, 10, 2");
    struct md_loaded_version *highest = pin(pool, "lstm", 0);
    assert_int_equal(md_loaded_version_number(highest), 10);
    md_loaded_version_unpin(highest);
    struct md_loaded_version *second = pin(pool, "lstm", 2);
    assert_int_equal(md_loaded_version_number(second), 2);
    md_loaded_version_unpin(second);
    md_pool_destroy(pool);
}

static void test_runs_are_used_again(void **state)
{
    (void)state;
    struct md_pool *pool = make_pool(md_process_allocator());
    load(pool, "lstm", 1);
    struct md_loaded_version *version = pin(pool, "lstm", 1);
    struct md_run *first = NULL;
    struct md_run *second = NULL;
    struct md_run *third = NULL;
    assert_int_equal(md_loaded_version_take_run(version, &first, NULL), MD_OK);
    assert_int_equal(md_loaded_version_take_run(version, &second, NULL), MD_OK);
    assert_ptr_not_equal(first, second);
    md_loaded_version_return_run(version, second);
    assert_int_equal(md_loaded_version_take_run(version, &third, NULL), MD_OK);
    assert_ptr_equal(second, third);
    md_loaded_version_return_run(version, first);
    md_loaded_version_return_run(version, third);
    md_loaded_version_unpin(version);
    md_pool_destroy(pool);
}

static void test_unload_waits_for_pins_until_its_deadline(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_pool *pool = make_pool(&faulty.allocator);
    struct md_error error = { "" };
    long empty = faulty.live;
    load(pool, "lstm", 1);
    struct md_loaded_version *version = pin(pool, "lstm", 1);
    assert_int_equal(md_pool_unload(pool, "lstm", 1, md_clock_us() + 10000, &error), MD_DEADLINE_EXCEEDED);
    assert_string_equal(error.message,
                        "model \"lstm\" version 1 takes no more requests, but still has some to finish");
    assert_int_equal(md_pool_count(pool), 0);
    check_not_found(pool, "lstm", 1, "model \"lstm\" is not loaded");
    predict(version); /* who has pinned it finishes */
    md_loaded_version_unpin(version);
    assert_int_equal(faulty.live, empty); /* the last pin gave everything back */
    load(pool, "lstm", 1);
    assert_int_equal(md_pool_unload(pool, "lstm", 1, INT64_MAX, &error), MD_OK);
    assert_int_equal(faulty.live, empty);
    assert_int_equal(md_pool_unload(pool, "lstm", 1, INT64_MAX, &error), MD_NOT_FOUND);
    md_pool_destroy(pool);
}

static void test_loading_again_replaces_in_one_step(void **state)
{
    (void)state;
    struct md_pool *pool = make_pool(md_process_allocator());
    load(pool, "lstm", 1);
    struct md_loaded_version *old = pin(pool, "lstm", 1);
    load(pool, "lstm", 1);
    assert_int_equal(md_pool_count(pool), 1);
    struct md_loaded_version *new = pin(pool, "lstm", 1);
    assert_ptr_not_equal(old, new);
    predict(old);
    predict(new);
    md_loaded_version_unpin(old);
    md_loaded_version_unpin(new);
    md_pool_destroy(pool);
}

static void test_a_failed_load_leaves_what_was_there(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE];
    char path[MD_TEST_PATH_SIZE];
    struct md_error error = { "" };
    struct md_pool *pool = make_pool(md_process_allocator());
    load(pool, "lstm", 1);
    md_test_make_folder(folder);
    assert_int_equal(md_pool_load(pool, "lstm", 1, folder, NULL, &error), MD_NOT_FOUND);
    md_test_join(path, folder, "model.onnx");
    md_test_write_file(path, "no model", 8);
    assert_int_equal(md_pool_load(pool, "lstm", 1, folder, NULL, &error), MD_INVALID_ARGUMENT);
    assert_int_equal(md_pool_load(pool, "lstm", 0, LSTM, NULL, &error), MD_INVALID_ARGUMENT);
    md_test_remove_folder(folder);
    struct md_loaded_version *version = pin(pool, "lstm", 1);
    predict(version);
    md_loaded_version_unpin(version);
    md_pool_destroy(pool);
}

static void count_warming(void *owner)
{
    ++*(int *)owner;
}

static void test_warming_is_announced_once(void **state)
{
    (void)state;
    int calls = 0;
    struct md_pool *pool = make_pool(md_process_allocator());
    const struct md_pool_load_options options = { .on_warming = count_warming, .owner = &calls };
    assert_int_equal(md_pool_load(pool, "lstm", 1, LSTM, &options, NULL), MD_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(md_pool_load(pool, "lstm", 2, "/nowhere", &options, NULL), MD_NOT_FOUND);
    assert_int_equal(calls, 1);
    md_pool_destroy(pool);
}

static void test_a_directory_without_tokenizer_serves_tensors(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE];
    char path[MD_TEST_PATH_SIZE];
    struct md_error error = { "" };
    struct md_pool *pool = make_pool(md_process_allocator());
    md_test_make_folder(folder);
    md_test_join(path, folder, "model.onnx");
    assert_int_equal(symlink(LSTM "/model.onnx", path), 0);
    if (md_pool_load(pool, "lstm", 1, folder, NULL, &error) != MD_OK)
        fail_msg("%s", error.message);
    struct md_loaded_version *version = pin(pool, "lstm", 1);
    assert_null(md_loaded_version_task(version));
    assert_true(md_session_input_count(md_loaded_version_session(version)) > 0);
    md_loaded_version_unpin(version);
    md_pool_destroy(pool);
    md_test_remove_folder(folder);
}

/* A version of the LSTM with a model.json; a tensors-only one without_tokenizer. */
static void make_version_folder(char out_folder[MD_TEST_PATH_SIZE], const char *model_json, bool without_tokenizer)
{
    static const char *const names[] = { "model.onnx", "tokenizer.json", "config.json" };
    char path[MD_TEST_PATH_SIZE], target[MD_TEST_PATH_SIZE];
    md_test_make_folder(out_folder);
    for (size_t i = 0; i < (without_tokenizer ? 1 : 3); i++) {
        md_test_join(path, out_folder, names[i]);
        md_test_join(target, LSTM, names[i]);
        assert_int_equal(symlink(target, path), 0);
    }
    md_test_join(path, out_folder, "model.json");
    md_test_write_file(path, model_json, strlen(model_json));
}

static struct md_accuracy accuracy_of_load(const char *model_json, bool without_tokenizer,
                                           const enum md_precision *precision)
{
    char folder[MD_TEST_PATH_SIZE];
    struct md_error error = { "" };
    const struct md_pool_load_options options = { .precision = precision };
    struct md_pool *pool = make_pool(md_process_allocator());
    make_version_folder(folder, model_json, without_tokenizer);
    if (md_pool_load(pool, "lstm", 1, folder, &options, &error) != MD_OK)
        fail_msg("%s", error.message);
    md_test_remove_folder(folder);
    struct md_loaded_version *version = pin(pool, "lstm", 1);
    struct md_accuracy accuracy = md_loaded_version_accuracy(version);
    md_loaded_version_unpin(version);
    md_pool_destroy(pool);
    return accuracy;
}

static void check_accuracy(struct md_accuracy accuracy, enum md_precision precision, const char *source, double bound)
{
    assert_int_equal(accuracy.precision, precision);
    assert_string_equal(accuracy.source, source);
    assert_true(accuracy.bound == bound);
    assert_true(accuracy.difference >= 0 && accuracy.difference <= bound);
}

static void test_the_precision_is_the_load_s_or_model_json_s(void **state)
{
    (void)state;
    const enum md_precision fp32 = MD_PRECISION_FP32, bf16 = MD_PRECISION_BF16;
    check_accuracy(accuracy_of_load("{}", false, NULL), MD_PRECISION_FP32, "default", 0);
    check_accuracy(accuracy_of_load("{}", false, &bf16), MD_PRECISION_BF16, "load", 0.05);
    check_accuracy(accuracy_of_load("{\"precision\":\"int8\"}", false, NULL), MD_PRECISION_INT8, "model.json", 0.15);
    check_accuracy(accuracy_of_load("{\"precision\":\"int8\"}", false, &fp32), MD_PRECISION_FP32, "load", 0);
    check_accuracy(accuracy_of_load("{\"precision\":\"bf16\",\"max_precision_difference\":0.5}", true, NULL),
                   MD_PRECISION_BF16, "model.json", 0.5);
}

static void test_a_precision_that_is_not_known_fails_the_load(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE];
    struct md_error error = { "" };
    struct md_pool *pool = make_pool(md_process_allocator());
    make_version_folder(folder, "{\"precision\":\"fp8\"}", true);
    assert_int_equal(md_pool_load(pool, "lstm", 1, folder, NULL, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "model.json: precision: \"fp8\" is not known; known are fp32, bf16, int8");
    md_test_remove_folder(folder);
    md_pool_destroy(pool);
}

/* Its FP32 session and runs are gone when the load returns. */
static void test_a_checked_load_holds_no_more_than_the_version(void **state)
{
    (void)state;
    const enum md_precision precisions[2] = { MD_PRECISION_BF16, MD_PRECISION_INT8 };
    for (int i = 0; i < 2; i++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, MD_FAULTY_NEVER);
        const struct md_pool_load_options options = { .precision = &precisions[i] };
        struct md_pool *pool = make_pool(&faulty.allocator);
        assert_int_equal(md_pool_load(pool, "lstm", 1, LSTM, &options, NULL), MD_OK);
        long once = faulty.live;
        assert_int_equal(md_pool_load(pool, "lstm", 1, LSTM, &options, NULL), MD_OK);
        assert_int_equal(faulty.live, once);
        md_pool_destroy(pool);
        assert_int_equal(faulty.live, 0);
    }
}

/* Only some of the allocations: a load makes thousands. */
static void test_load_survives_allocation_failures(void **state)
{
    (void)state;
    const enum md_precision int8 = MD_PRECISION_INT8; /* the longest way */
    const struct md_pool_load_options options = { .precision = &int8 };
    for (long nth = 0;; nth += nth < 100 ? 1 : 17) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        struct md_pool *pool = NULL;
        enum md_code code = md_pool_create(&faulty.allocator, NULL, &pool, NULL);
        if (code == MD_OK)
            code = md_pool_load(pool, "lstm", 1, LSTM, &options, NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        md_pool_destroy(pool);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loaded_version_answers),
        cmocka_unit_test(test_versions_are_found_by_number_or_highest),
        cmocka_unit_test(test_runs_are_used_again),
        cmocka_unit_test(test_unload_waits_for_pins_until_its_deadline),
        cmocka_unit_test(test_loading_again_replaces_in_one_step),
        cmocka_unit_test(test_a_failed_load_leaves_what_was_there),
        cmocka_unit_test(test_warming_is_announced_once),
        cmocka_unit_test(test_a_directory_without_tokenizer_serves_tensors),
        cmocka_unit_test(test_the_precision_is_the_load_s_or_model_json_s),
        cmocka_unit_test(test_a_precision_that_is_not_known_fails_the_load),
        cmocka_unit_test(test_a_checked_load_holds_no_more_than_the_version),
        cmocka_unit_test(test_load_survives_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
