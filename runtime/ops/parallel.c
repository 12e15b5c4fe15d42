/* parallel.c - see parallel.h. */
#include "parallel.h"

#include "checked.h"
#include "thread_pool.h"

/* Multiply-adds that are worth a thread's attention: about 9 us, where a loop that finds its worker awake costs less than
 * 1 us (measured). A choice, not tuned: no other value was tried. */
static const double least_range_cost = 1 << 19;

/* More ranges than threads, so that a thread that comes late or is slow gets fewer of them. */
enum { RANGES_PER_THREAD = 4 };

static size_t range_count(const struct md_invocation *invocation, size_t items, double item_cost)
{
    const size_t threads = md_thread_pool_threads(invocation->thread_pool);
    const double worth = (double)items * item_cost / least_range_cost;
    size_t ranges = threads * RANGES_PER_THREAD;
    if (threads == 1 || worth < 2)
        return 1;
    ranges = worth < (double)ranges ? (size_t)worth : ranges;
    return ranges < items ? ranges : items;
}

size_t md_parallel_slots(const struct md_invocation *invocation, size_t items, double item_cost)
{
    const size_t threads = md_thread_pool_threads(invocation->thread_pool);
    const size_t ranges = range_count(invocation, items, item_cost);
    return ranges < 1 ? 1 : ranges < threads ? ranges : threads;
}

struct split {
    size_t items, ranges;
    md_range_fn fn;
    void *context;
};

/* The first items % ranges ranges have one item more. */
static void run_range(void *context, size_t index, size_t slot)
{
    const struct split *split = context;
    const size_t size = split->items / split->ranges, longer = split->items % split->ranges;
    const size_t first = index * size + (index < longer ? index : longer);
    split->fn(split->context, first, size + (index < longer), slot);
}

void md_parallel(const struct md_invocation *invocation, size_t items, double item_cost, md_range_fn fn, void *context)
{
    struct split split = { items, range_count(invocation, items, item_cost), fn, context };
    if (split.ranges > 1)
        md_parallel_for(invocation->thread_pool, split.ranges, run_range, &split);
    else if (items > 0)
        fn(context, 0, items, 0);
}

/* ---- products ---- */

struct product {
    const struct md_gemm *gemm;
    size_t row_blocks, block_rows; /* of each panel */
    unsigned char *workspace;
    size_t workspace_size;         /* of a slot */
};

static size_t workspace_size(enum md_gemm_type type, size_t depth)
{
    return (md_gemm_workspace(type, depth) + 63) / 64 * 64;
}

static double panel_cost(const struct md_gemm *gemm)
{
    return (double)gemm->rows * (double)gemm->depth * (double)md_gemm_panel_width(gemm->type);
}

static size_t panel_count(enum md_gemm_type type, size_t columns)
{
    const size_t width = md_gemm_panel_width(type);
    return columns / width + (columns % width != 0);
}

enum md_code md_parallel_gemm_scratch(struct md_invocation *invocation, enum md_gemm_type type, size_t rows,
                                      size_t columns, size_t depth)
{
    const struct md_gemm gemm = { .type = type, .rows = rows, .depth = depth };
    size_t slots = md_parallel_slots(invocation, panel_count(type, columns), panel_cost(&gemm)), size;
    if (!md_checked_multiply(slots, workspace_size(type, depth), &size))
        return md_fail_memory(invocation->error, "workspace of a product");
    return md_scratch(invocation, size);
}

static void run_blocks(void *context, size_t first, size_t count, size_t slot)
{
    const struct product *product = context;
    unsigned char *workspace = product->workspace == NULL ? NULL : product->workspace + slot * product->workspace_size;
    if (product->row_blocks == 1) {
        md_gemm_part(product->gemm, first, count, 0, product->gemm->rows, workspace);
        return;
    }
    for (size_t i = first; i < first + count; i++) {
        const size_t row = i % product->row_blocks * product->block_rows, left = product->gemm->rows - row;
        md_gemm_part(product->gemm, i / product->row_blocks, 1, row,
                     left < product->block_rows ? left : product->block_rows, workspace);
    }
}

/* Row blocks of a panel, so that there are enough blocks for all threads. A panel that is not packed is packed for
 * every block: those are not cut. */
static void cut_rows(const struct md_invocation *invocation, size_t panels, struct product *product)
{
    const struct md_gemm *gemm = product->gemm;
    const size_t wanted = md_thread_pool_threads(invocation->thread_pool) * RANGES_PER_THREAD;
    const size_t tile = md_gemm_row_tile(gemm->type), tiles = gemm->rows / tile + (gemm->rows % tile != 0);
    product->row_blocks = 1;
    product->block_rows = gemm->rows;
    if (gemm->packed == NULL || panels == 0 || panels >= wanted || tiles < 2)
        return;
    const size_t blocks = (wanted + panels - 1) / panels;
    product->block_rows = (tiles + blocks - 1) / blocks * tile;
    product->row_blocks = (gemm->rows + product->block_rows - 1) / product->block_rows;
}

