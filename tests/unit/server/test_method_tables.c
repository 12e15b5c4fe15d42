/* test_method_tables.c - every row of every service is complete, and no method is there twice. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "services.h"

#include <string.h>

static const struct md_rpc_method *const tables[] = {
#define MD_METHOD_TABLE(table) table,
#include "method_tables.def"
#undef MD_METHOD_TABLE
};
enum { TABLE_COUNT = sizeof tables / sizeof *tables };

static void test_every_row_is_complete(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++) {
            assert_int_equal(row->path[0], '/');
            assert_non_null(strchr(row->path + 1, '/'));
            assert_non_null(row->request_type);
            assert_non_null(row->response_type);
            assert_true(row->handler != NULL);
        }
}

static void test_every_method_is_found_by_its_path(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++)
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++)
            assert_ptr_equal(md_method_find(row->path, strlen(row->path)), row);
    assert_null(md_method_find("/modeld.v1.ModelService/Nope", 27));
}

static void test_a_table_is_one_service(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        size_t size = (size_t)(strchr(tables[t]->path + 1, '/') - tables[t]->path) + 1;
        for (const struct md_rpc_method *row = tables[t]; row->path != NULL; row++)
            assert_memory_equal(row->path, tables[t]->path, size);
    }
    assert_non_null(md_method_find_service("modeld.v1.ModelService"));
    assert_null(md_method_find_service("modeld.v1"));
    assert_null(md_method_find_service(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row_is_complete),
        cmocka_unit_test(test_every_method_is_found_by_its_path),
        cmocka_unit_test(test_a_table_is_one_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
