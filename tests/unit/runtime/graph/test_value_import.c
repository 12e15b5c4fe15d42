/* The data files of conformance cases as values. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"

#include <string.h>

static enum md_code import_value(struct onnx_builder *builder, const ProtobufCMessage *message,
                                 const struct md_value_type *type, struct md_value *out_value)
{
    struct md_span bytes = onnx_pack(builder, message);
    return md_value_import(&builder->arena, bytes.bytes, bytes.size, type, out_value, &builder->error);
}

static void test_a_tensor(void **state)
{
    (void)state;
    struct onnx_builder builder;
    struct md_value value;
    struct md_value_type type = { .kind = MD_TYPE_TENSOR };
    onnx_builder_init(&builder);
    Onnx__TensorProto *tensor = onnx_new_floats(&builder, "x", (const float[]){ 1, 2 }, 2);
    assert_int_equal(import_value(&builder, &tensor->base, &type, &value), MD_OK);
    assert_int_equal(value.kind, MD_VALUE_TENSOR);
    assert_true(md_elements(const float, &value.tensor)[1] == 2.0F);
    md_value_clear(&value);
    onnx_builder_cleanup(&builder);
}

static void test_sequences(void **state)
{
    (void)state;
    struct onnx_builder builder;
    struct md_value value, second;
    struct md_value_type type = { .kind = MD_TYPE_SEQUENCE, .datatype = MD_INT64 };
    onnx_builder_init(&builder);
    Onnx__SequenceProto sequence = ONNX__SEQUENCE_PROTO__INIT;
    assert_int_equal(import_value(&builder, &sequence.base, &type, &value), MD_OK);
    assert_int_equal(value.kind, MD_VALUE_SEQUENCE);
    assert_int_equal(value.sequence->count, 0);
    assert_int_equal(value.sequence->datatype, MD_INT64);
    for (int i = 0; i < 2; i++)
        onnx_append_pointer(&builder, &sequence.tensor_values, &sequence.n_tensor_values,
                            onnx_new_floats(&builder, "", (const float[]){ 1, 2 }, (size_t)i + 1));
    assert_int_equal(import_value(&builder, &sequence.base, &type, &value), MD_OK);
    assert_int_equal(value.sequence->count, 2);
    assert_int_equal(value.sequence->datatype, MD_FP32);
    assert_int_equal(value.sequence->items[1].tensor.count, 2);
    md_value_share(&value, &second);
    md_value_clear(&value);
    md_value_clear(&second); /* the memory is the arena's and stays */
    Onnx__SequenceProto outer = ONNX__SEQUENCE_PROTO__INIT;
    onnx_append_pointer(&builder, &outer.sequence_values, &outer.n_sequence_values, &sequence);
    assert_int_equal(import_value(&builder, &outer.base, &type, &value), MD_UNIMPLEMENTED);
    onnx_builder_cleanup(&builder);
}

static void test_optionals(void **state)
{
    (void)state;
    struct onnx_builder builder;
    struct md_value value;
    struct md_value_type type = { .kind = MD_TYPE_TENSOR, .optional = true };
    onnx_builder_init(&builder);
    Onnx__OptionalProto optional = ONNX__OPTIONAL_PROTO__INIT;
    assert_int_equal(import_value(&builder, &optional.base, &type, &value), MD_OK);
    assert_int_equal(value.kind, MD_VALUE_NONE);
    optional.tensor_value = onnx_new_floats(&builder, "", (const float[]){ 1 }, 1);
    assert_int_equal(import_value(&builder, &optional.base, &type, &value), MD_OK);
    assert_int_equal(value.kind, MD_VALUE_TENSOR);
    Onnx__SequenceProto sequence = ONNX__SEQUENCE_PROTO__INIT;
    optional.tensor_value = NULL;
    optional.sequence_value = &sequence;
    type.kind = MD_TYPE_SEQUENCE;
    assert_int_equal(import_value(&builder, &optional.base, &type, &value), MD_OK);
    assert_int_equal(value.kind, MD_VALUE_SEQUENCE);
    onnx_builder_cleanup(&builder);
}

static void test_bytes_that_are_no_value(void **state)
{
    (void)state;
    struct onnx_builder builder;
    struct md_value value;
    struct md_value_type type = { .kind = MD_TYPE_TENSOR };
    onnx_builder_init(&builder);
    assert_int_equal(md_value_import(&builder.arena, "", 0, &type, &value, &builder.error),
                     MD_INVALID_ARGUMENT);
    assert_int_equal(md_value_import(&builder.arena, "\xFF", 1, &type, &value, &builder.error),
                     MD_INVALID_ARGUMENT);
    Onnx__TensorProto *tensor = onnx_new_tensor(&builder, "x", MD_FP32, 0, NULL);
    onnx_add_external(&builder, tensor, "location", "x.bin");
    assert_int_equal(import_value(&builder, &tensor->base, &type, &value), MD_INVALID_ARGUMENT);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tensor),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_optionals),
        cmocka_unit_test(test_bytes_that_are_no_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
