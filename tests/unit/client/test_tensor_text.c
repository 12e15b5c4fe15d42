/* test_tensor_text.c - tensors on the command line. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tensor_text.h"

#include "allocator.h"
#include "md_test.h"

#include <string.h>

static enum md_code parse(struct md_arena *arena, const char *text, struct md_client_tensor *tensor,
                          struct md_error *error)
{
    md_arena_init(arena, md_process_allocator(), 0);
    return md_ctl_tensor_parse(text, arena, tensor, error);
}

/* Parses, and prints every element back. */
static void check_round_trip(const char *text, const char *expected)
{
    struct md_arena arena;
    struct md_client_tensor tensor;
    struct md_error error = { "" };
    char all[512] = "", element[128];
    size_t count = 0, cursor = 0;
    if (parse(&arena, text, &tensor, &error) != MD_OK)
        fail_msg("%s: %s", text, error.message);
    assert_true(md_ctl_shape_count(tensor.shape, tensor.rank, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(md_ctl_tensor_element(&tensor, &cursor, element, sizeof element));
        (void)strncat(all, i > 0 ? "|" : "", sizeof all - strlen(all) - 1);
        (void)strncat(all, element, sizeof all - strlen(all) - 1);
    }
    assert_int_equal(cursor, tensor.contents_size);
    assert_false(md_ctl_tensor_element(&tensor, &cursor, element, sizeof element));
    assert_string_equal(all, expected);
    md_arena_cleanup(&arena);
}

static void test_every_datatype_goes_there_and_back(void **state)
{
    (void)state;
    check_round_trip("x=BOOL[2]:0,1", "0|1");
    check_round_trip("x=INT8[2]:-128,127", "-128|127");
    check_round_trip("x=INT16[1]:-32768", "-32768");
    check_round_trip("x=INT32[1]:-2147483648", "-2147483648");
    check_round_trip("x=INT64[2]:-9223372036854775808,9223372036854775807",
                     "-9223372036854775808|9223372036854775807");
    check_round_trip("x=UINT8[1]:255", "255");
    check_round_trip("x=UINT16[1]:65535", "65535");
    check_round_trip("x=UINT32[1]:4294967295", "4294967295");
    check_round_trip("x=UINT64[1]:18446744073709551615", "18446744073709551615");
    check_round_trip("x=FP32[3]:1.5,-2,inf", "1.5|-2|inf");
    check_round_trip("x=FP64[1]:0.1", "0.10000000000000001");
    check_round_trip("x=BYTES[3]:hello,,w: [x]=y", "hello||w: [x]=y");
    check_round_trip("x=INT32[]:7", "7");
    check_round_trip("x=BYTES[]:", "");
    check_round_trip("x=INT32[0]:", "");
    check_round_trip("a b=INT32[1,2,3]:1,2,3,4,5,6", "1|2|3|4|5|6");
}

static void test_bytes_have_a_length_before_them(void **state)
{
    (void)state;
    struct md_arena arena;
    struct md_client_tensor tensor;
    assert_int_equal(parse(&arena, "x=BYTES[2]:ab,c", &tensor, NULL), MD_OK);
    assert_int_equal(tensor.contents_size, 11);
    assert_memory_equal(tensor.contents, "\x02\0\0\0ab\x01\0\0\0c", 11);
    md_arena_cleanup(&arena);
}

static void check_refused(const char *text, const char *message)
{
    struct md_arena arena;
    struct md_client_tensor tensor;
    struct md_error error = { "" };
    assert_int_equal(parse(&arena, text, &tensor, &error), MD_INVALID_ARGUMENT);
    if (strstr(error.message, message) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", text, message, error.message);
    md_arena_cleanup(&arena);
}

static void test_wrong_tensors_are_refused_with_the_reason(void **state)
{
    (void)state;
    check_refused("", "is not name=DTYPE[shape]:values");
    check_refused("x", "is not name=DTYPE[shape]:values");
    check_refused("=INT8[1]:1", "is not name=DTYPE[shape]:values");
    check_refused("x=INT8:1", "is not name=DTYPE[shape]:values");
    check_refused("x=INT7[1]:1", "datatype \"INT7\" is not known here");
    check_refused("x=FP16[1]:1", "datatype \"FP16\" is not known here");
    check_refused("x=INT8[1", "is not a shape");
    check_refused("x=INT8[-1]:1", "is not a shape");
    check_refused("x=INT8[a]:1", "is not a shape");
    check_refused("x=INT8[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]:1", "at most 16 dimensions");
    check_refused("x=INT8[1]1", "a \":\" and the values must follow");
    check_refused("x=INT8[2]:1", "1 values, the shape has 2");
    check_refused("x=INT8[9223372036854775807,9223372036854775807]:1", "1 values");
    check_refused("x=INT8[1]:128", "\"128\" is not a value of INT8");
    check_refused("x=UINT8[1]:-1", "\"-1\" is not a value of UINT8");
    check_refused("x=UINT64[1]:18446744073709551616", "is not a value of UINT64");
    check_refused("x=INT64[1]:9223372036854775808", "is not a value of INT64");
    check_refused("x=BOOL[1]:2", "\"2\" is not a value of BOOL");
    check_refused("x=FP32[2]:1,", "\"\" is not a value of FP32");
    check_refused("x=FP32[1]:1x", "\"1x\" is not a value of FP32");
}

static void test_a_short_answer_is_not_read_past_its_end(void **state)
{
    (void)state;
    static const int64_t shape[] = { 2 };
    const struct md_client_tensor numbers = { "y", "INT32", shape, 1, "\x01\0\0\0\x02\0", 6 };
    const struct md_client_tensor strings = { "y", "BYTES", shape, 1, "\x09\0\0\0ab", 6 };
    const struct md_client_tensor unknown = { "y", "FP16", shape, 1, "abcd", 4 };
    char element[32];
    size_t cursor = 0;
    assert_true(md_ctl_tensor_element(&numbers, &cursor, element, sizeof element));
    assert_false(md_ctl_tensor_element(&numbers, &cursor, element, sizeof element));
    cursor = 0;
    assert_false(md_ctl_tensor_element(&strings, &cursor, element, sizeof element));
    cursor = 0;
    assert_false(md_ctl_tensor_element(&unknown, &cursor, element, sizeof element));
}

static void test_parse_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_arena arena;
        struct md_client_tensor tensor;
        md_faulty_init(&faulty, nth);
        md_arena_init(&arena, &faulty.allocator, 16);
        enum md_code code = md_ctl_tensor_parse("input=INT64[1,2]:1,2", &arena, &tensor, NULL);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        md_arena_cleanup(&arena);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_datatype_goes_there_and_back),
        cmocka_unit_test(test_bytes_have_a_length_before_them),
        cmocka_unit_test(test_wrong_tensors_are_refused_with_the_reason),
        cmocka_unit_test(test_a_short_answer_is_not_read_past_its_end),
        cmocka_unit_test(test_parse_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
