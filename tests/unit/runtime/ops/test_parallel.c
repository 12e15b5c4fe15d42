/* test_parallel.c - splitting work: every item once, and the same bits with any number of threads. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"
#include "parallel.h"

#include "allocator.h"
#include "thread_pool.h"

#include <stdatomic.h>
#include <string.h>

enum { MAX_THREADS = 3, ITEMS = 100, LARGE = 400000 };

static float numbers[LARGE], more_numbers[LARGE];

static struct md_thread_pool *make_pool(size_t threads)
{
    struct md_thread_pool *pool = NULL;
    assert_int_equal(md_thread_pool_create(md_process_allocator(), threads, &pool, NULL), MD_OK);
    md_thread_pool_enter(pool);
    return pool;
}

static void end_pool(struct md_thread_pool *pool)
{
    md_thread_pool_leave(pool);
    md_thread_pool_destroy(pool);
}

static int make_numbers(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t i = 0; i < LARGE; i++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[i] = (float)(int32_t)seed * 0x1p-31f;
        seed = seed * 1664525u + 1013904223u;
        more_numbers[i] = (float)(int32_t)seed * 0x1p-31f;
    }
    return 0;
}

/* ---- ranges ---- */
struct ranges {
    atomic_uint calls[ITEMS];
    atomic_size_t count, largest_slot;
};

static void note_range(void *context, size_t first, size_t count, size_t slot)
{
    struct ranges *ranges = context;
    for (size_t i = first; i < first + count; i++)
        atomic_fetch_add(&ranges->calls[i], 1);
    atomic_fetch_add(&ranges->count, 1);
    if (slot > ranges->largest_slot)
        ranges->largest_slot = slot;
}

static size_t count_ranges(struct md_thread_pool *pool, size_t items, double cost)
{
    const struct md_invocation invocation = { .thread_pool = pool };
    struct ranges ranges;
    memset(&ranges, 0, sizeof ranges);
    md_parallel(&invocation, items, cost, note_range, &ranges);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(ranges.calls[i], i < items);
    assert_true(ranges.largest_slot < md_parallel_slots(&invocation, items, cost));
    return ranges.count;
}

static void test_work_is_split_by_its_cost(void **state)
{
    (void)state;
    struct md_thread_pool *pool = make_pool(MAX_THREADS);
    assert_int_equal(count_ranges(NULL, ITEMS, 1e9), 1);
    assert_int_equal(count_ranges(pool, 0, 1e9), 0);
    assert_int_equal(count_ranges(pool, 1, 1e9), 1);
    assert_int_equal(count_ranges(pool, ITEMS, 1), 1);
    assert_int_equal(count_ranges(pool, 2, 1e9), 2);
    for (size_t items = 3; items <= ITEMS; items++)
        assert_true(count_ranges(pool, items, 1e9) > 2);
    end_pool(pool);
}

/* ---- bits ---- */
typedef void (*make_fn)(struct md_operator_run *run);

/* The operator's output 0 is the same bits with no pool and with 2 and 3 threads, which do share the work. */
static void expect_same_bits(make_fn make, const char *domain, const char *op_type, int64_t opset)
{
    struct md_operator_run alone;
    md_operator_run_init(&alone);
    make(&alone);
    if (md_operator_run_go(&alone, domain, op_type, opset) != MD_OK)
        fail_msg("%s: %s", op_type, alone.error.message);
    for (size_t threads = 2; threads <= MAX_THREADS; threads++) {
        struct md_thread_pool *pool = make_pool(threads);
        struct md_operator_run run;
        md_operator_run_init(&run);
        run.thread_pool = pool;
        make(&run);
        if (md_operator_run_go(&run, domain, op_type, opset) != MD_OK)
            fail_msg("%s: %s", op_type, run.error.message);
        const struct md_tensor *expected = &alone.outputs[0].tensor, *found = &run.outputs[0].tensor;
        assert_int_equal(found->count, expected->count);
        assert_memory_equal(found->bytes, expected->bytes, md_tensor_size(expected));
        md_operator_run_cleanup(&run);
        end_pool(pool);
    }
    md_operator_run_cleanup(&alone);
}

