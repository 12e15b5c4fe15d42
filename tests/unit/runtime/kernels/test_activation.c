/* test_activation.c - the error bounds that activation.h states, special values, and independence of place.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "activation.h"

#include <math.h>
#include <string.h>

enum { COUNT = 1001 };

static void test_errors_stay_below_the_stated_bounds(void **state)
{
    (void)state;
    float x[COUNT], exps[COUNT], sigmoids[COUNT], tanhs[COUNT];
    for (double low = -87.0; low < 88.0; low += 0.5) {
        for (int i = 0; i < COUNT; i++)
            x[i] = (float)(low + 0.5 * i / COUNT);
        md_exp_f32(COUNT, x, exps);
        md_sigmoid_f32(COUNT, x, sigmoids);
        md_tanh_f32(COUNT, x, tanhs);
        for (int i = 0; i < COUNT; i++) {
            double exact = exp((double)x[i]);
            assert_true(fabs((double)exps[i] - exact) <= 4e-7 * exact);
            assert_true(fabs((double)sigmoids[i] - 1.0 / (1.0 + exp(-(double)x[i]))) <= 2e-7);
            double slope = tanh((double)x[i]);
            assert_true(fabs((double)tanhs[i] - slope) <= 4e-7 * fabs(slope) + 1e-45);
        }
    }
}

static void test_special_values(void **state)
{
    (void)state;
    const float in[] = { INFINITY, -INFINITY, NAN, 0.0f, 1000.0f, -1000.0f };
    float out[6];
    md_exp_f32(6, in, out);
    assert_true(isinf(out[0]) && out[1] == 0.0f && isnan(out[2]) && out[3] == 1.0f && isinf(out[4]) &&
                out[5] == 0.0f);
    md_sigmoid_f32(6, in, out);
    assert_true(out[0] == 1.0f && out[1] == 0.0f && isnan(out[2]) && out[3] == 0.5f && out[4] == 1.0f);
    md_tanh_f32(6, in, out);
    assert_true(out[0] == 1.0f && out[1] == -1.0f && isnan(out[2]) && out[3] == 0.0f && out[5] == -1.0f);
}

static void test_an_element_does_not_depend_on_its_place(void **state)
{
    (void)state;
    float x[COUNT], row[COUNT], one;
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i - 500) * 0.0137f;
    md_tanh_f32(COUNT, x, row);
    for (int i = 0; i < COUNT; i++) {
        md_tanh_f32(1, &x[i], &one);
        assert_memory_equal(&one, &row[i], sizeof one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_stay_below_the_stated_bounds),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_an_element_does_not_depend_on_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
