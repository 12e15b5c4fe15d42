/* test_packed_cache.c - the packed cache on the reference models: the same bits from it, and anything wrong with the file
 * means that it is not used, made again, and no error. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "arena.h"
#include "file.h"
#include "md_test.h"
#include "packed_cache_file.h"
#include "session.h"
#include "trial.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const models[] = { "sentiment-lstm", "sentiment-transformer", "spam-textcnn" };
static const struct md_session_options cached = { .packed_cache_from_bytes = 1 };

struct scene {
    char folder[MD_TEST_PATH_SIZE], model[MD_TEST_PATH_SIZE];
    char *bytes; /* of the model */
    size_t size;
};

static void scene_init(struct scene *scene, const char *name)
{
    char source[MD_TEST_PATH_SIZE];
    (void)snprintf(source, sizeof source, "%s/deploy/models/%s/1/model.onnx", MD_SOURCE_DIR, name);
    assert_int_equal(
        md_file_read(md_process_allocator(), source, SIZE_MAX - 1, &scene->bytes, &scene->size, NULL), MD_OK);
    md_test_make_folder(scene->folder);
    md_test_join(scene->model, scene->folder, "model.onnx");
    md_test_write_file(scene->model, scene->bytes, scene->size);
}

static void scene_cleanup(struct scene *scene)
{
    md_release(md_process_allocator(), scene->bytes);
    md_test_remove_folder(scene->folder);
}

static struct md_session *open_session(const struct scene *scene, const struct md_session_options *options)
{
    struct md_session *session = NULL;
    struct md_error error = { .message = "" };
    if (md_session_open(md_process_allocator(), scene->model, options, &session, &error) != MD_OK)
        fail_msg("%s", error.message);
    return session;
}

static enum md_packed_cache load_with(const struct scene *scene, const struct md_session_options *options)
{
    struct md_session *session = open_session(scene, options);
    enum md_packed_cache cache = md_session_packed_cache(session);
    md_session_destroy(session);
    return cache;
}

static enum md_packed_cache load(const struct scene *scene)
{
    return load_with(scene, &cached);
}

/* A file changed a moment ago is not cached yet: its time stamps are too coarse. */
static void make_cache_with(const struct scene *scene, const struct md_session_options *options)
{
    int loads = 0;
    while (load_with(scene, options) != MD_PACKED_CACHE_FOUND)
        assert_true(++loads < 10000);
}

static void make_cache(const struct scene *scene)
{
    make_cache_with(scene, &cached);
}

static void cache_path(const struct scene *scene, char out_path[MD_TEST_PATH_SIZE])
{
    DIR *stream = opendir(scene->folder);
    out_path[0] = '\0';
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        if (md_file_is_packed(entry->d_name))
            md_test_join(out_path, scene->folder, entry->d_name);
    (void)closedir(stream);
    assert_true(out_path[0] != '\0');
}

static void replace(const char *path, const void *bytes, size_t size)
{
    (void)unlink(path);
    md_test_write_file(path, bytes, size);
}

/* Runs on made-up inputs; the bytes of output 0 are the caller's to free. */
static void run(const struct md_session *session, char **out_bytes, size_t *out_size)
{
    static const struct md_trial_dim dims[] = { { { "batch", 5 }, 2 }, { { "sequence", 8 }, 9 } };
    static const struct md_trial_options options = { .dims = dims, .dim_count = 2 };
    struct md_arena arena;
    struct md_run *execution;
    md_arena_init(&arena, md_process_allocator(), 0);
    assert_int_equal(md_run_create(session, &execution, NULL), MD_OK);
    assert_int_equal(md_trial_set_inputs(session, execution, &options, &arena, NULL), MD_OK);
    assert_int_equal(md_run_execute(execution, NULL), MD_OK);
    const struct md_tensor *output = &md_run_output(execution, 0)->tensor;
    *out_size = md_tensor_size(output);
    *out_bytes = malloc(*out_size);
    memcpy(*out_bytes, output->bytes, *out_size);
    md_run_destroy(execution);
    md_arena_cleanup(&arena);
}

static void expect_equal_outputs(const struct scene *scene, enum md_precision precision)
{
    const struct md_session_options without = { .precision = precision };
    const struct md_session_options with = { .precision = precision, .packed_cache_from_bytes = 1 };
    struct md_session *plain = open_session(scene, &without), *packed = open_session(scene, &with);
    char *expected, *found;
    size_t expected_size, found_size;
    assert_int_equal(md_session_packed_cache(packed), MD_PACKED_CACHE_FOUND);
    run(plain, &expected, &expected_size);
    run(packed, &found, &found_size);
    assert_int_equal(found_size, expected_size);
    assert_memory_equal(found, expected, found_size);
    free(expected);
    free(found);
    md_session_destroy(plain);
    md_session_destroy(packed);
}

static void test_second_load_gives_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct scene scene;
        scene_init(&scene, models[i]);
        make_cache(&scene);
        expect_equal_outputs(&scene, MD_PRECISION_FP32);
        scene_cleanup(&scene);
    }
}

