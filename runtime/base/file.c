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

enum md_code md_file_map(const char *path, struct md_file_mapping *out_mapping, struct md_error *error)
{
    int fd;
    size_t size;
    MD_TRY(open_regular(path, &fd, &size, error));
    void *bytes = NULL;
    if (size > 0) {
        bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (bytes == MAP_FAILED) {
            enum md_code code =
                md_fail(error, MD_INTERNAL, "cannot map file \"%s\" of %zu bytes: %s", path, size, strerror(errno));
            (void)close(fd); /* nothing was written */
            return code;
        }
    }
    (void)close(fd); /* the mapping stays */
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
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, bytes + have, size - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            code = md_fail(error, MD_INTERNAL, "cannot read file \"%s\": %s", path, strerror(errno));
            goto done;
        }
        if (got == 0)
            break; /* the file shrank under us: what is there is what counts */
        have += (size_t)got;
    }
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
