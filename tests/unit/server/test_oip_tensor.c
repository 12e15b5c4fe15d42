/* test_oip_tensor.c - the Open Inference Protocol's tensors: raw or typed, parameters; every check, with its
 * message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "oip_tensor.h"

#include <string.h>

typedef Inference__ModelInferRequest__InferInputTensor input_message;
typedef Inference__InferTensorContents contents_message;

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

/* An input of shape [count] with typed contents. */
static enum md_code typed(struct md_arena *arena, const char *datatype, int64_t count,
                          contents_message *contents, struct md_tensor *out_tensor, struct md_error *error)
{
    input_message input = INFERENCE__MODEL_INFER_REQUEST__INFER_INPUT_TENSOR__INIT;
    input.datatype = (char *)(uintptr_t)datatype;
    input.shape = &count;
    input.n_shape = 1;
    input.contents = contents;
    return md_oip_input_tensor(arena, &input, NULL, out_tensor, error);
}

/* ---- raw or contents ---- */

struct request {
    Inference__ModelInferRequest message;
    input_message inputs[2];
    input_message *list[2];
    ProtobufCBinaryData raw[3];
    contents_message contents;
};

static void make_request(struct request *request, size_t raw_count)
{
    inference__model_infer_request__init(&request->message);
    inference__infer_tensor_contents__init(&request->contents);
    for (size_t i = 0; i < 2; i++) {
        inference__model_infer_request__infer_input_tensor__init(&request->inputs[i]);
        request->inputs[i].name = (char *)(uintptr_t)(i == 0 ? "first" : "second");
        request->list[i] = &request->inputs[i];
    }
    request->message.inputs = request->list;
    request->message.n_inputs = 2;
    request->message.raw_input_contents = request->raw;
    request->message.n_raw_input_contents = raw_count;
}

static void test_raw_is_for_all_inputs_or_none(void **state)
{
    (void)state;
    struct request request;
    struct md_error error;
    make_request(&request, 2);
    assert_int_equal(md_oip_check_contents(&request.message, NULL), MD_OK);
    request.inputs[1].contents = &request.contents; /* present, though empty */
    ASSERT_REFUSED(md_oip_check_contents(&request.message, &error), error, "input \"second\" has contents");
    make_request(&request, 1);
    ASSERT_REFUSED(md_oip_check_contents(&request.message, &error), error, "1 entries for 2 inputs");
    make_request(&request, 3);
    ASSERT_REFUSED(md_oip_check_contents(&request.message, &error), error, "3 entries for 2 inputs");
}

static void test_each_input_needs_contents(void **state)
{
    (void)state;
    struct request request;
    struct md_error error;
    make_request(&request, 0);
    request.inputs[0].contents = &request.contents;
    ASSERT_REFUSED(md_oip_check_contents(&request.message, &error), error,
                   "input \"second\" has neither contents nor raw_input_contents");
    request.inputs[1].contents = &request.contents;
    assert_int_equal(md_oip_check_contents(&request.message, NULL), MD_OK);
}

static void test_a_raw_entry_is_the_tensor(void **state)
{
    input_message input = INFERENCE__MODEL_INFER_REQUEST__INFER_INPUT_TENSOR__INIT;
    _Alignas(16) static const float values[] = { 1, 2 };
    int64_t dims[] = { 1, 2 };
    ProtobufCBinaryData raw = { sizeof values, (uint8_t *)(uintptr_t)values };
    struct md_tensor tensor;
    struct md_error error;
    input.datatype = (char *)(uintptr_t) "FP32";
    input.shape = dims;
    input.n_shape = 2;
    assert_int_equal(md_oip_input_tensor(*state, &input, &raw, &tensor, NULL), MD_OK);
    assert_int_equal(tensor.datatype, MD_FP32);
    assert_int_equal(tensor.shape.rank, 2);
    assert_memory_equal(tensor.bytes, values, sizeof values);
    raw.len = 7;
    ASSERT_REFUSED(md_oip_input_tensor(*state, &input, &raw, &tensor, &error), error,
                   "7 raw bytes, but shape [1,2]");
    ASSERT_REFUSED(md_oip_input_tensor(*state, &input, NULL, &tensor, &error), error, "neither");
    dims[0] = -1;
    ASSERT_REFUSED(md_oip_input_tensor(*state, &input, &raw, &tensor, &error), error, "dimension 0 is -1");
    input.datatype = (char *)(uintptr_t) "FLOAT";
    ASSERT_REFUSED(md_oip_input_tensor(*state, &input, &raw, &tensor, &error), error,
                   "unknown datatype \"FLOAT\"");
}

/* ---- typed contents ---- */

