/* file.c - see file.h. */
#include "file.h"

#include "allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum md_code open_regular(const char *path, int *out_fd, size_t *out_size, struct md_error *error)
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
    *out_size = (size_t)status.st_size;
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
    size_t size;
    MD_TRY(open_regular(path, &fd, &size, error));
    char *bytes = NULL;
    enum md_code code = MD_OK;
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
    (void)close(fd); /* only read from */
    if (code != MD_OK) {
        if (bytes != NULL)
            (void)munmap(bytes, size); /* our own mapping */
        return code;
    }
    if (bytes != NULL)
        (void)mprotect(bytes, size, PROT_READ); /* a guard against our own bugs only */
    *out_mapping = (struct md_file_mapping){ bytes, size };
    return MD_OK;
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
    size_t size;
    MD_TRY(open_regular(path, &fd, &size, error));
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
