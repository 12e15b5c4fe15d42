/* test_task_goldens.c - the three reference models against the answers of their training framework
 * (tests/models/reference/goldens): logits through md_run and scores through md_task_predict, within 1e-5. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "md_test.h"
#include "model_import.h"
#include "session.h"
#include "task.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

enum { MAX_TEXTS = 16 };

struct reference {
    struct md_session *session;
    struct md_task *task;
    struct md_run *run;
    json_t *goldens;
};

static void check_ok(enum md_code code, const struct md_error *error)
{
    if (code != MD_OK)
        fail_msg("%s", error->message);
}

static struct reference open_reference(const char *name)
{
    struct reference reference = { NULL, NULL, NULL, NULL };
    char directory[MD_TEST_PATH_SIZE];
    char path[MD_TEST_PATH_SIZE];
    struct md_error error = { "" };
    struct md_model *model = NULL;
    const struct md_allocator *allocator = md_process_allocator();
    (void)snprintf(directory, sizeof directory, "%s/deploy/models/%s/1", MD_SOURCE_DIR, name);
    md_test_join(path, directory, "model.onnx");
    check_ok(md_model_open(allocator, path, &model, &error), &error);
    check_ok(md_session_create(allocator, model, NULL, &reference.session, &error), &error);
    check_ok(md_task_create(allocator, directory, reference.session, &reference.task, &error), &error);
    check_ok(md_run_create(reference.session, &reference.run, &error), &error);
    (void)snprintf(path, sizeof path, "%s/tests/models/reference/goldens/%s.json", MD_SOURCE_DIR, name);
    reference.goldens = json_load_file(path, 0, NULL);
    assert_non_null(reference.goldens);
    return reference;
}

static void close_reference(struct reference *reference)
{
    json_decref(reference->goldens);
    md_run_destroy(reference->run);
    md_task_destroy(reference->task);
    md_session_destroy(reference->session);
}

static double element(const json_t *rows, size_t row, size_t column)
{
    return json_number_value(json_array_get(json_array_get(rows, row), column));
}

static void set_input(const struct reference *reference, const char *name, const json_t *rows,
                      struct md_arena *arena)
{
    int index = md_session_find_input(reference->session, md_span_of(name));
    if (index < 0)
        return;
    size_t count = json_array_size(rows);
    size_t tokens = json_array_size(json_array_get(rows, 0));
    struct md_shape shape = { .rank = 2, .dims = { (int64_t)count, (int64_t)tokens } };
    struct md_tensor tensor;
    struct md_error error = { "" };
    check_ok(
        md_tensor_describe(MD_INT64, &shape, md_arena_allocate(arena, count * tokens * 8), &tensor, &error),
        &error);
    for (size_t i = 0; i < tensor.count; i++)
        md_elements(int64_t, &tensor)[i] = (int64_t)element(rows, i / tokens, i % tokens);
    check_ok(md_run_set_input_tensor(reference->run, (size_t)index, &tensor, &error), &error);
}

static void check_logits(const struct reference *reference, const json_t *item)
{
    struct md_arena arena;
    struct md_error error = { "" };
    md_arena_init(&arena, md_process_allocator(), 0);
    set_input(reference, "input_ids", json_object_get(item, "input_ids"), &arena);
    set_input(reference, "attention_mask", json_object_get(item, "attention_mask"), &arena);
    check_ok(md_run_execute(reference->run, &error), &error);
    const struct md_tensor *logits = &md_run_output(reference->run, 0)->tensor;
    const json_t *expected = json_object_get(item, "logits");
    size_t classes = (size_t)logits->shape.dims[1];
    assert_int_equal(logits->shape.dims[0], json_array_size(expected));
    for (size_t i = 0; i < logits->count; i++)
        assert_true(fabs(md_tensor_double(logits, i) - element(expected, i / classes, i % classes)) < 1e-5);
    md_arena_cleanup(&arena);
}

static void check_scores(const struct reference *reference, const json_t *item)
{
    const json_t *texts = json_object_get(item, "texts");
    struct md_span spans[MAX_TEXTS];
    struct md_task_result result;
    struct md_error error = { "" };
    struct md_arena arena;
    size_t count = json_array_size(texts);
    assert_true(count <= MAX_TEXTS);
    for (size_t i = 0; i < count; i++)
        spans[i] = (struct md_span){ json_string_value(json_array_get(texts, i)),
                                     json_string_length(json_array_get(texts, i)) };
    md_arena_init(&arena, md_process_allocator(), 0);
    check_ok(
        md_task_predict(reference->task, reference->run, &arena, spans, NULL, count, NULL, &result, &error),
        &error);
    for (size_t i = 0; i < count; i++) {
        const struct md_text_answer *answer = &result.answers[i];
        assert_string_equal(answer->classes[0].label,
                            json_string_value(json_array_get(json_object_get(item, "labels"), i)));
        for (size_t k = 0; k < answer->class_count; k++)
            assert_true(fabs((double)answer->classes[k].score -
                             element(json_object_get(item, "scores"), i, answer->classes[k].index)) < 1e-5);
    }
    md_arena_cleanup(&arena);
}

static void check_reference(const char *name)
{
    struct reference reference = open_reference(name);
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(reference.goldens, "cases"), index, item) {
        check_logits(&reference, item);
        check_scores(&reference, item);
    }
    assert_true(json_array_size(json_object_get(reference.goldens, "cases")) > 10);
    close_reference(&reference);
}

static void test_sentiment_lstm(void **state)
{
    (void)state;
    check_reference("sentiment-lstm");
}

static void test_spam_textcnn(void **state)
{
    (void)state;
    check_reference("spam-textcnn");
}

static void test_sentiment_transformer(void **state)
{
    (void)state;
    check_reference("sentiment-transformer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentiment_lstm),
        cmocka_unit_test(test_spam_textcnn),
        cmocka_unit_test(test_sentiment_transformer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
