/* gemm.h - matrix products, the one place where they are computed.
 *
 *     C[rows, columns] = finish(A[rows, depth] * B[depth, columns])
 *
 * Order: every element of C is one sum over depth, from 0 upwards, in one accumulator. It depends on its row of A and
 * its column of B and on nothing else, so a row's bits are the same whoever shares the batch.
 * B is read in panels of a few vectors of columns. A fixed B (weights) is packed once with md_matrix_pack; any other B
 * is packed panel by panel into the workspace, or filled there by its owner (convolution). The element loops exist in
 * instruction-set variants (gemm_variant.h), chosen once per process.
 * Threads: everything here may be called from many threads at once. Memory: the caller's. */
#ifndef MD_GEMM_H
#define MD_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum md_gemm_type {
    MD_GEMM_F32,
    MD_GEMM_F64,
    MD_GEMM_I32, /* wraps; also for uint32 */
    MD_GEMM_I64  /* wraps; also for uint64 */
};

size_t md_gemm_element_size(enum md_gemm_type type);

/* Any matrix in memory: element (i,j) is at i * row_stride + j * column_stride elements. Strides may be negative. */
struct md_matrix {
    const void *elements;
    ptrdiff_t row_stride;
    ptrdiff_t column_stride;
};

/* B ready to be multiplied: its panels one after the other. */
struct md_packed_matrix {
    enum md_gemm_type type;
    size_t depth;
    size_t columns;
    const void *panels; /* 64-byte aligned is best */
};

/* No panel is wider than this. */
enum { MD_GEMM_MAX_PANEL = 64 };

/* Writes columns [first_column, first_column + columns) of B: row k goes to panel[k * stride .. + columns), and
 * columns up to `stride` should be 0. */
typedef void (*md_panel_fill_fn)(const void *source, size_t first_column, size_t columns, size_t stride, void *panel);

/* Those from GELU on count for F32 only; their errors are stated in vector_math.h. */
enum md_gemm_activation { MD_GEMM_LINEAR = 0, MD_GEMM_RELU, MD_GEMM_GELU, MD_GEMM_GELU_TANH, MD_GEMM_TANH };

/* What happens to a sum on its way to C: sum * alpha + column_bias[j] + row_bias[i] + C (if accumulate), activation.
 * alpha and activation count for F32 and F64 only. */
struct md_gemm_finish {
    double alpha;            /* usually 1 */
    const void *column_bias; /* of the product's type, or NULL */
    const void *row_bias;    /* likewise */
    bool accumulate;
    enum md_gemm_activation activation;
};

struct md_gemm {
    enum md_gemm_type type;
    size_t rows, columns, depth;
    struct md_matrix a;
    /* Exactly one of the next three gives B. */
    struct md_matrix b;                    /* b.elements != NULL */
    const struct md_packed_matrix *packed; /* of the same type, depth and columns */
    md_panel_fill_fn fill;
    const void *fill_source;
    void *c;          /* rows are dense; may not overlap A or B */
    size_t c_stride;  /* elements from row to row */
    struct md_gemm_finish finish;
    bool backwards;   /* the last panel first, because the product before this one left it in the cache; for few rows:
                         no panel is fetched ahead. Bits are the same */
};

/* Bytes of workspace that md_gemm wants for a B that is not packed; 0 when the size overflows or nothing is needed:
 * check depth * columns before. */
size_t md_gemm_workspace(enum md_gemm_type type, size_t depth);
/* Sizes have been checked by the caller: no product of them overflows. depth 0 gives finish(0). */
void md_gemm(const struct md_gemm *gemm, void *workspace);

/* For those who split a product: columns of a panel, the rows that are computed together. */
size_t md_gemm_panel_width(enum md_gemm_type type);
size_t md_gemm_row_tile(enum md_gemm_type type);
/* Rows [first_row, first_row + rows) of panels [first_panel, first_panel + panels) of md_gemm, bit for bit; first_row is a
 * multiple of the row tile. Parts that overlap in nothing may be computed at the same time. */
void md_gemm_part(const struct md_gemm *gemm, size_t first_panel, size_t panels, size_t first_row, size_t rows,
                  void *workspace);

/* Bytes of the packed form; false: overflow. */
bool md_matrix_pack_size(enum md_gemm_type type, size_t depth, size_t columns, size_t *out_size);
/* Packs B into `panels` (md_matrix_pack_size bytes) and describes it. */
void md_matrix_pack(enum md_gemm_type type, size_t depth, size_t columns, const struct md_matrix *b, void *panels,
                    struct md_packed_matrix *out_packed);
/* The same, with B written panel by panel. */
void md_matrix_pack_fill(enum md_gemm_type type, size_t depth, size_t columns, md_panel_fill_fn fill,
                         const void *source, void *panels, struct md_packed_matrix *out_packed);

#endif
