/* operator.h - what an operator is: rows in its family's table.
 *
 * Life of a node: `configure` once at load (attributes and constant inputs -> parameters in the model's
 * arena); then, for every run, `prepare` (inputs are known, shapes and bytes: check, declare outputs, ask for
 * scratch) and `run` (outputs have memory: compute). `prepare` reports every error about shapes, types and
 * values that it can see; `run` may fail only on what the elements themselves say (an index out of range) or,
 * for operators whose output shape depends on them, on memory.
 * Threads: parameters are shared by all runs and immutable; an invocation belongs to one thread.
 * Memory: kernels never call an allocator; scratch comes from md_scratch, outputs from md_output.
 *
 * Half precision: a row without MD_FP16/MD_BF16 in `native` but with them in `types` is run in FP32: the
 * executor widens those inputs and rounds the outputs that were declared FP32. So most families write float
 * and double code only. */
#ifndef MD_OPERATOR_H
#define MD_OPERATOR_H

#include "attribute.h"
#include "precision.h"
#include "tensor.h"

struct md_arena;
struct md_invocation;
struct md_thread_pool;

/* ---- load ---- */
struct md_configuration {
    const char *node_name; /* for nothing but messages the caller cannot make */
    int64_t opset;         /* version of the node's domain that the model imports */
    enum md_precision precision; /* that the caller asked for: products with constant weights may be less exact */
    const struct md_attributes *attributes;
    size_t input_count;    /* trailing absent inputs are not counted */
    size_t output_count;
    /* input_count entries: the tensor if the input is a constant of the model, else NULL. The bytes live as
     * long as the parameters, unless configure releases them. */
    const struct md_tensor *const *constants;
    bool *released;        /* input_count entries: set by md_constant_release */
    struct md_prepared *prepared; /* see prepared.h; NULL: what is prepared is not remembered */
    struct md_arena *arena; /* for the parameters */
    struct md_error *error;
};

/* ---- table ---- */
struct md_operator {
    const char *domain; /* MD_ONNX, MD_MICROSOFT, MD_ONNX_ML */
    const char *op_type;
    int16_t from, to;   /* opset versions of the domain whose definition this row implements, inclusive */
    int8_t min_inputs, max_inputs;   /* max -1: variadic */
    int8_t min_outputs, max_outputs; /* max -1: variadic */
    unsigned types;     /* legal datatypes of the first input that is present (0: not checked) */
    unsigned native;    /* those that prepare and run handle themselves; 0 means all of types */
    unsigned flags;     /* enum md_operator_flags */
    /* May be NULL: no parameters. *out_parameters is in configuration->arena. */
    enum md_code (*configure)(const struct md_configuration *configuration, const void **out_parameters);
    enum md_code (*prepare)(struct md_invocation *invocation);
    enum md_code (*run)(struct md_invocation *invocation); /* NULL: prepare did it all (views, shape operators) */
};

enum md_operator_flags {
    MD_IN_PLACE = 1,      /* output 0 may take the memory of input 0 (or of input 1 when that one fits) when nobody
                             else needs it: every element is read before, or as, it is written */
    MD_KEEP_HALF_INPUTS = 2, /* never widen (the row handles every type itself although native is narrower) */
    MD_NONDETERMINISTIC = 4, /* must not be folded: Random*, Multinomial, Bernoulli, Dropout in training */
    MD_WIDEN_OUTPUT_0_ONLY = 8 /* when widened, only output 0 is rounded back; the others stay FP32 */
};

#define MD_ONNX      ""
#define MD_MICROSOFT "com.microsoft"
#define MD_ONNX_ML   "ai.onnx.ml"
#define MD_INTERNAL_DOMAIN "modeld" /* made by graph passes, never legal in a file */

/* The row for an operator, or NULL. *out_any_version says whether other versions of it exist. */
const struct md_operator *md_operator_find(const char *domain, const char *op_type, int64_t opset,
                                           bool *out_any_version);
/* Every table, for tests and `inspect`: calls back for each row. */
void md_operator_each(void (*visit_fn)(const struct md_operator *row, void *owner), void *owner);

/* ---- run ---- */
struct md_run_services; /* the executor's side: executor.c */

struct md_invocation {
    const struct md_operator *row;
    const void *parameters;
    int64_t opset;
    size_t input_count;  /* as many as the node lists; absent ones are MD_VALUE_NONE */
    size_t output_count; /* as many as the node lists */
    const struct md_value *const *inputs;
    struct md_value *const *outputs; /* kind MD_VALUE_NONE until declared; an output nobody wants is NULL */
    void *scratch;       /* after prepare: what md_scratch asked for, 64-byte aligned, not zeroed */
    struct md_error *error;
    struct md_thread_pool *thread_pool; /* that helps (parallel.h); NULL: one thread */
    const struct md_run_services *services;
};

/* The executor offers these to operators through function pointers, so that ops do not depend on it. */
struct md_run_services {
    enum md_code (*declare_output)(struct md_invocation *, size_t, enum md_datatype, const struct md_shape *);
    enum md_code (*declare_view)(struct md_invocation *, size_t, size_t, enum md_datatype, const struct md_shape *,
                                 size_t);
    enum md_code (*allocate_output)(struct md_invocation *, size_t, enum md_datatype, const struct md_shape *);
    enum md_code (*set_output)(struct md_invocation *, size_t, const struct md_value *);
    enum md_code (*request_scratch)(struct md_invocation *, size_t);
    void *(*run_allocate)(struct md_invocation *, size_t);
    enum md_code (*run_subgraph)(struct md_invocation *, size_t, const struct md_value *, size_t, struct md_value *,
                                 size_t);
    const struct md_allocator *(*run_allocator)(struct md_invocation *);
    uint64_t (*random_seed)(struct md_invocation *);
    bool (*is_cancelled)(struct md_invocation *);
};

