/* Tensors: every datatype in every place that may hold its elements; shapes and data that do not fit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include <math.h>
#include <string.h>

static const int64_t three[] = { 3 };

static Onnx__TensorProto *add_tensor(struct onnx_builder *builder, int32_t datatype, const int64_t *dims,
                                     size_t rank)
{
    onnx_builder_init(builder);
    Onnx__TensorProto *tensor = onnx_new_tensor(builder, "w", datatype, rank, dims);
    onnx_add_initializer(builder, builder->model->graph, tensor);
    return tensor;
}

/* Imports and compares the bytes in memory. */
static void expect_bytes(struct onnx_builder *builder, const void *bytes, size_t size)
{
    struct md_model *model = onnx_import_ok(builder);
    const struct md_tensor *tensor = onnx_find_constant(model->graph, "w");
    assert_int_equal(md_tensor_size(tensor), size);
    assert_memory_equal(tensor->bytes, bytes, size);
    md_model_destroy(model);
    onnx_builder_cleanup(builder);
}

static void expect_int32_data(int32_t datatype, const int32_t *entries, size_t entry_count, const void *bytes,
                              size_t size)
{
    struct onnx_builder builder;
    Onnx__TensorProto *tensor = add_tensor(&builder, datatype, three, 1);
    tensor->n_int32_data = entry_count;
    tensor->int32_data = onnx_zeroed(&builder, entry_count, sizeof *entries);
    memcpy(tensor->int32_data, entries, entry_count * sizeof *entries);
    expect_bytes(&builder, bytes, size);
}

static void test_int32_data_holds_all_small_types(void **state)
{
    (void)state;
    expect_int32_data(MD_INT32, (const int32_t[]){ 1, -2, INT32_MIN }, 3,
                      (const int32_t[]){ 1, -2, INT32_MIN }, 12);
    expect_int32_data(MD_INT16, (const int32_t[]){ 1, -2, INT16_MIN }, 3,
                      (const int16_t[]){ 1, -2, INT16_MIN }, 6);
    expect_int32_data(MD_UINT16, (const int32_t[]){ 1, 2, UINT16_MAX }, 3,
                      (const uint16_t[]){ 1, 2, UINT16_MAX }, 6);
    expect_int32_data(MD_INT8, (const int32_t[]){ 1, -2, -128 }, 3, (const int8_t[]){ 1, -2, -128 }, 3);
    expect_int32_data(MD_UINT8, (const int32_t[]){ 1, 2, 255 }, 3, (const uint8_t[]){ 1, 2, 255 }, 3);
    expect_int32_data(MD_BOOL, (const int32_t[]){ 1, 0, 7 }, 3, (const uint8_t[]){ 1, 0, 1 }, 3);
    expect_int32_data(MD_FP16, (const int32_t[]){ 0x3C00, 0, 0xFFFF }, 3,
                      (const uint16_t[]){ 0x3C00, 0, 0xFFFF }, 6);
    expect_int32_data(MD_BF16, (const int32_t[]){ 0x3F80, 0, -1 }, 3, (const uint16_t[]){ 0x3F80, 0, 0xFFFF },
                      6);
    for (int32_t datatype = MD_FP8E4M3FN; datatype <= MD_FP8E5M2FNUZ; datatype++)
        expect_int32_data(datatype, (const int32_t[]){ 0x38, 0, 0xFF }, 3, (const uint8_t[]){ 0x38, 0, 0xFF },
                          3);
}

static void test_nibbles_are_unpacked_low_one_first(void **state)
{
    (void)state;
    expect_int32_data(MD_UINT4, (const int32_t[]){ 0xF1, 0x08 }, 2, (const uint8_t[]){ 1, 15, 8 }, 3);
    expect_int32_data(MD_INT4, (const int32_t[]){ 0xF1, 0x08 }, 2, (const int8_t[]){ 1, -1, -8 }, 3);
    expect_int32_data(MD_FP4E2M1, (const int32_t[]){ 0x21, 0x0F }, 2, (const uint8_t[]){ 1, 2, 15 }, 3);
    struct onnx_builder builder;
    onnx_set_raw(&builder, add_tensor(&builder, MD_INT4, three, 1), (const uint8_t[]){ 0xF1, 0xF7 }, 2);
    expect_bytes(&builder, (const int8_t[]){ 1, -1, 7 }, 3);
}