static void test_every_datatype_has_its_field(void **state)
{
    protobuf_c_boolean bools[] = { 0, 1 };
    int32_t ints[] = { -1, 5 };
    int64_t longs[] = { INT64_MIN, 5 };
    uint32_t uints[] = { 200, 5 };
    uint64_t ulongs[] = { UINT64_MAX, 5 };
    float floats[] = { 0.5f, 5 };
    double doubles[] = { 0.25, 5 };
    ProtobufCBinaryData texts[] = { { 2, (uint8_t *)(uintptr_t) "a\0" }, { 0, NULL } };
    contents_message contents[8];
    struct md_tensor tensor;
    for (size_t i = 0; i < 8; i++)
        inference__infer_tensor_contents__init(&contents[i]);
    contents[0].bool_contents = bools;
    contents[1].int_contents = ints;
    contents[2].int64_contents = longs;
    contents[3].uint_contents = uints;
    contents[4].uint64_contents = ulongs;
    contents[5].fp32_contents = floats;
    contents[6].fp64_contents = doubles;
    contents[7].bytes_contents = texts;
    contents[0].n_bool_contents = contents[1].n_int_contents = contents[2].n_int64_contents =
        contents[3].n_uint_contents = contents[4].n_uint64_contents = contents[5].n_fp32_contents =
            contents[6].n_fp64_contents = contents[7].n_bytes_contents = 2;
    static const struct {
        const char *datatype;
        size_t contents;
        double first;
    } cases[] = { { "BOOL", 0, 0 },
                  { "INT8", 1, -1 },
                  { "INT16", 1, -1 },
                  { "INT32", 1, -1 },
                  { "INT64", 2, -9223372036854775808.0 },
                  { "UINT8", 3, 200 },
                  { "UINT16", 3, 200 },
                  { "UINT32", 3, 200 },
                  { "UINT64", 4, 18446744073709551615.0 },
                  { "FP32", 5, 0.5 },
                  { "FP64", 6, 0.25 } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(typed(*state, cases[i].datatype, 2, &contents[cases[i].contents], &tensor, NULL),
                         MD_OK);
        assert_string_equal(md_datatype_name(tensor.datatype), cases[i].datatype);
        assert_true(md_tensor_double(&tensor, 0) == cases[i].first);
        assert_int_equal(md_tensor_double(&tensor, 1), cases[i].contents == 0 ? 1 : 5);
    }
    assert_int_equal(typed(*state, "BYTES", 2, &contents[7], &tensor, NULL), MD_OK);
    assert_int_equal(md_elements(const struct md_span, &tensor)[0].size, 2);
    assert_int_equal(md_elements(const struct md_span, &tensor)[1].size, 0);
}

static void test_wrong_fields_are_refused(void **state)
{
    int32_t ints[] = { 1, 2 };
    float floats[] = { 1, 2 };
    contents_message contents = INFERENCE__INFER_TENSOR_CONTENTS__INIT;
    struct md_tensor tensor;
    struct md_error error;
    contents.int_contents = ints;
    contents.n_int_contents = 2;
    ASSERT_REFUSED(typed(*state, "FP32", 2, &contents, &tensor, &error), error,
                   "2 elements in int_contents, but FP32 is sent in fp32_contents");
    ASSERT_REFUSED(typed(*state, "FP16", 2, &contents, &tensor, &error), error, "FP16 has no typed contents");
    ASSERT_REFUSED(typed(*state, "BF16", 2, &contents, &tensor, &error), error, "BF16 has no typed contents");
    ASSERT_REFUSED(typed(*state, "INT32", 3, &contents, &tensor, &error), error,
                   "2 elements in int_contents, but shape [3] takes 3");
    ASSERT_REFUSED(typed(*state, "INT32", 0, &contents, &tensor, &error), error, "shape [0] takes 0");
    contents.fp32_contents = floats;
    contents.n_fp32_contents = 2;
    ASSERT_REFUSED(typed(*state, "FP32", 2, &contents, &tensor, &error), error, "both have elements");
}

static void test_an_empty_tensor_has_empty_contents(void **state)
{
    contents_message contents = INFERENCE__INFER_TENSOR_CONTENTS__INIT;
    struct md_tensor tensor;
    struct md_error error;
    assert_int_equal(typed(*state, "INT8", 0, &contents, &tensor, NULL), MD_OK);
    assert_int_equal(tensor.count, 0);
    ASSERT_REFUSED(typed(*state, "FP32", 1, &contents, &tensor, &error), error,
                   "0 elements in fp32_contents");
}

