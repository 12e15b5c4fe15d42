/* datatype.h - element types. The numbers are ONNX's (TensorProto.DataType), the names are the Open
 * Inference Protocol's where it has one. In memory every element of a sub-byte type takes one byte. */
#ifndef MD_DATATYPE_H
#define MD_DATATYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum md_datatype {
    MD_DATATYPE_NONE = 0,
    MD_FP32 = 1,
    MD_UINT8 = 2,
    MD_INT8 = 3,
    MD_UINT16 = 4,
    MD_INT16 = 5,
    MD_INT32 = 6,
    MD_INT64 = 7,
    MD_BYTES = 8, /* ONNX STRING; elements are struct md_span */
    MD_BOOL = 9,  /* one byte, 0 or 1 */
    MD_FP16 = 10,
    MD_FP64 = 11,
    MD_UINT32 = 12,
    MD_UINT64 = 13,
    MD_COMPLEX64 = 14,
    MD_COMPLEX128 = 15,
    MD_BF16 = 16,
    MD_FP8E4M3FN = 17,
    MD_FP8E4M3FNUZ = 18,
    MD_FP8E5M2 = 19,
    MD_FP8E5M2FNUZ = 20,
    MD_UINT4 = 21,
    MD_INT4 = 22,
    MD_FP4E2M1 = 23,
    MD_DATATYPE_COUNT = 24
};

/* Sets of datatypes, for operator tables: bit n is datatype n. */
#define MD_TYPE(datatype) (1u << (datatype))
enum {
    MD_TYPES_FLOAT = (1 << MD_FP32) | (1 << MD_FP64) | (1 << MD_FP16) | (1 << MD_BF16),
    MD_TYPES_SIGNED = (1 << MD_INT8) | (1 << MD_INT16) | (1 << MD_INT32) | (1 << MD_INT64),
    MD_TYPES_UNSIGNED = (1 << MD_UINT8) | (1 << MD_UINT16) | (1 << MD_UINT32) | (1 << MD_UINT64),
    MD_TYPES_INTEGER = MD_TYPES_SIGNED | MD_TYPES_UNSIGNED,
    MD_TYPES_NUMBER = MD_TYPES_FLOAT | MD_TYPES_INTEGER,
    MD_TYPES_COMPLEX = (1 << MD_COMPLEX64) | (1 << MD_COMPLEX128),
    MD_TYPES_ALL = (1 << MD_DATATYPE_COUNT) - 2 /* every one but MD_DATATYPE_NONE */
};

/* Bytes of one element in memory; 0 for an unknown datatype. */
size_t md_datatype_size(enum md_datatype datatype);
/* "FP32", "BYTES", ...; types without an OIP name have ONNX's ("COMPLEX64"); "?" for no datatype. Static. */
const char *md_datatype_name(enum md_datatype datatype);
/* MD_DATATYPE_NONE for an unknown name. */
enum md_datatype md_datatype_from_name(const char *name, size_t size);

static inline bool md_datatype_in(enum md_datatype datatype, unsigned types)
{
    return (types >> datatype & 1u) != 0;
}

/* X-macros over (datatype constant, C type), for code that is the same for every type of a kind. */
#define MD_FOR_EACH_SIGNED(X)   X(MD_INT8, int8_t) X(MD_INT16, int16_t) X(MD_INT32, int32_t) X(MD_INT64, int64_t)
#define MD_FOR_EACH_UNSIGNED(X) X(MD_UINT8, uint8_t) X(MD_UINT16, uint16_t) X(MD_UINT32, uint32_t) X(MD_UINT64, uint64_t)
#define MD_FOR_EACH_INTEGER(X)  MD_FOR_EACH_SIGNED(X) MD_FOR_EACH_UNSIGNED(X)
#define MD_FOR_EACH_REAL(X)     X(MD_FP32, float) X(MD_FP64, double)
#define MD_FOR_EACH_NUMBER(X)   MD_FOR_EACH_REAL(X) MD_FOR_EACH_INTEGER(X)

/* Conversions, round to nearest even (IEEE 754; bfloat16; OFP8 with saturation as ONNX's Cast asks for). */
float md_fp16_to_float(uint16_t bits);
uint16_t md_float_to_fp16(float value);
float md_bf16_to_float(uint16_t bits);
uint16_t md_float_to_bf16(float value);
/* datatype: one of the four FP8 types or MD_FP4E2M1. saturate: out of range gives the largest finite number,
 * else NaN or infinity as the type has it. */
float md_small_float_to_float(enum md_datatype datatype, uint8_t bits);
uint8_t md_float_to_small_float(enum md_datatype datatype, float value, bool saturate);

#endif
