/* output.c - see output.h. */
#include "output.h"

#include "allocator.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool md_ctl_wants_colour(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0')
        return false;
    return isatty(fileno(stream)) && (term == NULL || strcmp(term, "dumb") != 0);
}

const char *md_ctl_colour_on(bool colours, enum md_ctl_colour colour)
{
    static const char *const sequences[] = { "", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m" };
    return colours ? sequences[colour] : "";
}

const char *md_ctl_colour_off(bool colours)
{
    return colours ? "\033[0m" : "";
}

enum md_ctl_colour md_ctl_state_colour(const char *state)
{
    static const struct {
        const char *state;
        enum md_ctl_colour colour;
    } rows[] = {
        { "READY", MD_CTL_GREEN },    { "SERVING", MD_CTL_GREEN },   { "OK", MD_CTL_GREEN },
        { "FAILED", MD_CTL_RED },     { "NOT_SERVING", MD_CTL_RED }, { "LOADING", MD_CTL_YELLOW },
        { "WARMING", MD_CTL_YELLOW }, { "DRAINING", MD_CTL_YELLOW }, { "UNLOADED", MD_CTL_DIM },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].state, state) == 0)
            return rows[i].colour;
    return MD_CTL_PLAIN;
}

void md_ctl_table_init(struct md_ctl_table *table, const char *const *titles, size_t column_count,
                       unsigned right_aligned)
{
    *table = (struct md_ctl_table){ .titles = titles,
                                    .column_count = column_count,
                                    .right_aligned = right_aligned };
}

void md_ctl_table_cleanup(struct md_ctl_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        md_release(md_process_allocator(), table->cells[i].text);
    md_release(md_process_allocator(), table->cells);
    *table = (struct md_ctl_table){ 0 };
}

static bool grow(struct md_ctl_table *table)
{
    size_t room = table->cell_room == 0 ? 64 : table->cell_room * 2;
    struct md_ctl_cell *cells = md_reallocate(md_process_allocator(), table->cells,
                                              table->cell_room * sizeof *cells, room * sizeof *cells);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->cell_room = room;
    return true;
}

void md_ctl_table_add(struct md_ctl_table *table, enum md_ctl_colour colour, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments); /* longer cells are cut */
    va_end(arguments);
    if (table->cell_count == table->cell_room && !grow(table))
        return;
    table->cells[table->cell_count++] =
        (struct md_ctl_cell){ md_duplicate_string(md_process_allocator(), text), colour };
}

size_t md_ctl_width(const char *text)
{
    size_t width = 0;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool continuation = (*at & 0xc0) == 0x80;
        bool combining = *at == 0xcc || (*at == 0xcd && at[1] < 0xb0); /* U+0300 to U+036F */
        width += !continuation && !combining;
    }
    return width;
}

void md_ctl_print_clean(FILE *stream, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        bool c1 =
            *at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* U+0080 to U+009F: terminals obey them too */
        at += c1;
        (void)fputc(*at < 0x20 || *at == 0x7f || c1 ? '?' : *at, stream);
    }
}

static void print_cell(FILE *stream, const char *text, size_t width, bool right, bool last)
{
    int padding = (int)(width - md_ctl_width(text));
    if (right)
        (void)fprintf(stream, "%*s", padding, "");
    md_ctl_print_clean(stream, text);
    if (!right && !last)
        (void)fprintf(stream, "%*s", padding, "");
}

static void print_row(const struct md_ctl_table *table, FILE *stream, bool colours, size_t first,
                      const size_t *widths)
{
    for (size_t column = 0; column < table->column_count && first + column < table->cell_count; column++) {
        const struct md_ctl_cell *cell = &table->cells[first + column];
        if (column > 0)
            (void)fputs("  ", stream);
        (void)fputs(md_ctl_colour_on(colours, cell->colour), stream);
        print_cell(stream, cell->text != NULL ? cell->text : "", widths[column],
                   (table->right_aligned >> column & 1) != 0, column + 1 == table->column_count);
        (void)fputs(md_ctl_colour_off(colours && cell->colour != MD_CTL_PLAIN), stream);
    }
    (void)fputc('\n', stream);
}

