/* gemm_tile.h - the element loops of the matrix product for one type; included by the variants, once per type.
 *
 * The includer defines MD_TILE_NAME, MD_TILE_TYPE, MD_TILE_LANES (elements of a vector), MD_TILE_ROWS (1..8) and
 * MD_TILE_VECTORS (1..3), and MD_TILE_MAPS where vector_math.h gives the activations; the sums of a tile then stay in
 * registers:
 *
 *              b vectors            rows x vectors accumulators, each fed by
 *     a rows [ r0v0 r0v1 r0v2 ]     sum[r][v] += a[r][k] * b[k][v]
 *            [ r1v0 ...       ]
 *
 * A tile with fewer rows or vectors runs the same operations on each element in the same order. */
#define MD_TILE_PASTE2(a, b) a##_##b
#define MD_TILE_PASTE(a, b)  MD_TILE_PASTE2(a, b)
#define MD_TILE(part)        MD_TILE_PASTE(MD_TILE_NAME, part)

typedef MD_TILE_TYPE MD_TILE(vector)
    __attribute__((vector_size(MD_TILE_LANES * sizeof(MD_TILE_TYPE)), aligned(sizeof(MD_TILE_TYPE)), may_alias));

/* Rows of sums on their way from registers to C. */
struct MD_TILE(sums) {
    MD_TILE_TYPE of[MD_TILE_ROWS][MD_TILE_VECTORS * MD_TILE_LANES];
};

#if defined(MD_TILE_MAPS)
/* Activations of whole vectors; `row` has a whole number of them, the elements beyond a tile's columns are dropped. */
static void MD_TILE(map)(enum md_gemm_activation activation, size_t columns, MD_TILE_TYPE *row)
{
    for (size_t j = 0; j < columns; j += VF_LANES) {
        vf x = vf_load(row + j);
        vf_store(row + j, activation == MD_GEMM_GELU ? vf_gelu(x) :
                          activation == MD_GEMM_GELU_TANH ? vf_gelu_tanh(x) : vf_tanh(x));
    }
}
#endif

/* A line of sums on its way to C by way of memory: any number of columns, every finish. */
static inline __attribute__((always_inline)) void MD_TILE(finish_line)(const struct md_gemm_finish *finish,
                                                                       size_t columns, MD_TILE_TYPE *row,
                                                                       MD_TILE_TYPE *c)
{
    const MD_TILE_TYPE alpha = (MD_TILE_TYPE)finish->alpha;
    const MD_TILE_TYPE *column_bias = finish->column_bias, *row_bias = finish->row_bias;
    for (size_t j = 0; j < columns; j++)
        row[j] *= alpha;
    if (column_bias != NULL)
        for (size_t j = 0; j < columns; j++)
            row[j] += column_bias[j];
    if (row_bias != NULL)
        for (size_t j = 0; j < columns; j++)
            row[j] += *row_bias;
    if (finish->accumulate)
        for (size_t j = 0; j < columns; j++)
            row[j] += c[j];
    if (finish->activation == MD_GEMM_RELU)
        for (size_t j = 0; j < columns; j++)
            row[j] = row[j] <= 0 ? 0 : row[j]; /* NaN stays */
#if defined(MD_TILE_MAPS)
    if (finish->activation >= MD_GEMM_GELU)
        MD_TILE(map)(finish->activation, columns, row);
#endif
    memcpy(c, row, columns * sizeof *c);
}

static void MD_TILE(finish)(const struct md_gemm_tile *tile, struct MD_TILE(sums) *sums, size_t panels)
{
    const size_t width = MD_TILE_VECTORS * MD_TILE_LANES;
    for (size_t line = 0; line < tile->rows * panels; line++) {
        const size_t r = line / panels, first = line % panels * width;
        struct md_gemm_finish finish = tile->finish;
        MD_TILE_TYPE *c = (MD_TILE_TYPE *)tile->c + r * tile->c_stride + first;
        if (finish.column_bias != NULL)
            finish.column_bias = (const MD_TILE_TYPE *)finish.column_bias + first;
        if (finish.row_bias != NULL)
            finish.row_bias = (const MD_TILE_TYPE *)finish.row_bias + r;
        if (tile->columns - first >= width)
            MD_TILE(finish_line)(&finish, width, sums->of[line], c);
        else
            MD_TILE(finish_line)(&finish, tile->columns - first, sums->of[line], c);
    }
}