static void test_values_must_fit(void **state)
{
    static const struct {
        const char *datatype;
        int64_t good[2];
        int64_t bad[2];
        const char *limits;
    } cases[] = { { "INT8", { -128, 127 }, { -129, 128 }, "limits are -128 to 127" },
                  { "INT16", { -32768, 32767 }, { -32769, 32768 }, "limits are -32768 to 32767" },
                  { "UINT8", { 0, 255 }, { 256, 4294967295 }, "limits are 0 to 255" },
                  { "UINT16", { 0, 65535 }, { 65536, 4294967295 }, "limits are 0 to 65535" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t v = 0; v < 4; v++) {
            contents_message contents = INFERENCE__INFER_TENSOR_CONTENTS__INIT;
            int64_t value = v < 2 ? cases[i].good[v] : cases[i].bad[v - 2];
            int32_t ints[] = { 0, (int32_t)value };
            uint32_t uints[] = { 0, (uint32_t)value };
            struct md_tensor tensor;
            struct md_error error;
            if (cases[i].datatype[0] == 'U') {
                contents.uint_contents = uints;
                contents.n_uint_contents = 2;
            } else {
                contents.int_contents = ints;
                contents.n_int_contents = 2;
            }
            enum md_code code = typed(*state, cases[i].datatype, 2, &contents, &tensor, &error);
            if (v < 2) {
                assert_int_equal(code, MD_OK);
                assert_int_equal(md_tensor_int(&tensor, 1), value);
            } else {
                ASSERT_REFUSED(code, error, "element 1 is");
                assert_non_null(strstr(error.message, cases[i].limits));
            }
        }
}

/* ---- answers ---- */

static enum md_code to_contents(struct md_arena *arena, enum md_datatype datatype, void *bytes, int64_t count,
                                contents_message **out_contents, struct md_error *error)
{
    struct md_shape shape = md_shape_of(1, &count);
    struct md_tensor tensor;
    assert_int_equal(md_tensor_describe(datatype, &shape, bytes, &tensor, NULL), MD_OK);
    return md_oip_output_contents(arena, &tensor, out_contents, error);
}

static void test_answers_can_be_typed(void **state)
{
    float floats[] = { 0.5f, 2 };
    int8_t bytes[] = { -3, 4 };
    uint16_t shorts[] = { 65535, 1 };
    uint8_t bools[] = { 0, 1 };
    int64_t longs[] = { -5 };
    struct md_span texts[] = { { "ab", 2 }, { NULL, 0 } };
    contents_message *contents;
    assert_int_equal(to_contents(*state, MD_FP32, floats, 2, &contents, NULL), MD_OK);
    assert_int_equal(contents->n_fp32_contents, 2);
    assert_true(contents->fp32_contents != floats && contents->fp32_contents[0] == 0.5f);
    assert_int_equal(to_contents(*state, MD_INT8, bytes, 2, &contents, NULL), MD_OK);
    assert_int_equal(contents->n_int_contents, 2);
    assert_int_equal(contents->int_contents[0], -3);
    assert_int_equal(to_contents(*state, MD_UINT16, shorts, 2, &contents, NULL), MD_OK);
    assert_int_equal(contents->uint_contents[0], 65535);
    assert_int_equal(to_contents(*state, MD_BOOL, bools, 2, &contents, NULL), MD_OK);
    assert_int_equal(contents->bool_contents[1], 1);
    assert_int_equal(to_contents(*state, MD_INT64, longs, 1, &contents, NULL), MD_OK);
    assert_int_equal(contents->int64_contents[0], -5);
    assert_int_equal(to_contents(*state, MD_BYTES, texts, 2, &contents, NULL), MD_OK);
    assert_int_equal(contents->bytes_contents[0].len, 2);
    assert_memory_equal(contents->bytes_contents[0].data, "ab", 2);
    assert_int_equal(contents->bytes_contents[1].len, 0);
}

static void test_some_answers_are_raw_only(void **state)
{
    uint16_t halves[] = { 0 };
    contents_message *contents;
    struct md_error error;
    ASSERT_REFUSED(to_contents(*state, MD_FP16, halves, 1, &contents, &error), error,
                   "FP16 has no typed contents");
}

static void test_a_parameter_has_a_value(void **state)
{
    (void)state;
    Inference__InferParameter parameter = INFERENCE__INFER_PARAMETER__INIT;
    struct md_error error;
    ASSERT_REFUSED(md_oip_check_parameter("priority", &parameter, &error), error,
                   "parameter \"priority\" has no value");
    ASSERT_REFUSED(md_oip_check_parameter("priority", NULL, &error), error,
                   "parameter \"priority\" has no value");
    parameter.parameter_choice_case = INFERENCE__INFER_PARAMETER__PARAMETER_CHOICE_BOOL_PARAM;
    assert_int_equal(md_oip_check_parameter("priority", &parameter, NULL), MD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_is_for_all_inputs_or_none),
        cmocka_unit_test(test_each_input_needs_contents),
        cmocka_unit_test(test_a_raw_entry_is_the_tensor),
        cmocka_unit_test(test_every_datatype_has_its_field),
        cmocka_unit_test(test_wrong_fields_are_refused),
        cmocka_unit_test(test_an_empty_tensor_has_empty_contents),
        cmocka_unit_test(test_values_must_fit),
        cmocka_unit_test(test_answers_can_be_typed),
        cmocka_unit_test(test_some_answers_are_raw_only),
        cmocka_unit_test(test_a_parameter_has_a_value),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
