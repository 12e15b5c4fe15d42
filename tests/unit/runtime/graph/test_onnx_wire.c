/* The bytes themselves: truncation, nesting, wire types, text, and numbers in unusual but legal encodings. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"
#include "md_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void refuse(const void *bytes, size_t size, const char *text)
{
    struct md_model *model = NULL;
    struct md_error error = { { 0 } };
    enum md_code code = md_model_import(md_process_allocator(), bytes, size, false, NULL, &model, &error);
    if (code != MD_INVALID_ARGUMENT || strstr(error.message, text) == NULL)
        fail_msg("%s: %s (wanted: %s)", md_code_name(code), error.message, text);
    assert_null(model);
}

static void test_bytes_that_are_no_message(void **state)
{
    (void)state;
    refuse("not an ONNX file at all", 23, "not an ONNX file");
    refuse("\x7F"
           "ELF\x02\x01\x01",
           7, "not an ONNX file");
    refuse("\x3A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11, "not an ONNX file"); /* graph of 2^64 bytes */
    refuse("\x3A\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12,
           "not an ONNX file"); /* varint of eleven bytes */
    refuse("\x3A\x05\x0A", 3, "not an ONNX file");
    refuse("\x00\x00", 2, "not an ONNX file");     /* field number 0 */
    refuse("\x3B\x3C", 2, "not an ONNX file");     /* group */
    refuse("\x38\x01", 2, "wire type 0");          /* graph as a number */
    refuse("\x3A\x00\x3A\x00", 4, "occurs twice"); /* two graphs */
    refuse("\x12\x02"
           "a\0",
           4, "UTF-8"); /* producer_name with NUL */
    refuse("\x12\x02\xC3\x28", 4, "UTF-8");
}

static void test_every_truncation_fails_or_loads(void **state)
{
    (void)state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__GraphProto *graph = builder.model->graph;
    onnx_add_input(&builder, graph, "x");
    onnx_add_initializer(&builder, graph, onnx_new_floats(&builder, "w", (const float[]){ 1, 2 }, 2));
    onnx_add_int(&builder, onnx_add_node(&builder, graph, "Op", "op", "x,w", "y"), "a", 300);
    onnx_add_output(&builder, graph, "y");
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    for (size_t size = 0; size < bytes.size; size++) {
        char *exact = malloc(size + 1); /* of its own, so that a sanitizer sees reading behind the end */
        assert_non_null(exact);
        memcpy(exact, bytes.bytes, size);
        struct md_model *model = NULL;
        enum md_code code = md_model_import(md_process_allocator(), exact, size, false, NULL, &model, NULL);
        assert_true(code == MD_OK || code == MD_INVALID_ARGUMENT);
        md_model_destroy(model);
        free(exact);
    }
    onnx_builder_cleanup(&builder);
}

/* Puts tag and length in front of [start, end) and the `hole` bytes that follow it. Returns the new start. */
static unsigned char *wrap_hole(unsigned char *start, const unsigned char *end, uint64_t hole,
                                unsigned char tag)
{
    uint64_t size = (uint64_t)(end - start) + hole;
    unsigned char length[10];
    size_t used = 0;
    for (; size >= 0x80; size >>= 7)
        length[used++] = (unsigned char)(size | 0x80);
    length[used++] = (unsigned char)size;
    start -= used;
    memcpy(start, length, used);
    *--start = tag;
    return start;
}

static unsigned char *wrap(unsigned char *end, unsigned char *start, unsigned char tag)
{
    return wrap_hole(start, end, 0, tag);
}

static void test_a_million_messages_inside_each_other_do_not_overflow_the_stack(void **state)
{
    (void)state;
    enum { LEVELS = 1000000, SIZE = LEVELS * 6 };
    unsigned char *buffer = malloc(SIZE);
    assert_non_null(buffer);
    unsigned char *end = buffer + SIZE;
    unsigned char *start = end;
    /* ModelProto.graph.node.attribute.g.node.attribute.g ... */
    for (int i = 0; i < LEVELS; i += 3) {
        start = wrap(end, start, 6 << 3 | 2);
        start = wrap(end, start, 5 << 3 | 2);
        start = wrap(end, start, 1 << 3 | 2);
    }
    start = wrap(end, start, 7 << 3 | 2);
    refuse(start, (size_t)(end - start), "deeper than 32");
    /* ModelProto.graph.input.type.sequence_type.elem_type.sequence_type ... */
    start = end;
    for (int i = 0; i < LEVELS; i += 2) {
        start = wrap(end, start, 1 << 3 | 2);
        start = wrap(end, start, 4 << 3 | 2);
    }
    start = wrap(end, start, 2 << 3 | 2);
    start = wrap(end, start, 11 << 3 | 2);
    start = wrap(end, start, 7 << 3 | 2);
    refuse(start, (size_t)(end - start), "deeper than 32");
    free(buffer);
}

