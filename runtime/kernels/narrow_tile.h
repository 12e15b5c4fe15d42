/* narrow_tile.h - the element loops of a narrow product; included by the variants, once per type, after narrow_finish.h.
 *
 * The includer defines NARROW_NAME, NARROW_BYTES (1: INT8), NARROW_ROWS (1..8), NARROW_VECTORS (1..3), NARROW_SUM (the
 * vector type of the sums) and NARROW_DOT(sum, a, b), which adds the products of one group of A with those of a vector
 * of groups of B. A tile with fewer rows or vectors runs the same operations on each element in the same order. */
#define NARROW_PASTE2(a, b) a##_##b
#define NARROW_PASTE(a, b)  NARROW_PASTE2(a, b)
#define NARROW(part)        NARROW_PASTE(NARROW_NAME, part)

/* Inlined with constant rows and vectors, so that every loop but the one over groups disappears. */
static inline __attribute__((always_inline)) void NARROW(multiply)(const struct md_narrow_tile *tile, size_t rows,
                                                                   size_t vectors)
{
    NARROW_SUM sum[NARROW_ROWS][NARROW_VECTORS];
    const uint32_t *a = tile->a, *b = tile->b;
    const char *ahead = tile->ahead;
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++) {
            sum[r][v] = (NARROW_SUM){ 0 };
            __builtin_prefetch((const float *)tile->c + r * tile->c_stride + v * VF_LANES, 1);
        }
    for (size_t k = 0; k < tile->groups; k++, a++, b += vectors * VF_LANES) {
        __builtin_prefetch(ahead, 0, 2);
        ahead += tile->ahead_step;
        narrow_groups b_row[NARROW_VECTORS];
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            b_row[v] = narrow_load(b + v * VF_LANES);
#pragma GCC unroll 8
        for (size_t r = 0; r < rows; r++) {
            const uint32_t factor = a[r * tile->a_stride];
#pragma GCC unroll 4
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = NARROW_DOT(sum[r][v], factor, b_row[v]);
        }
    }
    uint32_t sums[NARROW_ROWS][NARROW_VECTORS * VF_LANES];
#pragma GCC unroll 8
    for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (size_t v = 0; v < vectors; v++)
            *(narrow_groups *)(void *)&sums[r][v * VF_LANES] = (narrow_groups)sum[r][v];
    narrow_finish(tile, sums[0], NARROW_VECTORS * VF_LANES, NARROW_BYTES);
}

#define NARROW_CASE(rows)                                                                                    \
    case rows:                                                                                               \
        NARROW(multiply)(tile, rows < NARROW_ROWS ? rows : NARROW_ROWS, vectors);                            \
        break;

static inline __attribute__((always_inline)) void NARROW(dispatch)(const struct md_narrow_tile *tile, size_t vectors)
{
    switch (tile->rows) {
        NARROW_CASE(1)
        NARROW_CASE(2)
        NARROW_CASE(3)
        NARROW_CASE(4)
#if NARROW_ROWS > 4
        NARROW_CASE(5)
        NARROW_CASE(6)
        NARROW_CASE(7)
        NARROW_CASE(8)
#endif
    default:
        break;
    }
}

static void NARROW(run)(const struct md_narrow_tile *tile)
{
    if (tile->b_stride == VF_LANES)
        NARROW(dispatch)(tile, 1);
#if NARROW_VECTORS > 2
    else if (tile->b_stride == 2 * VF_LANES)
        NARROW(dispatch)(tile, 2);
#endif
    else
        NARROW(dispatch)(tile, NARROW_VECTORS);
}

#undef NARROW_CASE
#undef NARROW
#undef NARROW_PASTE
#undef NARROW_PASTE2
#undef NARROW_NAME
#undef NARROW_BYTES
#undef NARROW_ROWS
#undef NARROW_VECTORS
#undef NARROW_SUM
#undef NARROW_DOT
