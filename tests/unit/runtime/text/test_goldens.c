/* test_goldens.c - the token ids of the three reference models, as the reference library gave them
 * (tests/models/reference/goldens). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "file.h"
#include "md_test.h"
#include "tokenizer.h"

#include <jansson.h>
#include <stdio.h>

static struct md_tokenizer *open_tokenizer(const char *model)
{
    char path[MD_TEST_PATH_SIZE];
    char *json = NULL;
    size_t size = 0;
    struct md_error error = { "" };
    struct md_tokenizer *tokenizer = NULL;
    (void)snprintf(path, sizeof path, "%s/deploy/models/%s/1/tokenizer.json", MD_SOURCE_DIR, model);
    if (md_file_read(md_process_allocator(), path, 1 << 30, &json, &size, &error) != MD_OK ||
        md_tokenizer_create(md_process_allocator(), json, size, &tokenizer, &error) != MD_OK)
        fail_msg("%s", error.message);
    md_release(md_process_allocator(), json);
    return tokenizer;
}

/* The golden row is padded with zeros to the longest text of its case; the mask tells. */
static void check_text(const struct md_tokenizer *tokenizer, const json_t *text, const json_t *ids,
                       const json_t *mask)
{
    struct md_encoding encoding;
    struct md_error error = { "" };
    md_encoding_init(&encoding, md_process_allocator());
    struct md_span span = { json_string_value(text), json_string_length(text) };
    if (md_tokenizer_encode(tokenizer, span, (struct md_span){ NULL, 0 }, 0, &encoding, &error) != MD_OK)
        fail_msg("%s", error.message);
    size_t expected = 0;
    while (expected < json_array_size(mask) && json_integer_value(json_array_get(mask, expected)) == 1)
        expected++;
    assert_int_equal(encoding.count, expected);
    for (size_t i = 0; i < expected; i++)
        assert_int_equal(encoding.ids[i], json_integer_value(json_array_get(ids, i)));
    md_encoding_cleanup(&encoding);
}

static void check_model(const char *model)
{
    char path[MD_TEST_PATH_SIZE];
    json_error_t reason;
    (void)snprintf(path, sizeof path, "%s/tests/models/reference/goldens/%s.json", MD_SOURCE_DIR, model);
    json_t *goldens = json_load_file(path, 0, &reason);
    if (goldens == NULL)
        fail_msg("%s: %s", path, reason.text);
    struct md_tokenizer *tokenizer = open_tokenizer(model);
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(goldens, "cases"), index, item) {
        const json_t *texts = json_object_get(item, "texts");
        for (size_t i = 0; i < json_array_size(texts); i++)
            check_text(tokenizer, json_array_get(texts, i),
                       json_array_get(json_object_get(item, "input_ids"), i),
                       json_array_get(json_object_get(item, "attention_mask"), i));
    }
    assert_true(json_array_size(json_object_get(goldens, "cases")) > 10);
    md_tokenizer_destroy(tokenizer);
    json_decref(goldens);
}

static void test_sentiment_lstm_ids(void **state)
{
    (void)state;
    check_model("sentiment-lstm");
}

static void test_spam_textcnn_ids(void **state)
{
    (void)state;
    check_model("spam-textcnn");
}

static void test_sentiment_transformer_ids(void **state)
{
    (void)state;
    check_model("sentiment-transformer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentiment_lstm_ids),
        cmocka_unit_test(test_spam_textcnn_ids),
        cmocka_unit_test(test_sentiment_transformer_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
