/* test_descriptor_set.c - the files, names and imports of the embedded descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "descriptor_set.h"

#include <string.h>

static bool has_symbol(const char *symbol)
{
    struct md_span file;
    return md_descriptor_find_symbol(md_span_of(symbol), &file);
}

static void test_every_file_is_found_by_its_name(void **state)
{
    (void)state;
    struct md_span file, found;
    size_t count = 0;
    for (bool more = md_descriptor_next_file(NULL, &file); more; more = md_descriptor_next_file(&file, &file)) {
        assert_true(md_descriptor_find_file(md_descriptor_file_name(&file), &found));
        assert_ptr_equal(found.bytes, file.bytes);
        count++;
    }
    assert_true(count >= 4);
    assert_false(md_descriptor_find_file(md_span_of("nosuch.proto"), &found));
    assert_false(md_descriptor_find_file(md_span_of(""), &found));
}

static void test_every_import_is_there(void **state)
{
    (void)state;
    struct md_span file, name, found;
    for (bool more = md_descriptor_next_file(NULL, &file); more; more = md_descriptor_next_file(&file, &file))
        for (size_t at = 0; md_descriptor_next_import(&file, &at, &name);)
            assert_true(md_descriptor_find_file(name, &found));
}

static void test_symbols_of_every_kind(void **state)
{
    (void)state;
    assert_true(has_symbol("inference.GRPCInferenceService"));
    assert_true(has_symbol("inference.GRPCInferenceService.ModelInfer"));
    assert_true(has_symbol("inference.ModelInferRequest"));
    assert_true(has_symbol("inference.ModelInferRequest.InferInputTensor"));
    assert_true(has_symbol("inference.ModelInferRequest.InferInputTensor.shape"));
    assert_true(has_symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"));
    assert_true(md_descriptor_is_message(md_span_of("inference.ModelInferRequest")));
    assert_false(md_descriptor_is_message(md_span_of("inference.GRPCInferenceService")));
}

static void test_what_only_looks_like_a_symbol(void **state)
{
    (void)state;
    static const char *const names[] = { "", ".", "inference", "inference.", ".inference.ModelInferRequest",
                                         "inference.ModelInferReques", "inference.ModelInferRequestX",
                                         "inference.ModelInferRequest.", "inference.ModelInferRequest.nosuch",
                                         "inference.GRPCInferenceService.ModelInfer.x" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (has_symbol(names[i]))
            fail_msg("\"%s\" is found", names[i]);
}

static void test_services_of_a_file(void **state)
{
    (void)state;
    struct md_span file, name;
    size_t at = 0;
    assert_true(md_descriptor_find_symbol(md_span_of("grpc.health.v1.Health"), &file));
    assert_true(md_span_equal(md_descriptor_package(&file), md_span_of("grpc.health.v1")));
    assert_true(md_descriptor_next_service(&file, &at, &name));
    assert_true(md_span_equal(name, md_span_of("Health")));
    assert_false(md_descriptor_next_service(&file, &at, &name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_is_found_by_its_name), cmocka_unit_test(test_every_import_is_there),
        cmocka_unit_test(test_symbols_of_every_kind),           cmocka_unit_test(test_what_only_looks_like_a_symbol),
        cmocka_unit_test(test_services_of_a_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
