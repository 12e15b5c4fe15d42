/* test_value.c - shares of buffers and sequences, and attributes of the wrong kind. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "attribute.h"
#include "md_test.h"

#include <string.h>

static int freed;

static void note_free(struct md_buffer *buffer)
{
    (void)buffer;
    freed++;
}

static void test_the_last_share_frees_the_buffer(void **state)
{
    (void)state;
    struct md_buffer buffer = { .references = 1, .free_buffer = note_free };
    struct md_value first = { .kind = MD_VALUE_TENSOR, .buffer = &buffer };
    struct md_value second;
    freed = 0;
    md_value_share(&first, &second);
    md_value_clear(&first);
    assert_int_equal(freed, 0);
    assert_int_equal(first.kind, MD_VALUE_NONE);
    md_value_clear(&second);
    assert_int_equal(freed, 1);
    md_value_clear(&second);
    assert_int_equal(freed, 1);
}

static void test_a_sequence_owns_its_items(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_buffer buffer = { .references = 1, .free_buffer = note_free };
    struct md_sequence *sequence = md_sequence_create(&faulty.allocator, MD_FP32, 2);
    assert_non_null(sequence);
    sequence->items[0] = (struct md_value){ .kind = MD_VALUE_TENSOR, .buffer = &buffer };
    struct md_value value = { .kind = MD_VALUE_SEQUENCE, .sequence = sequence };
    struct md_value other;
    freed = 0;
    md_value_share(&value, &other);
    md_value_clear(&value);
    assert_int_equal(freed, 0);
    md_value_clear(&other);
    assert_int_equal(freed, 1);
    assert_int_equal(faulty.live, 0);
    assert_null(md_sequence_create(&faulty.allocator, MD_FP32, SIZE_MAX / 8));
}

static void test_numbers_of_every_type_read_and_write(void **state)
{
    (void)state;
    for (int datatype = MD_FP32; datatype < MD_DATATYPE_COUNT; datatype++) {
        if (datatype == MD_BYTES || datatype == MD_COMPLEX64 || datatype == MD_COMPLEX128)
            continue;
        uint64_t memory[2] = { 0, 0 };
        struct md_shape shape = { .rank = 1, .dims = { 2 } };
        struct md_tensor tensor;
        assert_int_equal(md_tensor_describe((enum md_datatype)datatype, &shape, memory, &tensor, NULL), MD_OK);
        md_tensor_set_double(&tensor, 1, 1.0);
        assert_true(md_tensor_double(&tensor, 1) > 0.99 && md_tensor_double(&tensor, 1) < 1.01);
        assert_true(md_tensor_double(&tensor, 0) < 0.01);
    }
}

static void test_an_attribute_of_the_wrong_kind_names_both_kinds(void **state)
{
    (void)state;
    struct md_attribute item = { .name = "axis", .kind = MD_ATTRIBUTE_FLOAT, .value.f = 1.0f };
    struct md_attributes attributes = { &item, 1 };
    struct md_error error;
    int64_t value = 7;
    assert_int_equal(md_attribute_int(&attributes, "axis", 0, &value, &error), MD_INVALID_ARGUMENT);
    assert_string_equal(error.message, "attribute \"axis\" is a float, it must be an int");
    assert_int_equal(md_attribute_int(&attributes, "other", 5, &value, &error), MD_OK);
    assert_int_equal(value, 5);
}

static void test_an_empty_list_of_another_kind_is_an_empty_list(void **state)
{
    (void)state;
    struct md_attribute item = { .name = "scales", .kind = MD_ATTRIBUTE_INTS };
    struct md_attributes attributes = { &item, 1 };
    const float *values;
    size_t count = 9;
    assert_int_equal(md_attribute_floats(&attributes, "scales", &values, &count, NULL), MD_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_share_frees_the_buffer),
        cmocka_unit_test(test_a_sequence_owns_its_items),
        cmocka_unit_test(test_numbers_of_every_type_read_and_write),
        cmocka_unit_test(test_an_attribute_of_the_wrong_kind_names_both_kinds),
        cmocka_unit_test(test_an_empty_list_of_another_kind_is_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
