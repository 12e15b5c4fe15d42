/* log.h - structured lines on stderr: key=value for people, JSON for machines.
 *
 * One line per call, written with one write(2), so that lines of different threads do not mix. A line that
 * would be longer than MD_LOG_LINE_SIZE is cut inside a text, and stays well-formed. Text is always quoted
 * and escaped: what a client sends cannot forge a line. Threads: any; a struct md_log is immutable. No memory
 * is allocated. */
#ifndef MD_LOG_H
#define MD_LOG_H

#include <stddef.h>
#include <stdint.h>

enum md_log_level { MD_LOG_DEBUG = 0, MD_LOG_INFO = 1, MD_LOG_WARNING = 2, MD_LOG_ERROR = 3 };
enum md_log_format { MD_LOG_TEXT = 0, MD_LOG_JSON = 1 };
enum { MD_LOG_LINE_SIZE = 4096 };

struct md_log {
    int fd; /* borrowed */
    enum md_log_format format;
    enum md_log_level level; /* lines below it are dropped */
};

enum md_log_kind { MD_LOG_KIND_TEXT, MD_LOG_KIND_SIGNED, MD_LOG_KIND_UNSIGNED };

struct md_log_field {
    const char *key; /* a plain word of ours: not escaped */
    enum md_log_kind kind;
    const char *text; /* NULL is written as "" */
    int64_t number;
    uint64_t count;
};

#define MD_LOG_STRING(key, value)                                                                            \
    {                                                                                                        \
        (key), MD_LOG_KIND_TEXT, (value), 0, 0                                                               \
    }
#define MD_LOG_NUMBER(key, value)                                                                            \
    {                                                                                                        \
        (key), MD_LOG_KIND_SIGNED, NULL, (int64_t)(value), 0                                                 \
    }
#define MD_LOG_COUNT(key, value)                                                                             \
    {                                                                                                        \
        (key), MD_LOG_KIND_UNSIGNED, NULL, 0, (uint64_t)(value)                                              \
    }

/* MD_LOG(log, MD_LOG_INFO, "model loaded", MD_LOG_STRING("model", name), MD_LOG_COUNT("version", 3)); at
 * least one field. */
#define MD_LOG(log, level, message, ...)                                                                     \
    md_log_write((log), (level), (message), (const struct md_log_field[]){ __VA_ARGS__ },                    \
                 sizeof((const struct md_log_field[]){ __VA_ARGS__ }) / sizeof(struct md_log_field))

/* A NULL log drops the line. */
void md_log_write(const struct md_log *log, enum md_log_level level, const char *message,
                  const struct md_log_field *fields, size_t field_count);

/* The line itself, newline included, not NUL-terminated; returns its size. `size` is at least 256. */
size_t md_log_format_line(enum md_log_format format, int64_t wall_us, enum md_log_level level,
                          const char *message, const struct md_log_field *fields, size_t field_count,
                          char *buffer, size_t size);

#endif
