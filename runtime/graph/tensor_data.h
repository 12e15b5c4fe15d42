/* tensor_data.h - the data fields of one serialized TensorProto, read where they lie in the file.
 * Private to tensor_import.c, which has checked datatype and shape. */
#ifndef MD_TENSOR_DATA_H
#define MD_TENSOR_DATA_H

#include "onnx_wire.h"
#include "tensor.h"

/* Field numbers of TensorProto. */
enum md_data_field {
    MD_DATA_NONE = 0,
    MD_DATA_FLOAT = 4,
    MD_DATA_INT32 = 5,
    MD_DATA_STRING = 6,
    MD_DATA_INT64 = 7,
    MD_DATA_RAW = 9,
    MD_DATA_DOUBLE = 10,
    MD_DATA_UINT64 = 11
};

struct md_tensor_data {
    struct md_span message;   /* the serialized TensorProto */
    enum md_data_field field; /* the one that has data; MD_DATA_NONE: none has */
    size_t count;             /* its entries; of raw_data: bytes */
    /* raw_data, or a float_data or double_data that is one piece and so has raw_data's layout; else bytes
     * NULL */
    struct md_span plain;
};

/* "raw_data", "int32_data", ... */
const char *md_data_field_name(enum md_data_field field);
/* Counts entries, allocates nothing. INVALID_ARGUMENT: two fields have data, or one is malformed. */
MD_NODISCARD enum md_code md_tensor_data_survey(struct md_span message, struct md_tensor_data *out_data,
                                                struct md_error *error);
/* Decodes a typed field into tensor->bytes, which has room for all that md_tensor_data_survey counted.
 * INVALID_ARGUMENT: a number is out of the datatype's range. RESOURCE_EXHAUSTED: memory for strings. */
MD_NODISCARD enum md_code md_tensor_data_decode(const struct md_tensor_data *data, struct md_tensor *tensor,
                                                struct md_arena *arena, struct md_error *error);
/* Two elements per byte, low nibble first, into one byte per element. */
void md_tensor_data_unpack_nibbles(const unsigned char *packed, struct md_tensor *tensor);

static inline bool md_datatype_is_nibble(enum md_datatype datatype)
{
    return datatype == MD_UINT4 || datatype == MD_INT4 || datatype == MD_FP4E2M1;
}

#endif
