/* External data: files beside the model, and the ways in which a hostile model could name others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx_builder.h"

#include "allocator.h"
#include "md_test.h"

#include <string.h>
#include <unistd.h>

struct place {
    char folder[MD_TEST_PATH_SIZE]; /* holds "models", "secret.bin" */
    char models[MD_TEST_PATH_SIZE]; /* holds "weights.bin", "sub/more.bin", links, and the model */
    struct md_error error;
};

static const float weights[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void write_in(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, name);
    md_test_write_file(path, bytes, size);
}

static void link_in(const char *folder, const char *name, const char *target)
{
    char path[MD_TEST_PATH_SIZE];
    md_test_join(path, folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static int make_place(void **state)
{
    static struct place place;
    char sub[MD_TEST_PATH_SIZE];
    md_test_make_folder(place.folder);
    md_test_join(place.models, place.folder, "models");
    md_test_mkdir(place.models);
    md_test_join(sub, place.models, "sub");
    md_test_mkdir(sub);
    write_in(place.folder, "secret.bin", weights, sizeof weights);
    write_in(place.models, "weights.bin", weights, sizeof weights);
    write_in(place.models, "sub/more.bin", weights, sizeof weights);
    link_in(place.models, "inside.bin", "sub/more.bin");
    link_in(place.models, "outside.bin", "../secret.bin");
    link_in(place.models, "up", "..");
    *state = &place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;
    md_test_remove_folder(place->folder);
    return 0;
}

static Onnx__TensorProto *add_tensor(struct onnx_builder *builder, const char *location, int64_t count)
{
    onnx_builder_init(builder);
    Onnx__TensorProto *tensor = onnx_new_tensor(builder, "w", MD_FP32, 1, &count);
    onnx_add_external(builder, tensor, "location", location);
    onnx_add_initializer(builder, builder->model->graph, tensor);
    return tensor;
}

/* Writes the model beside the data, opens it, and gives the builder back. */
static enum md_code open_model(struct place *place, struct onnx_builder *builder, struct md_model **out_model)
{
    char path[MD_TEST_PATH_SIZE];
    struct md_span bytes = onnx_pack(builder, &builder->model->base);
    md_test_join(path, place->models, "model.onnx");
    md_test_write_file(path, bytes.bytes, bytes.size);
    onnx_builder_cleanup(builder);
    return md_model_open(md_process_allocator(), path, out_model, &place->error);
}

static void expect_failure(struct place *place, struct onnx_builder *builder, enum md_code wanted,
                           const char *text)
{
    struct md_model *model = NULL;
    enum md_code code = open_model(place, builder, &model);
    if (code != wanted || strstr(place->error.message, text) == NULL)
        fail_msg("%s: %s (wanted: %s)", md_code_name(code), code ? place->error.message : "", text);
    assert_null(model);
}

static void test_external_data_is_mapped_once_and_not_copied(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    struct md_model *model = NULL;
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 4), "offset", "16");
    Onnx__TensorProto *second = onnx_new_tensor(&builder, "v", MD_FP32, 1, (const int64_t[]){ 16 });
    onnx_add_external(&builder, second, "location", "weights.bin");
    onnx_add_external(&builder, second, "offset", "0");
    onnx_add_external(&builder, second, "length", "64");
    onnx_add_external(&builder, second, "checksum", "ignored");
    onnx_add_initializer(&builder, builder.model->graph, second);
    assert_int_equal(open_model(place, &builder, &model), MD_OK);
    assert_int_equal(model->mapping_count, 2);
    const struct md_tensor *w = onnx_find_constant(model->graph, "w");
    assert_memory_equal(w->bytes, weights + 4, 16);
    assert_ptr_equal(w->bytes, (const char *)model->mappings[1].bytes + 16);
    assert_memory_equal(onnx_find_constant(model->graph, "v")->bytes, weights, 64);
    assert_int_equal(model->constant_bytes, 80);
    md_model_destroy(model);
}

