/* harness.h - a real modeld for a cmocka test: a process of its own, on a free port, in a folder of its own.
 * Every function fails the running test when it cannot do its work. Threads: the test's thread. */
#ifndef MD_HARNESS_H
#define MD_HARNESS_H

#include "md_test.h"
#include "modeld/client.h"

#include <sys/types.h>

struct md_harness {
    char folder[MD_TEST_PATH_SIZE];
    char address[64]; /* "127.0.0.1:PORT" */
    pid_t pid;        /* 0: not running */
    struct md_client *client;
};

/* Makes the folder, starts the server with `options` (NULL-terminated, may be NULL) and waits until it
 * serves. */
void md_harness_start(struct md_harness *harness, const char *const *options);
/* Starts it again in the same folder, after md_harness_stop or md_harness_kill. */
void md_harness_restart(struct md_harness *harness, const char *const *options);
/* SIGTERM; fails unless the server ends with 0. */
void md_harness_stop(struct md_harness *harness);
void md_harness_kill(struct md_harness *harness);
/* Kills what still runs, prints its log if `failed`, and removes the folder. */
void md_harness_cleanup(struct md_harness *harness, int failed);

#endif
