/* test_task_predict.c - texts in, classes out: order, scores, limits, batches, refusals, memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "task_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG(rest) "{'architectures':['XForSequenceClassification']" rest "}"

struct fixture {
    struct md_session *session;
    struct md_task *task;
    struct md_run *run;
    struct md_arena arena;
    struct md_task_result result;
    struct md_error error;
};

static struct fixture open_fixture(const struct session_options *options, const char *config)
{
    struct fixture fixture = { .session = make_session(options) };
    fixture.task = make_task(fixture.session, plain_tokenizer, config, NULL);
    assert_int_equal(md_run_create(fixture.session, &fixture.run, NULL), MD_OK);
    md_arena_init(&fixture.arena, md_process_allocator(), 0);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    md_arena_cleanup(&fixture->arena);
    md_run_destroy(fixture->run);
    md_task_destroy(fixture->task);
    md_session_destroy(fixture->session);
}

static enum md_code predict(struct fixture *fixture, const char *const *texts, size_t count,
                            const struct md_task_options *options)
{
    struct md_span spans[128];
    assert_true(count <= 128);
    for (size_t i = 0; i < count; i++)
        spans[i] = md_span_of(texts[i]);
    md_arena_reset(&fixture->arena);
    return md_task_predict(fixture->task, fixture->run, &fixture->arena, spans, NULL, count, options,
                           &fixture->result, &fixture->error);
}

static void check_score(const struct md_class_score *score, const char *label, uint32_t index,
                        double expected)
{
    assert_string_equal(score->label, label);
    assert_int_equal(score->index, index);
    assert_true(fabs((double)score->score - expected) < 1e-6);
}

static void test_softmax_gives_the_best_class_first(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(",'id2label':{'0':'no','1':'yes'}"));
    const char *texts[] = { "a b x" }; /* 1 + 2 + 5: logits 0.8 and 1.6 */
    assert_int_equal(predict(&fixture, texts, 1, NULL), MD_OK);
    assert_int_equal(fixture.result.count, 1);
    assert_int_equal(fixture.result.token_count, 3);
    const struct md_text_answer *answer = &fixture.result.answers[0];
    assert_int_equal(answer->class_count, 2);
    assert_int_equal(answer->token_count, 3);
    assert_false(answer->truncated);
    check_score(&answer->classes[0], "yes", 1, 1 / (1 + exp(-0.8)));
    check_score(&answer->classes[1], "no", 0, 1 / (1 + exp(0.8)));
    close_fixture(&fixture);
}

static void test_sigmoid_and_plain_numbers(void **state)
{
    (void)state;
    const char *texts[] = { "c" };
    struct fixture labels = open_fixture(&any_shape, CONFIG(",'problem_type':'multi_label_classification'"));
    assert_int_equal(predict(&labels, texts, 1, NULL), MD_OK);
    check_score(&labels.result.answers[0].classes[0], "LABEL_1", 1, 1 / (1 + exp(-0.6)));
    check_score(&labels.result.answers[0].classes[1], "LABEL_0", 0, 1 / (1 + exp(-0.3)));
    close_fixture(&labels);
    struct session_options one = any_shape;
    one.classes = 1;
    struct fixture number = open_fixture(&one, CONFIG(""));
    assert_int_equal(predict(&number, texts, 1, NULL), MD_OK);
    check_score(&number.result.answers[0].classes[0], "LABEL_0", 0, 0.3);
    close_fixture(&number);
}

static void test_top_k_cuts_the_list(void **state)
{
    (void)state;
    struct session_options five = any_shape;
    five.classes = 5;
    struct fixture fixture = open_fixture(&five, CONFIG(""));
    const char *texts[] = { "a" };
    struct md_task_options options = { .top_k = 2 };
    assert_int_equal(predict(&fixture, texts, 1, &options), MD_OK);
    assert_int_equal(fixture.result.answers[0].class_count, 2);
    assert_string_equal(fixture.result.answers[0].classes[1].label, "LABEL_3");
    options.top_k = 50;
    assert_int_equal(predict(&fixture, texts, 1, &options), MD_OK);
    assert_int_equal(fixture.result.answers[0].class_count, 5);
    close_fixture(&fixture);
}

/* 100 texts of all lengths: several batches, sorted inside, answered in order. Token 1 counts 0.1 per class.
 */
static void check_many(const struct session_options *options)
{
    enum { COUNT = 100 };
    char texts[COUNT][64];
    const char *pointers[COUNT];
    struct fixture fixture = open_fixture(options, CONFIG(",'problem_type':'regression'"));
    for (size_t i = 0; i < COUNT; i++) {
        texts[i][0] = '\0';
        for (size_t word = 0; word <= i * 7 % 20; word++)
            strcat(texts[i], "a ");
        pointers[i] = texts[i];
    }
    assert_int_equal(predict(&fixture, pointers, COUNT, NULL), MD_OK);
    for (size_t i = 0; i < COUNT; i++) {
        const struct md_text_answer *answer = &fixture.result.answers[i];
        assert_int_equal(answer->token_count, i * 7 % 20 + 1);
        check_score(&answer->classes[0], "LABEL_1", 1, (double)(i * 7 % 20 + 1) * 0.2);
    }
    close_fixture(&fixture);
}

