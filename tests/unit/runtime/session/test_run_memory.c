/* test_run_memory.c - plans never overlap what lives together, follow the recording, and leave it safely. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "run_memory.h"

#include <string.h>

enum { BUFFERS = 40 };

struct recipe {
    size_t size[BUFFERS];
    int lives[BUFFERS]; /* buffer i is given back when buffer i + lives[i] has been taken */
};

static void fill_recipe(struct recipe *recipe, unsigned seed)
{
    for (int i = 0; i < BUFFERS; i++) {
        seed = seed * 1103515245u + 12345u;
        recipe->size[i] = seed >> 16 & 0xFFF;
        recipe->lives[i] = (int)(seed >> 8 & 7);
    }
}

/* Takes and gives back as the recipe says; every live buffer must keep its own pattern. */
static void follow(struct md_run_memory_pool *pool, const struct recipe *recipe)
{
    struct md_buffer *buffers[BUFFERS] = { NULL };
    for (int i = 0; i < BUFFERS + 8; i++) {
        if (i < BUFFERS) {
            assert_int_equal(md_run_memory_take(pool, recipe->size[i], &buffers[i], NULL), MD_OK);
            assert_int_equal((uintptr_t)buffers[i]->bytes % MD_ALIGNMENT, 0);
            memset(buffers[i]->bytes, i + 1, recipe->size[i]);
        }
        for (int j = 0; j <= i && j < BUFFERS; j++) {
            if (buffers[j] == NULL || j + recipe->lives[j] > i)
                continue;
            const unsigned char *bytes = buffers[j]->bytes;
            for (size_t k = 0; k < recipe->size[j]; k++)
                assert_int_equal(bytes[k], j + 1);
            buffers[j]->references = 0;
            buffers[j]->free_buffer(buffers[j]);
            buffers[j] = NULL;
        }
    }
}

static void test_a_plan_never_overlaps_what_lives_together(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed < 30; seed++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, MD_FAULTY_NEVER);
        struct md_run_memory_pool pool;
        md_run_memory_init(&pool, &faulty.allocator, SIZE_MAX / 2);
        struct recipe recipe;
        fill_recipe(&recipe, seed);
        for (int turn = 0; turn < 3; turn++) {
            assert_int_equal(md_run_memory_begin(&pool, &seed, sizeof seed, NULL), MD_OK);
            follow(&pool, &recipe);
            md_run_memory_end(&pool, &seed, sizeof seed);
        }
        assert_int_equal(pool.overflow_bytes, 0);
        assert_true(pool.arena_size >= pool.peak_live_bytes);
        assert_true(pool.arena_size <= pool.peak_live_bytes * 2);
        md_run_memory_cleanup(&pool);
        assert_int_equal(faulty.live, 0);
    }
}

static void test_another_course_leaves_the_plan_and_stays_right(void **state)
{
    (void)state;
    struct md_run_memory_pool pool;
    md_run_memory_init(&pool, md_process_allocator(), SIZE_MAX / 2);
    struct recipe recipe;
    fill_recipe(&recipe, 77);
    int key = 1;
    for (int turn = 0; turn < 4; turn++) {
        assert_int_equal(md_run_memory_begin(&pool, &key, sizeof key, NULL), MD_OK);
        follow(&pool, &recipe);
        md_run_memory_end(&pool, &key, sizeof key);
        recipe.size[BUFFERS / 2] += 100;
        recipe.lives[turn] = 7;
    }
    assert_true(pool.overflow_bytes > 0);
    md_run_memory_cleanup(&pool);
}

static void test_plans_are_bounded(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    struct md_run_memory_pool pool;
    md_run_memory_init(&pool, &faulty.allocator, SIZE_MAX / 2);
    struct recipe recipe;
    fill_recipe(&recipe, 5);
    long after_many = 0;
    for (int key = 0; key < 4 * MD_MAX_PLANS; key++) {
        assert_int_equal(md_run_memory_begin(&pool, &key, sizeof key, NULL), MD_OK);
        follow(&pool, &recipe);
        md_run_memory_end(&pool, &key, sizeof key);
        if (key == 2 * MD_MAX_PLANS)
            after_many = faulty.live;
    }
    assert_int_equal(faulty.live, after_many);
    md_run_memory_cleanup(&pool);
    assert_int_equal(faulty.live, 0);
}

static void test_the_limit_names_the_numbers(void **state)
{
    (void)state;
    struct md_run_memory_pool pool;
    md_run_memory_init(&pool, md_process_allocator(), 1000);
    assert_int_equal(md_run_memory_begin(&pool, "", 0, NULL), MD_OK);
    struct md_buffer *buffer;
    struct md_error error;
    assert_int_equal(md_run_memory_take(&pool, 1001, &buffer, &error), MD_RESOURCE_EXHAUSTED);
    assert_string_equal(error.message, "the run needs 1001 bytes more than the 0 it holds, limit is 1000");
    md_run_memory_cleanup(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_plan_never_overlaps_what_lives_together),
        cmocka_unit_test(test_another_course_leaves_the_plan_and_stays_right),
        cmocka_unit_test(test_plans_are_bounded),
        cmocka_unit_test(test_the_limit_names_the_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
