/* process.c - see process.h. */
#include "process.h"

#include "clock.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Field 22 of /proc/self/stat is the start in ticks since boot. */
int64_t md_process_started_at_us(void)
{
    char text[1024];
    int64_t now_us = md_clock_us();
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd); /* it was only read */
    if (size <= 0)
        return now_us;
    text[size] = '\0';
    char *at = strrchr(text, ')'); /* ends field 2, which may hold anything */
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    struct timespec since_boot;
    if (at == NULL || clock_gettime(CLOCK_BOOTTIME, &since_boot) != 0)
        return now_us;
    int64_t started_us = strtoll(at, NULL, 10) * (1000000 / sysconf(_SC_CLK_TCK));
    int64_t age_us = since_boot.tv_sec * 1000000 + since_boot.tv_nsec / 1000 - started_us;
    return age_us > 0 ? now_us - age_us : now_us;
}

int md_process_open_signals(void)
{
    sigset_t signals;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    (void)sigemptyset(&signals); /* cannot fail, as the next four */
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)sigaction(SIGPIPE, &ignore, NULL);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

uint64_t md_process_raise_files(uint64_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur >= wanted)
        return limit.rlim_cur;
    struct rlimit raised = { .rlim_cur = wanted < limit.rlim_max ? wanted : limit.rlim_max,
                             .rlim_max = limit.rlim_max };
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

void md_process_tune_memory(void)
{
    /* Blocks up to 4 MiB come from the heap and are not given back for every message; larger ones (weights,
     * big tensors) are mapped, so that an unload returns them. A failure leaves the defaults. */
    (void)mallopt(M_MMAP_THRESHOLD, 4 * 1024 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 64 * 1024 * 1024);
    (void)mallopt(M_TOP_PAD, 1024 * 1024);
}

enum md_code md_process_write_number(const char *path, unsigned number, struct md_error *error)
{
    char temporary[4096];
    char text[16];
    int size = snprintf(temporary, sizeof temporary, "%s.tmp", path);
    if (size < 0 || (size_t)size >= sizeof temporary)
        return md_fail(error, MD_INVALID_ARGUMENT, "path of %zu bytes is too long", strlen(path));
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return md_fail(error, MD_INTERNAL, "cannot create \"%s\": %s", temporary, strerror(errno));
    size = snprintf(text, sizeof text, "%u\n", number);
    bool written = write(fd, text, (size_t)size) == size;
    bool closed = close(fd) == 0;
    if (!written || !closed || rename(temporary, path) != 0)
        return md_fail(error, MD_INTERNAL, "cannot write \"%s\": %s", path, strerror(errno));
    return MD_OK;
}

static void *exit_later(void *owner)
{
    struct md_exit_timer *timer = owner;
    struct timespec left = { .tv_sec = timer->seconds };
    while (nanosleep(&left, &left) != 0)
        ; /* a signal that is not ours */
    MD_LOG(timer->log, MD_LOG_ERROR, "something still runs, leaving without it; the next start settles it",
           MD_LOG_COUNT("seconds", timer->seconds));
    _exit(1);
}

void md_process_exit_after(struct md_exit_timer *timer)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, exit_later, timer) == 0)
        (void)pthread_detach(thread); /* it ends with the process */
}

/* Without "." and "..", and the descriptor that reads it. */
static uint64_t count_files(void)
{
    uint64_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder); /* it was only read */
    return count > 3 ? count - 3 : 0;
}

/* Fields 20 (threads), 23 (bytes) and 24 (pages) of /proc/self/stat; after ')' comes field 3. */
static void read_stat(struct md_process_usage *usage)
{
    char text[1024] = "";
    uint64_t pages = 0;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t size = read(fd, text, sizeof text - 1);
    (void)close(fd); /* it was only read */
    const char *name_end = size > 0 ? strrchr(text, ')') : NULL;
    if (name_end != NULL &&
        sscanf(name_end + 1,
               " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %*s %*s %" SCNu64
               " %" SCNu64,
               &usage->threads, &usage->virtual_bytes, &pages) == 3)
        usage->resident_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void md_process_usage(struct md_process_usage *out_usage)
{
    struct md_process_usage usage = { .open_files = count_files() };
    struct rlimit limit;
    struct timespec cpu;
    int64_t uptime_us = md_clock_us() - md_process_started_at_us();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage.open_files_limit = limit.rlim_cur;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        usage.cpu_us = (uint64_t)cpu.tv_sec * 1000000 + (uint64_t)cpu.tv_nsec / 1000;
    usage.uptime_ms = (uint64_t)uptime_us / 1000;
    usage.started_at_ms = (uint64_t)(md_clock_wall_us() - uptime_us) / 1000;
    read_stat(&usage);
    *out_usage = usage;
}
