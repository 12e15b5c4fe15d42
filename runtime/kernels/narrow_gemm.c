/* narrow_gemm.c - packs and walks the narrow products; the element loops are in the variants. See narrow_gemm.h. */
#include "narrow_gemm.h"
#include "narrow_variant.h"

#include "bf16.h"
#include "checked.h"

#include <math.h>
#include <string.h>

enum { MAX_VARIANTS = 3, CACHE_LINE = 64, LINE_GROUPS = CACHE_LINE / sizeof(uint32_t) };

static const struct md_narrow_loops *const variants[2][MAX_VARIANTS + 1] = {
#if defined(__x86_64__)
    [MD_NARROW_BF16] = { &md_narrow_bf16_avx512, &md_narrow_bf16_portable },
    [MD_NARROW_INT8] = { &md_narrow_int8_vnni, &md_narrow_int8_avx2, &md_narrow_int8_portable },
#else
    [MD_NARROW_BF16] = { &md_narrow_bf16_portable },
    [MD_NARROW_INT8] = { &md_narrow_int8_portable },
#endif
};

const struct md_narrow_loops *md_narrow_loops_at(enum md_narrow_type type, size_t index)
{
    return variants[type][index];
}

static const struct md_narrow_loops *loops_of(enum md_narrow_type type)
{
    size_t index = 0;
    while (variants[type][index]->isa > md_isa())
        index++;
    return variants[type][index];
}

bool md_narrow_is_fast(enum md_narrow_type type)
{
    return loops_of(type)->isa >= MD_ISA_AVX512_VNNI;
}

size_t md_narrow_panel(enum md_narrow_type type)
{
    return loops_of(type)->panel;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t per_group(enum md_narrow_type type)
{
    return type == MD_NARROW_BF16 ? 2 : 4;
}

static size_t groups_of(enum md_narrow_type type, size_t depth)
{
    return depth / per_group(type) + (depth % per_group(type) != 0);
}

static size_t padded(const struct md_narrow_loops *loops, size_t columns)
{
    return (columns + loops->lanes - 1) / loops->lanes * loops->lanes;
}

/* ---- B ---- */
enum { COLUMN_SUMS, COLUMN_ZEROS, COLUMN_SCALES, COLUMN_ROWS };

/* Row `which` of what follows the panels of an INT8 matrix. */
static void *column_row(const struct md_narrow_loops *loops, size_t depth, size_t columns, const void *bytes, int which)
{
    const size_t width = padded(loops, columns);
    return (uint32_t *)(uintptr_t)bytes + width * (groups_of(MD_NARROW_INT8, depth) + (size_t)which);
}

bool md_narrow_pack_size(enum md_narrow_type type, size_t depth, size_t columns, size_t *out_size)
{
    const struct md_narrow_loops *loops = loops_of(type);
    size_t width, rows = groups_of(type, depth) + (type == MD_NARROW_INT8 ? COLUMN_ROWS : 0);
    return md_checked_add(columns, loops->lanes, &width) && md_checked_multiply(padded(loops, columns), rows, &rows) &&
           md_checked_multiply(rows, sizeof(uint32_t), out_size) && *out_size <= PTRDIFF_MAX;
}

static float real_at(const struct md_matrix *b, size_t k, size_t j)
{
    return ((const float *)b->elements)[(ptrdiff_t)k * b->row_stride + (ptrdiff_t)j * b->column_stride];
}

/* One group of a column of B, from depth k on; `scale` is of INT8 alone. */
typedef uint32_t (*group_fn)(const void *b, size_t k, size_t count, size_t j, float scale);

static uint32_t bf16_group(const void *b, size_t k, size_t count, size_t j, float scale)
{
    (void)scale; /* INT8 only */
    uint32_t group = md_bf16_of(real_at(b, k, j));
    return count == 1 ? group : group | (uint32_t)md_bf16_of(real_at(b, k + 1, j)) << 16;
}

static uint32_t int8_group(const void *b, size_t k, size_t count, size_t j, float scale)
{
    const float inverse = scale > 0.0f && isfinite(scale) ? 1.0f / scale : 0.0f;
    uint32_t group = 0;
    for (size_t i = 0; inverse != 0.0f && i < count; i++) {
        const float code = (real_at(b, k + i, j) * inverse + 12582912.0f) - 12582912.0f; /* rounds to even */
        group |= ((uint32_t)(int32_t)code & 255u) << 8 * i;
    }
    return group;
}

static uint32_t code_group(const void *b, size_t k, size_t count, size_t j, float scale)
{
    const struct md_narrow_codes *source = b;
    const struct md_matrix *codes = &source->codes;
    const uint32_t flip = source->is_unsigned ? 0x80u : 0; /* UINT8 minus 128 */
    uint32_t group = 0;
    (void)scale;
    for (size_t i = 0; i < count; i++) {
        const ptrdiff_t at = (ptrdiff_t)(k + i) * codes->row_stride + (ptrdiff_t)j * codes->column_stride;
        group |= (((const uint8_t *)codes->elements)[at] ^ flip) << 8 * i;
    }
    return group;
}

static void pack_panels(const struct md_narrow_loops *loops, enum md_narrow_type type, size_t depth, size_t columns,
                        group_fn group, const void *b, const float *scales, uint32_t *to)
{
    for (size_t first = 0; first < columns; first += loops->panel) {
        const size_t width = least(columns - first, loops->panel), stride = padded(loops, width);
        for (size_t k = 0; k < depth; k += per_group(type), to += stride)
            for (size_t j = 0; j < stride; j++)
                to[j] = j >= width ? 0 :
                                     group(b, k, least(depth - k, per_group(type)), first + j,
                                           scales == NULL ? 0.0f : scales[first + j]);
    }
}

static int32_t sum_of_group(uint32_t group)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < 32; i += 8)
        sum += (int8_t)(group >> i & 255u);
    return sum;
}

