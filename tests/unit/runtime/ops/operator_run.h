/* operator_run.h - runs one operator on a few tensors, without a graph or a session.
 *
 * The row is looked up in the tables; configure, prepare and run are called as the executor calls them, except that
 * half precision is not widened. Include after cmocka.h. One struct, one thread. */
#ifndef MD_OPERATOR_RUN_H
#define MD_OPERATOR_RUN_H

#include "arena.h"
#include "operator.h"

enum { MD_RUN_OPERANDS = 8 };

struct md_operator_run {
    struct md_invocation invocation; /* must be first: the services cast back */
    struct md_arena arena;
    struct md_error error;
    size_t attribute_count;
    struct md_attribute attributes[MD_RUN_OPERANDS];
    size_t input_count, output_count;
    unsigned constant_inputs;           /* 1 << i: input i is a constant of the model; set before go */
    struct md_thread_pool *thread_pool; /* the caller has entered; NULL after init */
    struct md_value inputs[MD_RUN_OPERANDS], outputs[MD_RUN_OPERANDS];
    const struct md_value *input_list[MD_RUN_OPERANDS];
    struct md_value *output_list[MD_RUN_OPERANDS];
};

/* One output is wanted; set output_count for more. */
void md_operator_run_init(struct md_operator_run *run);
void md_operator_run_cleanup(struct md_operator_run *run);
/* Adds an input. `elements` is borrowed. dims end with -1. */
void md_operator_run_input(struct md_operator_run *run, enum md_datatype datatype, const int64_t *dims,
                           const void *elements);
void md_operator_run_absent(struct md_operator_run *run);
void md_operator_run_int(struct md_operator_run *run, const char *name, int64_t value);
void md_operator_run_text(struct md_operator_run *run, const char *name, const char *value);
/* `values` is borrowed. */
void md_operator_run_ints(struct md_operator_run *run, const char *name, const int64_t *values, size_t count);
/* The code of whichever step failed; the message is in run->error. Fails the test when there is no such row. */
enum md_code md_operator_run_go(struct md_operator_run *run, const char *domain, const char *op_type, int64_t opset);
/* Output 0 must have these dims (ending with -1) and elements. */
void md_operator_run_expect(const struct md_operator_run *run, enum md_datatype datatype, const int64_t *dims,
                            const void *elements);

#define MD_DIMS(...) ((const int64_t[]){ __VA_ARGS__, -1 })
#define MD_SCALAR    ((const int64_t[]){ -1 })

#endif
