/* test_load.c - the load generator's parts that need no server: histogram, arrivals, requests. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arrivals.h"
#include "histogram.h"
#include "load.h"
#include "modeld/v1/modeld.pb-c.h"
#include "inference/inference.pb-c.h"

#include <math.h>
#include <string.h>

static void test_buckets_follow_one_another(void **state)
{
    (void)state;
    uint64_t begin = 0;
    for (size_t i = 0; i < MD_HISTOGRAM_BUCKETS; i++) {
        uint64_t end = md_histogram_bucket_end(i);
        assert_int_equal(md_histogram_bucket(begin), i);
        assert_int_equal(md_histogram_bucket(end), i);
        assert_true(end - begin <= begin / MD_HISTOGRAM_OCTAVE);
        begin = end + 1;
    }
    assert_int_equal(begin, 0); /* the last ends with UINT64_MAX */
}

static void test_percentiles_are_at_most_a_bucket_high(void **state)
{
    (void)state;
    struct md_histogram histogram = { 0 };
    assert_int_equal(md_histogram_percentile(&histogram, 99), 0);
    assert_true(md_histogram_mean(&histogram) == 0.0);
    for (uint64_t i = 1; i <= 10000; i++)
        md_histogram_add(&histogram, i * 1000);
    const double percents[] = { 0.01, 50, 90, 99, 99.9 };
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double exact = percents[i] * 100000, found = (double)md_histogram_percentile(&histogram, percents[i]);
        assert_true(found >= exact && found <= exact * 1.017);
    }
    assert_int_equal(md_histogram_percentile(&histogram, 100), 10000000);
    assert_true(fabs(md_histogram_mean(&histogram) - 5000500) < 1);
}

static void test_fixed_arrivals_are_even(void **state)
{
    (void)state;
    struct md_arrivals arrivals;
    md_arrivals_init(&arrivals, 1000, false, 1);
    for (uint64_t i = 0; i < 100; i++)
        assert_in_range(md_arrivals_next(&arrivals), i * 1000000 - (i > 0), i * 1000000 + 1);
}

static void test_poisson_arrivals_have_the_rate_and_its_spread(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    struct md_arrivals arrivals, again;
    double sum = 0, squares = 0;
    uint64_t last = 0;
    md_arrivals_init(&arrivals, 1000, true, 7);
    md_arrivals_init(&again, 1000, true, 7);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t next = md_arrivals_next(&arrivals);
        assert_int_equal(next, md_arrivals_next(&again));
        assert_true(next >= last);
        double gap = (double)(next - last) / 1e6;
        sum += gap;
        squares += gap * gap;
        last = next;
    }
    assert_true(fabs(sum / COUNT - 1) < 0.02);
    assert_true(fabs(squares / COUNT - 2) < 0.1); /* of an exponential distribution: twice the mean's square */
}

static void test_random_numbers_stay_between_their_bounds(void **state)
{
    (void)state;
    uint64_t random = 3;
    bool least = false, most = false;
    for (int i = 0; i < 1000; i++) {
        int64_t number = md_random_between(&random, -2, 2);
        assert_true(number >= -2 && number <= 2);
        least = least || number == -2;
        most = most || number == 2;
    }
    assert_true(least && most);
    assert_int_equal(md_random_between(&random, INT64_MAX, INT64_MAX), INT64_MAX);
    (void)md_random_between(&random, INT64_MIN, INT64_MAX); /* must not divide by zero */
}

static const int64_t shape[] = { -1, -1 };
static const struct md_load_input inputs[] = { { "ids", "INT64", shape, 2, { 10, 20 } },
                                               { "mask", "FP32", shape, 2, { 0, 0 } } };
static const struct md_load_range axes[] = { { 1, 1 }, { 3, 9 } };

