/* test_batch_invariance.c - a row has the same bits alone and in any batch, at any position. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

enum { MAX_BATCH = 32, STEPS = 3, INPUT = 19, HIDDEN = 53, MAX_GATES = 4, CHANNELS = 5, LENGTH = 70, FILTERS = 11,
       KERNEL = 3 };

/* Room for the inputs and outputs of every case. */
static float x[MAX_BATCH * CHANNELS * LENGTH + MAX_BATCH * STEPS * INPUT], row[CHANNELS * LENGTH + STEPS * INPUT];
static float w[MAX_GATES * HIDDEN * INPUT], r[MAX_GATES * HIDDEN * HIDDEN], bias[2 * MAX_GATES * HIDDEN];

static void fill(float *values, size_t count, unsigned seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)seed / 4294967296.0f - 0.5f;
    }
}

struct one_case {
    const char *domain;
    const char *op_type;
    int64_t gates; /* 0: a convolution */
    int64_t opset;
    size_t output; /* that is compared */
    size_t row_in, row_out;
};

/* Runs `batch` rows of `input`; the caller cleans up. Recurrent operators take the batch first (layout 1). */
static const float *run_rows(const struct one_case *one, struct md_operator_run *run, size_t batch, const float *input)
{
    const int64_t rows = (int64_t)batch;
    md_operator_run_init(run);
    run->output_count = one->output + 1;
    if (one->gates == 0) {
        const bool words = strcmp(one->domain, MD_INTERNAL_DOMAIN) == 0; /* channels last, weights constant */
        run->constant_inputs = 1u << words;
        md_operator_run_input(run, MD_FP32, MD_DIMS(rows, words ? LENGTH : CHANNELS, words ? CHANNELS : LENGTH), input);
        md_operator_run_input(run, MD_FP32, MD_DIMS(FILTERS, CHANNELS, KERNEL), w);
        md_operator_run_input(run, MD_FP32, MD_DIMS(FILTERS), bias);
    } else {
        md_operator_run_input(run, MD_FP32, MD_DIMS(rows, STEPS, INPUT), input);
        md_operator_run_input(run, MD_FP32, MD_DIMS(1, one->gates * HIDDEN, INPUT), w);
        md_operator_run_input(run, MD_FP32, MD_DIMS(1, one->gates * HIDDEN, HIDDEN), r);
        md_operator_run_input(run, MD_FP32, MD_DIMS(1, 2 * one->gates * HIDDEN), bias);
        md_operator_run_int(run, "layout", 1);
    }
    assert_int_equal(md_operator_run_go(run, one->domain, one->op_type, one->opset), MD_OK);
    return run->outputs[one->output].tensor.bytes;
}

static void check_case(const struct one_case *one)
{
    static const size_t batches[] = { 2, 7, MAX_BATCH };
    struct md_operator_run alone, together;
    fill(row, one->row_in, 9);
    const float *expected = run_rows(one, &alone, 1, row);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++)
        for (size_t at = 0; at < batches[i]; at++) {
            fill(x, batches[i] * one->row_in, (unsigned)at);
            memcpy(x + at * one->row_in, row, one->row_in * sizeof *x);
            const float *found = run_rows(one, &together, batches[i], x);
            assert_memory_equal(found + at * one->row_out, expected, one->row_out * sizeof *found);
            md_operator_run_cleanup(&together);
        }
    md_operator_run_cleanup(&alone);
}

static void test_rows_keep_their_bits(void **state)
{
    static const struct one_case cases[] = {
        { MD_ONNX, "LSTM", 4, 14, 1, STEPS * INPUT, HIDDEN },
        { MD_ONNX, "LSTM", 4, 14, 0, STEPS * INPUT, STEPS * HIDDEN },
        { MD_ONNX, "GRU", 3, 14, 1, STEPS * INPUT, HIDDEN },
        { MD_ONNX, "RNN", 1, 14, 1, STEPS * INPUT, HIDDEN },
        { MD_ONNX, "Conv", 0, 14, 0, CHANNELS * LENGTH, FILTERS * (LENGTH - KERNEL + 1) },
        { MD_INTERNAL_DOMAIN, "ConvolutionMax", 0, 1, 0, CHANNELS * LENGTH, FILTERS },
    };
    (void)state;
    fill(w, sizeof w / sizeof w[0], 1);
    fill(r, sizeof r / sizeof r[0], 2);
    fill(bias, sizeof bias / sizeof bias[0], 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_case(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows_keep_their_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
