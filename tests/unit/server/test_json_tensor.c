/* test_json_tensor.c - elements as JSON to raw bytes and back, for every datatype, and every refusal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "json_tensor.h"
#include "md_test.h"
#include "text.h"

#include <string.h>

static enum md_code to_raw(struct md_arena *arena, enum md_datatype datatype, int32_t rank, int64_t a, int64_t b,
                           const char *json, uint8_t **out_bytes, size_t *out_size, struct md_error *error)
{
    struct md_shape shape = md_shape_of(rank, (const int64_t[]){ a, b });
    json_t *data = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(data);
    enum md_code code = md_json_tensor_to_raw(arena, datatype, &shape, data, out_bytes, out_size, error);
    json_decref(data);
    return code;
}

static void test_every_datatype_comes_back_as_it_was(void **state)
{
    static const struct {
        enum md_datatype datatype;
        const char *json;
    } cases[] = {
        { MD_BOOL, "[true,false]" },
        { MD_INT8, "[-128,127]" },
        { MD_INT16, "[-32768,32767]" },
        { MD_INT32, "[-2147483648,2147483647]" },
        { MD_INT64, "[-9223372036854775808,9223372036854775807]" },
        { MD_UINT8, "[0,255]" },
        { MD_UINT16, "[0,65535]" },
        { MD_UINT32, "[0,4294967295]" },
        { MD_UINT64, "[0,9223372036854775807]" },
        { MD_FP16, "[0.5,-65504]" },
        { MD_BF16, "[0.5,-256]" },
        { MD_FP32, "[0.1,-3.40282347e+38]" },
        { MD_FP64, "[0.1,-1.7976931348623157e+308]" },
        { MD_BYTES, "[\"\",\"a\\u0000\\\"b\"]" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct md_arena arena;
        struct md_text text;
        struct md_error error = { "" };
        uint8_t *bytes;
        size_t size;
        md_arena_init(&arena, md_process_allocator(), 0);
        md_text_init(&text, md_process_allocator());
        assert_int_equal(to_raw(&arena, cases[i].datatype, 1, 2, 0, cases[i].json, &bytes, &size, &error), MD_OK);
        assert_int_equal(md_json_tensor_write(&text, cases[i].datatype, bytes, size, &error), MD_OK);
        md_text_add(&text, "", 1);
        assert_string_equal(text.bytes, cases[i].json);
        md_text_cleanup(&text);
        md_arena_cleanup(&arena);
    }
}

static void test_nested_rows_are_the_flat_array(void **state)
{
    struct md_arena arena;
    uint8_t *flat, *nested;
    size_t flat_size, nested_size;
    (void)state;
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(to_raw(&arena, MD_BYTES, 2, 2, 2, "[\"a\",\"b\",\"c\",\"d\"]", &flat, &flat_size, NULL), MD_OK);
    assert_int_equal(to_raw(&arena, MD_BYTES, 2, 2, 2, "[[\"a\",\"b\"],[\"c\",\"d\"]]", &nested, &nested_size, NULL),
                     MD_OK);
    assert_int_equal(flat_size, 20);
    assert_int_equal(nested_size, 20);
    assert_memory_equal(flat, nested, 20);
    assert_int_equal(to_raw(&arena, MD_FP32, 1, 0, 0, "[]", &flat, &flat_size, NULL), MD_OK);
    assert_int_equal(flat_size, 0);
    md_arena_cleanup(&arena);
}

static void test_refusals_name_both_numbers(void **state)
{
    static const struct {
        enum md_datatype datatype;
        int32_t rank;
        int64_t a, b;
        const char *json, *says;
    } cases[] = {
        { MD_INT8, 1, 1, 0, "[128]", "element 0 is 128, limits of INT8 are -128 to 127" },
        { MD_UINT8, 1, 2, 0, "[0,-1]", "element 1 is -1, limits of UINT8 are 0 to 255" },
        { MD_BOOL, 1, 1, 0, "[2]", "limits of BOOL are 0 to 1" },
        { MD_FP16, 1, 1, 0, "[65520]", "65520, limits of FP16 are -65504 and 65504" },
        { MD_FP32, 1, 1, 0, "[1e39]", "limits of FP32" },
        { MD_FP32, 1, 1, 0, "[\"1\"]", "element 0 is a string, which is no FP32" },
        { MD_INT64, 1, 1, 0, "[1.0]", "a fraction" },
        { MD_INT64, 1, 1, 0, "[null]", "null" },
        { MD_BYTES, 1, 1, 0, "[1]", "a whole number, which is no BYTES" },
        { MD_INT64, 1, 3, 0, "[1,2]", "2 elements in data, shape [3] takes 3" },
        { MD_INT64, 2, 2, 2, "[[1,2],[3]]", "1 elements in data at one level, shape [2,2] takes 2" },
        { MD_INT64, 2, 2, 2, "[[1,2],3]", "nested 1 deep" },
        { MD_INT64, 2, 1000000, 1000000, "[[1]]", "takes 1000000" },
        { MD_BYTES, 2, 1, 2, "[[[\"a\"],\"b\"]]", "an array" },
        { MD_INT64, 1, 1, 0, "{}", "no array" },
    };
    struct md_arena arena;
    (void)state;
    md_arena_init(&arena, md_process_allocator(), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct md_error error = { "" };
        uint8_t *bytes;
        size_t size;
        assert_int_equal(to_raw(&arena, cases[i].datatype, cases[i].rank, cases[i].a, cases[i].b, cases[i].json, &bytes,
                                &size, &error),
                         MD_INVALID_ARGUMENT);
        if (strstr(error.message, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", error.message, cases[i].says);
    }
    md_arena_cleanup(&arena);
}

static void test_what_json_cannot_say_is_refused(void **state)
{
    static const uint8_t infinity[] = { 0, 0, 0x80, 0x7f }, wrong_text[] = { 1, 0, 0, 0, 0xff };
    struct md_text text;
    struct md_error error;
    (void)state;
    md_text_init(&text, md_process_allocator());
    assert_int_equal(md_json_tensor_write(&text, MD_FP32, infinity, 4, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "infinite"));
    assert_int_equal(md_json_tensor_write(&text, MD_BYTES, wrong_text, 5, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "UTF-8"));
    md_text_cleanup(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_datatype_comes_back_as_it_was),
        cmocka_unit_test(test_nested_rows_are_the_flat_array),
        cmocka_unit_test(test_refusals_name_both_numbers),
        cmocka_unit_test(test_what_json_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