void md_ctl_table_print(const struct md_ctl_table *table, FILE *stream, bool colours)
{
    size_t widths[MD_CTL_COLUMNS_MAX] = { 0 };
    for (size_t column = 0; column < table->column_count; column++)
        widths[column] = md_ctl_width(table->titles[column]);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = table->cells[i].text != NULL ? md_ctl_width(table->cells[i].text) : 0;
        if (width > widths[i % table->column_count])
            widths[i % table->column_count] = width;
    }
    (void)fputs(md_ctl_colour_on(colours, MD_CTL_BOLD), stream);
    for (size_t column = 0; column < table->column_count; column++) {
        if (column > 0)
            (void)fputs("  ", stream);
        print_cell(stream, table->titles[column], widths[column], (table->right_aligned >> column & 1) != 0,
                   column + 1 == table->column_count);
    }
    (void)fprintf(stream, "%s\n", md_ctl_colour_off(colours));
    for (size_t first = 0; first < table->cell_count; first += table->column_count)
        print_row(table, stream, colours, first, widths);
}

const char *md_ctl_format_bytes(uint64_t bytes, char out_text[MD_CTL_TEXT_SIZE])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000.0;
        unit++;
    }
    (void)snprintf(out_text, MD_CTL_TEXT_SIZE, unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value,
                   units[unit]);
    return out_text;
}

const char *md_ctl_format_duration(uint64_t us, char out_text[MD_CTL_TEXT_SIZE])
{
    if (us < 1000)
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, "%u us", (unsigned)us);
    else if (us < 1000000)
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, us < 100000 ? "%.1f ms" : "%.0f ms", (double)us / 1e3);
    else
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, "%.1f s", (double)us / 1e6);
    return out_text;
}

const char *md_ctl_format_time(int64_t wall_us, char out_text[MD_CTL_TEXT_SIZE])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    if (wall_us <= 0 || localtime_r(&seconds, &parts) == NULL ||
        strftime(out_text, MD_CTL_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, "-");
    return out_text;
}

const char *md_ctl_format_precision(const char *precision, double difference, char out_text[MD_CTL_TEXT_SIZE])
{
    if (precision[0] == '\0' || strcmp(precision, "fp32") == 0)
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, "%s", precision);
    else
        (void)snprintf(out_text, MD_CTL_TEXT_SIZE, "%.16s (%.3g)", precision, difference);
    return out_text;
}

/* Appends what fits; *used counts what would have been needed. */
static void append(char *out_text, size_t size, size_t *used, const char *text)
{
    if (*used < size)
        (void)snprintf(out_text + *used, size - *used, "%s", text);
    *used += strlen(text);
}

const char *md_ctl_format_shape(const int64_t *shape, size_t rank, char *out_text, size_t size)
{
    size_t used = 0;
    append(out_text, size, &used, "[");
    for (size_t i = 0; i < rank; i++) {
        char number[24];
        (void)snprintf(number, sizeof number, i == 0 ? "%lld" : ",%lld", (long long)shape[i]);
        append(out_text, size, &used, number);
    }
    append(out_text, size, &used, "]");
    if (used >= size)
        memcpy(out_text + size - 4, "...", 4);
    return out_text;
}

const char *md_ctl_format_bar(double score, unsigned columns, char *out_text)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    double clamped = score > 1.0 ? 1.0 : score > 0.0 ? score : 0.0;
    unsigned parts = (unsigned)(clamped * columns * 8.0 + 0.5);
    char *at = out_text;
    for (unsigned i = 0; i < parts / 8; i++, at += 3)
        memcpy(at, "█", 3);
    memcpy(at, eighths[parts % 8], strlen(eighths[parts % 8]) + 1);
    return out_text;
}