static void test_many_texts_are_answered_in_order(void **state)
{
    (void)state;
    check_many(&any_shape);
}

static void test_fixed_shapes_and_int32_are_served(void **state)
{
    (void)state;
    struct session_options options = any_shape;
    options.rows = 8; /* 100 is no multiple of it */
    options.tokens = 24;
    options.int32 = true;
    options.extra = "token_type_ids";
    check_many(&options);
    options.rows = 1;
    options.extra = "position_ids";
    check_many(&options);
}

static void test_long_texts_are_cut_or_refused(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(",'max_position_embeddings':2"));
    const char *texts[] = { "a", "a b c" };
    assert_int_equal(predict(&fixture, texts, 2, NULL), MD_OK);
    assert_false(fixture.result.answers[0].truncated);
    assert_true(fixture.result.answers[1].truncated);
    assert_int_equal(fixture.result.answers[1].token_count, 2);
    struct md_task_options options = { .refuse_long_texts = true };
    assert_int_equal(predict(&fixture, texts, 2, &options), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "text 1 has more than 2 tokens");
    close_fixture(&fixture);
}

static void test_texts_that_cannot_be_answered_are_refused(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(""));
    const char *empty[] = { "a", "b", "" };
    const char *blank[] = { "a", "  \t" };
    const char *broken[] = { "a", "b\xFF" };
    assert_int_equal(predict(&fixture, empty, 3, NULL), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "text 2 is empty");
    assert_int_equal(predict(&fixture, blank, 2, NULL), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "text 1 has no token (only spaces or unknown characters)");
    assert_int_equal(predict(&fixture, broken, 2, NULL), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "text 1: not UTF-8 at byte 1");
    assert_int_equal(predict(&fixture, empty, 0, NULL), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "no texts");
    assert_int_equal(predict(&fixture, empty, 1, NULL), MD_OK); /* and the task goes on */
    close_fixture(&fixture);
}

static void test_pairs_are_encoded_together(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(",'problem_type':'regression'"));
    struct md_span text = md_span_of("a b");
    struct md_span pair = md_span_of("c");
    assert_int_equal(md_task_predict(fixture.task, fixture.run, &fixture.arena, &text, &pair, 1, NULL,
                                     &fixture.result, NULL), MD_OK);
    assert_int_equal(fixture.result.answers[0].token_count, 3);
    check_score(&fixture.result.answers[0].classes[0], "LABEL_1", 1, 1.2);
    pair.size = 0;
    assert_int_equal(md_task_predict(fixture.task, fixture.run, &fixture.arena, &text, &pair, 1, NULL,
                                     &fixture.result, &fixture.error), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "the second text of pair 0 is empty");
    close_fixture(&fixture);
}

static void test_labels_that_do_not_fit_the_run_are_told(void **state)
{
    (void)state;
    struct session_options hidden = any_shape;
    hidden.hide_classes = true;
    struct fixture fixture = open_fixture(&hidden, CONFIG(",'id2label':{'0':'a','1':'b','2':'c'}"));
    const char *texts[] = { "a" };
    assert_int_equal(predict(&fixture, texts, 1, NULL), MD_INVALID_ARGUMENT);
    assert_string_equal(fixture.error.message, "output \"logits\" has shape [1,2], there are 3 labels");
    close_fixture(&fixture);
}

static void test_a_cancelled_run_says_so(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(""));
    const char *texts[] = { "a" };
    atomic_bool cancelled = true;
    md_run_set_limits(fixture.run, &cancelled, INT64_MAX);
    assert_int_equal(predict(&fixture, texts, 1, NULL), MD_CANCELLED);
    close_fixture(&fixture);
}

static void test_predict_survives_every_allocation_failure(void **state)
{
    (void)state;
    struct fixture fixture = open_fixture(&any_shape, CONFIG(""));
    struct md_span texts[] = { md_span_of("a"), md_span_of("b c d") };
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_arena arena;
        md_faulty_init(&faulty, nth);
        md_arena_init(&arena, &faulty.allocator, 64);
        enum md_code code = md_task_predict(fixture.task, fixture.run, &arena, texts, NULL, 2, NULL,
                                            &fixture.result, NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        md_arena_cleanup(&arena);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
    close_fixture(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softmax_gives_the_best_class_first),
        cmocka_unit_test(test_sigmoid_and_plain_numbers),
        cmocka_unit_test(test_top_k_cuts_the_list),
        cmocka_unit_test(test_many_texts_are_answered_in_order),
        cmocka_unit_test(test_fixed_shapes_and_int32_are_served),
        cmocka_unit_test(test_long_texts_are_cut_or_refused),
        cmocka_unit_test(test_texts_that_cannot_be_answered_are_refused),
        cmocka_unit_test(test_pairs_are_encoded_together),
        cmocka_unit_test(test_labels_that_do_not_fit_the_run_are_told),
        cmocka_unit_test(test_a_cancelled_run_says_so),
        cmocka_unit_test(test_predict_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