static void test_float_data(void **state)
{
    (void)state;
    struct onnx_builder builder;
    float values[] = { 1.5F, -0.0F, INFINITY, 4, 5, 6 };
    Onnx__TensorProto *tensor = add_tensor(&builder, MD_FP32, three, 1);
    tensor->n_float_data = 3;
    tensor->float_data = values;
    expect_bytes(&builder, values, 12);

    tensor = add_tensor(&builder, MD_COMPLEX64, three, 1);
    tensor->n_float_data = 6;
    tensor->float_data = values;
    expect_bytes(&builder, values, 24);
}

static void test_double_data(void **state)
{
    (void)state;
    struct onnx_builder builder;
    double values[] = { 1.5, -0.0, 3, 4, 5, 6 };
    Onnx__TensorProto *tensor = add_tensor(&builder, MD_FP64, three, 1);
    tensor->n_double_data = 3;
    tensor->double_data = values;
    expect_bytes(&builder, values, 24);

    tensor = add_tensor(&builder, MD_COMPLEX128, three, 1);
    tensor->n_double_data = 6;
    tensor->double_data = values;
    expect_bytes(&builder, values, 48);
}

static void test_int64_and_uint64_data(void **state)
{
    (void)state;
    struct onnx_builder builder;
    Onnx__TensorProto *tensor = add_tensor(&builder, MD_INT64, three, 1);
    int64_t signed_values[] = { INT64_MIN, -1, INT64_MAX };
    tensor->n_int64_data = 3;
    tensor->int64_data = signed_values;
    expect_bytes(&builder, signed_values, 24);

    uint64_t values[] = { 0, 7, UINT64_MAX };
    tensor = add_tensor(&builder, MD_UINT64, three, 1);
    tensor->n_uint64_data = 3;
    tensor->uint64_data = values;
    expect_bytes(&builder, values, 24);

    values[2] = UINT32_MAX;
    tensor = add_tensor(&builder, MD_UINT32, three, 1);
    tensor->n_uint64_data = 3;
    tensor->uint64_data = values;
    expect_bytes(&builder, (const uint32_t[]){ 0, 7, UINT32_MAX }, 12);
}

static void test_string_data(void **state)
{
    (void)state;
    struct onnx_builder builder;
    Onnx__TensorProto *tensor = add_tensor(&builder, MD_BYTES, three, 1);
    tensor->n_string_data = 3;
    tensor->string_data = (ProtobufCBinaryData[]){ { 1, (uint8_t *)onnx_text(&builder, "a") },
                                                   { 0, NULL },
                                                   { 3, (uint8_t *)onnx_text(&builder, "b\0c") } };
    struct md_model *model = onnx_import_ok(&builder);
    const struct md_span *strings = md_elements(const struct md_span, onnx_find_constant(model->graph, "w"));
    assert_int_equal(strings[0].size, 1);
    assert_int_equal(strings[1].size, 0);
    assert_int_equal(strings[2].size, 3);
    assert_int_equal(strings[0].bytes[0], 'a');
    md_model_destroy(model);
    onnx_builder_cleanup(&builder);
}

