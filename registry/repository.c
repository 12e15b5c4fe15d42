/* repository.c - see repository.h. */
#include "repository.h"

#include "arena.h"
#include "nearest_name.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LISTED_LIMIT = 16 }; /* models or versions that a message lists */

static bool is_alphanumeric(char letter)
{
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9');
}

enum md_code md_model_name_check(const char *name, struct md_error *error)
{
    size_t size = strlen(name);
    if (size == 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "model name is empty");
    if (size > MD_MODEL_NAME_LIMIT)
        return md_fail(error, MD_INVALID_ARGUMENT, "model name has %zu bytes, limit is %d", size,
                       MD_MODEL_NAME_LIMIT);
    for (size_t i = 0; i < size; i++) {
        if (is_alphanumeric(name[i]) || (i > 0 && strchr("._-", name[i]) != NULL))
            continue;
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "model name has byte 0x%02X at offset %zu; allowed are A-Z a-z 0-9%s",
                       (unsigned)(unsigned char)name[i], i, i > 0 ? " . _ -" : " at the start");
    }
    if (strstr(name, "..") != NULL)
        return md_fail(error, MD_INVALID_ARGUMENT, "model name \"%s\" has \"..\"", name);
    return MD_OK;
}

/* An array of one element size that grows in an arena. */
struct growing {
    struct md_arena *arena;
    void *items;
    size_t item_size;
    size_t count;
    size_t capacity;
};

static enum md_code append(struct growing *list, const void *item, struct md_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        void *items = md_arena_allocate_zeroed(list->arena, capacity, list->item_size);
        if (items == NULL)
            return md_fail_memory(error, "list of a repository folder");
        if (list->count > 0)
            memcpy(items, list->items, list->count * list->item_size);
        list->items = items;
        list->capacity = capacity;
    }
    memcpy((char *)list->items + list->count * list->item_size, item, list->item_size);
    list->count++;
    return MD_OK;
}

/* Appends `name` to the list if it is wanted there. */
typedef enum md_code (*take_name_fn)(struct growing *list, const char *name, struct md_error *error);

static enum md_code take_model(struct growing *list, const char *name, struct md_error *error)
{
    if (md_model_name_check(name, NULL) != MD_OK)
        return MD_OK;
    const char *copy = md_arena_copy_string(list->arena, name, strlen(name));
    return copy == NULL ? md_fail_memory(error, "name of a model") : append(list, &copy, error);
}

static enum md_code take_version(struct growing *list, const char *name, struct md_error *error)
{
    size_t digits = strspn(name, "0123456789");
    if (name[0] == '0' || digits == 0 || name[digits] != '\0')
        return MD_OK;
    errno = 0;
    uint64_t version = strtoull(name, NULL, 10);
    if (errno != 0 || version > INT64_MAX) /* the registry stores it as a signed number */
        return MD_OK;
    return append(list, &version, error);
}

static bool is_folder(DIR *stream, const struct dirent *entry)
{
    struct stat status;
    return fstatat(dirfd(stream), entry->d_name, &status, 0) == 0 && S_ISDIR(status.st_mode);
}

/* Gives the name of every folder in the open `stream` to `take`, and closes the stream. */
static enum md_code read_folders(DIR *stream, const char *path, take_name_fn take, struct growing *list,
                                 struct md_error *error)
{
    enum md_code code = MD_OK;
    while (code == MD_OK) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            if (errno != 0)
                code = md_fail(error, MD_INTERNAL, "cannot read folder \"%s\": %s", path, strerror(errno));
            break;
        }
        if (is_folder(stream, entry))
            code = take(list, entry->d_name, error);
    }
    (void)closedir(stream); /* only read from */
    return code;
}

