/* bench_driver.c - see bench_driver.h. */
#include "bench_driver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_RUNS = 10000 };

static clockid_t clock_of_environment(void)
{
    const char *name = getenv("MD_BENCH_CLOCK");
    return name != NULL && strcmp(name, "cpu") == 0 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
}

int64_t md_bench_now_ns(void)
{
    const clockid_t clock = clock_of_environment();
    struct timespec now;
    (void)clock_gettime(clock, &now); /* fails only for a clock that does not exist */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

enum md_code md_bench_time(const char *words, enum md_code (*run)(void *owner, struct md_error *error), void *owner,
                           char *out_text, size_t size, struct md_error *error)
{
    static int64_t times[MAX_RUNS];
    long count = strtol(words, NULL, 10);
    if (count < 1 || count > MAX_RUNS)
        return md_fail(error, MD_INVALID_ARGUMENT, "%ld runs: 1 to %d are possible", count, (int)MAX_RUNS);
    for (long i = 0; i < count; i++) {
        int64_t begin = md_bench_now_ns();
        MD_TRY(run(owner, error));
        times[i] = md_bench_now_ns() - begin;
    }
    qsort(times, (size_t)count, sizeof times[0], by_size);
    (void)snprintf(out_text, size, "%" PRId64, times[count / 2]); /* fits */
    return MD_OK;
}

static void answer(const struct md_bench_command *commands, void *owner, char *line)
{
    static char text[MD_BENCH_LINE];
    struct md_error error = { .message = "" };
    char *words = line + strcspn(line, " ");
    if (*words != '\0')
        *words++ = '\0';
    text[0] = '\0';
    while (commands->name != NULL && strcmp(commands->name, line) != 0)
        commands++;
    enum md_code code = commands->name == NULL
                            ? md_fail(&error, MD_INVALID_ARGUMENT, "unknown command \"%s\"", line)
                            : commands->run(owner, words, text, sizeof text, &error);
    if (code == MD_OK)
        printf("ok %s\n", text);
    else
        printf("error %s\n", error.message);
    (void)fflush(stdout); /* a reader that has gone is noticed by the next read */
}

int md_bench_drive(enum md_code started, const struct md_error *error, const struct md_bench_command *commands,
                   void *owner)
{
    char line[MD_BENCH_LINE];
    printf("%s%s\n", started == MD_OK ? "ok" : "error ", started == MD_OK ? "" : error->message);
    (void)fflush(stdout); /* see answer */
    while (started == MD_OK && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        answer(commands, owner, line);
    }
    return started == MD_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
