/* task_fixture.h - a model directory and a session made by hand.
 *
 * The session sums a row of `classes` numbers for each token: logits[text][class] = sum over tokens of
 * table[id][class], table[id][class] = id * (class + 1) / 10. Token 0 pads and counts for nothing. */
#ifndef MD_TASK_FIXTURE_H
#define MD_TASK_FIXTURE_H

#include "arena.h"
#include "md_test.h"
#include "session.h"
#include "task.h"

enum { FIXTURE_TOKENS = 16 }; /* rows of the table */

struct session_options {
    int64_t rows;          /* of input_ids; -1: any */
    int64_t tokens;
    int64_t classes;       /* at most 8 */
    bool hide_classes;     /* the output has no stated shape */
    bool int32;            /* input_ids and attention_mask are INT32 */
    const char *extra;     /* name of a third input; NULL: none */
};
extern const struct session_options any_shape; /* any rows and tokens, two classes */

struct md_session *make_session(const struct session_options *options);

/* Words a, b, c, d are tokens 1 to 4, everything else is 5. Single quotes stand for double ones, here and
 * below. */
extern const char *const plain_tokenizer;

/* A folder with the files that are not NULL; the caller removes it with md_test_remove_folder. */
void make_directory(char out_path[MD_TEST_PATH_SIZE], const char *tokenizer, const char *config,
                    const char *model);

/* Creates a task from such files, which are removed again; fails the test if it is refused. */
struct md_task *make_task(const struct md_session *session, const char *tokenizer, const char *config,
                          const char *model);
/* The value of an entry of the effective configuration; NULL: there is none. */
const char *find_entry(const struct md_task *task, const char *key);

#endif