/* The usual finishes need no loop over columns, where no memory is read beyond a tile's last column; the operations are
 * those of finish_line. */
static inline __attribute__((always_inline)) bool MD_TILE(is_simple)(const struct md_gemm_tile *tile, size_t columns)
{
    const struct md_gemm_finish *finish = &tile->finish;
    return finish->alpha == 1.0 && finish->activation <= MD_GEMM_RELU &&
           (tile->columns == columns || (finish->column_bias == NULL && !finish->accumulate));
}

#define MD_TILE_EACH(...)                                                                                    \
    _Pragma("GCC unroll 8") for (size_t line = 0; line < rows * panels; line++)                              \
        _Pragma("GCC unroll 4") for (size_t v = 0; v < vectors; v++)                                         \
    {                                                                                                        \
        const size_t r = line / panels, j = (line % panels * MD_TILE_VECTORS + v) * MD_TILE_LANES;           \
        __VA_ARGS__                                                                                          \
    }
#define MD_TILE_LOAD(from) (*(const MD_TILE(vector) *)(const void *)(from))

/* 0 where x <= 0; NaN stays. */
static inline MD_TILE(vector) MD_TILE(positive)(MD_TILE(vector) x)
{
    return (MD_TILE(vector))(~(x <= 0) & (__typeof__(x <= 0))x);
}

static inline __attribute__((always_inline)) void MD_TILE(finish_vectors)(
    const struct md_gemm_tile *tile, MD_TILE(vector) sum[MD_TILE_ROWS][MD_TILE_VECTORS], size_t rows, size_t panels,
    size_t vectors)
{
    const MD_TILE_TYPE *column_bias = tile->finish.column_bias, *row_bias = tile->finish.row_bias;
    MD_TILE_TYPE *c = tile->c;
    const size_t stride = tile->c_stride;
    if (column_bias != NULL)
        MD_TILE_EACH((void)r; sum[line][v] += MD_TILE_LOAD(column_bias + j);)
    if (row_bias != NULL)
        MD_TILE_EACH((void)j; sum[line][v] += row_bias[r];)
    if (tile->finish.accumulate)
        MD_TILE_EACH(sum[line][v] += MD_TILE_LOAD(c + r * stride + j);)
    if (tile->finish.activation == MD_GEMM_RELU)
        MD_TILE_EACH((void)r; (void)j; sum[line][v] = MD_TILE(positive)(sum[line][v]);)
    MD_TILE_EACH(*(MD_TILE(vector) *)(void *)(c + r * stride + j) = sum[line][v];)
}

/* Inlined with constant rows, panels and vectors, so that every loop but the one over depth disappears. Several panels
 * are for few rows: a sum waits for the one before it, so a dozen of them must be under way. */
