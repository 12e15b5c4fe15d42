/* sha256.c - see sha256.h. First the names are collected and sorted, then each file is streamed through one
 * digest and its line "<hex>  <name>\n" goes into the other. Names live in an arena for the call. */
#include "sha256.h"

#include "arena.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_DEPTH = 16, BUFFER_SIZE = 64 * 1024, DIGEST_SIZE = 32 };

struct folder_walk {
    struct md_arena arena;
    const char *root;   /* resolved: no links in it */
    const char **names; /* relative to root; grows by doubling */
    size_t count;
    size_t capacity;
    struct md_error *error;
};

static enum md_code fail_errno(struct md_error *error, const char *tried, const char *path)
{
    return md_fail(error,
                   errno == ENOENT   ? MD_NOT_FOUND
                   : errno == ENOMEM ? MD_RESOURCE_EXHAUSTED
                                     : MD_INTERNAL,
                   "cannot %s \"%s\": %s", tried, path, strerror(errno));
}

static enum md_code add_name(struct folder_walk *walk, const char *name)
{
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity == 0 ? 16 : walk->capacity * 2;
        const char **names = md_arena_allocate_zeroed(&walk->arena, capacity, sizeof *names);
        if (names == NULL)
            return md_fail_memory(walk->error, "names of the files of a version");
        if (walk->count > 0)
            memcpy(names, walk->names, walk->count * sizeof *names);
        walk->names = names;
        walk->capacity = capacity;
    }
    walk->names[walk->count++] = name;
    return MD_OK;
}

static bool name_is_plain(const char *name)
{
    for (; *name != '\0'; name++)
        if ((unsigned char)*name < 0x20 || *name == 0x7F || *name == '\\')
            return false;
    return true;
}

/* Resolves a link to what it points to and checks that this is below the root. */
static enum md_code check_link(struct folder_walk *walk, const char *name, const char *full)
{
    char resolved[PATH_MAX];
    if (realpath(full, resolved) == NULL)
        return md_fail(walk->error, MD_INVALID_ARGUMENT,
                       "symbolic link \"%s\" in \"%s\" cannot be followed: %s", name, walk->root,
                       strerror(errno));
    size_t size = strlen(walk->root);
    if (strncmp(resolved, walk->root, size) != 0 || (resolved[size] != '/' && resolved[size] != '\0'))
        return md_fail(walk->error, MD_INVALID_ARGUMENT,
                       "symbolic link \"%s\" leaves \"%s\": it points to \"%s\"", name, walk->root, resolved);
    return MD_OK;
}

static enum md_code collect(struct folder_walk *walk, const char *folder, int depth);

/* `name` is relative to the root. */
static enum md_code collect_entry(struct folder_walk *walk, const char *name, int depth)
{
    const char *full = md_arena_printf(&walk->arena, "%s/%s", walk->root, name);
    if (full == NULL)
        return md_fail_memory(walk->error, "names of the files of a version");
    struct stat status;
    if (lstat(full, &status) != 0)
        return fail_errno(walk->error, "look at", full);
    if (S_ISLNK(status.st_mode)) {
        MD_TRY(check_link(walk, name, full));
        if (stat(full, &status) != 0)
            return fail_errno(walk->error, "look at", full);
    }
    if (S_ISDIR(status.st_mode))
        return collect(walk, name, depth + 1);
    if (!S_ISREG(status.st_mode))
        return md_fail(walk->error, MD_INVALID_ARGUMENT, "\"%s\" is neither a file nor a folder", full);
    return add_name(walk, name);
}

