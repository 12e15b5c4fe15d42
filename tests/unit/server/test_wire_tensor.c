/* test_wire_tensor.c - datatypes, shapes and raw bytes of both protocols: every check, with its message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "wire_tensor.h"

#include <string.h>

/* Fails unless the call gives INVALID_ARGUMENT with this in its message. */
#define ASSERT_REFUSED(call, error, expected)                                                                \
    do {                                                                                                     \
        assert_int_equal((call), MD_INVALID_ARGUMENT);                                                       \
        if (strstr((error).message, (expected)) == NULL)                                                     \
            fail_msg("\"%s\" does not say \"%s\"", (error).message, (expected));                             \
    } while (0)

static int set_up(void **state)
{
    static struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    *state = &arena;
    return 0;
}

static int tear_down(void **state)
{
    md_arena_cleanup(*state);
    return 0;
}

static struct md_shape shape_of(int32_t rank, int64_t a, int64_t b)
{
    return md_shape_of(rank, (const int64_t[]){ a, b });
}

static enum md_code from_raw(struct md_arena *arena, enum md_datatype datatype, struct md_shape shape,
                             const void *bytes, size_t size, struct md_tensor *out_tensor,
                             struct md_error *error)
{
    return md_wire_tensor_from_raw(arena, datatype, &shape, bytes, size, out_tensor, error);
}

static void test_datatypes(void **state)
{
    (void)state;
    static const char *const names[] = { "BOOL",  "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16",
                                         "INT32", "INT64", "FP16",   "FP32",   "FP64",   "BF16", "BYTES" };
    static const char *const unknown[] = { "", "FP33", "fp32", "COMPLEX64", "STRING", "INT4", "FP32 " };
    enum md_datatype datatype;
    struct md_error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(md_wire_datatype(names[i], &datatype, NULL), MD_OK);
        assert_string_equal(md_datatype_name(datatype), names[i]);
    }
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        ASSERT_REFUSED(md_wire_datatype(unknown[i], &datatype, &error), error, unknown[i]);
}

static void test_shapes(void **state)
{
    (void)state;
    const int64_t dims[MD_MAX_RANK + 1] = { 2, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
    struct md_shape shape;
    struct md_error error;
    assert_int_equal(md_wire_shape(MD_FP32, dims, 0, &shape, NULL), MD_OK);
    assert_int_equal(shape.rank, 0);
    assert_int_equal(md_wire_shape(MD_FP32, dims, MD_MAX_RANK, &shape, NULL), MD_OK);
    assert_int_equal(shape.rank, MD_MAX_RANK);
    ASSERT_REFUSED(md_wire_shape(MD_FP32, dims, MD_MAX_RANK + 1, &shape, &error), error,
                   "13 dimensions, limit is 12");
    ASSERT_REFUSED(md_wire_shape(MD_FP32, (const int64_t[]){ 4, -1 }, 2, &shape, &error), error,
                   "shape [4,-1]: dimension 1 is -1, the least is 0");
    ASSERT_REFUSED(md_wire_shape(MD_FP32, (const int64_t[]){ INT64_MAX, 2 }, 2, &shape, &error), error,
                   "more bytes than the limit 9223372036854775807");
    ASSERT_REFUSED(md_wire_shape(MD_INT64, (const int64_t[]){ INT64_MAX / 4 }, 1, &shape, &error), error,
                   "INT64");
    assert_int_equal(md_wire_shape(MD_FP32, (const int64_t[]){ 0, INT64_MAX }, 1, &shape, NULL), MD_OK);
}

static void test_raw_numbers_are_not_copied(void **state)
{
    _Alignas(16) static const float numbers[] = { 1, 2, 3, 4, 5, 6 };
    struct md_tensor tensor;
    assert_int_equal(from_raw(*state, MD_FP32, shape_of(2, 2, 3), numbers, sizeof numbers, &tensor, NULL),
                     MD_OK);
    assert_ptr_equal(tensor.bytes, numbers);
    assert_int_equal(tensor.count, 6);
}

static void test_unaligned_numbers_are_copied(void **state)
{
    _Alignas(16) char bytes[9] = { 0 };
    struct md_tensor tensor;
    const int32_t value = -7;
    memcpy(bytes + 1, &value, sizeof value);
    assert_int_equal(from_raw(*state, MD_INT32, shape_of(1, 1, 0), bytes + 1, 4, &tensor, NULL), MD_OK);
    assert_int_equal((uintptr_t)tensor.bytes % sizeof(int32_t), 0);
    assert_int_equal(md_elements(const int32_t, &tensor)[0], -7);
}

static void test_raw_size_is_exact(void **state)
{
    static const char bytes[32] = { 0 };
    struct md_tensor tensor;
    struct md_error error;
    ASSERT_REFUSED(from_raw(*state, MD_INT64, shape_of(2, 1, 3), bytes, 23, &tensor, &error), error,
                   "23 raw bytes, but shape [1,3] of INT64 takes 24");
    ASSERT_REFUSED(from_raw(*state, MD_INT64, shape_of(2, 1, 3), bytes, 25, &tensor, &error), error,
                   "25 raw bytes");
    ASSERT_REFUSED(from_raw(*state, MD_INT64, shape_of(0, 0, 0), bytes, 0, &tensor, &error), error,
                   "shape [] of INT64 takes 8");
    ASSERT_REFUSED(from_raw(*state, MD_FP16, shape_of(1, 0, 0), bytes, 2, &tensor, &error), error,
                   "2 raw bytes");
}

static void test_empty_tensors_are_legal(void **state)
{
    struct md_tensor tensor;
    assert_int_equal(from_raw(*state, MD_FP32, shape_of(2, 0, 4), NULL, 0, &tensor, NULL), MD_OK);
    assert_int_equal(tensor.count, 0);
    assert_int_equal(from_raw(*state, MD_BYTES, shape_of(1, 0, 0), NULL, 0, &tensor, NULL), MD_OK);
    assert_int_equal(tensor.count, 0);
}

static void test_bools_are_0_or_1(void **state)
{
    struct md_tensor tensor;
    struct md_error error;
    assert_int_equal(from_raw(*state, MD_BOOL, shape_of(1, 2, 0), "\0\1", 2, &tensor, NULL), MD_OK);
    ASSERT_REFUSED(from_raw(*state, MD_BOOL, shape_of(1, 3, 0), "\0\1\2", 3, &tensor, &error), error,
                   "element 2 is 2, a BOOL is 0 or 1");
}

static void test_bytes(void **state)
{
    static const char raw[] = "\3\0\0\0a\0b"
                              "\0\0\0\0"
                              "\1\0\0\0c";
    struct md_tensor tensor;
    assert_int_equal(from_raw(*state, MD_BYTES, shape_of(1, 3, 0), raw, sizeof raw - 1, &tensor, NULL),
                     MD_OK);
    const struct md_span *spans = md_elements(const struct md_span, &tensor);
    assert_int_equal(spans[0].size, 3);
    assert_memory_equal(spans[0].bytes, "a\0b", 3);
    assert_int_equal(spans[1].size, 0);
    assert_int_equal(spans[2].size, 1);
}

static void test_wrong_bytes_are_refused(void **state)
{
    static const char raw[] = "\2\0\0\0ab"
                              "\1\0\0\0c";
    struct md_tensor tensor;
    struct md_error error;
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, 3, 0), raw, 11, &tensor, &error), error,
                   "11 raw bytes cannot hold 3 BYTES elements, 12 is the least");
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, 2, 0), raw, 10, &tensor, &error), error,
                   "BYTES element 1 has length 1, but 0 raw bytes remain");
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, 2, 0), raw, 9, &tensor, &error), error,
                   "raw bytes end at 9, inside the length of BYTES element 1 of 2");
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, 1, 0), raw, 11, &tensor, &error), error,
                   "11 raw bytes, but 1 BYTES elements take 6");
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, 1, 0), "\xff\xff\xff\xff", 4, &tensor, &error),
                   error, "BYTES element 0 has length 4294967295, but 0 raw bytes remain");
    ASSERT_REFUSED(from_raw(*state, MD_BYTES, shape_of(1, INT64_MAX / 32, 0), raw, 11, &tensor, &error),
                   error, "cannot hold");
}

