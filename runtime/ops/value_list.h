/* value_list.h - values that operators with subgraphs and sequences collect while they run.
 *
 * Memory: from the run's allocator, freed with the last share; so a loop holds what it collects and nothing
 * more. Threads: the run's. */
#ifndef MD_VALUE_LIST_H
#define MD_VALUE_LIST_H

#include "operator.h"

/* Most values that one scan output or split may make. */
enum { MD_MAX_COLLECTED = 1 << 22 };

struct md_value_list {
    struct md_sequence *sequence; /* capacity; NULL while empty */
    size_t count;
};

/* A tensor value with memory of its own; the caller owns the share. */
MD_NODISCARD enum md_code md_value_new(struct md_invocation *invocation, enum md_datatype datatype,
                                       const struct md_shape *shape, struct md_value *out_value);
/* Element `index` along axis 0 of a tensor value, sharing its memory. index is below dim 0. */
void md_value_slice(const struct md_value *value, size_t index, struct md_value *out_value);

/* Takes *value, also on failure, and leaves it NONE. RESOURCE_EXHAUSTED: memory, or MD_MAX_COLLECTED. */
MD_NODISCARD enum md_code md_value_list_append(struct md_invocation *invocation, struct md_value_list *list,
                                               struct md_value *value);
void md_value_list_clear(struct md_value_list *list);

/* How to put the values of a list side by side. */
struct md_stack_options {
    int32_t lead_rank; /* dims of the list itself, usually 1; their product is the list's count */
    const int64_t *lead;
    int64_t axis; /* where the (only) lead dim goes in the result; 0 when lead_rank > 1 */
    bool reverse; /* the last value first */
};
/* Output `index` becomes the tensor of all values; absent (NONE) ones are zeros. INVALID_ARGUMENT: the values
 * are not tensors of one type and shape. */
MD_NODISCARD enum md_code md_value_list_stack(struct md_invocation *invocation, size_t index,
                                              const struct md_value_list *list,
                                              const struct md_stack_options *options);

#endif
