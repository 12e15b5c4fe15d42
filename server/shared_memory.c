/* shared_memory.c - see shared_memory.h. */
#include "shared_memory.h"

#include "allocator.h"
#include "mutex.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct region {
    struct region *next;
    struct md_shared_region is; /* its strings are owned */
    int fd;
};

struct md_shared_memory {
    const struct md_allocator *allocator;
    struct {
        struct md_mutex lock;
        struct region *head;
        size_t count;
    } synced;
};

enum md_code md_shared_memory_create(const struct md_allocator *allocator, struct md_shared_memory **out_memory,
                                     struct md_error *error)
{
    struct md_shared_memory *memory = md_allocate_zeroed(allocator, 1, sizeof *memory);
    if (memory == NULL)
        return md_fail_memory(error, "shared memory");
    memory->allocator = allocator;
    md_mutex_init(&memory->synced.lock);
    *out_memory = memory;
    return MD_OK;
}

static void destroy_region(const struct md_allocator *allocator, struct region *region)
{
    if (region->fd >= 0)
        (void)close(region->fd); /* nothing is buffered in it */
    md_release(allocator, (void *)(uintptr_t)region->is.name);
    md_release(allocator, (void *)(uintptr_t)region->is.key);
    md_release(allocator, region);
}

void md_shared_memory_destroy(struct md_shared_memory *memory)
{
    if (memory == NULL)
        return;
    md_shared_memory_unregister(memory, "");
    md_mutex_cleanup(&memory->synced.lock);
    md_release(memory->allocator, memory);
}

/* ---- register ---- */

static enum md_code open_object(const struct md_shared_region *region, int *out_fd, struct md_error *error)
{
    struct stat status;
    const char *slash = strrchr(region->key, '/');
    if (*region->key == '\0' || (slash != NULL && slash != region->key))
        return md_fail(error, MD_INVALID_ARGUMENT, "key \"%.128s\" is no name of shared memory", region->key);
    int fd = shm_open(region->key, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return md_fail(error,
                       errno == ENOENT   ? MD_NOT_FOUND
                       : errno == EACCES ? MD_PERMISSION_DENIED
                       : errno == EMFILE ? MD_RESOURCE_EXHAUSTED
                                         : MD_INVALID_ARGUMENT,
                       "shared memory \"%.128s\" cannot be opened: %s", region->key, strerror(errno));
    uint64_t size = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
    if (region->size == 0 || region->offset > size || region->size > size - region->offset) {
        (void)close(fd);
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%" PRIu64 " bytes at offset %" PRIu64 " of shared memory \"%.128s\", which has %" PRIu64,
                       region->size, region->offset, region->key, size);
    }
    *out_fd = fd;
    return MD_OK;
}

static enum md_code make_region(const struct md_allocator *allocator, const struct md_shared_region *from,
                                struct region **out_region, struct md_error *error)
{
    struct region *region = md_allocate_zeroed(allocator, 1, sizeof *region);
    if (region == NULL)
        return md_fail_memory(error, "shared memory");
    region->is = *from;
    region->fd = -1;
    region->is.name = md_duplicate_string(allocator, from->name);
    region->is.key = md_duplicate_string(allocator, from->key);
    enum md_code code = region->is.name == NULL || region->is.key == NULL ? md_fail_memory(error, "shared memory")
                                                                         : open_object(from, &region->fd, error);
    if (code != MD_OK)
        destroy_region(allocator, region);
    else
        *out_region = region;
    return code;
}

static struct region *find_locked(struct md_shared_memory *memory, const char *name)
{
    struct region *region = memory->synced.head;
    while (region != NULL && strcmp(region->is.name, name) != 0)
        region = region->next;
    return region;
}

static enum md_code add_locked(struct md_shared_memory *memory, struct region *region, struct md_error *error)
{
    if (find_locked(memory, region->is.name) != NULL)
        return md_fail(error, MD_ALREADY_EXISTS, "shared memory region \"%.128s\" is registered already",
                       region->is.name);
    if (memory->synced.count == MD_SHARED_MEMORY_LIMIT)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "%d shared memory regions are registered, which is the limit",
                       (int)MD_SHARED_MEMORY_LIMIT);
    region->next = memory->synced.head;
    memory->synced.head = region;
    memory->synced.count++;
    return MD_OK;
}

enum md_code md_shared_memory_register(struct md_shared_memory *memory, const struct md_shared_region *from,
                                       struct md_error *error)
{
    struct region *region;
    if (*from->name == '\0')
        return md_fail(error, MD_INVALID_ARGUMENT, "the shared memory region has no name");
    MD_TRY(make_region(memory->allocator, from, &region, error));
    md_mutex_lock(&memory->synced.lock);
    enum md_code code = add_locked(memory, region, error);
    md_mutex_unlock(&memory->synced.lock);
    if (code != MD_OK)
        destroy_region(memory->allocator, region);
    return code;
}

void md_shared_memory_unregister(struct md_shared_memory *memory, const char *name)
{
    struct region *gone = NULL;
    md_mutex_lock(&memory->synced.lock);
    for (struct region **at = &memory->synced.head; *at != NULL;) {
        struct region *region = *at;
        if (*name != '\0' && strcmp(region->is.name, name) != 0) {
            at = &region->next;
            continue;
        }
        *at = region->next;
        region->next = gone;
        gone = region;
        memory->synced.count--;
    }
    md_mutex_unlock(&memory->synced.lock);
    for (struct region *next; gone != NULL; gone = next) {
        next = gone->next;
        destroy_region(memory->allocator, gone);
    }
}