static void test_to_raw_is_from_raw_backwards(void **state)
{
    static const char raw[] = "\3\0\0\0a\0b"
                              "\0\0\0\0"
                              "\1\0\0\0c";
    struct md_tensor tensor;
    uint8_t *bytes;
    size_t size;
    assert_int_equal(from_raw(*state, MD_BYTES, shape_of(1, 3, 0), raw, sizeof raw - 1, &tensor, NULL),
                     MD_OK);
    assert_int_equal(md_wire_tensor_to_raw(*state, &tensor, &bytes, &size, NULL), MD_OK);
    assert_int_equal(size, sizeof raw - 1);
    assert_memory_equal(bytes, raw, size);
    assert_int_equal(from_raw(*state, MD_UINT16, shape_of(1, 2, 0), "abcd", 4, &tensor, NULL), MD_OK);
    assert_int_equal(md_wire_tensor_to_raw(*state, &tensor, &bytes, &size, NULL), MD_OK);
    assert_int_equal(size, 4);
    assert_memory_equal(bytes, "abcd", 4);
}

static void test_a_datatype_without_a_name_cannot_be_sent(void **state)
{
    struct md_shape shape = shape_of(1, 1, 0);
    struct md_tensor tensor;
    struct md_error error;
    uint8_t *bytes;
    size_t size;
    char number[16] = { 0 };
    assert_int_equal(md_tensor_describe(MD_COMPLEX128, &shape, number, &tensor, NULL), MD_OK);
    assert_int_equal(md_wire_tensor_to_raw(*state, &tensor, &bytes, &size, &error), MD_UNIMPLEMENTED);
    assert_non_null(strstr(error.message, "COMPLEX128"));
}

static void test_no_memory_is_a_status(void **state)
{
    (void)state;
    static const char raw[] = "\1\0\0\0c";
    struct md_faulty_allocator faulty;
    struct md_arena arena;
    struct md_tensor tensor;
    md_faulty_init(&faulty, 0);
    md_arena_init(&arena, &faulty.allocator, 0);
    assert_int_equal(from_raw(&arena, MD_BYTES, shape_of(1, 1, 0), raw, 5, &tensor, NULL),
                     MD_RESOURCE_EXHAUSTED);
    assert_int_equal(from_raw(&arena, MD_INT16, shape_of(1, 1, 0), raw + 1, 2, &tensor, NULL) ==
                         MD_RESOURCE_EXHAUSTED,
                     (uintptr_t)(raw + 1) % 2 != 0);
    md_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datatypes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_raw_numbers_are_not_copied),
        cmocka_unit_test(test_unaligned_numbers_are_copied),
        cmocka_unit_test(test_raw_size_is_exact),
        cmocka_unit_test(test_empty_tensors_are_legal),
        cmocka_unit_test(test_bools_are_0_or_1),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_wrong_bytes_are_refused),
        cmocka_unit_test(test_to_raw_is_from_raw_backwards),
        cmocka_unit_test(test_a_datatype_without_a_name_cannot_be_sent),
        cmocka_unit_test(test_no_memory_is_a_status),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