/* Input i as a tensor, or NULL when it is absent (or the node has fewer inputs). A sequence is NULL, too. */
static inline const struct md_tensor *md_input(const struct md_invocation *invocation, size_t index)
{
    if (index >= invocation->input_count || invocation->inputs[index]->kind != MD_VALUE_TENSOR)
        return NULL;
    return &invocation->inputs[index]->tensor;
}

/* Is output i wanted by anybody? */
static inline bool md_wants_output(const struct md_invocation *invocation, size_t index)
{
    return index < invocation->output_count && invocation->outputs[index] != NULL;
}

/* Output i as a tensor with memory (in run), or NULL when nobody wants it. */
static inline struct md_tensor *md_output_tensor(const struct md_invocation *invocation, size_t index)
{
    return md_wants_output(invocation, index) ? &invocation->outputs[index]->tensor : NULL;
}

/* In prepare: output i will be a tensor of this type and shape; it has memory when `run` is called. Declaring an
 * output that nobody wants is allowed and does nothing. */
MD_NODISCARD static inline enum md_code md_output(struct md_invocation *invocation, size_t index,
                                                  enum md_datatype datatype, const struct md_shape *shape)
{
    return invocation->services->declare_output(invocation, index, datatype, shape);
}

/* In prepare: output i is the bytes of input j from byte `offset` on, seen with another shape (no copy). */
MD_NODISCARD static inline enum md_code md_output_view(struct md_invocation *invocation, size_t output, size_t input,
                                                       enum md_datatype datatype, const struct md_shape *shape,
                                                       size_t offset)
{
    return invocation->services->declare_view(invocation, output, input, datatype, shape, offset);
}

/* In prepare or run: gives output i its memory at once: for operators whose output shape depends on elements
 * (NonZero), and for small shape results computed in prepare. Must be wanted (md_wants_output). */
MD_NODISCARD static inline enum md_code md_output_now(struct md_invocation *invocation, size_t index,
                                                      enum md_datatype datatype, const struct md_shape *shape)
{
    return invocation->services->allocate_output(invocation, index, datatype, shape);
}

/* In prepare or run: output i shares `value` (any kind: identity, sequences, optionals, branch results). */
MD_NODISCARD static inline enum md_code md_output_value(struct md_invocation *invocation, size_t index,
                                                        const struct md_value *value)
{
    return invocation->services->set_output(invocation, index, value);
}

/* In prepare: `run` will find `size` bytes at invocation->scratch. The last request counts. */
MD_NODISCARD static inline enum md_code md_scratch(struct md_invocation *invocation, size_t size)
{
    return invocation->services->request_scratch(invocation, size);
}

/* Memory until the end of the whole run: the bytes of new strings. NULL when there is none. */
static inline void *md_run_allocate(struct md_invocation *invocation, size_t size)
{
    return invocation->services->run_allocate(invocation, size);
}

/* Allocator for sequences (md_sequence_create). */
static inline const struct md_allocator *md_run_allocator(struct md_invocation *invocation)
{
    return invocation->services->run_allocator(invocation);
}

/* Runs subgraph `index` of the node (in the order of its graph attributes' names: see graph.h). inputs are borrowed,
 * outputs are the caller's shares (md_value_clear). Fails with what the body fails with, or CANCELLED. */
MD_NODISCARD static inline enum md_code md_run_subgraph(struct md_invocation *invocation, size_t index,
                                                        const struct md_value *inputs, size_t input_count,
                                                        struct md_value *out_outputs, size_t output_count)
{
    return invocation->services->run_subgraph(invocation, index, inputs, input_count, out_outputs, output_count);
}

/* ---- checks that many operators share; each returns INVALID_ARGUMENT with names and both numbers ---- */
/* "input 1 (INT32) must have the datatype of input 0 (FP32)". Absent inputs pass. */
MD_NODISCARD enum md_code md_expect_same_datatype(struct md_invocation *invocation, size_t a, size_t b);
MD_NODISCARD enum md_code md_expect_datatype(struct md_invocation *invocation, size_t input, unsigned types);
MD_NODISCARD enum md_code md_expect_rank(struct md_invocation *invocation, size_t input, int32_t low, int32_t high);
/* The input must be present and a tensor. */
MD_NODISCARD enum md_code md_expect_tensor(struct md_invocation *invocation, size_t input);
/* Normalised axis, or INVALID_ARGUMENT "axis 3 of an input with rank 2: range is [-2,1]". */
MD_NODISCARD enum md_code md_expect_axis(struct md_invocation *invocation, int64_t axis, int32_t rank,
                                         int32_t *out_axis);
/* Reads an INT32/INT64 tensor input of up to `limit` elements (any rank) into out_values. Absent: count 0. */
MD_NODISCARD enum md_code md_input_ints(struct md_invocation *invocation, size_t input, size_t limit,
                                        int64_t *out_values, size_t *out_count);
/* prepare for operators whose output 0 has datatype and shape of input 0. */
MD_NODISCARD enum md_code md_prepare_same(struct md_invocation *invocation);
/* prepare for two inputs of one datatype that broadcast; output 0 has their datatype. */
MD_NODISCARD enum md_code md_prepare_broadcast(struct md_invocation *invocation);

#endif