static int compare_names(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int compare_versions(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

enum md_code md_repository_list_models(const char *repository, struct md_arena *arena,
                                       const char *const **out_names, size_t *out_count,
                                       struct md_error *error)
{
    DIR *stream = opendir(repository);
    if (stream == NULL)
        return md_fail(error, MD_FAILED_PRECONDITION, "cannot open model repository \"%s\": %s", repository,
                       strerror(errno));
    struct growing list = { .arena = arena, .item_size = sizeof(const char *) };
    MD_TRY(read_folders(stream, repository, take_model, &list, error));
    if (list.count > 1)
        qsort(list.items, list.count, list.item_size, compare_names);
    *out_names = list.items;
    *out_count = list.count;
    return MD_OK;
}

static enum md_code fail_unknown_model(const char *repository, const char *model, struct md_arena *arena,
                                       struct md_error *error)
{
    const char *const *names = NULL;
    size_t count = 0;
    MD_TRY(md_repository_list_models(repository, arena, &names, &count, error));
    const char *nearest = md_nearest_name(model, names, count);
    if (nearest != NULL)
        return md_fail(error, MD_NOT_FOUND, "unknown model \"%s\"; did you mean \"%s\"?", model, nearest);
    if (count == 0)
        return md_fail(error, MD_NOT_FOUND, "unknown model \"%s\"; the repository has none", model);
    char listed[256];
    size_t used = 0;
    size_t shown = 0;
    for (; shown < count && shown < LISTED_LIMIT; shown++) {
        size_t need = strlen(names[shown]) + (shown > 0 ? 2 : 0);
        if (used + need >= sizeof listed)
            break;
        used += (size_t)snprintf(listed + used, sizeof listed - used, "%s%s", shown > 0 ? ", " : "",
                                 names[shown]);
    }
    return md_fail(error, MD_NOT_FOUND, "unknown model \"%s\"; the repository has %s%s", model, listed,
                   shown < count ? ", ..." : "");
}

enum md_code md_repository_list_versions(const char *repository, const char *model, struct md_arena *arena,
                                         uint64_t **out_versions, size_t *out_count, struct md_error *error)
{
    MD_TRY(md_model_name_check(model, error));
    const char *path = md_arena_printf(arena, "%s/%s", repository, model);
    if (path == NULL)
        return md_fail_memory(error, "path of a model");
    DIR *stream = opendir(path);
    if (stream == NULL && (errno == ENOENT || errno == ENOTDIR))
        return fail_unknown_model(repository, model, arena, error);
    if (stream == NULL)
        return md_fail(error, MD_INTERNAL, "cannot open folder \"%s\": %s", path, strerror(errno));
    struct growing list = { .arena = arena, .item_size = sizeof(uint64_t) };
    MD_TRY(read_folders(stream, path, take_version, &list, error));
    if (list.count > 1)
        qsort(list.items, list.count, list.item_size, compare_versions);
    *out_versions = list.items;
    *out_count = list.count;
    return MD_OK;
}

/* Lists the highest ones: those that a caller is likely to want. */
static enum md_code fail_unknown_version(const char *model, uint64_t version, const uint64_t *versions,
                                         size_t count, struct md_error *error)
{
    if (count == 0)
        return md_fail(error, MD_NOT_FOUND,
                       "model \"%s\" has no versions: its folder holds no folder named by a number", model);
    char listed[LISTED_LIMIT * 22 + 1]; /* 20 digits and ", " */
    size_t used = 0;
    size_t first = count > LISTED_LIMIT ? count - LISTED_LIMIT : 0;
    for (size_t i = first; i < count; i++)
        used += (size_t)snprintf(listed + used, sizeof listed - used, "%s%" PRIu64, i > first ? ", " : "",
                                 versions[i]);
    return md_fail(error, MD_NOT_FOUND, "model \"%s\" has no version %" PRIu64 "; it has %s%s", model,
                   version, first > 0 ? "..., " : "", listed);
}

enum md_code md_repository_find_version(const char *repository, const char *model, uint64_t version,
                                        struct md_arena *arena, uint64_t *out_version, const char **out_path,
                                        struct md_error *error)
{
    uint64_t *versions = NULL;
    size_t count = 0;
    MD_TRY(md_repository_list_versions(repository, model, arena, &versions, &count, error));
    size_t at = count;
    for (size_t i = 0; i < count; i++)
        if (versions[i] == version || version == 0)
            at = i;
    if (at == count)
        return fail_unknown_version(model, version, versions, count, error);
    const char *path = md_arena_printf(arena, "%s/%s/%" PRIu64, repository, model, versions[at]);
    if (path == NULL)
        return md_fail_memory(error, "path of a version");
    *out_version = versions[at];
    *out_path = path;
    return MD_OK;
}
