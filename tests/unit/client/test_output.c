/* test_output.c - tables, units and what may reach a terminal. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "output.h"

#include <stdlib.h>
#include <string.h>

static void test_bytes_have_units(void **state)
{
    (void)state;
    char text[MD_CTL_TEXT_SIZE];
    assert_string_equal(md_ctl_format_bytes(0, text), "0 B");
    assert_string_equal(md_ctl_format_bytes(999, text), "999 B");
    assert_string_equal(md_ctl_format_bytes(1399000, text), "1.4 MB");
    assert_string_equal(md_ctl_format_bytes(999600, text), "1.0 MB");
    assert_string_equal(md_ctl_format_bytes(123456789, text), "123 MB");
    assert_string_equal(md_ctl_format_bytes(UINT64_MAX, text), "18447 PB");
}

static void test_precisions_have_their_difference(void **state)
{
    (void)state;
    char text[MD_CTL_TEXT_SIZE];
    assert_string_equal(md_ctl_format_precision("", 0, text), "");
    assert_string_equal(md_ctl_format_precision("fp32", 0, text), "fp32");
    assert_string_equal(md_ctl_format_precision("int8", 0.0131234, text), "int8 (0.0131)");
    assert_string_equal(md_ctl_format_precision("a name that a later server may send", -1.2345e-300, text),
                        "a name that a la (-1.23e-300)");
}

static void test_durations_have_units(void **state)
{
    (void)state;
    char text[MD_CTL_TEXT_SIZE];
    assert_string_equal(md_ctl_format_duration(0, text), "0 us");
    assert_string_equal(md_ctl_format_duration(999, text), "999 us");
    assert_string_equal(md_ctl_format_duration(1500, text), "1.5 ms");
    assert_string_equal(md_ctl_format_duration(123456, text), "123 ms");
    assert_string_equal(md_ctl_format_duration(2500000, text), "2.5 s");
}

static void test_time_zero_is_a_dash(void **state)
{
    (void)state;
    char text[MD_CTL_TEXT_SIZE];
    assert_string_equal(md_ctl_format_time(0, text), "-");
    assert_int_equal(strlen(md_ctl_format_time(1700000000000000, text)), 19);
}

static void test_shapes_are_cut_not_overrun(void **state)
{
    (void)state;
    static const int64_t shape[] = { -1, 128, 1000000 };
    char text[64], small[8];
    assert_string_equal(md_ctl_format_shape(shape, 3, text, sizeof text), "[-1,128,1000000]");
    assert_string_equal(md_ctl_format_shape(NULL, 0, text, sizeof text), "[]");
    assert_string_equal(md_ctl_format_shape(shape, 3, small, sizeof small), "[-1,...");
}

static void test_bars(void **state)
{
    (void)state;
    char text[16];
    assert_string_equal(md_ctl_format_bar(0.0, 4, text), "");
    assert_string_equal(md_ctl_format_bar(1.0, 4, text), "████");
    assert_string_equal(md_ctl_format_bar(7.0, 4, text), "████");
    assert_string_equal(md_ctl_format_bar(0.5, 4, text), "██");
    assert_string_equal(md_ctl_format_bar(0.625, 4, text), "██▌");
}

static void test_width_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(md_ctl_width("abc"), 3);
    assert_int_equal(md_ctl_width("gr\xc3\xbc\xc3\x9f"), 4);
    assert_int_equal(md_ctl_width("e\xcc\x81"), 1);
}

static char *printed_table(bool colours)
{
    static const char *const titles[] = { "NAME", "COUNT" };
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 2, 1u << 1);
    md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", "gr\xc3\xbc\xc3\x9f");
    md_ctl_table_add(&table, MD_CTL_RED, "%d", 12345678);
    md_ctl_table_add(&table, MD_CTL_PLAIN, "%s", "longer name");
    md_ctl_table_add(&table, MD_CTL_PLAIN, "%d", 7);
    md_ctl_table_print(&table, out, colours);
    md_ctl_table_cleanup(&table);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void test_columns_are_aligned(void **state)
{
    (void)state;
    char *text = printed_table(false);
    assert_string_equal(text, "NAME            COUNT\n"
                              "gr\xc3\xbc\xc3\x9f         12345678\n"
                              "longer name         7\n");
    free(text);
}

static void test_colours_only_when_asked(void **state)
{
    (void)state;
    char *text = printed_table(true);
    assert_non_null(strstr(text, "\033[31m12345678\033[0m"));
    free(text);
    assert_string_equal(md_ctl_colour_on(false, MD_CTL_RED), "");
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_false(md_ctl_wants_colour(file));
    assert_int_equal(fclose(file), 0);
}

static void test_control_characters_do_not_reach_the_terminal(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    md_ctl_print_clean(out, "a\033[31mb\n\x7f\xc2\x9b"
                            "31mc gr\xc3\xbc\xc3\x9f");
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, "a?[31mb???31mc gr\xc3\xbc\xc3\x9f");
    free(text);
}

static void test_many_rows_grow_the_table(void **state)
{
    (void)state;
    static const char *const titles[] = { "N" };
    struct md_ctl_table table;
    md_ctl_table_init(&table, titles, 1, 0);
    for (int i = 0; i < 1000; i++)
        md_ctl_table_add(&table, MD_CTL_PLAIN, "%d", i);
    assert_int_equal(table.cell_count, 1000);
    assert_string_equal(table.cells[999].text, "999");
    md_ctl_table_cleanup(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_have_units),
        cmocka_unit_test(test_precisions_have_their_difference),
        cmocka_unit_test(test_durations_have_units),
        cmocka_unit_test(test_time_zero_is_a_dash),
        cmocka_unit_test(test_shapes_are_cut_not_overrun),
        cmocka_unit_test(test_bars),
        cmocka_unit_test(test_width_counts_characters),
        cmocka_unit_test(test_columns_are_aligned),
        cmocka_unit_test(test_colours_only_when_asked),
        cmocka_unit_test(test_control_characters_do_not_reach_the_terminal),
        cmocka_unit_test(test_many_rows_grow_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
