/* narrow_gemm.h - matrix products whose operands are narrower than a float, against weights packed at load.
 *
 *     C[rows, columns] = finish(A[rows, depth] * B[depth, columns])
 *
 * BF16: both operands rounded to bfloat16 (nearest even), sums FP32. INT8: A in UINT8 codes with a zero point per row, B
 * in INT8 codes with a zero point per column, sums exact in INT32 (they wrap), so that every variant gives the same bits.
 * Sums run over depth in groups of four bytes (2 x BF16, 4 x INT8), from group 0 upwards in one accumulator: a row's
 * bits depend on the row and on B, never on other rows, its position, or the columns computed in the same call.
 *
 * Use: pack B once; for each run turn the rows of A into codes (md_narrow_*_rows), then md_narrow_gemm, as often and for
 * as many ranges of rows and columns as the caller likes.
 * Threads: pure functions. Memory: the caller's. Sizes have been checked by md_narrow_pack_size / md_narrow_rows_size. */
#ifndef MD_NARROW_GEMM_H
#define MD_NARROW_GEMM_H

#include "gemm.h"

enum md_narrow_type { MD_NARROW_BF16, MD_NARROW_INT8 };

/* INT8 sums of real rows and weights cannot wrap up to this depth. */
enum { MD_NARROW_EXACT_DEPTH = 65536 };

/* B ready to be multiplied. `bytes` has no pointers inside (64-byte aligned is best): panels of md_narrow_panel columns (the
 * last one narrower), then for INT8 three rows of the columns: sums of codes, zero points, scales. Its layout belongs
 * to the instruction set that md_isa names. */
struct md_narrow_matrix {
    enum md_narrow_type type;
    size_t depth, columns;
    bool symmetric; /* every zero point is 0: so it is with floats */
    const void *bytes;
};

/* Has this machine instructions that make products of this type faster than FP32? */
bool md_narrow_is_fast(enum md_narrow_type type);
/* Columns of a full panel. */
size_t md_narrow_panel(enum md_narrow_type type);

/* Bytes of the packed form; false: overflow. */
bool md_narrow_pack_size(enum md_narrow_type type, size_t depth, size_t columns, size_t *out_size);
/* Packs floats. INT8: symmetric, by the largest magnitude of each column; a column with a NaN or an infinity gives NaN. */
void md_narrow_pack(enum md_narrow_type type, size_t depth, size_t columns, const struct md_matrix *b, void *bytes,
                    struct md_narrow_matrix *out_matrix);
/* Packs codes that exist, INT8 (or UINT8 if `is_unsigned`). zero_points: of the codes' type, one per column, or one
 * (zero_point_step 0), or NULL. The scales are 1. */
struct md_narrow_codes {
    struct md_matrix codes;
    bool is_unsigned;
    const void *zero_points;
    size_t zero_point_step; /* 0 or 1 */
};
void md_narrow_pack_codes(size_t depth, size_t columns, const struct md_narrow_codes *b, void *bytes,
                          struct md_narrow_matrix *out_matrix);

/* Bytes for `rows` rows of A, 64-byte aligned; false: overflow. */
bool md_narrow_rows_size(enum md_narrow_type type, size_t rows, size_t depth, size_t *out_size);
/* Turns rows [first, first + count) of A (floats, `stride` elements apart) into what md_narrow_gemm reads; `rows` counts
 * all rows of the buffer. INT8: each row by its own range, which includes 0; a row with a NaN or an infinity gives NaN
 * in every column; a row whose values are all below 1e-35 counts as 0. */
struct md_narrow_rows {
    enum md_narrow_type type;
    size_t rows, depth;
    void *buffer;
};
void md_narrow_real_rows(const struct md_narrow_rows *to, size_t first, size_t count, const float *a, size_t stride);
/* The same from codes that exist: INT8 or UINT8, one zero point and one scale for these rows. */
void md_narrow_code_rows(const struct md_narrow_rows *to, size_t first, size_t count, const void *codes, size_t stride,
                         bool is_unsigned, int32_t zero_point, float scale);

/* C = activation(sum * row scale * column scale + bias), or the INT32 sums themselves. */
struct md_narrow_gemm {
    struct md_narrow_rows a;
    const struct md_narrow_matrix *b; /* of the same type and depth */
    size_t first_row, rows;
    size_t first_column, columns; /* first_column is a multiple of md_narrow_panel */
    void *c;                      /* element (first_row, first_column): FP32, or INT32 if `integer` */
    size_t c_stride;              /* elements */
    bool integer;                 /* INT8 only */
    const float *column_scales;   /* of column 0 on, readable up to a whole panel; NULL: those of the packed form */
    const float *column_bias;     /* of column 0 on, or NULL */
    enum md_gemm_activation activation;
};
void md_narrow_gemm(const struct md_narrow_gemm *gemm);

#endif