void md_parallel_gemm(const struct md_invocation *invocation, const struct md_gemm *gemm, void *workspace)
{
    struct product product = { .gemm = gemm,
                               .workspace = workspace,
                               .workspace_size = workspace_size(gemm->type, gemm->depth) };
    const size_t panels = panel_count(gemm->type, gemm->columns);
    if (gemm->rows == 0)
        return;
    cut_rows(invocation, panels, &product);
    md_parallel(invocation, panels * product.row_blocks, panel_cost(gemm) / (double)product.row_blocks, run_blocks,
                &product);
}

/* ---- narrow products ---- */

struct narrow_product {
    const struct md_narrow_gemm *gemm;
    const float *a;
    size_t a_stride;
};

static void round_rows(void *context, size_t first, size_t count, size_t slot)
{
    const struct narrow_product *product = context;
    (void)slot; /* needs no scratch */
    md_narrow_real_rows(&product->gemm->a, first, count, product->a + first * product->a_stride, product->a_stride);
}

static void run_narrow_panels(void *context, size_t first, size_t count, size_t slot)
{
    const struct narrow_product *product = context;
    struct md_narrow_gemm part = *product->gemm;
    const size_t width = md_narrow_panel(part.a.type), left = part.columns - first * width;
    (void)slot; /* needs no scratch */
    part.first_column = first * width;
    part.columns = left < count * width ? left : count * width;
    part.c = (float *)part.c + part.first_column;
    md_narrow_gemm(&part);
}

void md_parallel_narrow_columns(const struct md_invocation *invocation, const struct md_narrow_gemm *gemm)
{
    struct narrow_product product = { .gemm = gemm };
    const size_t width = md_narrow_panel(gemm->a.type), panels = gemm->columns / width + (gemm->columns % width != 0);
    /* Products of bytes are about four times as fast as those that costs are stated in. */
    const double cost = (double)gemm->rows * (double)gemm->a.depth;
    md_parallel(invocation, panels, cost * (double)width / 4.0, run_narrow_panels, &product);
}

void md_parallel_narrow_gemm(const struct md_invocation *invocation, const struct md_narrow_gemm *gemm, const float *a,
                             size_t a_stride)
{
    struct narrow_product product = { gemm, a, a_stride };
    md_parallel(invocation, gemm->rows, (double)gemm->a.depth * MD_COST_MOVE, round_rows, &product);
    md_parallel_narrow_columns(invocation, gemm);
}

/* ---- rows and elements ---- */

static void run_layer_norm(void *context, size_t first, size_t count, size_t slot)
{
    struct md_row_layer_norm row = *(const struct md_row_layer_norm *)context;
    (void)slot; /* needs no scratch */
    const float **const operands[] = { &row.a, &row.b, &row.c };
    size_t step = first * row.length;
    for (size_t i = 0; i < count; i++, step = row.length) {
        for (size_t j = 0; j < 3; j++)
            if (*operands[j] != NULL)
                *operands[j] += step;
        row.sum += step;
        row.out += step;
        md_vector_loops()->layer_norm(&row);
    }
}

void md_parallel_layer_norm(const struct md_invocation *invocation, size_t rows, const struct md_row_layer_norm *row)
{
    struct md_row_layer_norm copy = *row;
    md_parallel(invocation, rows, (double)row->length * MD_COST_NORMALIZE, run_layer_norm, &copy);
}

struct elements {
    size_t count;
    md_range_fn fn;
    void *context;
};

static void run_elements(void *context, size_t first, size_t count, size_t slot)
{
    const struct elements *elements = context;
    const size_t begin = first * MD_PARALLEL_ALIGNMENT, left = elements->count - begin;
    const size_t size = count * MD_PARALLEL_ALIGNMENT;
    elements->fn(elements->context, begin, left < size ? left : size, slot);
}

void md_parallel_elements(const struct md_invocation *invocation, size_t count, double element_cost, md_range_fn fn,
                          void *context)
{
    struct elements elements = { count, fn, context };
    const size_t blocks = count / MD_PARALLEL_ALIGNMENT + (count % MD_PARALLEL_ALIGNMENT != 0);
    md_parallel(invocation, blocks, element_cost * MD_PARALLEL_ALIGNMENT, run_elements, &elements);
}
