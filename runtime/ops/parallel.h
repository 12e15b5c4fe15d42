/* parallel.h - how operators split their work over the threads of a run.
 *
 * Work is a number of items (heads, rows, panels of a product) that do not depend on each other. It is cut into ranges of
 * items, each large enough to be worth a thread's attention; small work is one range on the calling thread. A cut never
 * changes bits: an element is computed whole, the same way, in whatever range it lies.
 *
 * Cost counts multiply-adds of a product (about 60 a nanosecond). Other work is stated as the products that take as long.
 * Threads: what md_parallel calls. Memory: scratch for every slot, asked for in prepare. */
#ifndef MD_PARALLEL_H
#define MD_PARALLEL_H

#include "narrow_gemm.h"
#include "operator.h"
#include "vector_loops.h"

/* Of one float, in multiply-adds. Estimates. */
#define MD_COST_NORMALIZE 20.0 /* normalisation, softmax */
#define MD_COST_FUNCTION  60.0 /* exp, erf, tanh */
#define MD_COST_MOVE      10.0 /* read, a little arithmetic, write */

/* Computes items [first, first + count). Calls with the same slot never overlap. */
typedef void (*md_range_fn)(void *context, size_t first, size_t count, size_t slot);

/* Slots that md_parallel uses for the same items and cost, at least 1: scratch is that many times what one call wants. */
size_t md_parallel_slots(const struct md_invocation *invocation, size_t items, double item_cost);
/* Calls fn on ranges that make up [0, items), on slots below md_parallel_slots. */
void md_parallel(const struct md_invocation *invocation, size_t items, double item_cost, md_range_fn fn, void *context);

/* Workspace of md_parallel_gemm, for a B that is not packed. RESOURCE_EXHAUSTED: its size overflows. */
MD_NODISCARD enum md_code md_parallel_gemm_scratch(struct md_invocation *invocation, enum md_gemm_type type, size_t rows,
                                                   size_t columns, size_t depth);
/* md_gemm by panels of columns and, where those are few and B is packed, by tiles of rows. workspace: the scratch above, or
 * NULL when B is packed. */
void md_parallel_gemm(const struct md_invocation *invocation, const struct md_gemm *gemm, void *workspace);

/* Turns all rows of A (floats, a_stride apart) into gemm->a, whose buffer is the caller's, then computes every column. */
void md_parallel_narrow_gemm(const struct md_invocation *invocation, const struct md_narrow_gemm *gemm, const float *a,
                             size_t a_stride);

/* The columns of a product whose gemm->a is ready. */
void md_parallel_narrow_columns(const struct md_invocation *invocation, const struct md_narrow_gemm *gemm);

/* `rows` rows that follow one another in a, b, c, sum and out; `row` is the first. */
void md_parallel_layer_norm(const struct md_invocation *invocation, size_t rows, const struct md_row_layer_norm *row);

/* Calls fn(context, ...) on ranges of `count` elements that do not depend on each other. Ranges begin at a multiple of
 * MD_PARALLEL_ALIGNMENT, so that each element is in the same lane of a vector, or in none, however the work is cut. */
enum { MD_PARALLEL_ALIGNMENT = 1024 };
void md_parallel_elements(const struct md_invocation *invocation, size_t count, double element_cost, md_range_fn fn,
                          void *context);

#endif