static void sum_columns(const struct md_narrow_loops *loops, size_t depth, size_t columns, void *bytes)
{
    const uint32_t *group = bytes;
    uint32_t *sums = column_row(loops, depth, columns, bytes, COLUMN_SUMS);
    memset(sums, 0, padded(loops, columns) * sizeof *sums);
    for (size_t first = 0; first < columns; first += loops->panel) {
        const size_t stride = padded(loops, least(columns - first, loops->panel));
        for (size_t k = 0; k < groups_of(MD_NARROW_INT8, depth); k++, group += stride)
            for (size_t j = 0; j < stride; j++)
                sums[first + j] += (uint32_t)sum_of_group(group[j]);
    }
}

/* Scales by which the largest magnitude of each column is 127; NaN where a column has NaN or infinity. */
static void scale_columns(const struct md_matrix *b, size_t depth, size_t columns, float *scales)
{
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < columns; j++) {
            const float magnitude = fabsf(real_at(b, k, j));
            if (!(magnitude <= scales[j])) /* NaN stays: no comparison replaces it */
                scales[j] = isnan(scales[j]) ? scales[j] : magnitude;
        }
    for (size_t j = 0; j < columns; j++) {
        scales[j] = isinf(scales[j]) ? NAN : scales[j] / 127.0f;
        if (scales[j] < 1e-37f) /* so that 1 / scale is finite */
            scales[j] = 0.0f;
    }
}

void md_narrow_pack_with(const struct md_narrow_loops *loops, enum md_narrow_type type, size_t depth, size_t columns,
                         const struct md_matrix *b, void *bytes, struct md_narrow_matrix *out_matrix)
{
    float *scales = NULL;
    if (type == MD_NARROW_INT8) {
        const size_t width = padded(loops, columns) * sizeof *scales;
        scales = column_row(loops, depth, columns, bytes, COLUMN_SCALES);
        memset(scales, 0, width);
        memset(column_row(loops, depth, columns, bytes, COLUMN_ZEROS), 0, width);
        scale_columns(b, depth, columns, scales);
    }
    pack_panels(loops, type, depth, columns, type == MD_NARROW_BF16 ? bf16_group : int8_group, b, scales, bytes);
    if (type == MD_NARROW_INT8)
        sum_columns(loops, depth, columns, bytes);
    *out_matrix = (struct md_narrow_matrix){ type, depth, columns, true, bytes };
}

