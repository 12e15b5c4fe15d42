/* log.c - see log.h. */
#include "log.h"

#include "clock.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* `size` leaves room for what closes a line, so a cut line is still well-formed. */
struct line {
    char *bytes;
    size_t size;
    size_t used;
};

enum { CLOSING_SIZE = 8, LARGEST_ESCAPE = 6 };

static void put(struct line *line, const char *bytes, size_t size)
{
    if (size <= line->size - line->used) {
        memcpy(line->bytes + line->used, bytes, size);
        line->used += size;
    }
}

/* One character of text, whose first `valid` bytes are UTF-8: returns how many bytes were taken. */
static size_t put_escaped(struct line *line, const char *text, size_t valid)
{
    unsigned char first = (unsigned char)text[0];
    char escape[LARGEST_ESCAPE + 1];
    if (valid == 0) {
        put(line, "\\ufffd", 6);
        return 1;
    }
    if (first == '"' || first == '\\') {
        escape[0] = '\\';
        escape[1] = text[0];
        put(line, escape, 2);
        return 1;
    }
    if (first < 0x20 || first == 0x7f) {
        (void)snprintf(escape, sizeof escape, "\\u%04x", first); /* 6 bytes, always */
        put(line, escape, 6);
        return 1;
    }
    size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    put(line, text, length);
    return length;
}

static void put_text(struct line *line, const char *text)
{
    size_t size = text == NULL ? 0 : strlen(text);
    size_t valid = md_utf8_valid_prefix(text, size);
    put(line, "\"", 1);
    for (size_t at = 0; at < size && line->size - line->used > LARGEST_ESCAPE;) {
        if (at > valid)
            valid = at + md_utf8_valid_prefix(text + at, size - at);
        at += put_escaped(line, text + at, valid - at);
    }
    put(line, "\"", 1);
}

static void put_key(struct line *line, enum md_log_format format, const char *key)
{
    bool first = line->used == 0;
    if (format == MD_LOG_JSON) {
        put(line, first ? "{\"" : ",\"", 2);
        put(line, key, strlen(key));
        put(line, "\":", 2);
    } else {
        if (!first)
            put(line, " ", 1);
        put(line, key, strlen(key));
        put(line, "=", 1);
    }
}

static void put_field(struct line *line, enum md_log_format format, const struct md_log_field *field)
{
    if (line->size - line->used < strlen(field->key) + 32)
        return; /* no room for even a number */
    char number[24];
    put_key(line, format, field->key);
    switch (field->kind) {
    case MD_LOG_KIND_TEXT:
        put_text(line, field->text);
        break;
    case MD_LOG_KIND_SIGNED:
        put(line, number, (size_t)snprintf(number, sizeof number, "%" PRId64, field->number));
        break;
    case MD_LOG_KIND_UNSIGNED:
        put(line, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, field->count));
        break;
    }
}

static void put_time(struct line *line, enum md_log_format format, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;
    char text[64];
    char date[32];
    if (gmtime_r(&seconds, &parts) == NULL || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        date[0] = '\0';
    int size = snprintf(text, sizeof text, format == MD_LOG_JSON ? "\"%s.%06dZ\"" : "%s.%06dZ", date,
                        (int)(wall_us % 1000000));
    put_key(line, format, "time");
    put(line, text, (size_t)size);
}

size_t md_log_format_line(enum md_log_format format, int64_t wall_us, enum md_log_level level,
                          const char *message, const struct md_log_field *fields, size_t field_count,
                          char *buffer, size_t size)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    struct line line = { .bytes = buffer, .size = size - CLOSING_SIZE };
    put_time(&line, format, wall_us);
    put_key(&line, format, "level");
    if (format == MD_LOG_JSON)
        put_text(&line, names[level]);
    else
        put(&line, names[level], strlen(names[level]));
    put_key(&line, format, "msg");
    put_text(&line, message);
    for (size_t i = 0; i < field_count; i++)
        put_field(&line, format, &fields[i]);
    line.size = size;
    put(&line, "}\n" + (format == MD_LOG_JSON ? 0 : 1), format == MD_LOG_JSON ? 2 : 1);
    return line.used;
}

void md_log_write(const struct md_log *log, enum md_log_level level, const char *message,
                  const struct md_log_field *fields, size_t field_count)
{
    if (log == NULL || level < log->level)
        return;
    char line[MD_LOG_LINE_SIZE];
    size_t size = md_log_format_line(log->format, md_clock_wall_us(), level, message, fields, field_count,
                                     line, sizeof line);
    ssize_t written = write(log->fd, line, size);
    (void)written; /* there is nowhere to complain about stderr */
}
