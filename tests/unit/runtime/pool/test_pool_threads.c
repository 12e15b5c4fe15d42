/* test_pool_threads.c - requests while versions are loaded, replaced and unloaded: no request is lost, no
 * memory is left. Meant for the thread sanitizer. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "md_test.h"
#include "pool.h"
#include "task.h"
#include "thread_pool.h"

#include <pthread.h>

#define LSTM MD_SOURCE_DIR "/deploy/models/sentiment-lstm/1"
enum { CLIENTS = 4, OPERATORS = 2, ROUNDS = 12 };

struct scene {
    struct md_pool *pool;
    atomic_bool stopping;
    atomic_int failed;   /* answers that were wrong */
    atomic_int answered;
};

static bool answer_once(struct md_loaded_version *version, struct md_arena *arena)
{
    struct md_run *run = NULL;
    struct md_task_result result;
    struct md_span text = md_span_of("This is great.");
    if (md_loaded_version_take_run(version, &run, NULL) != MD_OK)
        return false;
    md_arena_reset(arena);
    bool ok = md_task_predict(md_loaded_version_task(version), run, arena, &text, NULL, 1, NULL, &result,
                              NULL) == MD_OK &&
              result.answers[0].classes[0].index == 1;
    md_loaded_version_return_run(version, run);
    return ok;
}

/* Version 1 of "steady" is replaced all the time, but never gone; others come and go. */
static void *client(void *argument)
{
    struct scene *scene = argument;
    struct md_arena arena;
    md_arena_init(&arena, md_process_allocator(), 0);
    while (!atomic_load(&scene->stopping)) {
        struct md_loaded_version *version = NULL;
        if (md_pool_pin(scene->pool, "steady", 1, &version, NULL) != MD_OK || !answer_once(version, &arena))
            atomic_fetch_add(&scene->failed, 1);
        if (version != NULL)
            md_loaded_version_unpin(version);
        version = NULL;
        if (md_pool_pin(scene->pool, "fleeting", 0, &version, NULL) == MD_OK) {
            if (!answer_once(version, &arena))
                atomic_fetch_add(&scene->failed, 1);
            md_loaded_version_unpin(version);
        }
        atomic_fetch_add(&scene->answered, 1);
    }
    md_arena_cleanup(&arena);
    return NULL;
}

static void *operator(void *argument)
{
    struct scene *scene = argument;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        if (md_pool_load(scene->pool, "steady", 1, LSTM, NULL, NULL) != MD_OK ||
            md_pool_load(scene->pool, "fleeting", round % 3 + 1, LSTM, NULL, NULL) != MD_OK)
            atomic_fetch_add(&scene->failed, 1);
        enum md_code code = md_pool_unload(scene->pool, "fleeting", round % 3 + 1, INT64_MAX, NULL);
        if (code != MD_OK && code != MD_NOT_FOUND) /* the other operator may have been first */
            atomic_fetch_add(&scene->failed, 1);
    }
    return NULL;
}

static void test_requests_go_on_while_versions_come_and_go(void **state)
{
    (void)state;
    struct md_faulty_allocator faulty;
    struct scene scene = { .pool = NULL };
    struct md_thread_pool *threads;
    pthread_t clients[CLIENTS];
    pthread_t operators[OPERATORS];
    md_faulty_init(&faulty, MD_FAULTY_NEVER);
    assert_int_equal(md_thread_pool_create(&faulty.allocator, 3, &threads, NULL), MD_OK);
    assert_int_equal(md_pool_create(&faulty.allocator, threads, &scene.pool, NULL), MD_OK);
    assert_int_equal(md_pool_load(scene.pool, "steady", 1, LSTM, NULL, NULL), MD_OK);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i], NULL, client, &scene), 0);
    for (int i = 0; i < OPERATORS; i++)
        assert_int_equal(pthread_create(&operators[i], NULL, operator, &scene), 0);
    for (int i = 0; i < OPERATORS; i++)
        assert_int_equal(pthread_join(operators[i], NULL), 0);
    atomic_store(&scene.stopping, true);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_join(clients[i], NULL), 0);
    assert_int_equal(atomic_load(&scene.failed), 0);
    assert_true(atomic_load(&scene.answered) > 0);
    md_pool_destroy(scene.pool);
    md_thread_pool_destroy(threads);
    assert_int_equal(faulty.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_go_on_while_versions_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