static void test_each_precision_has_its_own_cache_and_the_same_bits(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene, models[1]);
    for (int i = 0; i < MD_PRECISION_COUNT; i++) {
        const struct md_session_options options = { .precision = (enum md_precision)i, .packed_cache_from_bytes = 1 };
        assert_int_not_equal(load_with(&scene, &options), MD_PACKED_CACHE_FOUND);
        make_cache_with(&scene, &options);
        expect_equal_outputs(&scene, (enum md_precision)i);
    }
    scene_cleanup(&scene);
}

static void test_changed_model_is_loaded_anew(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    replace(scene.model, scene.bytes, scene.size);
    assert_int_not_equal(load(&scene), MD_PACKED_CACHE_FOUND);
    make_cache(&scene);
    scene_cleanup(&scene);
}

static void test_cut_or_damaged_file_is_not_used(void **state)
{
    struct scene scene;
    char path[MD_TEST_PATH_SIZE];
    char *bytes;
    size_t size;
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    cache_path(&scene, path);
    assert_int_equal(md_file_read(md_process_allocator(), path, SIZE_MAX - 1, &bytes, &size, NULL), MD_OK);
    for (size_t i = 0; i < 64; i++) {
        replace(path, bytes, size / 64 * i);
        assert_int_not_equal(load(&scene), MD_PACKED_CACHE_FOUND);
    }
    for (size_t i = 0; i < 128; i++) {
        const size_t at = i < 64 ? i * 2 : (size - 1) / 63 * (i - 64);
        bytes[at] = (char)(bytes[at] ^ 1);
        replace(path, bytes, size);
        bytes[at] = (char)(bytes[at] ^ 1);
        assert_int_not_equal(load(&scene), MD_PACKED_CACHE_FOUND);
    }
    replace(path, bytes, size);
    assert_int_equal(load(&scene), MD_PACKED_CACHE_FOUND);
    md_release(md_process_allocator(), bytes);
    scene_cleanup(&scene);
}

static void test_other_passes_do_not_share_a_cache(void **state)
{
    const struct md_session_options other = { .packed_cache_from_bytes = 1, .disabled_passes = "linear" };
    struct scene scene;
    (void)state;
    scene_init(&scene, models[1]);
    make_cache(&scene);
    struct md_session *session = open_session(&scene, &other);
    assert_int_equal(md_session_packed_cache(session), MD_PACKED_CACHE_WRITTEN); /* other passes: not ours */
    md_session_destroy(session);
    assert_int_equal(load(&scene), MD_PACKED_CACHE_WRITTEN);
    scene_cleanup(&scene);
}

static void test_no_cache_where_none_can_be_written(void **state)
{
    struct scene scene;
    char path[MD_TEST_PATH_SIZE], part[MD_TEST_PATH_SIZE + 8];
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    cache_path(&scene, path);
    (void)snprintf(part, sizeof part, "%s.part", path); /* fits */
    assert_int_equal(unlink(path), 0);
    md_test_mkdir(part); /* works for root, too, who may write everywhere */
    assert_int_equal(load(&scene), MD_PACKED_CACHE_UNWRITTEN);
    scene_cleanup(&scene);
}

/* Its checksum is right: only the key differs, as on another instruction set. */
static void test_cache_of_another_instruction_set_is_not_used(void **state)
{
    struct scene scene;
    struct md_file_mapping mapping;
    struct md_span metadata, content;
    char path[MD_TEST_PATH_SIZE], part[MD_TEST_PATH_SIZE + 8];
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    cache_path(&scene, path);
    (void)snprintf(part, sizeof part, "%s.part", path); /* fits */
    assert_true(md_file_map_in_place(path, &mapping) && md_packed_file_split(&mapping, &metadata, &content));
    char *changed = malloc(metadata.size);
    memcpy(changed, metadata.bytes, metadata.size);
    char *name = memmem(changed, metadata.size, md_isa_name(md_isa()), strlen(md_isa_name(md_isa())));
    assert_non_null(name);
    for (int i = 0; i < 2; i++) { /* as it was; changed */
        const struct md_packed_file file = { { changed, metadata.size }, &content, 1, content.size };
        assert_true(md_packed_file_write(&file, part, path));
        if (i == 0)
            assert_int_equal(load(&scene), MD_PACKED_CACHE_FOUND);
        else
            assert_int_equal(load(&scene), MD_PACKED_CACHE_WRITTEN);
        name[0] = 'x';
    }
    free(changed);
    md_file_unmap(&mapping);
    scene_cleanup(&scene);
}

/* Runs in a child: `restrain` takes something away from it, and the model must load all the same. */
static void expect_unwritten(const struct scene *scene, void (*restrain)(const struct scene *scene))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct md_session *session;
        restrain(scene);
        bool good = md_session_open(md_process_allocator(), scene->model, &cached, &session, NULL) == MD_OK &&
                    md_session_packed_cache(session) == MD_PACKED_CACHE_UNWRITTEN;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void forbid_large_files(const struct scene *scene)
{
    const struct rlimit limit = { 4096, 4096 };
    (void)scene;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(2);
}