static void test_unaligned_external_data_is_copied(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    struct md_model *model = NULL;
    onnx_add_external(&builder, add_tensor(&builder, "./sub/more.bin", 2), "offset", "1");
    assert_int_equal(open_model(place, &builder, &model), MD_OK);
    assert_memory_equal(onnx_find_constant(model->graph, "w")->bytes, (const char *)weights + 1, 8);
    md_model_destroy(model);
}

static void test_a_link_inside_the_folder_is_followed(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    struct md_model *model = NULL;
    (void)add_tensor(&builder, "inside.bin", 16);
    assert_int_equal(open_model(place, &builder, &model), MD_OK);
    md_model_destroy(model);
}

static void test_locations_outside_the_folder_are_refused(void **state)
{
    struct place *place = *state;
    static const char *const locations[] = {
        "/etc/passwd",   "../secret.bin", "sub/../../secret.bin", "sub/..", "..", "",
        "sub//more.bin", "sub/",          "a/../weights.bin"
    };
    struct onnx_builder builder;
    for (size_t i = 0; i < sizeof locations / sizeof locations[0]; i++) {
        (void)add_tensor(&builder, locations[i], 16);
        expect_failure(place, &builder, MD_INVALID_ARGUMENT, "relative path");
    }
    (void)add_tensor(&builder, "outside.bin", 16);
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "link out of");
    (void)add_tensor(&builder, "up/secret.bin", 16);
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "link out of");
}

static void test_files_that_are_not_there_or_no_files(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    (void)add_tensor(&builder, "none.bin", 16);
    expect_failure(place, &builder, MD_NOT_FOUND, "none.bin");
    (void)add_tensor(&builder, "sub", 16);
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "regular file");
}

static void test_places_that_the_file_does_not_have(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    (void)add_tensor(&builder, "weights.bin", 17);
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "length 68, the file has 64 bytes");
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 16), "offset", "4");
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "offset 4 and length 64");
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 1), "offset", "18446744073709551615");
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "18446744073709551615");
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 1), "offset", "18446744073709551616");
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "not a size");
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 1), "offset", "-4");
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "not a size");
    onnx_add_external(&builder, add_tensor(&builder, "weights.bin", 4), "length", "8");
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "external data has 8 bytes");
}

static void test_overlapping_copies_are_bounded(void **state)
{
    struct place *place = *state;
    struct onnx_builder builder;
    onnx_builder_init(&builder);
    for (int i = 0; i < 9; i++) {
        Onnx__TensorProto *tensor = onnx_new_tensor(&builder, md_arena_printf(&builder.arena, "t%d", i),
                                                    MD_FP32, 1, (const int64_t[]){ 15 });
        onnx_add_external(&builder, tensor, "location", "weights.bin");
        onnx_add_external(&builder, tensor, "offset", "1");
        onnx_add_initializer(&builder, builder.model->graph, tensor);
    }
    expect_failure(place, &builder, MD_INVALID_ARGUMENT, "overlap");
}

static void test_external_data_needs_a_directory(void **state)
{
    (void)state;
    struct onnx_builder builder;
    (void)add_tensor(&builder, "weights.bin", 16);
    onnx_import_fails(&builder, MD_INVALID_ARGUMENT, "\"w\"", "weights.bin", "no directory", NULL);
    onnx_builder_cleanup(&builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_external_data_is_mapped_once_and_not_copied),
        cmocka_unit_test(test_unaligned_external_data_is_copied),
        cmocka_unit_test(test_a_link_inside_the_folder_is_followed),
        cmocka_unit_test(test_locations_outside_the_folder_are_refused),
        cmocka_unit_test(test_files_that_are_not_there_or_no_files),
        cmocka_unit_test(test_places_that_the_file_does_not_have),
        cmocka_unit_test(test_overlapping_copies_are_bounded),
        cmocka_unit_test(test_external_data_needs_a_directory),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