static void test_raw_data_of_every_type(void **state)
{
    (void)state;
    for (int32_t datatype = 1; datatype < MD_DATATYPE_COUNT; datatype++) {
        if (datatype == MD_BYTES || (datatype >= MD_UINT4 && datatype <= MD_FP4E2M1))
            continue;
        uint8_t bytes[48] = { 1, 0, 1 };
        size_t size = 3 * md_datatype_size((enum md_datatype)datatype);
        struct onnx_builder builder;
        onnx_set_raw(&builder, add_tensor(&builder, datatype, three, 1), bytes, size);
        expect_bytes(&builder, bytes, size);
    }
    struct onnx_builder builder;
    onnx_set_raw(&builder, add_tensor(&builder, MD_BOOL, three, 1), (const uint8_t[]){ 2, 0, 255 }, 3);
    expect_bytes(&builder, (const uint8_t[]){ 1, 0, 1 }, 3);
}

static void test_scalars_and_empty_tensors(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_set_raw(&builder, add_tensor(&builder, MD_INT64, NULL, 0), (const int64_t[]){ 42 }, 8);
    expect_bytes(&builder, (const int64_t[]){ 42 }, 8);
    (void)add_tensor(&builder, MD_FP32, (const int64_t[]){ 2, 0 }, 2);
    expect_bytes(&builder, "", 0);
}

static void test_data_that_does_not_fit_the_shape(void **state)
{
    (void)state;
    struct onnx_builder builder;
    for (size_t size = 0; size <= 16; size += 4) {
        if (size == 12)
            continue;
        onnx_set_raw(&builder, add_tensor(&builder, MD_FP32, three, 1), (const float[4]){ 0 }, size);
        onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "[3]", size > 0 ? "12" : "3", NULL);
        onnx_builder_cleanup(&builder);
    }
    Onnx__TensorProto *tensor = add_tensor(&builder, MD_INT64, three, 1);
    tensor->n_int64_data = 2;
    tensor->int64_data = (int64_t[]){ 1, 2 };
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "int64_data has 2 entries", "needs 3", NULL);
    onnx_builder_cleanup(&builder);

    tensor = add_tensor(&builder, MD_INT64, three, 1);
    tensor->n_float_data = 3;
    tensor->float_data = (float[]){ 1, 2, 3 };
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "float_data", "int64_data", NULL);
    onnx_set_raw(&builder, tensor, "12345678", 8);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "both", NULL);
    onnx_builder_cleanup(&builder);

    onnx_set_raw(&builder, add_tensor(&builder, MD_BYTES, three, 1), "abc", 3);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "strings", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_numbers_out_of_range(void **state)
{
    (void)state;
    static const struct {
        int32_t datatype, value;
    } cases[] = { { MD_UINT8, 256 },    { MD_UINT8, -1 },   { MD_INT8, 128 },   { MD_INT16, 40000 },
                  { MD_UINT16, 65536 }, { MD_FP16, 65536 }, { MD_FP8E5M2, 256 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx_builder builder;
        Onnx__TensorProto *tensor = add_tensor(&builder, cases[i].datatype, three, 1);
        tensor->n_int32_data = 3;
        tensor->int32_data = (int32_t[]){ 0, 1, cases[i].value };
        onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "entry 2", "range", NULL);
        onnx_builder_cleanup(&builder);
    }
}

static void test_shapes_that_cannot_be(void **state)
{
    (void)state;
    struct onnx_builder builder;
    (void)add_tensor(&builder, MD_FP32, (const int64_t[]){ 4, -1 }, 2);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "dim 1", "-1", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_tensor(&builder, MD_FP32, (const int64_t[]){ INT64_MAX, 4 }, 2);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "too large", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_tensor(&builder, MD_FP32, (const int64_t[]){ INT64_C(1) << 40 }, 1);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "has 0", "1099511627776", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_tensor(&builder, MD_FP32, (const int64_t[13]){ 0 }, 13);
    onnx_import_fails(&builder, MD_UNIMPLEMENTED, "\"w\"", "rank is 13", NULL);
    onnx_builder_cleanup(&builder);
}