void md_narrow_pack(enum md_narrow_type type, size_t depth, size_t columns, const struct md_matrix *b, void *bytes,
                    struct md_narrow_matrix *out_matrix)
{
    md_narrow_pack_with(loops_of(type), type, depth, columns, b, bytes, out_matrix);
}

/* Writes them as those of INT8 codes. True: all are 0. */
static bool write_zero_points(const struct md_narrow_codes *b, size_t columns, int32_t *zeros)
{
    bool symmetric = true;
    for (size_t j = 0; j < columns; j++) {
        const size_t at = j * b->zero_point_step;
        zeros[j] = b->zero_points == NULL ? 0 :
                   b->is_unsigned         ? ((const uint8_t *)b->zero_points)[at] :
                                            ((const int8_t *)b->zero_points)[at];
        zeros[j] -= b->is_unsigned ? 128 : 0;
        symmetric = symmetric && zeros[j] == 0;
    }
    return symmetric;
}

void md_narrow_pack_codes_with(const struct md_narrow_loops *loops, size_t depth, size_t columns,
                               const struct md_narrow_codes *b, void *bytes, struct md_narrow_matrix *out_matrix)
{
    float *scales = column_row(loops, depth, columns, bytes, COLUMN_SCALES);
    int32_t *zeros = column_row(loops, depth, columns, bytes, COLUMN_ZEROS);
    memset(zeros, 0, padded(loops, columns) * sizeof *zeros);
    const bool symmetric = write_zero_points(b, columns, zeros);
    for (size_t j = 0; j < padded(loops, columns); j++)
        scales[j] = 1.0f;
    pack_panels(loops, MD_NARROW_INT8, depth, columns, code_group, b, NULL, bytes);
    sum_columns(loops, depth, columns, bytes);
    *out_matrix = (struct md_narrow_matrix){ MD_NARROW_INT8, depth, columns, symmetric, bytes };
}

void md_narrow_pack_codes(size_t depth, size_t columns, const struct md_narrow_codes *b, void *bytes,
                          struct md_narrow_matrix *out_matrix)
{
    md_narrow_pack_codes_with(loops_of(MD_NARROW_INT8), depth, columns, b, bytes, out_matrix);
}

/* ---- A ---- */
/* Groups from row to row: an odd number of cache lines, so that the rows of a tile do not share the same cache sets. */
static size_t row_stride(enum md_narrow_type type, size_t depth)
{
    return ((groups_of(type, depth) + LINE_GROUPS - 1) / LINE_GROUPS | 1u) * LINE_GROUPS;
}