/* float_data, int64_data and dims as single entries, as packed ones, and as both. */
static void test_packed_and_single_entries_are_the_same(void **state)
{
    (void)state;
    static const unsigned char tensor[] = {
        0x08, 0x03,                   /* dims: 3, single */
        0x10, 0x07,                   /* INT64 */
        0x38, 0x01,                   /* int64_data: 1, single */
        0x3A, 0x03, 0xAC, 0x02, 0x07, /* int64_data: 300 and 7, packed */
        0x42, 0x01, 'w',              /* name */
    };
    unsigned char model_bytes[128];
    unsigned char *end = model_bytes + sizeof model_bytes;
    unsigned char *start = end - sizeof tensor;
    memcpy(start, tensor, sizeof tensor);
    start = wrap(end, start, 5 << 3 | 2);
    start = wrap(end, start, 7 << 3 | 2);
    struct md_model *model = NULL;
    struct md_error error = { { 0 } };
    if (md_model_import(md_process_allocator(), start, (size_t)(end - start), false, NULL, &model, &error) !=
        MD_OK)
        fail_msg("%s", error.message);
    const int64_t *elements = md_elements(const int64_t, onnx_find_constant(model->graph, "w"));
    assert_int_equal(elements[0], 1);
    assert_int_equal(elements[1], 300);
    assert_int_equal(elements[2], 7);
    md_model_destroy(model);
}

static void test_unknown_fields_are_skipped(void **state)
{
    (void)state;
    /* field 100: a number, a text, 4 and 8 bytes; then an empty graph */
    static const unsigned char bytes[] = { 0xA0, 0x06, 0x01, 0xA2, 0x06, 0x02, 0xFF, 0xFF, 0xA5,
                                           0x06, 1,    2,    3,    4,    0xA1, 0x06, 1,    2,
                                           3,    4,    5,    6,    7,    8,    0x3A, 0x00 };
    struct md_model *model = NULL;
    assert_int_equal(md_model_import(md_process_allocator(), bytes, sizeof bytes, false, NULL, &model, NULL),
                     MD_OK);
    assert_int_equal(model->graph->node_count, 0);
    md_model_destroy(model);
}

/* A big initializer is not copied: the memory of the import is a small part of it. */
static void test_weights_cost_no_memory_when_the_bytes_are_kept(void **state)
{
    (void)state;
    enum { BIG = 32 * 1024 * 1024 };
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    Onnx__TensorProto *tensor = onnx_new_tensor(&builder, "w", MD_UINT8, 1, (const int64_t[]){ BIG });
    tensor->has_raw_data = true;
    tensor->raw_data = (ProtobufCBinaryData){ BIG, onnx_zeroed(&builder, 1, BIG) };
    onnx_add_initializer(&builder, builder.model->graph, tensor);
    Onnx__NodeProto *node = onnx_add_node(&builder, builder.model->graph, "Constant", "", "", "c");
    onnx_add_attribute(&builder, node, "value", MD_ATTRIBUTE_TENSOR)->t = tensor;
    struct md_span bytes = onnx_pack(&builder, &builder.model->base);
    struct md_counting_allocator counting;
    md_counting_allocator_init(&counting, md_process_allocator());
    struct md_model *model = NULL;
    assert_int_equal(md_model_import(&counting.allocator, bytes.bytes, bytes.size, true, NULL, &model, NULL),
                     MD_OK);
    assert_true(atomic_load(&counting.peak_bytes) < 1024 * 1024);
    assert_int_equal(model->constant_bytes, 2 * BIG);
    md_model_destroy(model);
    assert_int_equal(atomic_load(&counting.live_bytes), 0);
    onnx_builder_cleanup(&builder);
}

/* A file of more than 2 GiB, which is a hole but for its first bytes: nothing reads it. */
static void test_models_of_more_than_2_gib(void **state)
{
    (void)state;
    const uint64_t count = UINT64_C(2500) * 1024 * 1024;
    unsigned char buffer[64];
    unsigned char *end = buffer + sizeof buffer;
    unsigned char dims[] = { 0x08, 0x80, 0x80, 0x80, 0xE2, 0x09, 0x10, 0x02, 0x42, 0x01, 'w' };
    unsigned char *start = end;
    start = wrap_hole(start, end, count, 9 << 3 | 2);
    start -= sizeof dims;
    memcpy(start, dims, sizeof dims);
    start = wrap_hole(start, end, count, 5 << 3 | 2);
    start = wrap_hole(start, end, count, 7 << 3 | 2);
    char folder[MD_TEST_PATH_SIZE], path[MD_TEST_PATH_SIZE];
    md_test_make_folder(folder);
    md_test_join(path, folder, "model.onnx");
    md_test_write_file(path, start, (size_t)(end - start));
    if (truncate(path, (off_t)count + (end - start)) != 0) {
        md_test_remove_folder(folder);
        skip(); /* no room for holes here */
    }
    size_t size = (size_t)count + (size_t)(end - start);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(bytes, MAP_FAILED);
    struct md_model *model = NULL;
    struct md_error error = { { 0 } };
    if (md_model_import(md_process_allocator(), bytes, size, true, NULL, &model, &error) != MD_OK)
        fail_msg("%s", error.message);
    assert_int_equal(onnx_find_constant(model->graph, "w")->count, count);
    assert_int_equal(model->constant_bytes, count);
    md_model_destroy(model);
    assert_int_equal(munmap(bytes, size), 0);
    (void)close(fd); /* only read from */
    md_test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_that_are_no_message),
        cmocka_unit_test(test_every_truncation_fails_or_loads),
        cmocka_unit_test(test_a_million_messages_inside_each_other_do_not_overflow_the_stack),
        cmocka_unit_test(test_packed_and_single_entries_are_the_same),
        cmocka_unit_test(test_unknown_fields_are_skipped),
        cmocka_unit_test(test_models_of_more_than_2_gib),
        cmocka_unit_test(test_weights_cost_no_memory_when_the_bytes_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
