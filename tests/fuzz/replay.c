/* replay.c - runs a harness over files and folders of files, for compilers without libFuzzer. */
#include "allocator.h"
#include "file.h"
#include "fuzz_entry.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_LIMIT = 64 * 1024 * 1024, PATH_LIMIT = 4096 };

static long replayed;

static void replay_file(const char *path)
{
    char *bytes;
    size_t size;
    struct md_error error;
    if (md_file_read(md_process_allocator(), path, INPUT_LIMIT, &bytes, &size, &error) != MD_OK) {
        (void)fprintf(stderr, "%s\n", error.message);
        return;
    }
    /* a copy of exactly the size: the byte behind it is not ours, and a sanitizer knows */
    uint8_t *exact = md_allocate(md_process_allocator(), size);
    if (exact != NULL) {
        memcpy(exact, bytes, size);
        (void)LLVMFuzzerTestOneInput(exact, size);
        replayed++;
    }
    md_release(md_process_allocator(), exact);
    md_release(md_process_allocator(), bytes);
}

static void replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char inner[PATH_LIMIT];
        struct stat status;
        int size = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (size > 0 && (size_t)size < sizeof inner && stat(inner, &status) == 0 && S_ISREG(status.st_mode))
            replay_file(inner);
    }
    (void)closedir(folder); /* only read from */
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0)
            continue; /* no corpus without libonnx-testdata, no regressions yet */
        if (S_ISDIR(status.st_mode))
            replay_folder(argv[i]);
        else
            replay_file(argv[i]);
    }
    (void)printf("%ld inputs replayed\n", replayed);
    return 0;
}
