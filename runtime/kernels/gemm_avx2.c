/* gemm_avx2.c - the matrix product for AVX2 and FMA: this file alone is compiled for them. */
#include "gemm_variant.h"
#include "vector_math.h"

#include <string.h>

#define MD_TILE_NAME    f32
#define MD_TILE_MAPS    1
#define MD_TILE_TYPE    float
#define MD_TILE_LANES   8
#define MD_TILE_ROWS    6
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    f64
#define MD_TILE_TYPE    double
#define MD_TILE_LANES   4
#define MD_TILE_ROWS    6
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    i32
#define MD_TILE_TYPE    uint32_t
#define MD_TILE_LANES   8
#define MD_TILE_ROWS    6
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    i64
#define MD_TILE_TYPE    uint64_t
#define MD_TILE_LANES   4
#define MD_TILE_ROWS    6
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

const struct md_gemm_variant md_gemm_variant_avx2 = {
    .isa = MD_ISA_AVX2,
    .loops = {
        [MD_GEMM_F32] = { 8, 16, 6, f32_run },
        [MD_GEMM_F64] = { 4, 8, 6, f64_run },
        [MD_GEMM_I32] = { 8, 16, 6, i32_run },
        [MD_GEMM_I64] = { 4, 8, 6, i64_run },
    },
};
