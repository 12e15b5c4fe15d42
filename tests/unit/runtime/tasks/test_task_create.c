/* test_task_create.c - what a model directory's files make of a session, and what is refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "task_fixture.h"

#include <string.h>

#define CLASSIFIER "'architectures':['BertForSequenceClassification']"
#define TWO_LABELS "'id2label':{'0':'no','1':'yes'}"

static void check_refused(const struct session_options *options, const char *tokenizer, const char *config,
                          const char *model, enum md_code expected, const char *message)
{
    char folder[MD_TEST_PATH_SIZE];
    struct md_session *session = make_session(options);
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_task *task = NULL;
    struct md_error error = { "" };
    make_directory(folder, tokenizer, config, model);
    enum md_code code = md_task_create(&faulty.allocator, folder, session, &task, &error);
    md_test_remove_folder(folder);
    assert_int_equal(code, expected);
    assert_string_equal(error.message, message);
    assert_null(task);
    assert_int_equal(faulty.live, 0);
    md_session_destroy(session);
}

static void test_a_classifier_is_found_by_its_architecture(void **state)
{
    (void)state;
    struct md_session *session = make_session(&any_shape);
    struct md_task *task = make_task(session, plain_tokenizer, "{" CLASSIFIER "," TWO_LABELS
                                     ",'max_position_embeddings':64}", NULL);
    assert_string_equal(md_task_name(task), "text-classification");
    assert_string_equal(find_entry(task, "task"), "text-classification");
    assert_string_equal(find_entry(task, "max_tokens"), "64");
    assert_string_equal(find_entry(task, "labels"), "2: no, yes");
    assert_string_equal(find_entry(task, "activation"), "softmax");
    assert_string_equal(find_entry(task, "vocabulary_size"), "6");
    md_task_destroy(task);
    md_session_destroy(session);
}

static void test_without_tokenizer_or_text_architecture_there_is_no_task(void **state)
{
    (void)state;
    struct md_session *session = make_session(&any_shape);
    assert_null(make_task(session, NULL, "{" CLASSIFIER "}", NULL));
    assert_null(make_task(session, plain_tokenizer, NULL, NULL));
    assert_null(make_task(session, plain_tokenizer, "{'architectures':['ResNet']}", NULL));
    md_session_destroy(session);
}

static void test_model_json_comes_before_config_json(void **state)
{
    (void)state;
    struct md_session *session = make_session(&any_shape);
    struct md_task *task = make_task(
        session, plain_tokenizer, "{'architectures':['Other']," TWO_LABELS ",'max_position_embeddings':64}",
        "{'task':'text-classification','id2label':{'1':'B','0':'A'},'max_tokens':9,"
        "'problem_type':'multi_label_classification'}");
    assert_string_equal(find_entry(task, "max_tokens"), "9");
    assert_string_equal(find_entry(task, "labels"), "2: A, B");
    assert_string_equal(find_entry(task, "activation"), "sigmoid");
    md_task_destroy(task);
    md_session_destroy(session);
}

static void test_labels_are_made_up_when_the_file_has_none(void **state)
{
    (void)state;
    struct md_session *session = make_session(&any_shape);
    struct md_task *task = make_task(session, plain_tokenizer, "{" CLASSIFIER "}", NULL);
    assert_string_equal(find_entry(task, "labels"), "LABEL_0 to LABEL_1");
    md_task_destroy(task);
    md_session_destroy(session);
}

static void test_roberta_positions_start_behind_the_pad_id(void **state)
{
    (void)state;
    struct md_session *session = make_session(&any_shape);
    struct md_task *task = make_task(session, plain_tokenizer, "{" CLASSIFIER ",'model_type':'roberta',"
                                     "'pad_token_id':1,'max_position_embeddings':514}", NULL);
    assert_string_equal(find_entry(task, "max_tokens"), "512");
    md_task_destroy(task);
    md_session_destroy(session);
}

static void test_files_that_do_not_fit_the_session_are_refused(void **state)
{
    (void)state;
    struct session_options three = any_shape;
    struct session_options hidden = any_shape;
    struct session_options extra = any_shape;
    three.classes = 3;
    hidden.hide_classes = true;
    extra.extra = "pixels";
    check_refused(&three, plain_tokenizer, "{" CLASSIFIER "," TWO_LABELS "}", NULL, MD_INVALID_ARGUMENT,
                  "config.json: id2label: 2 labels, output \"logits\" has 3 classes");
    check_refused(
        &hidden, plain_tokenizer, "{" CLASSIFIER "}", NULL, MD_INVALID_ARGUMENT,
        "config.json: id2label: missing, and output \"logits\" does not say how many classes it has");
    check_refused(
        &extra, plain_tokenizer, "{" CLASSIFIER "}", NULL, MD_INVALID_ARGUMENT,
        "input \"pixels\" is none that a text task can fill (input_ids, attention_mask, token_type_ids, "
        "position_ids)");
}

static void test_malformed_files_are_refused_with_their_path(void **state)
{
    (void)state;
    check_refused(&any_shape, plain_tokenizer, "{", NULL, MD_INVALID_ARGUMENT,
                  "config.json: line 1 column 1: string or '}' expected near end of file");
    check_refused(&any_shape, plain_tokenizer, "[]", NULL, MD_INVALID_ARGUMENT,
                  "config.json: expected an object");
    check_refused(&any_shape, plain_tokenizer, "{'architectures':[3]}", NULL, MD_INVALID_ARGUMENT,
                  "config.json: architectures[0]: expected a string, found an integer");
    check_refused(&any_shape, plain_tokenizer, "{" CLASSIFIER ",'id2label':{'0':'a','x':'b'}}", NULL,
                  MD_INVALID_ARGUMENT, "config.json: id2label.x: the key is no index from 0 to 1");
    check_refused(&any_shape, plain_tokenizer, "{" CLASSIFIER ",'id2label':{'0':'a','00':'b'}}", NULL,
                  MD_INVALID_ARGUMENT, "config.json: id2label.00: index 0 twice");
    check_refused(&any_shape, plain_tokenizer, "{" CLASSIFIER ",'problem_type':'guess'}", NULL,
                  MD_INVALID_ARGUMENT, "config.json: problem_type: \"guess\" is not known");
    check_refused(&any_shape, plain_tokenizer, "{" CLASSIFIER "}", "{'labels':[]}", MD_INVALID_ARGUMENT,
                  "model.json: labels: not known; known are task, max_tokens, problem_type, id2label, "
                  "precision, max_precision_difference");
    check_refused(&any_shape, plain_tokenizer, NULL, "{'task':'poetry'}", MD_UNIMPLEMENTED,
                  "model.json: task: task \"poetry\" is not implemented");
    check_refused(&any_shape, "{'model':{'type':'Morphemes'}}", "{" CLASSIFIER "}", NULL, MD_UNIMPLEMENTED,
                  "tokenizer.json: model.type: model \"Morphemes\" is not implemented");
}

static void test_create_survives_every_allocation_failure(void **state)
{
    (void)state;
    char folder[MD_TEST_PATH_SIZE];
    struct md_session *session = make_session(&any_shape);
    make_directory(folder, plain_tokenizer, "{" CLASSIFIER "," TWO_LABELS "}", "{'max_tokens':7}");
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        struct md_task *task = NULL;
        enum md_code code = md_task_create(&faulty.allocator, folder, session, &task, NULL);
        if (code != MD_OK) {
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
            assert_null(task);
        }
        md_task_destroy(task);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
    md_test_remove_folder(folder);
    md_session_destroy(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_classifier_is_found_by_its_architecture),
        cmocka_unit_test(test_without_tokenizer_or_text_architecture_there_is_no_task),
        cmocka_unit_test(test_model_json_comes_before_config_json),
        cmocka_unit_test(test_labels_are_made_up_when_the_file_has_none),
        cmocka_unit_test(test_roberta_positions_start_behind_the_pad_id),
        cmocka_unit_test(test_files_that_do_not_fit_the_session_are_refused),
        cmocka_unit_test(test_malformed_files_are_refused_with_their_path),
        cmocka_unit_test(test_create_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
