/* test_arena.c - arenas and allocators. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "md_test.h"

#include <string.h>

static void test_blocks_are_aligned_and_separate(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_arena arena;
    md_arena_init(&arena, &faulty.allocator, 128);
    unsigned char *previous = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *memory = md_arena_allocate(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % (size >= 256 ? MD_ALIGNMENT : 16), 0);
        memset(memory, (int)(size & 0xFF), size);
        assert_ptr_not_equal(memory, previous);
        previous = memory;
    }
    md_arena_cleanup(&arena);
    assert_int_equal(faulty.live, 0);
}

static void test_reset_keeps_one_block(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_arena arena;
    md_arena_init(&arena, &faulty.allocator, 64);
    for (int i = 0; i < 100; i++)
        assert_non_null(md_arena_allocate(&arena, 100));
    md_arena_reset(&arena);
    assert_int_equal(faulty.live, 1);
    assert_int_equal(arena.used_bytes, 0);
    assert_non_null(md_arena_allocate(&arena, 10));
    assert_int_equal(faulty.live, 1);
    md_arena_cleanup(&arena);
    assert_int_equal(faulty.live, 0);
}

static void test_overflow_and_lack_of_memory_give_null(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, 0);
    struct md_arena arena;
    md_arena_init(&arena, &faulty.allocator, 0);
    assert_null(md_arena_allocate(&arena, 1));
    assert_null(md_arena_allocate(&arena, SIZE_MAX - 8));
    assert_null(md_arena_allocate_zeroed(&arena, SIZE_MAX / 2, 3));
    assert_null(md_arena_printf(&arena, "%d", 1));
    md_arena_cleanup(&arena);
    assert_int_equal(faulty.live, 0);
}

static void test_strings(void **state)
{
    (void)state;
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_string_equal(md_arena_printf(&arena, "%s-%d", "a", 5), "a-5");
    assert_string_equal(md_arena_copy_string(&arena, "abcdef", 3), "abc");
    assert_string_equal(md_arena_copy_string(&arena, NULL, 0), "");
    md_arena_cleanup(&arena);
}

static void test_counting_allocator_knows_live_and_peak(void **state)
{
    (void)state;
    struct md_counting_allocator counting;
    md_counting_allocator_init(&counting, md_process_allocator());
    void *a = md_allocate(&counting.allocator, 1000);
    void *b = md_allocate(&counting.allocator, 3000);
    assert_true(counting.live_bytes >= 4000);
    md_release(&counting.allocator, a);
    assert_in_range(counting.live_bytes, 3000, 4000);
    b = md_reallocate(&counting.allocator, b, 3000, 5000);
    assert_non_null(b);
    md_release(&counting.allocator, b);
    assert_int_equal(counting.live_bytes, 0);
    assert_true(counting.peak_bytes >= 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_aligned_and_separate),
        cmocka_unit_test(test_reset_keeps_one_block),
        cmocka_unit_test(test_overflow_and_lack_of_memory_give_null),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_counting_allocator_knows_live_and_peak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