/* ---- list ---- */

static bool list_locked(struct md_shared_memory *memory, const char *name, struct md_arena *arena,
                        struct md_shared_region *regions, size_t *count)
{
    for (const struct region *at = memory->synced.head; at != NULL; at = at->next) {
        if (*name != '\0' && strcmp(at->is.name, name) != 0)
            continue;
        struct md_shared_region *region = &regions[(*count)++];
        *region = at->is;
        region->name = md_arena_copy_string(arena, at->is.name, strlen(at->is.name));
        region->key = md_arena_copy_string(arena, at->is.key, strlen(at->is.key));
        if (region->name == NULL || region->key == NULL)
            return false;
    }
    return true;
}

enum md_code md_shared_memory_list(struct md_shared_memory *memory, const char *name, struct md_arena *arena,
                                   struct md_shared_region **out_regions, size_t *out_count,
                                   struct md_error *error)
{
    struct md_shared_region *regions = md_arena_allocate_zeroed(arena, MD_SHARED_MEMORY_LIMIT, sizeof *regions);
    size_t count = 0;
    if (regions == NULL)
        return md_fail_memory(error, "list of regions");
    md_mutex_lock(&memory->synced.lock);
    bool complete = list_locked(memory, name, arena, regions, &count);
    md_mutex_unlock(&memory->synced.lock);
    if (!complete)
        return md_fail_memory(error, "list of regions");
    if (*name != '\0' && count == 0)
        return md_fail(error, MD_NOT_FOUND, "unknown shared memory region \"%.128s\"", name);
    *out_regions = regions;
    *out_count = count;
    return MD_OK;
}

/* ---- bytes ---- */

/* A descriptor of the region's own object, for the caller to close, and where in it the bytes begin. */
static enum md_code open_bytes(struct md_shared_memory *memory, const char *name, uint64_t offset, uint64_t size,
                               int *out_fd, off_t *out_start, struct md_error *error)
{
    struct md_shared_region is = { 0 };
    int fd = -1;
    md_mutex_lock(&memory->synced.lock);
    const struct region *region = find_locked(memory, name);
    if (region != NULL) {
        is = region->is;
        fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 0);
    }
    md_mutex_unlock(&memory->synced.lock);
    if (region == NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "unknown shared memory region \"%.128s\"", name);
    if (fd < 0)
        return md_fail(error, MD_RESOURCE_EXHAUSTED, "no descriptor for shared memory region \"%.128s\"", name);
    if (offset > is.size || size > is.size - offset || is.offset > INT64_MAX - is.size) {
        (void)close(fd);
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "%" PRIu64 " bytes at offset %" PRIu64 " of shared memory region \"%.128s\", which has %" PRIu64,
                       size, offset, name, is.size);
    }
    *out_fd = fd;
    *out_start = (off_t)(is.offset + offset);
    return MD_OK;
}

/* The object may have been cut since it was registered: a read comes short then, and a write would grow it. */
static bool holds(int fd, off_t start, size_t size)
{
    struct stat status;
    return fstat(fd, &status) == 0 && start <= status.st_size && size <= (uint64_t)(status.st_size - start);
}

static bool read_all(int fd, off_t start, uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t got = pread(fd, bytes + at, size - at, start + (off_t)at);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return false;
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool write_all(int fd, off_t start, const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t put = pwrite(fd, bytes + at, size - at, start + (off_t)at);
        if (put <= 0 && !(put < 0 && errno == EINTR))
            return false;
        at += put > 0 ? (size_t)put : 0;
    }
    return true;
}

static enum md_code fail_cut(const char *name, struct md_error *error)
{
    return md_fail(error, MD_INVALID_ARGUMENT,
                   "shared memory region \"%.128s\" is shorter than when it was registered", name);
}

enum md_code md_shared_memory_read(struct md_shared_memory *memory, const char *name, uint64_t offset,
                                   uint64_t size, struct md_arena *arena, uint8_t **out_bytes,
                                   struct md_error *error)
{
    int fd;
    off_t start;
    MD_TRY(open_bytes(memory, name, offset, size, &fd, &start, error));
    bool is_there = holds(fd, start, size); /* before memory is taken for it */
    uint8_t *bytes = is_there ? md_arena_allocate(arena, size) : NULL;
    bool is_read = bytes != NULL && read_all(fd, start, bytes, size);
    (void)close(fd); /* nothing is buffered in it */
    if (is_there && bytes == NULL)
        return md_fail_memory(error, "tensor");
    if (!is_read)
        return fail_cut(name, error);
    *out_bytes = bytes;
    return MD_OK;
}

enum md_code md_shared_memory_write(struct md_shared_memory *memory, const char *name, uint64_t offset,
                                    const uint8_t *bytes, size_t size, struct md_error *error)
{
    int fd;
    off_t start;
    MD_TRY(open_bytes(memory, name, offset, size, &fd, &start, error));
    bool is_written = holds(fd, start, size) && write_all(fd, start, bytes, size);
    (void)close(fd); /* nothing is buffered in it */
    return is_written ? MD_OK : fail_cut(name, error);
}
