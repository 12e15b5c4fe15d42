/* gemm_operand.h - from tensors to md_gemm: element types, and weights packed at load. */
#ifndef MD_GEMM_OPERAND_H
#define MD_GEMM_OPERAND_H

#include "narrow_gemm.h"
#include "operator.h"

/* FP32, FP64, INT32, UINT32, INT64, UINT64. False: no product of this type. */
bool md_gemm_type_of(enum md_datatype datatype, enum md_gemm_type *out_type);

/* In configure: packs B[depth, columns], whose element (k,j) is element offset + k * row_stride + j *
 * column_stride of `tensor`, into the arena. *out_packed stays NULL when `tensor` is NULL, empty, or of a
 * type without a product. The caller has checked that the elements exist. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_pack_weight(const struct md_configuration *configuration,
                                         const struct md_tensor *tensor, size_t offset, size_t depth,
                                         size_t columns, ptrdiff_t row_stride, ptrdiff_t column_stride,
                                         const struct md_packed_matrix **out_packed);

/* The same for a narrow product of FP32 weights. */
MD_NODISCARD enum md_code md_pack_narrow_weight(const struct md_configuration *configuration, enum md_narrow_type type,
                                                const struct md_tensor *tensor, size_t offset, size_t depth,
                                                size_t columns, ptrdiff_t row_stride, ptrdiff_t column_stride,
                                                const struct md_narrow_matrix **out_matrix);
/* The narrow type that serves configuration->precision for weights of this depth. False: FP32 does, since it was asked
 * for, is faster on this machine, or the sums could wrap. */
bool md_narrow_type_of(const struct md_configuration *configuration, size_t depth, enum md_narrow_type *out_type);

/* Attribute "activation" of internal products. */
MD_NODISCARD enum md_code md_gemm_activation_read(const struct md_configuration *configuration,
                                                  enum md_gemm_activation *out_activation);

/* The constant behind input `index`, or NULL. */
const struct md_tensor *md_constant_input(const struct md_configuration *configuration, size_t index);

/* Element pointer of any type. */
static inline void *md_element_at(const struct md_tensor *tensor, size_t index)
{
    size_t offset = index * md_datatype_size(tensor->datatype);
    return offset == 0 ? tensor->bytes : (unsigned char *)tensor->bytes + offset;
}

#endif
