/* gemm.c - walks a matrix product in panels and tiles; the element loops are in the variants. See gemm.h. */
#include "gemm.h"
#include "gemm_variant.h"

#include "checked.h"

#include <string.h>

static const struct md_gemm_variant *const variants[] = {
#if defined(__x86_64__)
    &md_gemm_variant_avx512,
    &md_gemm_variant_avx2,
#endif
    &md_gemm_variant_portable,
};

const struct md_gemm_variant *md_gemm_variant_at(size_t index)
{
    return index < sizeof variants / sizeof variants[0] ? variants[index] : NULL;
}

static const struct md_gemm_loops *loops_of(enum md_gemm_type type)
{
    size_t index = 0;
    while (variants[index]->isa > md_isa())
        index++;
    return &variants[index]->loops[type];
}

size_t md_gemm_element_size(enum md_gemm_type type)
{
    return type == MD_GEMM_F32 || type == MD_GEMM_I32 ? 4 : 8;
}

static size_t padded(const struct md_gemm_loops *loops, size_t columns)
{
    return (columns + loops->lanes - 1) / loops->lanes * loops->lanes;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- packing ---- */
#define DEFINE_FILL(name, type)                                                                              \
    static void name(const struct md_matrix *b, size_t depth, size_t first, size_t columns, size_t stride,   \
                     type *panel)                                                                            \
    {                                                                                                        \
        const type *source = (const type *)b->elements + (ptrdiff_t)first * b->column_stride;                \
        if (b->row_stride == 1) { /* transposed: read along memory, write across the panel */                \
            for (size_t j = 0; j < columns; j++)                                                             \
                for (size_t k = 0; k < depth; k++)                                                           \
                    panel[k * stride + j] = source[(ptrdiff_t)j * b->column_stride + (ptrdiff_t)k];          \
        } else {                                                                                             \
            for (size_t k = 0; k < depth; k++)                                                               \
                for (size_t j = 0; j < columns; j++)                                                         \
                    panel[k * stride + j] =                                                                  \
                        source[(ptrdiff_t)k * b->row_stride + (ptrdiff_t)j * b->column_stride];              \
        }                                                                                                    \
        for (size_t k = 0; columns < stride && k < depth; k++)                                               \
            memset(panel + k * stride + columns, 0, (stride - columns) * sizeof(type));                      \
    }

/* Bits are only moved here, so two sizes do for all types. */
DEFINE_FILL(fill_32, uint32_t)
DEFINE_FILL(fill_64, uint64_t)

static void fill_panel(enum md_gemm_type type, const struct md_matrix *b, size_t depth, size_t first, size_t columns,
                       size_t stride, void *panel)
{
    if (md_gemm_element_size(type) == 4)
        fill_32(b, depth, first, columns, stride, panel);
    else
        fill_64(b, depth, first, columns, stride, panel);
}

bool md_matrix_pack_size(enum md_gemm_type type, size_t depth, size_t columns, size_t *out_size)
{
    const struct md_gemm_loops *loops = loops_of(type);
    size_t width;
    return md_checked_add(columns, loops->lanes, &width) && md_checked_multiply(width, depth, &width) &&
           md_checked_multiply(padded(loops, columns) * depth, md_gemm_element_size(type), out_size) &&
           *out_size <= PTRDIFF_MAX;
}

void md_matrix_pack_with(const struct md_gemm_loops *loops, enum md_gemm_type type, size_t depth, size_t columns,
                         const struct md_matrix *b, void *panels, struct md_packed_matrix *out_packed)
{
    unsigned char *panel = panels;
    for (size_t first = 0; first < columns; first += loops->panel_width) {
        size_t width = least(columns - first, loops->panel_width);
        size_t stride = padded(loops, width);
        fill_panel(type, b, depth, first, width, stride, panel);
        panel += depth * stride * md_gemm_element_size(type);
    }
    *out_packed = (struct md_packed_matrix){ type, depth, columns, panels };
}

void md_matrix_pack(enum md_gemm_type type, size_t depth, size_t columns, const struct md_matrix *b, void *panels,
                    struct md_packed_matrix *out_packed)
{
    md_matrix_pack_with(loops_of(type), type, depth, columns, b, panels, out_packed);
}

void md_matrix_pack_fill(enum md_gemm_type type, size_t depth, size_t columns, md_panel_fill_fn fill,
                         const void *source, void *panels, struct md_packed_matrix *out_packed)
{
    const struct md_gemm_loops *loops = loops_of(type);
    unsigned char *panel = panels;
    for (size_t first = 0; first < columns; first += loops->panel_width) {
        size_t width = least(columns - first, loops->panel_width);
        size_t stride = padded(loops, width);
        fill(source, first, width, stride, panel);
        panel += depth * stride * md_gemm_element_size(type);
    }
    *out_packed = (struct md_packed_matrix){ type, depth, columns, panels };
}

/* ---- products ---- */
size_t md_gemm_workspace(enum md_gemm_type type, size_t depth)
{
    size_t size;
    return md_checked_multiply(loops_of(type)->panel_width * md_gemm_element_size(type), depth, &size) ? size : 0;
}

/* Packing pays from a few tiles of rows on; below that B's rows are read where they are, if they are dense. */
static bool read_in_place(const struct md_gemm_loops *loops, const struct md_gemm *gemm, size_t width)
{
    return gemm->b.elements != NULL && gemm->b.column_stride == 1 && gemm->b.row_stride >= 0 &&
           gemm->rows <= 2 * loops->row_tile && width % loops->lanes == 0;
}

/* Columns are cut into wide tiles of several panels, as many as there are, and tiles of one panel after them. */
struct cut {
    size_t wide, wide_count, narrow, count;
};

static struct cut cut_columns(const struct md_gemm_loops *loops, const struct md_gemm *gemm, size_t columns)
{
    struct cut cut = { .wide = md_gemm_panels_of(gemm->rows) * loops->panel_width, .narrow = loops->panel_width };
    if (gemm->packed != NULL || read_in_place(loops, gemm, cut.wide))
        cut.wide_count = columns / cut.wide;
    cut.count = cut.wide_count + (columns - cut.wide_count * cut.wide + cut.narrow - 1) / cut.narrow;
    return cut;
}

/* Where tile `index` of the cut begins. */
static size_t tile_column(const struct cut *cut, size_t index)
{
    const size_t wide = least(index, cut->wide_count);
    return wide * cut->wide + (index - wide) * cut->narrow;
}

/* Points the tile at the panels of B that begin at column `first`. */
static void open_panel(const struct md_gemm_loops *loops, const struct md_gemm *gemm, size_t first, size_t width,
                       void *workspace, struct md_gemm_tile *tile)
{
    size_t size = md_gemm_element_size(gemm->type);
    tile->b_stride = padded(loops, least(width, loops->panel_width));
    tile->panel_stride = gemm->depth * loops->panel_width;
    if (gemm->packed != NULL) {
        /* Every panel before this one is full. */
        tile->b = (const unsigned char *)gemm->packed->panels + first * gemm->depth * size;
    } else if (gemm->fill != NULL) {
        gemm->fill(gemm->fill_source, first, width, tile->b_stride, workspace);
        tile->b = workspace;
    } else if (read_in_place(loops, gemm, width)) {
        tile->b = (const unsigned char *)gemm->b.elements + first * size;
        tile->b_stride = (size_t)gemm->b.row_stride;
        tile->panel_stride = loops->panel_width;
    } else {
        fill_panel(gemm->type, &gemm->b, gemm->depth, first, width, tile->b_stride, workspace);
        tile->b = workspace;
    }
}

static const void *advance(const void *elements, size_t count, size_t size)
{
    return elements == NULL ? NULL : (const unsigned char *)elements + count * size;
}

enum { CACHE_LINE = 64 };

/* The first tile of a panel finds it in memory or a far cache. The tiles after it fetch the next panel meanwhile, one
 * line for each k, so that its first tile runs at full speed: measured, 4 % of the time of a model for 32 rows. */
static void look_ahead(const struct md_gemm *gemm, size_t end_column, size_t next_column, size_t tile_index,
                       struct md_gemm_tile *tile)
{
    const size_t skipped = tile_index == 0 ? 0 : (tile_index - 1) * gemm->depth * CACHE_LINE;
    const size_t size = tile->b_stride * gemm->depth * md_gemm_element_size(gemm->type);
    tile->ahead = tile->b;
    tile->ahead_step = 0;
    if (gemm->packed == NULL || next_column >= end_column || tile_index == 0 || skipped >= size)
        return;
    tile->ahead = (const char *)tile->b + size + skipped;
    tile->ahead_step = CACHE_LINE;
}

/* What one call of the loops below computes. */
struct part {
    size_t first_column, end_column, first_row, end_row;
};

static void run_part(const struct md_gemm_loops *loops, const struct md_gemm *gemm, const struct part *part,
                     void *workspace)
{
    size_t size = md_gemm_element_size(gemm->type);
    struct md_gemm_tile tile = {
        .depth = gemm->depth,
        .a_row_stride = gemm->a.row_stride,
        .a_column_stride = gemm->a.column_stride,
        .c_stride = gemm->c_stride,
        .finish = gemm->finish,
    };
    if (part->first_row >= part->end_row)
        return;
    const struct cut cut = cut_columns(loops, gemm, part->end_column - part->first_column);
    for (size_t i = 0; i < cut.count; i++) {
        const size_t index = gemm->backwards ? cut.count - 1 - i : i;
        const size_t first = part->first_column + tile_column(&cut, index);
        tile.columns = least(part->end_column, part->first_column + tile_column(&cut, index + 1)) - first;
        if (gemm->depth > 0)
            open_panel(loops, gemm, first, tile.columns, workspace, &tile);
        tile.finish.column_bias = advance(gemm->finish.column_bias, first, size);
        for (size_t row = part->first_row; row < part->end_row; row += loops->row_tile) {
            tile.rows = least(part->end_row - row, loops->row_tile);
            tile.a = gemm->depth == 0 ? NULL : (const unsigned char *)gemm->a.elements +
                                                   (ptrdiff_t)row * gemm->a.row_stride * (ptrdiff_t)size;
            tile.c = (unsigned char *)gemm->c + (row * gemm->c_stride + first) * size;
            tile.finish.row_bias = advance(gemm->finish.row_bias, row, size);
            look_ahead(gemm, part->end_column, first + loops->panel_width, (row - part->first_row) / loops->row_tile, &tile);
            loops->run(&tile);
        }
    }
}

void md_gemm_with(const struct md_gemm_loops *loops, const struct md_gemm *gemm, void *workspace)
{
    const struct part all = { 0, gemm->columns, 0, gemm->rows };
    run_part(loops, gemm, &all, workspace);
}

void md_gemm(const struct md_gemm *gemm, void *workspace)
{
    md_gemm_with(loops_of(gemm->type), gemm, workspace);
}

size_t md_gemm_panel_width(enum md_gemm_type type)
{
    return loops_of(type)->panel_width;
}

size_t md_gemm_row_tile(enum md_gemm_type type)
{
    return loops_of(type)->row_tile;
}

void md_gemm_part(const struct md_gemm *gemm, size_t first_panel, size_t panels, size_t first_row, size_t rows,
                  void *workspace)
{
    const struct md_gemm_loops *loops = loops_of(gemm->type);
    const struct part part = { first_panel * loops->panel_width,
                               least(gemm->columns, (first_panel + panels) * loops->panel_width), first_row,
                               first_row + rows };
    run_part(loops, gemm, &part, workspace);
}
