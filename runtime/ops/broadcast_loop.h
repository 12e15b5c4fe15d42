/* broadcast_loop.h - walks several broadcast tensors as long, simple runs.
 *
 * Neighbouring dimensions that all operands walk alike are merged, so that same-shape and scalar operands are one
 * run, and a bias is one run per row. Inside a run every operand moves by 0 or 1 elements:
 *
 *     struct md_broadcast_loop loop;
 *     for (md_broadcast_loop_start(&loop, &target, 2, shapes); loop.runs > 0; md_broadcast_loop_next(&loop))
 *         kernel(loop.inner, a + loop.offsets[0], loop.steps[0], b + loop.offsets[1], loop.steps[1],
 *                out + loop.position);
 *
 * Threads: the struct belongs to one thread; it needs no cleanup. */
#ifndef MD_BROADCAST_LOOP_H
#define MD_BROADCAST_LOOP_H

#include "tensor.h"

/* Promises the compiler that iterations of the next loop do not depend on each other: true for elementwise loops
 * also when the output is the memory of an input, because element i only meets element i. */
#if defined(__clang__)
#define MD_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define MD_INDEPENDENT _Pragma("GCC ivdep")
#else
#define MD_INDEPENDENT
#endif

enum { MD_LOOP_OPERANDS = 4 };

struct md_broadcast_loop {
    size_t inner;                      /* elements of a run */
    size_t runs;                       /* runs to go, the current one included */
    size_t position;                   /* first element of the current run in the dense target */
    size_t offsets[MD_LOOP_OPERANDS];  /* first element of the current run in each operand */
    size_t steps[MD_LOOP_OPERANDS];    /* 0 or 1 */
    size_t operand_count;
    int32_t rank;                      /* merged dimensions outside the run, innermost first */
    size_t dims[MD_MAX_RANK];
    size_t index[MD_MAX_RANK];
    size_t strides[MD_LOOP_OPERANDS][MD_MAX_RANK];
};

/* Every shape must broadcast to target (md_shape_broadcast was true), operand_count <= MD_LOOP_OPERANDS. */
void md_broadcast_loop_start(struct md_broadcast_loop *loop, const struct md_shape *target, size_t operand_count,
                             const struct md_shape *const *shapes);
void md_broadcast_loop_next(struct md_broadcast_loop *loop);

#endif
