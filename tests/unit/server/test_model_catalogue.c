/* test_model_catalogue.c - what is known of the versions, and who may work on one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "model_catalogue.h"

#include <string.h>

static void put(struct md_catalogue *catalogue, const char *model, uint64_t version,
                enum md_version_state state, const char *reason)
{
    assert_int_equal(md_catalogue_claim(catalogue, model, version, "is busy", NULL), MD_OK);
    md_catalogue_set(catalogue, model, version, state, reason);
    md_catalogue_release(catalogue, model, version);
}

static int set_up(void **state)
{
    struct md_catalogue *catalogue = NULL;
    assert_int_equal(md_catalogue_create(md_process_allocator(), &catalogue, NULL), MD_OK);
    *state = catalogue;
    return 0;
}

static int tear_down(void **state)
{
    md_catalogue_destroy(*state);
    return 0;
}

static void test_the_second_claim_is_aborted(void **state)
{
    struct md_catalogue *catalogue = *state;
    struct md_error error;
    assert_int_equal(md_catalogue_claim(catalogue, "bert", 3, "is being loaded", NULL), MD_OK);
    assert_int_equal(md_catalogue_claim(catalogue, "bert", 3, "is being unloaded", &error), MD_ABORTED);
    assert_string_equal(error.message, "model \"bert\" version 3 is being loaded");
    assert_int_equal(md_catalogue_claim(catalogue, "bert", 4, "is being loaded", NULL), MD_OK);
    md_catalogue_release(catalogue, "bert", 3);
    assert_int_equal(md_catalogue_claim(catalogue, "bert", 3, "is being unloaded", NULL), MD_OK);
}

static void test_a_claim_alone_makes_nothing_known(void **state)
{
    struct md_catalogue *catalogue = *state;
    assert_int_equal(md_catalogue_claim(catalogue, "bert", 3, "is being loaded", NULL), MD_OK);
    assert_false(md_catalogue_find(catalogue, "bert", 3, NULL));
    assert_false(md_catalogue_find(catalogue, "bert", 0, NULL));
}

static void test_the_version_nearest_to_serving_is_found(void **state)
{
    struct md_catalogue *catalogue = *state;
    struct md_catalogue_state found;
    put(catalogue, "bert", 1, MD_VERSION_READY, NULL);
    put(catalogue, "bert", 2, MD_VERSION_READY, NULL);
    put(catalogue, "bert", 3, MD_VERSION_FAILED, "no operator");
    put(catalogue, "other", 9, MD_VERSION_READY, NULL);
    assert_true(md_catalogue_find(catalogue, "bert", 0, &found));
    assert_int_equal(found.version, 2);
    assert_true(md_catalogue_find(catalogue, "bert", 3, &found));
    assert_int_equal(found.state, MD_VERSION_FAILED);
    assert_string_equal(found.reason, "no operator");
    put(catalogue, "bert", 1, MD_VERSION_UNLOADED, NULL);
    put(catalogue, "bert", 2, MD_VERSION_UNLOADED, NULL);
    assert_true(md_catalogue_find(catalogue, "bert", 0, &found));
    assert_int_equal(found.version, 3);
}

static void test_ready_versions_rise(void **state)
{
    struct md_catalogue *catalogue = *state;
    struct md_arena arena;
    uint64_t *versions;
    size_t count;
    md_arena_init(&arena, md_process_allocator(), 0);
    put(catalogue, "bert", 12, MD_VERSION_READY, NULL);
    put(catalogue, "bert", 2, MD_VERSION_READY, NULL);
    put(catalogue, "bert", 5, MD_VERSION_LOADING, NULL);
    assert_int_equal(md_catalogue_ready_versions(catalogue, "bert", &arena, &versions, &count, NULL), MD_OK);
    assert_int_equal(count, 2);
    assert_int_equal(versions[0], 2);
    assert_int_equal(versions[1], 12);
    assert_string_equal(md_catalogue_nearest(catalogue, "brt", &arena), "bert");
    assert_null(md_catalogue_nearest(catalogue, "quite different", &arena));
    md_arena_cleanup(&arena);
}

static void test_a_long_reason_is_cut(void **state)
{
    struct md_catalogue *catalogue = *state;
    struct md_catalogue_state found;
    char reason[2 * MD_CATALOGUE_REASON_SIZE];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    put(catalogue, "bert", 1, MD_VERSION_FAILED, reason);
    assert_true(md_catalogue_find(catalogue, "bert", 1, &found));
    assert_int_equal(strlen(found.reason), MD_CATALOGUE_REASON_SIZE - 1);
}

static enum md_code fill(const struct md_allocator *allocator)
{
    struct md_catalogue *catalogue = NULL;
    enum md_code code = md_catalogue_create(allocator, &catalogue, NULL);
    for (uint64_t version = 1; version <= 20 && code == MD_OK; version++)
        code = md_catalogue_claim(catalogue, "bert", version, "is being loaded", NULL);
    md_catalogue_destroy(catalogue);
    return code;
}

static void test_survives_every_allocation_failure(void **state)
{
    (void)state;
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        enum md_code code = fill(&faulty.allocator);
        if (code != MD_OK)
            assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_second_claim_is_aborted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_claim_alone_makes_nothing_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_version_nearest_to_serving_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ready_versions_rise, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_reason_is_cut, set_up, tear_down),
        cmocka_unit_test(test_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
