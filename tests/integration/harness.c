/* harness.c - see harness.h. MD_TEST_MODELD and MD_TEST_REPOSITORY are set by CMake. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "harness.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MAX = 32, START_SECONDS = 60 };

static const char *modeld_path(void)
{
    const char *path = getenv("MODELD");
    return path != NULL ? path : MD_TEST_MODELD;
}

static _Noreturn void run_server(const struct md_harness *harness, const char *const *options)
{
    char registry[MD_TEST_PATH_SIZE], port_file[MD_TEST_PATH_SIZE], log[MD_TEST_PATH_SIZE];
    md_test_join(registry, harness->folder, "registry.db");
    md_test_join(port_file, harness->folder, "port");
    md_test_join(log, harness->folder, "log");
    const char *words[WORDS_MAX] = { modeld_path(), "--http",      "",        "--listen",     "127.0.0.1:0",     "--registry",
                                     registry,      "--port-file", port_file, "--repository", MD_TEST_REPOSITORY };
    size_t count = 11;
    while (options != NULL && *options != NULL && count + 1 < WORDS_MAX)
        words[count++] = *options++;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        (void)execv(words[0], (char *const *)(uintptr_t)words);
    _exit(127);
}

/* The port, or 0 while the file is not there. It is written whole, by a rename. */
static unsigned read_port(const struct md_harness *harness)
{
    char path[MD_TEST_PATH_SIZE];
    unsigned port = 0;
    md_test_join(path, harness->folder, "port");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%u", &port) != 1)
        port = 0;
    (void)fclose(file); /* only read */
    return port;
}

static void print_log(const struct md_harness *harness)
{
    char path[MD_TEST_PATH_SIZE], line[1024];
    md_test_join(path, harness->folder, "log");
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        print_message("  modeld: %s", line);
    if (file != NULL)
        (void)fclose(file); /* only read */
}

static bool has_ended(struct md_harness *harness)
{
    if (waitpid(harness->pid, NULL, WNOHANG) == 0)
        return false;
    harness->pid = 0;
    return true;
}

/* In short waits, so that a server which dies is noticed. */
static void wait_until_serving(struct md_harness *harness, int64_t deadline_us)
{
    const struct md_client_call_options brief = { .timeout_ms = 500 };
    struct md_client_error error;
    while (md_client_wait_until_serving(harness->client, NULL, &brief, &error) != MD_CLIENT_OK)
        if (has_ended(harness) || md_clock_us() > deadline_us) {
            print_log(harness);
            fail_msg("%s does not serve: %s", modeld_path(), error.message);
        }
}

void md_harness_restart(struct md_harness *harness, const char *const *options)
{
    char port_file[MD_TEST_PATH_SIZE];
    struct md_client_error error;
    md_test_join(port_file, harness->folder, "port");
    (void)unlink(port_file); /* of the run before, if any */
    harness->pid = fork();
    assert_true(harness->pid >= 0);
    if (harness->pid == 0)
        run_server(harness, options);
    int64_t deadline_us = md_clock_us() + (int64_t)START_SECONDS * 1000000;
    unsigned port;
    while ((port = read_port(harness)) == 0) {
        if (has_ended(harness) || md_clock_us() > deadline_us) {
            print_log(harness);
            fail_msg("%s does not start", modeld_path());
        }
        (void)poll(NULL, 0, 5); /* another process's file has no event here */
    }
    (void)snprintf(harness->address, sizeof harness->address, "127.0.0.1:%u", port);
    assert_int_equal(md_client_create(harness->address, NULL, &harness->client, &error), MD_CLIENT_OK);
    wait_until_serving(harness, deadline_us);
}

void md_harness_start(struct md_harness *harness, const char *const *options)
{
    *harness = (struct md_harness){ 0 };
    md_test_make_folder(harness->folder);
    md_harness_restart(harness, options);
}

/* gRPC must be gone before the next fork: the client goes with its server. */
static int end_server(struct md_harness *harness, int signal_number)
{
    int status = 0;
    md_client_destroy(harness->client);
    harness->client = NULL;
    if (harness->pid == 0)
        return 0;
    (void)kill(harness->pid, signal_number);
    pid_t ended;
    do
        ended = waitpid(harness->pid, &status, 0);
    while (ended < 0 && errno == EINTR);
    harness->pid = 0;
    return status;
}

void md_harness_stop(struct md_harness *harness)
{
    int status = end_server(harness, SIGTERM);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        print_log(harness);
        fail_msg("the server ended with status 0x%x", (unsigned)status);
    }
}

void md_harness_kill(struct md_harness *harness)
{
    (void)end_server(harness, SIGKILL); /* its status is the signal */
}

void md_harness_cleanup(struct md_harness *harness, int failed)
{
    md_harness_kill(harness);
    if (failed)
        print_log(harness);
    md_test_remove_folder(harness->folder);
}
