/* md_test.c - see md_test.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct md_faulty_allocator *faulty_of(const struct md_allocator *self)
{
    return (struct md_faulty_allocator *)(uintptr_t)self; /* the allocator is the first member */
}

/* True when this allocation is to fail. Exactly one caller sees the step from 0, also with threads. */
static bool count_down(struct md_faulty_allocator *faulty)
{
    long left = atomic_load(&faulty->countdown);
    while (left > 0 || (left == 0 && faulty->once))
        if (atomic_compare_exchange_weak(&faulty->countdown, &left, left - 1))
            return left == 0;
    return left == 0;
}

static void *faulty_allocate(const struct md_allocator *self, size_t size)
{
    struct md_faulty_allocator *faulty = faulty_of(self);
    if (count_down(faulty)) {
        atomic_fetch_add(&faulty->failed, 1);
        return NULL;
    }
    void *memory = md_allocate(md_process_allocator(), size);
    if (memory == NULL)
        return NULL;
    memset(memory, 0xA5, size);
    atomic_fetch_add(&faulty->live, 1);
    return memory;
}

static void faulty_release(const struct md_allocator *self, void *memory)
{
    atomic_fetch_sub(&faulty_of(self)->live, 1);
    md_release(md_process_allocator(), memory);
}

const struct md_allocator *md_faulty(struct md_faulty_allocator *faulty)
{
    faulty->allocator = (struct md_allocator){ faulty_allocate, faulty_release };
    return &faulty->allocator;
}

void md_faulty_init(struct md_faulty_allocator *faulty, long countdown)
{
    atomic_init(&faulty->countdown, countdown);
    atomic_init(&faulty->live, 0);
    atomic_init(&faulty->failed, 0);
    faulty->once = false;
    (void)md_faulty(faulty); /* the caller has the address already */
}

void md_test_make_folder(char out_path[MD_TEST_PATH_SIZE])
{
    const char *base = getenv("TMPDIR");
    md_test_join(out_path, base != NULL ? base : "/tmp", "md_test_XXXXXX");
    if (mkdtemp(out_path) == NULL)
        fail_msg("cannot make folder \"%s\": %s", out_path, strerror(errno));
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void md_test_remove_folder(const char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        fail_msg("cannot remove folder \"%s\": %s", path, strerror(errno));
}

void md_test_join(char out_path[MD_TEST_PATH_SIZE], const char *folder, const char *name)
{
    int size = snprintf(out_path, MD_TEST_PATH_SIZE, "%s/%s", folder, name);
    if (size < 0 || size >= MD_TEST_PATH_SIZE)
        fail_msg("path \"%s/%s\" has %d bytes, limit is %d", folder, name, size, MD_TEST_PATH_SIZE - 1);
}

void md_test_write_file(const char *path, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        fail_msg("cannot create file \"%s\": %s", path, strerror(errno));
    ssize_t written = size == 0 ? 0 : write(fd, bytes, size);
    if (close(fd) != 0 || written < 0 || (size_t)written != size)
        fail_msg("cannot write %zu bytes to file \"%s\"", size, path);
}

void md_test_mkdir(const char *path)
{
    if (mkdir(path, 0700) != 0)
        fail_msg("cannot make folder \"%s\": %s", path, strerror(errno));
}
