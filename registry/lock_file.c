/* lock_file.c - see lock_file.h. */
#include "lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* The holder wrote its process number into the file; it is only there for people. */
static enum md_code fail_held(int fd, const char *path, struct md_error *error)
{
    char holder[32];
    ssize_t size = pread(fd, holder, sizeof holder - 1, 0);
    holder[size > 0 ? size : 0] = '\0';
    holder[strspn(holder, "0123456789")] = '\0';
    return md_fail(error, MD_FAILED_PRECONDITION, "registry \"%s\" is already open in process %s", path,
                   holder[0] != '\0' ? holder : "of unknown number");
}

enum md_code md_lock_file_open(const char *file, const char *path, int *out_fd, struct md_error *error)
{
    char name[PATH_MAX];
    int length = snprintf(name, sizeof name, "%s.lock", file);
    if (length < 0 || (size_t)length >= sizeof name)
        return md_fail(error, MD_INVALID_ARGUMENT, "path of registry has %d bytes, limit is %zu: \"%s\"",
                       length, sizeof name - 1, path);
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return md_fail(error, MD_INTERNAL, "cannot open lock file \"%s\": %s", name, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        enum md_code code = errno == EWOULDBLOCK ? fail_held(fd, path, error)
                                                 : md_fail(error, MD_INTERNAL, "cannot lock file \"%s\": %s",
                                                           name, strerror(errno));
        (void)close(fd); /* nothing was written */
        return code;
    }
    if (ftruncate(fd, 0) == 0)
        (void)dprintf(fd, "%ld\n", (long)getpid()); /* without the number the lock still holds */
    *out_fd = fd;
    return MD_OK;
}

void md_lock_file_close(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* drops the lock */
}
