/* file.c - see file.h. */
#include "file.h"

#include "allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Time stamps of files are as coarse as the kernel's tick: of a file changed a moment ago they do not say whether it
 * has been changed again. Two ticks at 100 Hz. */
enum { COARSE_CLOCK_NS = 20 * 1000 * 1000 };

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static struct md_file_identity identity_of(const struct stat *status)
{
    return (struct md_file_identity){ .size = (uint64_t)status->st_size,
                                      .inode = (uint64_t)status->st_ino,
                                      .modified_ns = nanoseconds(status->st_mtim),
                                      .changed_ns = nanoseconds(status->st_ctim) };
}

bool md_file_identity_equal(const struct md_file_identity *a, const struct md_file_identity *b)
{
    return a->size == b->size && a->inode == b->inode && a->modified_ns == b->modified_ns &&
           a->changed_ns == b->changed_ns;
}

bool md_file_identify(const char *path, struct md_file_identity *out_identity)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    *out_identity = identity_of(&status);
    return true;
}

bool md_file_is_packed(const char *name)
{
    const char *part = MD_PACKED_SUFFIX MD_PACKED_PART_SUFFIX;
    const size_t size = strlen(name), suffix = strlen(MD_PACKED_SUFFIX), part_suffix = strlen(part);
    return (size > suffix && strcmp(name + size - suffix, MD_PACKED_SUFFIX) == 0) ||
           (size > part_suffix && strcmp(name + size - part_suffix, part) == 0);
}

static enum md_code open_regular(const char *path, int *out_fd, struct stat *out_status, struct md_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return md_fail(error, errno == ENOENT || errno == ENOTDIR ? MD_NOT_FOUND : MD_INTERNAL,
                       "cannot open file \"%s\": %s", path, strerror(errno));
    struct stat status;
    if (fstat(fd, &status) != 0) {
        enum md_code code = md_fail(error, MD_INTERNAL, "cannot stat file \"%s\": %s", path, strerror(errno));
        (void)close(fd); /* nothing was written */
        return code;
    }
    if (!S_ISREG(status.st_mode)) {
        (void)close(fd); /* nothing was written */
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is not a regular file", path);
    }
    *out_fd = fd;
    *out_status = status;
    return MD_OK;
}

/* Reads up to `size` bytes; *out_have is less when the file shrank under us. */
static enum md_code read_all(int fd, const char *path, char *bytes, size_t size, size_t *out_have,
                             struct md_error *error)
{
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, bytes + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return md_fail(error, MD_INTERNAL, "cannot read file \"%s\": %s", path, strerror(errno));
        if (got == 0)
            break;
        have += (size_t)got;
    }
    *out_have = have;
    return MD_OK;
}

/* The pages are our own and not the file's: whoever overwrites or cuts a model file in place would otherwise change,
 * or kill (SIGBUS), the version that is being served from it. */
enum md_code md_file_map(const char *path, struct md_file_mapping *out_mapping, struct md_error *error)
{
    int fd;
    struct stat before, after;
    MD_TRY(open_regular(path, &fd, &before, error));
    const size_t size = (size_t)before.st_size;
    const struct md_file_identity identity = identity_of(&before);
    struct timespec now = { 0 };
    char *bytes = NULL;
    enum md_code code = MD_OK;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* the clock exists */
    if (size > 0) {
        bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        size_t have = 0;
        if (bytes == MAP_FAILED) {
            bytes = NULL;
            code = md_fail(error, MD_RESOURCE_EXHAUSTED, "out of memory: file \"%s\" of %zu bytes: %s", path, size,
                           strerror(errno));
        } else {
            code = read_all(fd, path, bytes, size, &have, error);
        }
        if (code == MD_OK && have < size)
            code = md_fail(error, MD_INVALID_ARGUMENT, "file \"%s\" shrank from %zu to %zu bytes while it was read", path,
                           size, have);
    }
    bool settled = nanoseconds(now) - identity.changed_ns > COARSE_CLOCK_NS;
    if (settled && fstat(fd, &after) == 0) {
        const struct md_file_identity now_identity = identity_of(&after);
        settled = md_file_identity_equal(&identity, &now_identity);
    }
    (void)close(fd); /* only read from */
    if (code != MD_OK) {
        if (bytes != NULL)
            (void)munmap(bytes, size); /* our own mapping */
        return code;
    }
    if (bytes != NULL)
        (void)mprotect(bytes, size, PROT_READ); /* a guard against our own bugs only */
    *out_mapping =
        (struct md_file_mapping){ .bytes = bytes, .size = size, .identity = identity, .settled = settled };
    return MD_OK;
}

