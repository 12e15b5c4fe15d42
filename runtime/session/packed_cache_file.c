/* packed_cache_file.c - see packed_cache_file.h. */
#include "packed_cache_file.h"

#include "allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_STATIC_LINKING_ONLY /* the state of a checksum without malloc */
#include <xxhash.h>

struct header {
    char magic[8];
    uint64_t checksum; /* XXH3 of everything behind it */
    uint64_t metadata_size;
};

static const char magic[8] = { 'M', 'D', 'P', 'A', 'C', 'K', '0', '1' };
enum { CHECKED_FROM = offsetof(struct header, metadata_size) };

static size_t content_offset(size_t metadata_size)
{
    return (sizeof(struct header) + metadata_size + MD_ALIGNMENT - 1) & ~(size_t)(MD_ALIGNMENT - 1);
}

bool md_packed_file_split(const struct md_file_mapping *mapping, struct md_span *out_metadata,
                          struct md_span *out_content)
{
    struct header header;
    if (mapping->size < sizeof header)
        return false;
    memcpy(&header, mapping->bytes, sizeof header);
    if (memcmp(header.magic, magic, sizeof magic) != 0 || header.metadata_size > mapping->size - sizeof header)
        return false;
    const size_t metadata_size = (size_t)header.metadata_size, offset = content_offset(metadata_size);
    const char *bytes = mapping->bytes;
    *out_metadata = (struct md_span){ bytes + sizeof header, metadata_size };
    *out_content = offset <= mapping->size ? (struct md_span){ bytes + offset, mapping->size - offset } :
                                             (struct md_span){ bytes, 0 };
    return true;
}

bool md_packed_file_is_whole(const struct md_file_mapping *mapping)
{
    struct header header;
    memcpy(&header, mapping->bytes, sizeof header);
    return XXH3_64bits((const char *)mapping->bytes + CHECKED_FROM, mapping->size - CHECKED_FROM) == header.checksum;
}

/* ---- writing ---- */
struct writer {
    int fd;
    XXH3_state_t checksum;
};

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, bytes, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        bytes += written;
        size -= (size_t)written;
    }
    return true;
}

static bool put(struct writer *writer, const void *bytes, size_t size)
{
    return XXH3_64bits_update(&writer->checksum, bytes, size) == XXH_OK && write_all(writer->fd, bytes, size);
}

/* With zeros up to the next multiple of MD_ALIGNMENT. */
static bool put_padded(struct writer *writer, const void *bytes, size_t size, size_t offset)
{
    static const char zeros[MD_ALIGNMENT];
    return put(writer, bytes, size) && put(writer, zeros, (0 - (offset + size)) % MD_ALIGNMENT);
}

static bool write_contents(struct writer *writer, const struct md_packed_file *file)
{
    struct header header = { .metadata_size = file->metadata.size };
    memcpy(header.magic, magic, sizeof magic);
    const off_t total = (off_t)(content_offset(file->metadata.size) + file->content_size);
    if (fallocate(writer->fd, 0, 0, total) != 0 && errno != EOPNOTSUPP)
        return false; /* better known before the long write */
    if (XXH3_64bits_reset(&writer->checksum) != XXH_OK || !write_all(writer->fd, (const char *)&header, CHECKED_FROM) ||
        !put(writer, &header.metadata_size, sizeof header.metadata_size) ||
        !put_padded(writer, file->metadata.bytes, file->metadata.size, sizeof header))
        return false;
    for (size_t i = 0; i < file->piece_count; i++)
        if (!put_padded(writer, file->pieces[i].bytes, file->pieces[i].size, 0))
            return false;
    header.checksum = XXH3_64bits_digest(&writer->checksum);
    return pwrite(writer->fd, &header, sizeof header, 0) == (ssize_t)sizeof header;
}

/* A part that a crash has left is taken over; one that is being written is locked. -1: it is, or it cannot be made. */
static int open_part(const char *path)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    int fd = open(path, flags, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno == EACCES && unlink(path) == 0)
        fd = open(path, flags | O_EXCL, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return -1;
    struct stat mine, there;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &mine) == 0 && stat(path, &there) == 0 &&
        mine.st_ino == there.st_ino && mine.st_dev == there.st_dev && S_ISREG(mine.st_mode) && ftruncate(fd, 0) == 0)
        return fd; /* locked before another writer could rename it */
    (void)close(fd); /* nothing was written */
    return -1;
}

bool md_packed_file_write(const struct md_packed_file *file, const char *part_path, const char *path)
{
    struct writer writer = { .fd = open_part(part_path) };
    if (writer.fd < 0)
        return false;
    bool good = write_contents(&writer, file) && fsync(writer.fd) == 0 &&
                fchmod(writer.fd, S_IRUSR | S_IRGRP | S_IROTH) == 0 && rename(part_path, path) == 0;
    if (!good)
        (void)unlink(part_path); /* the next writer would take it over */
    (void)close(writer.fd); /* fsync has said what there was to say */
    return good;
}
