/* test_shared_memory.c - registering, bounds, objects that are cut or gone, no memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "md_test.h"
#include "shared_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SIZE = 4096 };

/* An object of SIZE bytes that counts up, and the regions of a server; the objects of tests that run at once differ. */
struct fixture {
    char key[64];
    int fd;
    struct md_shared_memory *memory;
    struct md_arena arena;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    uint8_t bytes[SIZE];
    (void)snprintf(fixture.key, sizeof fixture.key, "/modeld_test_%ld", (long)getpid());
    fixture.fd = shm_open(fixture.key, O_CREAT | O_EXCL | O_RDWR, 0600);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)i;
    if (fixture.fd < 0 || write(fixture.fd, bytes, SIZE) != SIZE)
        return -1;
    md_arena_init(&fixture.arena, md_process_allocator(), 1024);
    *state = &fixture;
    return md_shared_memory_create(md_process_allocator(), &fixture.memory, NULL) == MD_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    md_shared_memory_destroy(fixture->memory);
    md_arena_cleanup(&fixture->arena);
    (void)close(fixture->fd); /* nothing is buffered in it */
    return shm_unlink(fixture->key);
}

static enum md_code add(struct fixture *fixture, const char *name, uint64_t offset, uint64_t size)
{
    const struct md_shared_region region = { .name = name, .key = fixture->key, .offset = offset, .size = size };
    return md_shared_memory_register(fixture->memory, &region, NULL);
}

static enum md_code get(struct fixture *fixture, const char *name, uint64_t offset, uint64_t size)
{
    uint8_t *bytes = NULL;
    enum md_code code = md_shared_memory_read(fixture->memory, name, offset, size, &fixture->arena, &bytes, NULL);
    for (uint64_t i = 0; code == MD_OK && i < size; i++)
        assert_int_equal(bytes[i], (uint8_t)(100 + offset + i)); /* of a region at 100 */
    return code;
}

static void test_reads_and_writes_within_the_region(void **state)
{
    struct fixture *fixture = *state;
    const uint8_t bytes[2] = { 7, 8 };
    uint8_t found[4];
    assert_int_equal(add(fixture, "r", 100, 50), MD_OK);
    assert_int_equal(get(fixture, "r", 0, 50), MD_OK);
    assert_int_equal(get(fixture, "r", 49, 1), MD_OK);
    assert_int_equal(get(fixture, "r", 0, 51), MD_INVALID_ARGUMENT);
    assert_int_equal(get(fixture, "r", 50, 1), MD_INVALID_ARGUMENT);
    assert_int_equal(get(fixture, "r", UINT64_MAX, 2), MD_INVALID_ARGUMENT);
    assert_int_equal(get(fixture, "r", 2, UINT64_MAX), MD_INVALID_ARGUMENT);
    assert_int_equal(get(fixture, "other", 0, 1), MD_INVALID_ARGUMENT);
    assert_int_equal(md_shared_memory_write(fixture->memory, "r", 48, bytes, 2, NULL), MD_OK);
    assert_int_equal(md_shared_memory_write(fixture->memory, "r", 49, bytes, 2, NULL), MD_INVALID_ARGUMENT);
    assert_int_equal(pread(fixture->fd, found, 4, 147), 4);
    assert_memory_equal(found, ((const uint8_t[]){ 147, 7, 8, 150 }), 4);
}

static void test_bounds_and_names_are_checked_when_registering(void **state)
{
    struct fixture *fixture = *state;
    const struct md_shared_region bad_key = { .name = "r", .key = "/a/../b", .size = 1 };
    const struct md_shared_region no_object = { .name = "r", .key = "/modeld_test_nosuch", .size = 1 };
    assert_int_equal(add(fixture, "", 0, 1), MD_INVALID_ARGUMENT);
    assert_int_equal(add(fixture, "r", 0, 0), MD_INVALID_ARGUMENT);
    assert_int_equal(add(fixture, "r", 0, SIZE + 1), MD_INVALID_ARGUMENT);
    assert_int_equal(add(fixture, "r", SIZE, 1), MD_INVALID_ARGUMENT);
    assert_int_equal(add(fixture, "r", UINT64_MAX, 2), MD_INVALID_ARGUMENT);
    assert_int_equal(add(fixture, "r", 2, UINT64_MAX), MD_INVALID_ARGUMENT);
    assert_int_equal(md_shared_memory_register(fixture->memory, &bad_key, NULL), MD_INVALID_ARGUMENT);
    assert_int_equal(md_shared_memory_register(fixture->memory, &no_object, NULL), MD_NOT_FOUND);
    assert_int_equal(add(fixture, "r", 0, SIZE), MD_OK);
    assert_int_equal(add(fixture, "r", 0, SIZE), MD_ALREADY_EXISTS);
}