/* `folder` is relative to the root, "" for the root itself. */
static enum md_code collect(struct folder_walk *walk, const char *folder, int depth)
{
    if (depth > MAX_DEPTH)
        return md_fail(walk->error, MD_INVALID_ARGUMENT, "folder \"%s\" in \"%s\" is nested deeper than %d",
                       folder, walk->root, MAX_DEPTH);
    const char *full = md_arena_printf(&walk->arena, "%s/%s", walk->root, folder);
    if (full == NULL)
        return md_fail_memory(walk->error, "names of the files of a version");
    DIR *stream = opendir(full);
    if (stream == NULL)
        return fail_errno(walk->error, "open folder", full);
    enum md_code code = MD_OK;
    while (code == MD_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0)
                code = fail_errno(walk->error, "read folder", full);
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (md_file_is_packed(entry->d_name)) /* ours: it comes and goes with loads */
            continue;
        const char *name =
            md_arena_printf(&walk->arena, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", entry->d_name);
        if (name == NULL)
            code = md_fail_memory(walk->error, "names of the files of a version");
        else if (!name_is_plain(name))
            code = md_fail(walk->error, MD_INVALID_ARGUMENT,
                           "a file in \"%s\" has a control character or a backslash in its name", full);
        else
            code = collect_entry(walk, name, depth);
    }
    (void)closedir(stream); /* only read from */
    return code;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static enum md_code fail_digest(struct md_error *error)
{
    return md_fail(error, MD_INTERNAL, "OpenSSL cannot compute SHA-256");
}

/* Restarts `digest` and feeds it the whole file. */
static enum md_code digest_file(struct folder_walk *walk, const char *full, EVP_MD_CTX *digest,
                                unsigned char *buffer, uint64_t *size_bytes)
{
    int fd =
        open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not blocked by a FIFO that took the file's place */
    if (fd < 0)
        return fail_errno(walk->error, "open file", full);
    enum md_code code = EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 ? MD_OK : fail_digest(walk->error);
    while (code == MD_OK) {
        ssize_t size = read(fd, buffer, BUFFER_SIZE);
        if (size == 0)
            break;
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0) {
            code = fail_errno(walk->error, "read file", full);
            break;
        }
        *size_bytes += (uint64_t)size;
        if (EVP_DigestUpdate(digest, buffer, (size_t)size) != 1)
            code = fail_digest(walk->error);
    }
    (void)close(fd); /* only read from */
    return code;
}

static enum md_code finish_hex(EVP_MD_CTX *digest, char hex[MD_SHA256_HEX_SIZE], struct md_error *error)
{
    unsigned char bytes[DIGEST_SIZE];
    if (EVP_DigestFinal_ex(digest, bytes, NULL) != 1)
        return fail_digest(error);
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    hex[MD_SHA256_HEX_SIZE - 1] = '\0';
    return MD_OK;
}

static enum md_code digest_all(struct folder_walk *walk, EVP_MD_CTX *lines, EVP_MD_CTX *file,
                               uint64_t *size_bytes)
{
    unsigned char *buffer = md_arena_allocate(&walk->arena, BUFFER_SIZE);
    if (buffer == NULL)
        return md_fail_memory(walk->error, "buffer to read files");
    if (EVP_DigestInit_ex(lines, EVP_sha256(), NULL) != 1)
        return fail_digest(walk->error);
    for (size_t i = 0; i < walk->count; i++) {
        char hex[MD_SHA256_HEX_SIZE];
        const char *full = md_arena_printf(&walk->arena, "%s/%s", walk->root, walk->names[i]);
        if (full == NULL)
            return md_fail_memory(walk->error, "names of the files of a version");
        MD_TRY(digest_file(walk, full, file, buffer, size_bytes));
        MD_TRY(finish_hex(file, hex, walk->error));
        if (EVP_DigestUpdate(lines, hex, strlen(hex)) != 1 || EVP_DigestUpdate(lines, "  ", 2) != 1 ||
            EVP_DigestUpdate(lines, walk->names[i], strlen(walk->names[i])) != 1 ||
            EVP_DigestUpdate(lines, "\n", 1) != 1)
            return fail_digest(walk->error);
    }
    return MD_OK;
}

enum md_code md_sha256_directory(const struct md_allocator *allocator, const char *path,
                                 char out_hex[MD_SHA256_HEX_SIZE], uint64_t *out_size_bytes,
                                 struct md_error *error)
{
    char root[PATH_MAX];
    if (realpath(path, root) == NULL)
        return fail_errno(error, "open folder", path);
    struct stat status;
    if (stat(root, &status) != 0)
        return fail_errno(error, "open folder", path);
    if (!S_ISDIR(status.st_mode))
        return md_fail(error, MD_INVALID_ARGUMENT, "\"%s\" is not a folder", path);
    struct folder_walk walk = { .root = root, .error = error };
    md_arena_init(&walk.arena, allocator, 0);
    EVP_MD_CTX *lines = EVP_MD_CTX_new();
    EVP_MD_CTX *file = EVP_MD_CTX_new();
    uint64_t size_bytes = 0;
    enum md_code code =
        lines == NULL || file == NULL ? md_fail_memory(error, "SHA-256 digest") : collect(&walk, "", 0);
    if (code == MD_OK && walk.count > 1)
        qsort(walk.names, walk.count, sizeof *walk.names, compare_names);
    if (code == MD_OK)
        code = digest_all(&walk, lines, file, &size_bytes);
    if (code == MD_OK)
        code = finish_hex(lines, out_hex, error);
    if (code == MD_OK)
        *out_size_bytes = size_bytes;
    EVP_MD_CTX_free(file);
    EVP_MD_CTX_free(lines);
    md_arena_cleanup(&walk.arena);
    return code;
}