static inline __attribute__((always_inline)) void MD_TILE(multiply)(const struct md_gemm_tile *tile, size_t rows,
                                                                    size_t panels, size_t vectors)
{
    MD_TILE(vector) sum[MD_TILE_ROWS][MD_TILE_VECTORS] = { 0 }; /* one line for each row and panel */
    const MD_TILE_TYPE *a = tile->a;
    const MD_TILE_TYPE *b = tile->b;
    const char *ahead = tile->ahead;
    const ptrdiff_t row_stride = tile->a_row_stride;
    struct MD_TILE(sums) sums;
    /* C is there when the sums are. */
    MD_TILE_EACH(__builtin_prefetch((const MD_TILE_TYPE *)tile->c + r * tile->c_stride + j, 1);)
    for (size_t k = 0; k < tile->depth; k++, a += tile->a_column_stride, b += tile->b_stride) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += tile->ahead_step;
#pragma GCC unroll 4
        for (size_t p = 0; p < panels; p++) {
            MD_TILE(vector) b_row[MD_TILE_VECTORS];
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                b_row[v] = MD_TILE_LOAD(b + p * tile->panel_stride + v * MD_TILE_LANES);
#pragma GCC unroll 8
            for (size_t r = 0; r < rows; r++) {
                const MD_TILE_TYPE factor = a[(ptrdiff_t)r * row_stride];
#pragma GCC unroll 4
                for (size_t v = 0; v < vectors; v++)
                    sum[r * panels + p][v] += factor * b_row[v];
            }
        }
    }
    __asm__("" : "+r"(tile)); /* what the finish needs is loaded afterwards: the loop needs the registers */
    if (MD_TILE(is_simple)(tile, ((panels - 1) * MD_TILE_VECTORS + vectors) * MD_TILE_LANES)) {
        struct md_gemm_tile whole = *tile;
        if (tile->columns % MD_TILE_LANES != 0) { /* by way of `sums` */
            whole.c = &sums;
            whole.c_stride = MD_TILE_VECTORS * MD_TILE_LANES;
        }
        MD_TILE(finish_vectors)(&whole, sum, rows, panels, vectors);
        for (size_t r = 0; whole.c == &sums && r < rows; r++)
            memcpy((MD_TILE_TYPE *)tile->c + r * tile->c_stride, sums.of[r], tile->columns * sizeof(MD_TILE_TYPE));
        return;
    }
    MD_TILE_EACH((void)r; (void)j; *(MD_TILE(vector) *)(void *)&sums.of[line][v * MD_TILE_LANES] = sum[line][v];)
    MD_TILE(finish)(tile, &sums, panels);
}

#define MD_TILE_CASE(rows)                                                                                   \
    case rows:                                                                                               \
        MD_TILE(multiply)(tile, rows < MD_TILE_ROWS ? rows : MD_TILE_ROWS, 1, vectors);                      \
        break;

static inline __attribute__((always_inline)) void MD_TILE(dispatch)(const struct md_gemm_tile *tile, size_t vectors)
{
    switch (tile->rows) {
        MD_TILE_CASE(1)
        MD_TILE_CASE(2)
        MD_TILE_CASE(3)
        MD_TILE_CASE(4)
#if MD_TILE_ROWS > 4
        MD_TILE_CASE(5)
        MD_TILE_CASE(6)
#endif
#if MD_TILE_ROWS > 6
        MD_TILE_CASE(7)
        MD_TILE_CASE(8)
#endif
    default:
        break;
    }
}

static void MD_TILE(run)(const struct md_gemm_tile *tile)
{
    const size_t vectors = (tile->columns + MD_TILE_LANES - 1) / MD_TILE_LANES;
    if (vectors > MD_TILE_VECTORS) {
        if (tile->rows == 1)
            MD_TILE(multiply)(tile, 1, 4, MD_TILE_VECTORS);
        else
            MD_TILE(multiply)(tile, 2, 2, MD_TILE_VECTORS);
    } else if (vectors <= 1)
        MD_TILE(dispatch)(tile, 1);
#if MD_TILE_VECTORS > 2
    else if (vectors == 2)
        MD_TILE(dispatch)(tile, 2);
#endif
    else
        MD_TILE(dispatch)(tile, MD_TILE_VECTORS);
}

#undef MD_TILE_CASE
#undef MD_TILE_EACH
#undef MD_TILE_LOAD
#undef MD_TILE
#undef MD_TILE_PASTE
#undef MD_TILE_PASTE2
#undef MD_TILE_NAME
#undef MD_TILE_TYPE
#undef MD_TILE_LANES
#undef MD_TILE_ROWS
#undef MD_TILE_VECTORS
#undef MD_TILE_MAPS