static void test_an_object_that_is_cut_is_an_error(void **state)
{
    struct fixture *fixture = *state;
    const uint8_t bytes[2] = { 7, 8 };
    assert_int_equal(add(fixture, "r", 100, 50), MD_OK);
    assert_int_equal(ftruncate(fixture->fd, 120), 0);
    assert_int_equal(get(fixture, "r", 0, 20), MD_OK);
    assert_int_equal(get(fixture, "r", 0, 21), MD_INVALID_ARGUMENT);
    assert_int_equal(get(fixture, "r", 30, 1), MD_INVALID_ARGUMENT);
    assert_int_equal(md_shared_memory_write(fixture->memory, "r", 30, bytes, 2, NULL), MD_INVALID_ARGUMENT);
}

static void test_lists_and_unregisters(void **state)
{
    struct fixture *fixture = *state;
    struct md_shared_region *regions;
    size_t count;
    assert_int_equal(add(fixture, "a", 0, 1), MD_OK);
    assert_int_equal(add(fixture, "b", 1, 2), MD_OK);
    assert_int_equal(md_shared_memory_list(fixture->memory, "b", &fixture->arena, &regions, &count, NULL), MD_OK);
    assert_int_equal(count, 1);
    assert_string_equal(regions[0].name, "b");
    assert_int_equal(regions[0].size, 2);
    md_shared_memory_unregister(fixture->memory, "a");
    md_shared_memory_unregister(fixture->memory, "nosuch");
    assert_int_equal(md_shared_memory_list(fixture->memory, "a", &fixture->arena, &regions, &count, NULL), MD_NOT_FOUND);
    md_shared_memory_unregister(fixture->memory, "");
    assert_int_equal(md_shared_memory_list(fixture->memory, "", &fixture->arena, &regions, &count, NULL), MD_OK);
    assert_int_equal(count, 0);
}

static void test_regions_are_limited(void **state)
{
    struct fixture *fixture = *state;
    char name[32];
    for (int i = 0; i < MD_SHARED_MEMORY_LIMIT; i++) {
        (void)snprintf(name, sizeof name, "r%d", i);
        assert_int_equal(add(fixture, name, 0, 1), MD_OK);
    }
    assert_int_equal(add(fixture, "one more", 0, 1), MD_RESOURCE_EXHAUSTED);
}

/* Everything once, with this allocator. */
static enum md_code use(struct fixture *fixture, const struct md_allocator *allocator)
{
    const struct md_shared_region region = { .name = "r", .key = fixture->key, .size = SIZE };
    struct md_shared_memory *memory = NULL;
    struct md_shared_region *regions;
    struct md_arena arena;
    uint8_t *bytes;
    size_t count;
    md_arena_init(&arena, allocator, 64);
    enum md_code code = md_shared_memory_create(allocator, &memory, NULL);
    if (code == MD_OK)
        code = md_shared_memory_register(memory, &region, NULL);
    if (code == MD_OK)
        code = md_shared_memory_list(memory, "", &arena, &regions, &count, NULL);
    if (code == MD_OK)
        code = md_shared_memory_read(memory, "r", 0, SIZE, &arena, &bytes, NULL);
    md_shared_memory_destroy(memory);
    md_arena_cleanup(&arena);
    return code;
}

static void test_survives_every_allocation_failure(void **state)
{
    for (long nth = 0;; nth++) {
        struct md_faulty_allocator faulty;
        md_faulty_init(&faulty, nth);
        enum md_code code = use(*state, &faulty.allocator);
        assert_int_equal(faulty.live, 0);
        if (code == MD_OK)
            return;
        assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_and_writes_within_the_region, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds_and_names_are_checked_when_registering, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_object_that_is_cut_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lists_and_unregisters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_regions_are_limited, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_survives_every_allocation_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
