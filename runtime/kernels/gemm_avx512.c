/* gemm_avx512.c - the matrix product for AVX-512: this file alone is compiled for it. */
#include "gemm_variant.h"
#include "vector_math.h"

#include <string.h>

#define MD_TILE_NAME    f32
#define MD_TILE_MAPS    1
#define MD_TILE_TYPE    float
#define MD_TILE_LANES   16
#define MD_TILE_ROWS    8
#define MD_TILE_VECTORS 3
#include "gemm_tile.h"

/* The end of a row of panels: a vector of half the width takes half the time. */
#define MD_TILE_NAME    f32_half
#define MD_TILE_TYPE    float
#define MD_TILE_LANES   8
#define MD_TILE_ROWS    8
#define MD_TILE_VECTORS 1
#include "gemm_tile.h"

static void run_f32(const struct md_gemm_tile *tile)
{
    if (tile->columns <= 8 && tile->finish.activation <= MD_GEMM_RELU) /* the half tile has no others */
        f32_half_run(tile);
    else
        f32_run(tile);
}

#define MD_TILE_NAME    f64
#define MD_TILE_TYPE    double
#define MD_TILE_LANES   8
#define MD_TILE_ROWS    8
#define MD_TILE_VECTORS 3
#include "gemm_tile.h"

#define MD_TILE_NAME    i32
#define MD_TILE_TYPE    uint32_t
#define MD_TILE_LANES   16
#define MD_TILE_ROWS    8
#define MD_TILE_VECTORS 3
#include "gemm_tile.h"

#define MD_TILE_NAME    i64
#define MD_TILE_TYPE    uint64_t
#define MD_TILE_LANES   8
#define MD_TILE_ROWS    8
#define MD_TILE_VECTORS 3
#include "gemm_tile.h"

const struct md_gemm_variant md_gemm_variant_avx512 = {
    .isa = MD_ISA_AVX512,
    .loops = {
        [MD_GEMM_F32] = { 16, 48, 8, run_f32 },
        [MD_GEMM_F64] = { 8, 24, 8, f64_run },
        [MD_GEMM_I32] = { 16, 48, 8, i32_run },
        [MD_GEMM_I64] = { 8, 24, 8, i64_run },
    },
};