static void test_tensors_share_the_sizes_of_their_axes(void **state)
{
    (void)state;
    struct md_request_options options = { .model = "m", .version = "", .seed = 1, .count = 32, .inputs = inputs,
                                          .input_count = 2, .axes = axes, .axis_count = 2 };
    struct md_request_set set;
    assert_int_equal(md_request_set_from_tensors(&options, &set, NULL), MD_OK);
    assert_int_equal(set.count, 32);
    bool differ = false;
    for (size_t i = 0; i < set.count; i++) {
        Modeld__V1__PredictRequest *request =
            modeld__v1__predict_request__unpack(NULL, set.requests[i].size, set.requests[i].bytes);
        assert_non_null(request);
        const Modeld__V1__Tensor *ids = request->inputs[0], *mask = request->inputs[1];
        assert_int_equal(ids->shape[0], 1);
        assert_in_range(ids->shape[1], 3, 9);
        assert_int_equal(ids->shape[1], mask->shape[1]);
        assert_int_equal(ids->contents.len, 8 * (size_t)ids->shape[1]);
        for (size_t j = 0; j < ids->contents.len; j += 8) {
            int64_t value;
            memcpy(&value, ids->contents.data + j, sizeof value);
            assert_in_range(value, 10, 20);
        }
        differ = differ || set.requests[i].size != set.requests[0].size;
        modeld__v1__predict_request__free_unpacked(request, NULL);
    }
    assert_true(differ);
    md_request_set_cleanup(&set);
}

static void test_the_open_inference_protocol_has_raw_contents(void **state)
{
    (void)state;
    struct md_request_options options = { .model = "m", .version = "2", .protocol = MD_LOAD_OIP, .count = 1,
                                          .inputs = inputs, .input_count = 2, .axes = axes, .axis_count = 2 };
    struct md_request_set set;
    assert_int_equal(md_request_set_from_tensors(&options, &set, NULL), MD_OK);
    Inference__ModelInferRequest *request =
        inference__model_infer_request__unpack(NULL, set.requests[0].size, set.requests[0].bytes);
    assert_non_null(request);
    assert_string_equal(request->model_version, "2");
    assert_int_equal(request->n_raw_input_contents, 2);
    assert_int_equal(request->raw_input_contents[1].len, 4 * (size_t)request->inputs[1]->shape[1]);
    inference__model_infer_request__free_unpacked(request, NULL);
    md_request_set_cleanup(&set);
}

static void test_what_cannot_be_made_up_is_refused(void **state)
{
    (void)state;
    static const int64_t huge[] = { INT64_MAX, INT64_MAX };
    const struct md_load_input texts = { "t", "BYTES", shape, 2, { 0, 1 } }, large = { "l", "FP32", huge, 2, { 0, 1 } };
    struct md_request_options options = { .model = "m", .version = "", .count = 1, .inputs = &texts, .input_count = 1 };
    struct md_request_set set;
    struct md_error error;
    char *none[1] = { NULL };
    assert_int_equal(md_request_set_from_tensors(&options, &set, &error), MD_INVALID_ARGUMENT);
    assert_non_null(strstr(error.message, "BYTES"));
    options.inputs = &large;
    assert_int_equal(md_request_set_from_tensors(&options, &set, &error), MD_RESOURCE_EXHAUSTED);
    assert_int_equal(md_request_set_from_texts(&options, none, 0, &set, &error), MD_INVALID_ARGUMENT);
    options.protocol = MD_LOAD_OIP;
    assert_int_equal(md_request_set_from_texts(&options, none, 1, &set, &error), MD_UNIMPLEMENTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_follow_one_another),
        cmocka_unit_test(test_percentiles_are_at_most_a_bucket_high),
        cmocka_unit_test(test_fixed_arrivals_are_even),
        cmocka_unit_test(test_poisson_arrivals_have_the_rate_and_its_spread),
        cmocka_unit_test(test_random_numbers_stay_between_their_bounds),
        cmocka_unit_test(test_tensors_share_the_sizes_of_their_axes),
        cmocka_unit_test(test_the_open_inference_protocol_has_raw_contents),
        cmocka_unit_test(test_what_cannot_be_made_up_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
