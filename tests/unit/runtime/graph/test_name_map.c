/* Names to numbers. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "name_map.h"

#include "allocator.h"

#include <string.h>

static void test_names_are_found_again(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct md_arena arena;
    struct md_name_map map;
    md_arena_init(&arena, md_process_allocator(), 0);
    md_name_map_init(&map, &arena, 42);
    assert_int_equal(md_name_map_find(&map, md_span_of("nothing yet")), -1);
    for (int32_t i = 0; i < COUNT; i++)
        assert_true(md_name_map_add(
            &map, md_span_of(md_arena_printf(&arena, "a name of some length %d", (int)i)), i));
    assert_true(md_name_map_add(&map, md_span_of(""), COUNT));
    for (int32_t i = 0; i < COUNT; i++)
        assert_int_equal(
            md_name_map_find(&map, md_span_of(md_arena_printf(&arena, "a name of some length %d", (int)i))),
            i);
    assert_int_equal(md_name_map_find(&map, md_span_of("")), COUNT);
    assert_int_equal(md_name_map_find(&map, md_span_of("a name")), -1);
    md_arena_cleanup(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_names_are_found_again) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
