/* gemm_variant.h - what an instruction-set variant of the matrix product offers. Private to kernels/ and its test. */
#ifndef MD_GEMM_VARIANT_H
#define MD_GEMM_VARIANT_H

#include "gemm.h"
#include "isa.h"

enum { MD_GEMM_TYPES = 4 };

/* One tile: `rows` <= row_tile rows of A against a panel of `columns` <= panel_width columns; or few rows against
 * md_gemm_panels_of(rows) full panels. */
struct md_gemm_tile {
    size_t rows, columns, depth;
    const void *a;
    ptrdiff_t a_row_stride, a_column_stride;
    const void *b;   /* readable up to the next multiple of `lanes` columns in every row */
    size_t b_stride; /* elements */
    size_t panel_stride; /* elements from one panel to the next, when there are several */
    void *c;
    size_t c_stride;
    struct md_gemm_finish finish; /* biases begin at this tile */
    const char *ahead;   /* memory that a later tile reads: prefetched, ahead_step bytes further for each k */
    size_t ahead_step;
};

struct md_gemm_loops {
    size_t lanes;       /* elements of a vector: panels are padded to a multiple of it */
    size_t panel_width; /* columns of a full panel */
    size_t row_tile;
    void (*run)(const struct md_gemm_tile *tile);
};

/* Panels of a tile with so many rows, where there are as many and B is there as a whole. */
static inline size_t md_gemm_panels_of(size_t rows)
{
    return rows == 1 ? 4 : rows == 2 ? 2 : 1;
}

struct md_gemm_variant {
    enum md_isa isa; /* that it needs */
    struct md_gemm_loops loops[MD_GEMM_TYPES];
};

/* Variant `index`, the highest level first; NULL after the last one, which is portable. */
const struct md_gemm_variant *md_gemm_variant_at(size_t index);
/* The same product with loops of the caller's choice; packed matrices must come from md_matrix_pack_with these. */
void md_gemm_with(const struct md_gemm_loops *loops, const struct md_gemm *gemm, void *workspace);
void md_matrix_pack_with(const struct md_gemm_loops *loops, enum md_gemm_type type, size_t depth, size_t columns,
                         const struct md_matrix *b, void *panels, struct md_packed_matrix *out_packed);

extern const struct md_gemm_variant md_gemm_variant_portable;
#if defined(__x86_64__)
extern const struct md_gemm_variant md_gemm_variant_avx2;
extern const struct md_gemm_variant md_gemm_variant_avx512;
#endif

#endif
