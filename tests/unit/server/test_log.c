/* test_log.c - lines that nobody can forge. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log.h"
#include "md_test.h"
#include "utf8.h"

#include <string.h>

static const int64_t noon_us = INT64_C(1000000000000001); /* 2001-09-09T01:46:40.000001Z */

#define LINE(format, buffer, message, ...)                                                                   \
    line((format), (buffer), sizeof(buffer), (message), (const struct md_log_field[]){ __VA_ARGS__ },        \
         sizeof((const struct md_log_field[]){ __VA_ARGS__ }) / sizeof(struct md_log_field))

static const char *line(enum md_log_format format, char *buffer, size_t size, const char *message,
                        const struct md_log_field *fields, size_t count)
{
    size_t used = md_log_format_line(format, noon_us, MD_LOG_INFO, message, fields, count, buffer, size - 1);
    assert_true(used < size);
    buffer[used] = '\0';
    return buffer;
}

static void test_text_line(void **state)
{
    (void)state;
    char buffer[512];
    assert_string_equal(
        LINE(MD_LOG_TEXT, buffer, "model loaded", MD_LOG_STRING("model", "a b"), MD_LOG_COUNT("version", 3),
             MD_LOG_NUMBER("left", -4)),
        "time=2001-09-09T01:46:40.000001Z level=info msg=\"model loaded\" model=\"a b\" version=3 left=-4\n");
}

static void test_json_line(void **state)
{
    (void)state;
    char buffer[512];
    assert_string_equal(
        LINE(MD_LOG_JSON, buffer, "model loaded", MD_LOG_STRING("model", "a b"), MD_LOG_COUNT("version", 3),
             MD_LOG_NUMBER("left", -4)),
        "{\"time\":\"2001-09-09T01:46:40.000001Z\",\"level\":\"info\",\"msg\":\"model loaded\","
        "\"model\":\"a b\",\"version\":3,\"left\":-4}\n");
}

static void test_text_is_escaped(void **state)
{
    (void)state;
    char buffer[512];
    const char *text =
        LINE(MD_LOG_TEXT, buffer, "m", MD_LOG_STRING("k", "a\"b\\c\nlevel=error\t\x1b[31m\x7f"));
    assert_non_null(strstr(text, "k=\"a\\\"b\\\\c\\u000alevel=error\\u0009\\u001b[31m\\u007f\"\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_what_is_not_utf8_is_replaced(void **state)
{
    (void)state;
    char buffer[512];
    assert_non_null(strstr(LINE(MD_LOG_JSON, buffer, "m", MD_LOG_STRING("k", "ok\xff\xc3(\xc3\xa4\xe2\x82")),
                           "\"k\":\"ok\\ufffd\\ufffd(\xc3\xa4\\ufffd\\ufffd\"}\n"));
}

static void test_null_is_empty(void **state)
{
    (void)state;
    char buffer[512];
    assert_non_null(strstr(LINE(MD_LOG_TEXT, buffer, "m", MD_LOG_STRING("k", NULL)), " k=\"\"\n"));
}

/* However long the text, the line ends as a line of its format ends, and is UTF-8. */
static void test_a_long_text_is_cut(void **state)
{
    (void)state;
    char buffer[400], text[1000];
    for (size_t size = 0; size < sizeof text; size++) {
        memset(text, size % 3 == 0 ? '"' : 'x', size);
        if (size > 2)
            memcpy(text + size - 2, "\xc3\xa4", 2);
        text[size] = '\0';
        const char *json = LINE(MD_LOG_JSON, buffer, "m", MD_LOG_STRING("a", text), MD_LOG_STRING("b", text),
                                MD_LOG_COUNT("n", UINT64_MAX));
        size_t length = strlen(json);
        assert_memory_equal(json + length - 2, "}\n", 2);
        assert_true(json[length - 3] == '"' || (json[length - 3] >= '0' && json[length - 3] <= '9'));
        assert_int_equal(md_utf8_valid_prefix(json, length), length);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),       cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_text_is_escaped), cmocka_unit_test(test_what_is_not_utf8_is_replaced),
        cmocka_unit_test(test_null_is_empty),   cmocka_unit_test(test_a_long_text_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