static void make_product(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(3, 61, 200), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(200, 333), more_numbers);
}

static void make_constant_product(struct md_operator_run *run)
{
    make_product(run);
    run->constant_inputs = 1u << 1;
}

/* Few panels: rows are cut, too. */
static void make_tall_product(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(1501, 200), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(200, 50), more_numbers);
    run->constant_inputs = 1u << 1;
}

static void make_stacked_product(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 128, 128), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 128, 200), more_numbers);
}

static void make_gemm(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(183, 200), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(333, 200), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(333), numbers);
    md_operator_run_int(run, "transB", 1);
}

static void make_linear(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(183, 200), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(200, 333), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(333), numbers);
    run->constant_inputs = 1u << 1;
    md_operator_run_text(run, "activation", "Gelu");
}

static void make_attention(struct md_operator_run *run)
{
    for (size_t i = 0; i < 3; i++)
        md_operator_run_input(run, MD_FP32, MD_DIMS(2, 5, 100, 37), i == 1 ? more_numbers : numbers);
}

/* K as exporters transpose it: each head copies its rows into its slot's scratch. */
static void make_gathered_attention(struct md_operator_run *run)
{
    static const int64_t swap[] = { 0, 1, 3, 2 };
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 5, 100, 37), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 5, 37, 100), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 5, 100, 37), numbers);
    md_operator_run_ints(run, "perm_k", swap, 4);
}

static void make_norm(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(1000, 390), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(390), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(390), numbers);
}

static void make_sum_norm(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(1000, 390), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(1000, 390), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(390), more_numbers);
}

static void make_rows(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(1001, 397), numbers);
}

static void make_convolution(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(3, 8, 60, 60), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(40, 4, 3, 3), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(40), more_numbers);
    md_operator_run_int(run, "group", 2);
}

static void make_filters(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(9, 30, 90), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(100, 90, 4), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(100), more_numbers);
    run->constant_inputs = 1u << 1;
}

static void make_lstm(struct md_operator_run *run)
{
    md_operator_run_input(run, MD_FP32, MD_DIMS(5, 40, 60), numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 400, 60), more_numbers);
    md_operator_run_input(run, MD_FP32, MD_DIMS(2, 400, 100), numbers);
    md_operator_run_text(run, "direction", "bidirectional");
}

static void test_threads_do_not_change_bits(void **state)
{
    (void)state;
    expect_same_bits(make_product, MD_ONNX, "MatMul", 13);
    expect_same_bits(make_constant_product, MD_ONNX, "MatMul", 13);
    expect_same_bits(make_tall_product, MD_ONNX, "MatMul", 13);
    expect_same_bits(make_stacked_product, MD_ONNX, "MatMul", 13);
    expect_same_bits(make_gemm, MD_ONNX, "Gemm", 13);
    expect_same_bits(make_linear, MD_INTERNAL_DOMAIN, "Linear", 1);
    expect_same_bits(make_attention, MD_INTERNAL_DOMAIN, "Attention", 1);
    expect_same_bits(make_gathered_attention, MD_INTERNAL_DOMAIN, "Attention", 1);
    expect_same_bits(make_norm, MD_ONNX, "LayerNormalization", 17);
    expect_same_bits(make_sum_norm, MD_INTERNAL_DOMAIN, "AddLayerNormalization", 1);
    expect_same_bits(make_rows, MD_ONNX, "Softmax", 13);
    expect_same_bits(make_rows, MD_ONNX, "Gelu", 20);
    expect_same_bits(make_rows, MD_ONNX, "Exp", 13);
    expect_same_bits(make_rows, MD_ONNX, "Erf", 13);
    expect_same_bits(make_convolution, MD_ONNX, "Conv", 11);
    expect_same_bits(make_filters, MD_INTERNAL_DOMAIN, "ConvolutionMax", 1);
    expect_same_bits(make_lstm, MD_ONNX, "LSTM", 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_is_split_by_its_cost),
        cmocka_unit_test(test_threads_do_not_change_bits),
    };
    return cmocka_run_group_tests(tests, make_numbers, NULL);
}