/* Root may write everywhere: it becomes somebody else. */
static void forbid_folder(const struct scene *scene)
{
    const uid_t nobody = 65534;
    if (chmod(scene->model, 0644) != 0 || chmod(scene->folder, 0555) != 0 || (getuid() == 0 && setuid(nobody) != 0))
        _exit(2);
}

static void test_no_space_and_no_right_to_write_are_no_errors(void **state)
{
    struct scene scene;
    char path[MD_TEST_PATH_SIZE], part[MD_TEST_PATH_SIZE + 8];
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    cache_path(&scene, path);
    (void)snprintf(part, sizeof part, "%s.part", path); /* fits */
    assert_int_equal(unlink(path), 0);
    expect_unwritten(&scene, forbid_large_files);
    assert_int_not_equal(access(part, F_OK), 0);
    expect_unwritten(&scene, forbid_folder);
    assert_int_equal(chmod(scene.folder, 0700), 0);
    make_cache(&scene);
    scene_cleanup(&scene);
}

static void test_part_of_a_crash_is_taken_over(void **state)
{
    struct scene scene;
    char path[MD_TEST_PATH_SIZE], part[MD_TEST_PATH_SIZE + 8];
    (void)state;
    scene_init(&scene, models[0]);
    make_cache(&scene);
    cache_path(&scene, path);
    (void)snprintf(part, sizeof part, "%s.part", path); /* fits */
    assert_int_equal(rename(path, part), 0);
    assert_int_equal(load(&scene), MD_PACKED_CACHE_WRITTEN);
    assert_false(md_file_exists(part));
    expect_equal_outputs(&scene, MD_PRECISION_FP32);
    scene_cleanup(&scene);
}

static void *load_often(void *scene)
{
    for (int i = 0; i < 20; i++)
        (void)load(scene);
    return NULL;
}

static void test_two_loaders_at_once(void **state)
{
    struct scene scene;
    pthread_t threads[2];
    (void)state;
    scene_init(&scene, models[0]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, load_often, &scene), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    make_cache(&scene);
    expect_equal_outputs(&scene, MD_PRECISION_FP32);
    scene_cleanup(&scene);
}

static void test_open_survives_every_allocation_failure(void **state)
{
    struct scene scene;
    (void)state;
    scene_init(&scene, models[1]);
    make_cache(&scene);
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        struct md_session *session = NULL;
        md_faulty_init(&faulty, nth);
        enum md_code code = md_session_open(&faulty.allocator, scene.model, &cached, &session, NULL);
        assert_true(code == MD_OK || code == MD_RESOURCE_EXHAUSTED);
        md_session_destroy(session);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            break;
    }
    scene_cleanup(&scene);
}

/* The cache is written last: of a load's allocations the last few are its own. */
static void test_writing_survives_every_allocation_failure(void **state)
{
    enum { MANY = 1000000, OF_WRITING = 64 };
    struct scene scene;
    struct md_faulty_allocator faulty;
    char path[MD_TEST_PATH_SIZE];
    long total = 0, unwritten = 0;
    (void)state;
    scene_init(&scene, models[1]);
    make_cache(&scene);
    cache_path(&scene, path);
    for (long nth = MANY; nth == MANY || nth <= total; nth = nth == MANY ? total - OF_WRITING : nth + 1) {
        struct md_session *session = NULL;
        assert_int_equal(unlink(path) == 0 || access(path, F_OK) != 0, true);
        md_faulty_init(&faulty, nth);
        enum md_code code = md_session_open(&faulty.allocator, scene.model, &cached, &session, NULL);
        if (nth == MANY)
            total = MANY - atomic_load(&faulty.countdown);
        assert_true(code == MD_OK || code == MD_RESOURCE_EXHAUSTED);
        if (code == MD_OK)
            unwritten += md_session_packed_cache(session) == MD_PACKED_CACHE_UNWRITTEN;
        md_session_destroy(session);
        assert_int_equal(faulty.live, 0);
    }
    assert_true(unwritten > 0);
    assert_int_equal(load(&scene), MD_PACKED_CACHE_FOUND);
    scene_cleanup(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_load_gives_the_same_bits),
        cmocka_unit_test(test_each_precision_has_its_own_cache_and_the_same_bits),
        cmocka_unit_test(test_changed_model_is_loaded_anew),
        cmocka_unit_test(test_cut_or_damaged_file_is_not_used),
        cmocka_unit_test(test_other_passes_do_not_share_a_cache),
        cmocka_unit_test(test_no_cache_where_none_can_be_written),
        cmocka_unit_test(test_cache_of_another_instruction_set_is_not_used),
        cmocka_unit_test(test_no_space_and_no_right_to_write_are_no_errors),
        cmocka_unit_test(test_part_of_a_crash_is_taken_over),
        cmocka_unit_test(test_two_loaders_at_once),
        cmocka_unit_test(test_open_survives_every_allocation_failure),
        cmocka_unit_test(test_writing_survives_every_allocation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
