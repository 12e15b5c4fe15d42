/* narrow_variant.h - what an instruction-set variant of the narrow products offers. Private to kernels/ and its test. */
#ifndef MD_NARROW_VARIANT_H
#define MD_NARROW_VARIANT_H

#include "isa.h"
#include "narrow_gemm.h"

/* What the INT8 product must know of a row: its sums become sum - zero_point * (sum of B's column) - rest * (zero point
 * of B's column), where rest is the sum of the row's codes without their zero points. */
struct md_narrow_row {
    float scale;
    int32_t zero_point;
    int32_t rest;
};

/* `rows` <= row_tile rows of A against a panel of `columns` columns. */
struct md_narrow_tile {
    size_t rows, columns, groups;
    const uint32_t *a; /* groups of four bytes */
    size_t a_stride;   /* groups */
    const uint32_t *b; /* a row for each group, `b_stride` groups long: whole vectors */
    size_t b_stride;
    const struct md_narrow_row *row;                /* INT8 */
    const uint32_t *column_sums, *column_zeros;     /* INT8: whole vectors; zeros may be NULL */
    const float *column_scales;
    const float *bias; /* or NULL */
    enum md_gemm_activation activation;
    bool integer;
    void *c;
    size_t c_stride;
    const char *ahead; /* memory that a later tile reads: prefetched, ahead_step bytes further for each group */
    size_t ahead_step;
};

struct md_narrow_loops {
    enum md_isa isa; /* that it needs */
    size_t lanes;    /* groups of a vector */
    size_t panel;    /* columns of a full panel */
    size_t row_tile;
    void (*run)(const struct md_narrow_tile *tile);
    /* One row of `depth` floats in whole groups; what fills the last one is finite (B has zeros there). *out_row is
     * written for INT8 only. */
    void (*round_row)(const float *a, size_t depth, uint32_t *groups, struct md_narrow_row *out_row);
    /* INT8 only: codes into whole groups, each changed by the bits of `flip`. Returns their sum after that, wrapping. */
    uint32_t (*copy_codes)(const uint8_t *codes, size_t depth, uint8_t flip, uint32_t *groups);
};

/* Variant `index` for a type, the highest level first; NULL after the last one, which is portable. */
const struct md_narrow_loops *md_narrow_loops_at(enum md_narrow_type type, size_t index);
void md_narrow_pack_with(const struct md_narrow_loops *loops, enum md_narrow_type type, size_t depth, size_t columns,
                         const struct md_matrix *b, void *bytes, struct md_narrow_matrix *out_matrix);
void md_narrow_pack_codes_with(const struct md_narrow_loops *loops, size_t depth, size_t columns,
                               const struct md_narrow_codes *b, void *bytes, struct md_narrow_matrix *out_matrix);
void md_narrow_real_rows_with(const struct md_narrow_loops *loops, const struct md_narrow_rows *to, size_t first,
                              size_t count, const float *a, size_t stride);
void md_narrow_gemm_with(const struct md_narrow_loops *loops, const struct md_narrow_gemm *gemm);

extern const struct md_narrow_loops md_narrow_bf16_portable, md_narrow_int8_portable;
#if defined(__x86_64__)
extern const struct md_narrow_loops md_narrow_int8_avx2, md_narrow_int8_vnni, md_narrow_bf16_avx512;
#endif

#endif
