/* output.h - what people read: aligned tables, colours on a terminal only, sizes and times with units.
 * Text that came from a server is never let through to the terminal with control characters in it. */
#ifndef MD_CTL_OUTPUT_H
#define MD_CTL_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum md_ctl_colour { MD_CTL_PLAIN, MD_CTL_BOLD, MD_CTL_DIM, MD_CTL_RED, MD_CTL_GREEN, MD_CTL_YELLOW };

/* True when `stream` is a terminal that wants colours: NO_COLOR is unset or empty, TERM is not "dumb". */
bool md_ctl_wants_colour(FILE *stream);
/* The escape sequence, or "" without colours. */
const char *md_ctl_colour_on(bool colours, enum md_ctl_colour colour);
const char *md_ctl_colour_off(bool colours);
/* READY and SERVING green, FAILED and NOT_SERVING red, what is under way yellow. */
enum md_ctl_colour md_ctl_state_colour(const char *state);

enum { MD_CTL_COLUMNS_MAX = 12, MD_CTL_TEXT_SIZE = 32 };

/* Rows are collected, then printed with each column as wide as its widest cell. */
struct md_ctl_table {
    const char *const *titles;
    size_t column_count;
    unsigned right_aligned;    /* bit per column */
    struct md_ctl_cell *cells; /* row after row; owned */
    size_t cell_count;
    size_t cell_room;
};
struct md_ctl_cell {
    char *text; /* owned */
    enum md_ctl_colour colour;
};
void md_ctl_table_init(struct md_ctl_table *table, const char *const *titles, size_t column_count,
                       unsigned right_aligned);
void md_ctl_table_cleanup(struct md_ctl_table *table);
/* The next cell, row after row; the text is copied. When memory is gone the cell is left empty. */
void md_ctl_table_add(struct md_ctl_table *table, enum md_ctl_colour colour, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Nothing but the titles when there are no rows. */
void md_ctl_table_print(const struct md_ctl_table *table, FILE *stream, bool colours);

/* Columns that a UTF-8 text takes: code points without combining marks, wide ones not known. */
size_t md_ctl_width(const char *text);
/* Prints `text` with control characters as '?'. */
void md_ctl_print_clean(FILE *stream, const char *text);

/* "0 B", "1.4 MB" (powers of 1000). */
const char *md_ctl_format_bytes(uint64_t bytes, char out_text[MD_CTL_TEXT_SIZE]);
/* "12 us", "3.4 ms", "1.2 s". */
const char *md_ctl_format_duration(uint64_t us, char out_text[MD_CTL_TEXT_SIZE]);
/* Local time, "2025-11-23 18:59:01"; "-" for 0. */
const char *md_ctl_format_time(int64_t wall_us, char out_text[MD_CTL_TEXT_SIZE]);
/* "fp32", "int8 (0.013)": with its difference from fp32. */
const char *md_ctl_format_precision(const char *precision, double difference, char out_text[MD_CTL_TEXT_SIZE]);
/* "[-1,128]"; cut with "..." when it does not fit. */
const char *md_ctl_format_shape(const int64_t *shape, size_t rank, char *out_text, size_t size);
/* A bar of at most `columns` blocks for a score from 0 to 1, in eighths. out_text: 3 * columns + 4 bytes. */
const char *md_ctl_format_bar(double score, unsigned columns, char *out_text);

#endif