enum { HUGE_PAGE = 2 << 20 };

/* At a multiple of a huge page: only there can the kernel map a large piece of the page cache as one. */
static void *map_aligned(int fd, size_t size)
{
    if (size > PTRDIFF_MAX - HUGE_PAGE)
        return NULL;
    const size_t reserved = (size + HUGE_PAGE + 4095) & ~(size_t)4095;
    unsigned char *room = mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return NULL;
    unsigned char *start = room + (HUGE_PAGE - (uintptr_t)room % HUGE_PAGE) % HUGE_PAGE;
    const size_t mapped = (size + 4095) & ~(size_t)4095;
    void *bytes = mmap(start, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
    if (start > room)
        (void)munmap(room, (size_t)(start - room)); /* our own room */
    if (start + mapped < room + reserved)
        (void)munmap(start + mapped, (size_t)(room + reserved - start) - mapped); /* likewise */
    if (bytes == MAP_FAILED) {
        (void)munmap(start, mapped); /* likewise */
        return NULL;
    }
    (void)madvise(bytes, size, MADV_HUGEPAGE); /* a wish: without it all works, slower */
#if defined(MADV_POPULATE_READ)
    (void)madvise(bytes, size, MADV_POPULATE_READ); /* likewise */
#endif
    return bytes;
}

bool md_file_map_in_place(const char *path, struct md_file_mapping *out_mapping)
{
    int fd;
    struct stat status;
    if (open_regular(path, &fd, &status, NULL) != MD_OK)
        return false;
    void *bytes = status.st_size > 0 ? map_aligned(fd, (size_t)status.st_size) : NULL;
    (void)close(fd); /* only read from */
    if (bytes == NULL)
        return false;
    *out_mapping =
        (struct md_file_mapping){ .bytes = bytes, .size = (size_t)status.st_size, .identity = identity_of(&status) };
    return true;
}

size_t md_file_release_pages(const struct md_file_mapping *mapping, size_t offset, size_t size)
{
    const uintptr_t base = (uintptr_t)mapping->bytes; /* of a page */
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t begin = (offset + page - 1) / page * page;
    /* The rest of the last page is no part of the file. */
    const size_t end = offset + size == mapping->size ? (mapping->size + page - 1) / page * page :
                                                        (offset + size) / page * page;
    if (begin >= end || madvise((void *)(base + begin), end - begin, MADV_DONTNEED) != 0)
        return 0;
    return (end < mapping->size ? end : mapping->size) - begin;
}

void md_file_unmap(struct md_file_mapping *mapping)
{
    if (mapping->bytes != NULL)
        (void)munmap((void *)(uintptr_t)mapping->bytes, mapping->size); /* our own mapping */
    *mapping = (struct md_file_mapping){ 0 };
}

enum md_code md_file_read(const struct md_allocator *allocator, const char *path, size_t limit, char **out_bytes,
                          size_t *out_size, struct md_error *error)
{
    int fd;
    struct stat status;
    MD_TRY(open_regular(path, &fd, &status, error));
    const size_t size = (size_t)status.st_size;
    char *bytes = NULL;
    enum md_code code = MD_OK;
    if (size > limit) {
        code = md_fail(error, MD_INVALID_ARGUMENT, "file \"%s\" has %zu bytes, limit is %zu", path, size, limit);
        goto done;
    }
    bytes = md_allocate(allocator, size + 1);
    if (bytes == NULL) {
        code = md_fail_memory(error, path);
        goto done;
    }
    size_t have;
    code = read_all(fd, path, bytes, size, &have, error);
    if (code != MD_OK)
        goto done;
    bytes[have] = '\0';
    *out_bytes = bytes;
    *out_size = have;
    bytes = NULL;
done:
    md_release(allocator, bytes);
    (void)close(fd); /* only read from */
    return code;
}

bool md_file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}
