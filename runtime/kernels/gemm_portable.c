/* gemm_portable.c - the matrix product for any machine. */
#include "gemm_variant.h"
#include "vector_math.h"

#include <string.h>

#define MD_TILE_NAME    f32
#define MD_TILE_MAPS    1
#define MD_TILE_TYPE    float
#define MD_TILE_LANES   4
#define MD_TILE_ROWS    4
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    f64
#define MD_TILE_TYPE    double
#define MD_TILE_LANES   2
#define MD_TILE_ROWS    4
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    i32
#define MD_TILE_TYPE    uint32_t
#define MD_TILE_LANES   4
#define MD_TILE_ROWS    4
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

#define MD_TILE_NAME    i64
#define MD_TILE_TYPE    uint64_t
#define MD_TILE_LANES   2
#define MD_TILE_ROWS    4
#define MD_TILE_VECTORS 2
#include "gemm_tile.h"

const struct md_gemm_variant md_gemm_variant_portable = {
    .isa = MD_ISA_PORTABLE,
    .loops = {
        [MD_GEMM_F32] = { 4, 8, 4, f32_run },
        [MD_GEMM_F64] = { 2, 4, 4, f64_run },
        [MD_GEMM_I32] = { 4, 8, 4, i32_run },
        [MD_GEMM_I64] = { 2, 4, 4, i64_run },
    },
};
