/* elementwise.h - the frame of operators that compute each output element from one element of each input.
 *
 * A family supplies one small loop per datatype (made by macro) and lists them in an array indexed by datatype; the
 * functions here check, broadcast and call. Kernels are called per run of elements, never per element.
 * The binary operators of opsets 1 to 6 have their own broadcasting (attributes `broadcast` and `axis`): rows that
 * end below 7 use md_legacy_broadcast_configure and are otherwise like the newer ones. */
#ifndef MD_ELEMENTWISE_H
#define MD_ELEMENTWISE_H

#include "broadcast_loop.h"
#include "operator.h"

typedef void (*md_unary_fn)(size_t count, const void *input, void *output, const void *parameters);
/* steps are 0 (one element for the whole run) or 1 */
typedef void (*md_binary_fn)(size_t count, const void *a, size_t a_step, const void *b, size_t b_step,
                             void *output);

/* Types with half precision that the executor widens: for the `native` column. */
enum { MD_TYPES_HALF = (1 << MD_FP16) | (1 << MD_BF16), MD_TYPES_WIDE_FLOAT = (1 << MD_FP32) | (1 << MD_FP64) };

/* configure of rows with opset <= 6: reads broadcast and axis. */
MD_NODISCARD enum md_code md_legacy_broadcast_configure(const struct md_configuration *configuration,
                                                        const void **out_parameters);
/* The shape that input 1 broadcasts with and the output's shape, legacy rows included.
 * INVALID_ARGUMENT: they do not fit. */
MD_NODISCARD enum md_code md_binary_shapes(struct md_invocation *invocation, struct md_shape *out_b,
                                           struct md_shape *out_target);

/* prepare: two inputs of one datatype; output 0 has it, too (md_binary_prepare) or is BOOL. */
MD_NODISCARD enum md_code md_binary_prepare(struct md_invocation *invocation);
MD_NODISCARD enum md_code md_binary_prepare_bool(struct md_invocation *invocation);
/* run: kernels is indexed by the datatype of input 0 and has MD_DATATYPE_COUNT entries. UNIMPLEMENTED: no kernel. */
MD_NODISCARD enum md_code md_binary_run(struct md_invocation *invocation, const md_binary_fn *kernels);
/* The same with shapes of the operator's own: input 1 is seen as `b`, the output has `target`. */
MD_NODISCARD enum md_code md_binary_run_shapes(struct md_invocation *invocation, const md_binary_fn *kernels,
                                               const struct md_shape *b, const struct md_shape *target);
MD_NODISCARD enum md_code md_unary_run(struct md_invocation *invocation, const md_unary_fn *kernels);
/* prepare: output 0 is BOOL with the shape of input 0. */
MD_NODISCARD enum md_code md_unary_prepare_bool(struct md_invocation *invocation);

/* "no kernel for INT4": the types column let through more than the family computes. */
MD_NODISCARD enum md_code md_fail_datatype(struct md_invocation *invocation, enum md_datatype datatype);

/* One unary loop: `expression` sees x, of `type`, and parameters. */
#define MD_UNARY_KERNEL(name, type, expression)                                                              \
    static void name##_##type(size_t count, const void *input, void *output, const void *parameters)         \
    {                                                                                                        \
        const type *in = input;                                                                              \
        type *out = output;                                                                                  \
        (void)parameters;                                                                                    \
        MD_INDEPENDENT                                                                                       \
        for (size_t i = 0; i < count; i++) {                                                                 \
            const type x = in[i];                                                                            \
            out[i] = (type)(expression);                                                                     \
        }                                                                                                    \
    }

/* One binary loop: `expression` sees x and y of `type`. */
#define MD_BINARY_KERNEL(name, type, out_type, expression)                                                   \
    static void name##_##type(size_t count, const void *left, size_t left_step, const void *right,           \
                              size_t right_step, void *output)                                               \
    {                                                                                                        \
        const type *a = left, *b = right;                                                                    \
        out_type *out = output;                                                                              \
        if (left_step != 0 && right_step != 0) {                                                             \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                             \
                const type x = a[i], y = b[i];                                                               \
                out[i] = (out_type)(expression);                                                             \
            }                                                                                                \
        } else if (left_step != 0) {                                                                         \
            const type y = b[0];                                                                             \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                             \
                const type x = a[i];                                                                         \
                out[i] = (out_type)(expression);                                                             \
            }                                                                                                \
        } else if (right_step != 0) {                                                                        \
            const type x = a[0];                                                                             \
            MD_INDEPENDENT                                                                                   \
            for (size_t i = 0; i < count; i++) {                                                             \
                const type y = b[i];                                                                         \
                out[i] = (out_type)(expression);                                                             \
            }                                                                                                \
        } else {                                                                                             \
            const type x = a[0], y = b[0];                                                                   \
            const out_type value = (out_type)(expression);                                                   \
            for (size_t i = 0; i < count; i++)                                                               \
                out[i] = value;                                                                              \
        }                                                                                                    \
    }

#endif