/* [ a struct md_narrow_row for each row | groups ] */
static size_t descriptions_size(size_t rows)
{
    return (rows * sizeof(struct md_narrow_row) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

bool md_narrow_rows_size(enum md_narrow_type type, size_t rows, size_t depth, size_t *out_size)
{
    size_t row, groups;
    return depth <= PTRDIFF_MAX / 2 && md_checked_multiply(row_stride(type, depth), sizeof(uint32_t), &row) &&
           md_checked_multiply(rows, row, &groups) && rows <= PTRDIFF_MAX / sizeof(struct md_narrow_row) &&
           md_checked_add(groups, descriptions_size(rows), out_size) && *out_size <= PTRDIFF_MAX;
}

static struct md_narrow_row *description_of(const struct md_narrow_rows *rows, size_t row)
{
    return (struct md_narrow_row *)rows->buffer + row;
}

static uint32_t *groups_at(const struct md_narrow_rows *rows, size_t row)
{
    unsigned char *groups = (unsigned char *)rows->buffer + descriptions_size(rows->rows);
    return (uint32_t *)(void *)groups + row * row_stride(rows->type, rows->depth);
}

void md_narrow_real_rows_with(const struct md_narrow_loops *loops, const struct md_narrow_rows *to, size_t first,
                              size_t count, const float *a, size_t stride)
{
    for (size_t i = 0; i < count; i++)
        loops->round_row(a + i * stride, to->depth, groups_at(to, first + i), description_of(to, first + i));
}

void md_narrow_real_rows(const struct md_narrow_rows *to, size_t first, size_t count, const float *a, size_t stride)
{
    md_narrow_real_rows_with(loops_of(to->type), to, first, count, a, stride);
}

void md_narrow_code_rows(const struct md_narrow_rows *to, size_t first, size_t count, const void *codes, size_t stride,
                         bool is_unsigned, int32_t zero_point, float scale)
{
    const struct md_narrow_loops *loops = loops_of(MD_NARROW_INT8);
    const uint8_t flip = is_unsigned ? 0 : 0x80; /* INT8 plus 128 */
    zero_point += is_unsigned ? 0 : 128;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = (const uint8_t *)codes + i * stride;
        uint32_t sum = loops->copy_codes(from, to->depth, flip, groups_at(to, first + i));
        sum -= (uint32_t)to->depth * (uint32_t)zero_point;
        *description_of(to, first + i) = (struct md_narrow_row){ scale, zero_point, (int32_t)sum };
    }
}

/* ---- products ---- */
/* As in gemm.c: the tiles after a panel's first one fetch the next panel meanwhile, a line for each group. */
static void look_ahead(bool is_last, size_t tile_index, struct md_narrow_tile *tile)
{
    const size_t panel = tile->b_stride * tile->groups * sizeof *tile->b;
    const size_t skipped = tile_index == 0 ? 0 : (tile_index - 1) * tile->groups * CACHE_LINE;
    tile->ahead = (const char *)tile->b;
    tile->ahead_step = 0;
    if (is_last || tile_index == 0 || skipped >= panel)
        return;
    tile->ahead = (const char *)tile->b + panel + skipped;
    tile->ahead_step = CACHE_LINE;
}

static void open_panel(const struct md_narrow_loops *loops, const struct md_narrow_gemm *gemm, size_t first,
                       struct md_narrow_tile *tile)
{
    const struct md_narrow_matrix *b = gemm->b;
    const float *scales = gemm->column_scales;
    tile->columns = least(gemm->first_column + gemm->columns - first, loops->panel);
    tile->b_stride = padded(loops, least(b->columns - first, loops->panel));
    tile->b = (const uint32_t *)b->bytes + first * tile->groups; /* every panel before it is full */
    tile->bias = gemm->column_bias == NULL ? NULL : gemm->column_bias + first;
    if (b->type == MD_NARROW_BF16)
        return;
    tile->column_sums = (const uint32_t *)column_row(loops, b->depth, b->columns, b->bytes, COLUMN_SUMS) + first;
    if (!b->symmetric)
        tile->column_zeros = (const uint32_t *)column_row(loops, b->depth, b->columns, b->bytes, COLUMN_ZEROS) + first;
    if (scales == NULL)
        scales = column_row(loops, b->depth, b->columns, b->bytes, COLUMN_SCALES);
    tile->column_scales = scales + first;
}

void md_narrow_gemm_with(const struct md_narrow_loops *loops, const struct md_narrow_gemm *gemm)
{
    const enum md_narrow_type type = gemm->b->type;
    const size_t end = gemm->first_column + gemm->columns;
    struct md_narrow_tile tile = {
        .groups = groups_of(type, gemm->b->depth),
        .a_stride = row_stride(type, gemm->b->depth),
        .activation = gemm->activation,
        .integer = gemm->integer,
        .c_stride = gemm->c_stride,
    };
    for (size_t first = gemm->first_column; first < end; first += loops->panel) {
        open_panel(loops, gemm, first, &tile);
        for (size_t row = 0; row < gemm->rows; row += loops->row_tile) {
            tile.rows = least(gemm->rows - row, loops->row_tile);
            tile.a = groups_at(&gemm->a, gemm->first_row + row);
            tile.row = description_of(&gemm->a, gemm->first_row + row);
            tile.c = (uint32_t *)gemm->c + row * gemm->c_stride + (first - gemm->first_column);
            look_ahead(first + loops->panel >= end, row / loops->row_tile, &tile);
            loops->run(&tile);
        }
    }
}

void md_narrow_gemm(const struct md_narrow_gemm *gemm)
{
    md_narrow_gemm_with(loops_of(gemm->b->type), gemm);
}
