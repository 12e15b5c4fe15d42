/* md_test.h - what every unit test needs: an allocator that counts and fails, and a folder of its own.
 *
 * Include after <stdarg.h> <stddef.h> <setjmp.h> <stdint.h> <cmocka.h>. Helpers that cannot do their
 * work fail the running test (fail_msg), so their results need no check.
 * Threads: the allocator may be used from many threads at once; the rest belongs to the test's thread. */
#ifndef MD_TEST_H
#define MD_TEST_H

#include "allocator.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Counts the blocks that live and fails at a chosen allocation. New memory is filled with 0xA5, so that
 * code which takes it for zeroes is seen. The loop that every unit that allocates has:
 *
 *     for (long nth = 0;; nth++) {
 *         struct md_faulty_allocator faulty;
 *         md_faulty_init(&faulty, nth);
 *         struct md_thing *thing = NULL;
 *         enum md_code code = md_thing_create(&faulty.allocator, &thing, NULL);
 *         if (code != MD_OK) {
 *             assert_int_equal(code, MD_RESOURCE_EXHAUSTED);
 *             assert_null(thing);
 *         }
 *         md_thing_destroy(thing);
 *         assert_int_equal(faulty.live, 0);
 *         if (code == MD_OK)
 *             break;
 *     }
 */
struct md_faulty_allocator {
    struct md_allocator allocator; /* pass &faulty.allocator on; must be first */
    atomic_long countdown;         /* allocations that still work; negative: never fails */
    atomic_long live;              /* blocks that are not released; 0 at the end of a clean test */
    atomic_long failed;            /* allocations that were refused */
    bool once;                     /* set after init: only one allocation fails, later ones work again */
};

enum { MD_FAULTY_NEVER = -1 }; /* countdown of a plain leak-counting allocator */

/* The allocation after `countdown` good ones fails, and so does every later one (see `once`). */
void md_faulty_init(struct md_faulty_allocator *faulty, long countdown);
/* The same for `struct md_faulty_allocator faulty = { .countdown = nth }`: sets the functions only. */
const struct md_allocator *md_faulty(struct md_faulty_allocator *faulty);

enum { MD_TEST_PATH_SIZE = 512 };

/* A new empty folder below $TMPDIR or /tmp. */
void md_test_make_folder(char out_path[MD_TEST_PATH_SIZE]);
/* Removes a folder and all it holds; symbolic links are removed, not followed. */
void md_test_remove_folder(const char *path);
/* out = folder "/" name. */
void md_test_join(char out_path[MD_TEST_PATH_SIZE], const char *folder, const char *name);
/* Creates or replaces a file. */
void md_test_write_file(const char *path, const void *bytes, size_t size);
/* mkdir, mode 0700. */
void md_test_mkdir(const char *path);

#endif
