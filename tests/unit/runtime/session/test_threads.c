/* test_threads.c - whole models give the same bits with one thread, with more, and when runs share the threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocator.h"
#include "model_import.h"
#include "session.h"
#include "thread_pool.h"

#include <pthread.h>
#include <string.h>

enum { BATCH = 24, LENGTH = 64, VOCABULARY = 1000, CALLERS = 3, ROUNDS = 3, MAX_THREADS = 3, MAX_LOGITS = BATCH * 16 };

struct work {
    const struct md_session *session;
    float logits[MAX_LOGITS];
    size_t count;
    bool good;
};

static int64_t tokens[BATCH * LENGTH], ones[BATCH * LENGTH];

static bool execute(struct md_run *run, struct work *work)
{
    const struct md_shape shape = { 2, { BATCH, LENGTH } };
    for (size_t i = 0; i < md_session_input_count(work->session); i++) {
        const char *name = md_session_input(work->session, i)->name;
        struct md_tensor tensor;
        void *elements = strcmp(name, "input_ids") == 0 ? tokens : ones;
        if (md_tensor_describe(MD_INT64, &shape, elements, &tensor, NULL) != MD_OK ||
            md_run_set_input_tensor(run, i, &tensor, NULL) != MD_OK)
            return false;
    }
    if (md_run_execute(run, NULL) != MD_OK)
        return false;
    const struct md_tensor *logits = &md_run_output(run, 0)->tensor;
    work->count = logits->count;
    if (logits->datatype != MD_FP32 || logits->count > MAX_LOGITS)
        return false;
    memcpy(work->logits, logits->bytes, md_tensor_size(logits));
    return true;
}

/* A few executions: the first makes the memory plan, the others follow it. */
static void *work_on(void *argument)
{
    struct work *work = argument;
    struct md_run *run;
    work->good = md_run_create(work->session, &run, NULL) == MD_OK;
    if (!work->good)
        return NULL;
    for (int i = 0; i < ROUNDS && work->good; i++)
        work->good = execute(run, work);
    md_run_destroy(run);
    return NULL;
}

static struct md_session *open_session(const char *path, struct md_thread_pool *pool)
{
    const struct md_session_options options = { .thread_pool = pool };
    struct md_error error = { .message = "" };
    struct md_model *model;
    struct md_session *session;
    if (md_model_open(md_process_allocator(), path, &model, &error) != MD_OK ||
        md_session_create(md_process_allocator(), model, &options, &session, &error) != MD_OK)
        fail_msg("%s: %s", path, error.message);
    return session;
}

static void expect_equal(const struct work *found, const struct work *expected)
{
    assert_true(found->good);
    assert_int_equal(found->count, expected->count);
    assert_memory_equal(found->logits, expected->logits, expected->count * sizeof(float));
}

static void check_model(const char *path)
{
    static struct work alone, work[CALLERS];
    alone.session = open_session(path, NULL);
    (void)work_on(&alone); /* always NULL */
    assert_true(alone.good);
    for (size_t threads = 1; threads <= MAX_THREADS; threads++) {
        struct md_thread_pool *pool = NULL;
        assert_int_equal(md_thread_pool_create(md_process_allocator(), threads, &pool, NULL), MD_OK);
        struct md_session *session = open_session(path, pool);
        pthread_t callers[CALLERS];
        for (size_t i = 0; i < CALLERS; i++)
            work[i].session = session;
        (void)work_on(&work[0]); /* as above; a run alone, then several at once */
        expect_equal(&work[0], &alone);
        for (size_t i = 0; i < CALLERS; i++)
            assert_int_equal(pthread_create(&callers[i], NULL, work_on, &work[i]), 0);
        for (size_t i = 0; i < CALLERS; i++) {
            assert_int_equal(pthread_join(callers[i], NULL), 0);
            expect_equal(&work[i], &alone);
        }
        md_session_destroy(session);
        md_thread_pool_destroy(pool);
    }
    md_session_destroy((struct md_session *)(uintptr_t)alone.session); /* that open_session made above */
}

static void test_threads_do_not_change_a_models_bits(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (size_t i = 0; i < BATCH * LENGTH; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (int64_t)(seed >> 8) % VOCABULARY;
        ones[i] = 1;
    }
    check_model(MD_SOURCE_DIR "/deploy/models/sentiment-transformer/1/model.onnx");
    check_model(MD_SOURCE_DIR "/deploy/models/sentiment-lstm/1/model.onnx");
    check_model(MD_SOURCE_DIR "/deploy/models/spam-textcnn/1/model.onnx");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_do_not_change_a_models_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
