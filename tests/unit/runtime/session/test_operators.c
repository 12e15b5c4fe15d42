/* test_operators.c - what holds for every row of every operator table. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_table.h"

#include <string.h>

enum { MAX_ROWS = 2000 };

struct rows {
    const struct md_operator *list[MAX_ROWS];
    size_t count;
};

static void collect(const struct md_operator *row, void *owner)
{
    struct rows *rows = owner;
    assert_true(rows->count < MAX_ROWS);
    rows->list[rows->count++] = row;
}

static void test_rows_are_complete(void **state)
{
    (void)state;
    struct rows rows = { .count = 0 };
    md_operator_each(collect, &rows);
    assert_true(rows.count > 0);
    for (size_t i = 0; i < rows.count; i++) {
        const struct md_operator *row = rows.list[i];
        if (row->domain == NULL || row->prepare == NULL || row->from < 1 || row->to < row->from ||
            row->min_inputs < 0 || (row->max_inputs >= 0 && row->max_inputs < row->min_inputs) ||
            row->min_outputs < 0 || (row->max_outputs >= 0 && row->max_outputs < row->min_outputs) ||
            (row->native & ~row->types) != 0)
            fail_msg("the row of \"%s\" from opset %d is incomplete", row->op_type, row->from);
    }
}

static void test_no_two_rows_claim_the_same_opset(void **state)
{
    (void)state;
    struct rows rows = { .count = 0 };
    md_operator_each(collect, &rows);
    for (size_t i = 0; i < rows.count; i++)
        for (size_t j = i + 1; j < rows.count; j++) {
            const struct md_operator *a = rows.list[i];
            const struct md_operator *b = rows.list[j];
            if (strcmp(a->op_type, b->op_type) == 0 && strcmp(a->domain, b->domain) == 0 && a->from <= b->to &&
                b->from <= a->to)
                fail_msg("two rows of \"%s\" overlap: %d to %d and %d to %d", a->op_type, a->from, a->to, b->from, b->to);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_no_two_rows_claim_the_same_opset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
