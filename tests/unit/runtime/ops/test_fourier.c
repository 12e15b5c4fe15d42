/* test_fourier.c - transforms of every small length against the definition. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fourier.h"

#include <math.h>
#include <stdlib.h>

static void expect_definition(size_t length, bool inverse)
{
    void *memory = test_malloc(md_fourier_size(length));
    struct md_fourier fourier;
    double input[128], turn = (inverse ? 2 : -2) * acos(-1.0) / (double)length;
    md_fourier_init(&fourier, length, inverse, memory);
    for (int round = 0; round < 2; round++) { /* the second run finds the first one's leftovers */
        for (size_t i = 0; i < 2 * length; i++)
            fourier.signal[i] = input[i] = sin((double)(i * i + i + 1)) + (double)round;
        md_fourier_run(&fourier);
        for (size_t k = 0; k < length; k++) {
            double re = 0, im = 0;
            for (size_t n = 0; n < length; n++) {
                double angle = turn * (double)(k * n % length);
                re += input[2 * n] * cos(angle) - input[2 * n + 1] * sin(angle);
                im += input[2 * n] * sin(angle) + input[2 * n + 1] * cos(angle);
            }
            double scale = inverse ? 1 / (double)length : 1;
            assert_true(fabs(fourier.signal[2 * k] - re * scale) < 1e-12 * (double)length);
            assert_true(fabs(fourier.signal[2 * k + 1] - im * scale) < 1e-12 * (double)length);
        }
    }
    test_free(memory);
}

static void test_every_length_up_to_64_agrees_with_the_definition(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 64; length++) {
        expect_definition(length, false);
        expect_definition(length, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_length_up_to_64_agrees_with_the_definition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