static void test_datatypes_that_cannot_be(void **state)
{
    (void)state;
    struct onnx_builder builder;
    (void)add_tensor(&builder, 0, three, 1);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "data_type", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_tensor(&builder, 77, three, 1);
    onnx_import_fails(&builder, MD_UNIMPLEMENTED, "\"w\"", "77", NULL);
    onnx_builder_cleanup(&builder);
}

/* ---- sparse ---- */

static Onnx__SparseTensorProto *add_sparse(struct onnx_builder *builder, const int64_t *indices, size_t rank,
                                           const int64_t *dims, size_t dim_count)
{
    onnx_builder_init(builder);
    Onnx__SparseTensorProto *sparse = onnx_zeroed(builder, 1, sizeof *sparse);
    onnx__sparse_tensor_proto__init(sparse);
    sparse->values = onnx_new_floats(builder, "w", (const float[]){ 5, 7 }, 2);
    sparse->indices =
        onnx_new_tensor(builder, "", MD_INT64, rank, (const int64_t[]){ 2, (int64_t)dim_count });
    onnx_set_raw(builder, sparse->indices, indices, (rank == 2 ? 2 * dim_count : 2) * sizeof *indices);
    sparse->n_dims = dim_count;
    sparse->dims = onnx_zeroed(builder, dim_count, sizeof *dims);
    memcpy(sparse->dims, dims, dim_count * sizeof *dims);
    Onnx__GraphProto *graph = builder->model->graph;
    onnx_append_pointer(builder, &graph->sparse_initializer, &graph->n_sparse_initializer, sparse);
    return sparse;
}

static void test_sparse_initializers_become_dense(void **state)
{
    (void)state;
    struct onnx_builder builder;
    (void)add_sparse(&builder, (const int64_t[]){ 1, 5 }, 1, (const int64_t[]){ 2, 3 }, 2);
    expect_bytes(&builder, (const float[]){ 0, 5, 0, 0, 0, 7 }, 24);
    (void)add_sparse(&builder, (const int64_t[]){ 0, 1, 1, 2 }, 2, (const int64_t[]){ 2, 3 }, 2);
    expect_bytes(&builder, (const float[]){ 0, 5, 0, 0, 0, 7 }, 24);
}

static void test_sparse_initializers_that_are_refused(void **state)
{
    (void)state;
    struct onnx_builder builder;
    (void)add_sparse(&builder, (const int64_t[]){ 1, 6 }, 1, (const int64_t[]){ 2, 3 }, 2);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "index of value 1", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_sparse(&builder, (const int64_t[]){ 0, -1, 1, 2 }, 2, (const int64_t[]){ 2, 3 }, 2);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "index of value 0", NULL);
    onnx_builder_cleanup(&builder);
    (void)add_sparse(&builder, (const int64_t[]){ 1, 6 }, 1, (const int64_t[]){ 1 << 20, 1 << 20 }, 2);
    onnx_import_fails(&builder, MD_UNIMPLEMENTED, "\"w\"", "4398046511104", NULL);
    onnx_builder_cleanup(&builder);
    add_sparse(&builder, (const int64_t[]){ 1, 6 }, 1, (const int64_t[]){ 2, 3 }, 2)->indices = NULL;
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "no indices", NULL);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_int32_data_holds_all_small_types),
        cmocka_unit_test(test_nibbles_are_unpacked_low_one_first),
        cmocka_unit_test(test_float_data),
        cmocka_unit_test(test_double_data),
        cmocka_unit_test(test_int64_and_uint64_data),
        cmocka_unit_test(test_string_data),
        cmocka_unit_test(test_raw_data_of_every_type),
        cmocka_unit_test(test_scalars_and_empty_tensors),
        cmocka_unit_test(test_data_that_does_not_fit_the_shape),
        cmocka_unit_test(test_numbers_out_of_range),
        cmocka_unit_test(test_shapes_that_cannot_be),
        cmocka_unit_test(test_datatypes_that_cannot_be),
        cmocka_unit_test(test_sparse_initializers_become_dense),
        cmocka_unit_test(test_sparse_initializers_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
