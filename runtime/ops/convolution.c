/* convolution.c - see convolution.h. */
#include "convolution.h"
#include "vector_loops.h"

#include <string.h>

enum md_code md_convolution_describe(const struct md_window_options *options, int64_t groups,
                                     const struct md_shape *input, const struct md_shape *weights,
                                     const struct md_shape *bias, struct md_convolution *out_convolution,
                                     struct md_shape *out_shape, struct md_error *error)
{
    struct md_convolution convolution = { .groups = (size_t)groups };
    if (input->rank < 3 || weights->rank != input->rank)
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input has rank %d, weights have rank %d: both need the same, at least 3",
                       (int)input->rank, (int)weights->rank);
    if (groups < 1 || weights->dims[0] % groups != 0)
        return md_fail(error, MD_INVALID_ARGUMENT, "%lld output channels in %lld groups",
                       (long long)weights->dims[0], (long long)groups);
    if (input->dims[1] % groups != 0 || input->dims[1] / groups != weights->dims[1])
        return md_fail(error, MD_INVALID_ARGUMENT,
                       "input has %lld channels in %lld groups, weights have %lld channels per group",
                       (long long)input->dims[1], (long long)groups, (long long)weights->dims[1]);
    if (bias != NULL && (bias->rank != 1 || bias->dims[0] != weights->dims[0])) {
        char text[MD_SHAPE_TEXT_SIZE];
        return md_fail(error, MD_INVALID_ARGUMENT, "bias has shape %s, expected [%lld]",
                       md_shape_text(bias, text, sizeof text), (long long)weights->dims[0]);
    }
    MD_TRY(md_window_resolve(options, input->rank - 2, input->dims + 2, weights->dims + 2,
                             &convolution.window, error));
    convolution.batch = (size_t)input->dims[0];
    convolution.in_channels = (size_t)weights->dims[1];
    convolution.out_channels = (size_t)(weights->dims[0] / groups);
    out_shape->rank = input->rank;
    out_shape->dims[0] = input->dims[0];
    out_shape->dims[1] = weights->dims[0];
    for (int32_t i = 2; i < input->rank; i++)
        out_shape->dims[i] = convolution.window.output[i - 2];
    *out_convolution = convolution;
    return MD_OK;
}

static size_t depth_of(const struct md_convolution *convolution)
{
    return convolution->in_channels * md_window_count(convolution->window.rank, convolution->window.kernel);
}

size_t md_convolution_workspace(const struct md_convolution *convolution)
{
    return md_gemm_workspace(convolution->type, depth_of(convolution));
}

/* The input of one image and group, as the product's right operand. */
struct window_source {
    const struct md_window *window;
    const void *input;
    size_t channels, plane; /* plane: elements of a channel */
    size_t element_size;
};

/* Where the windows of a panel's columns begin, per spatial dimension. */
struct columns {
    size_t count;
    int64_t begin[MD_WINDOW_RANK][MD_GEMM_MAX_PANEL];
    int64_t index[MD_GEMM_MAX_PANEL]; /* of the current kernel position in a channel; -1: padding */
    bool consecutive;                 /* the indices are, and none is padding */
};

static void locate(const struct md_window *window, size_t first, struct columns *columns)
{
    int64_t position[MD_WINDOW_RANK] = { 0 };
    for (int32_t d = window->rank - 1; d >= 0; d--) {
        position[d] = (int64_t)(first % (size_t)window->output[d]);
        first /= (size_t)window->output[d];
    }
    for (size_t j = 0; j < columns->count; j++) {
        for (int32_t d = 0; d < window->rank; d++)
            columns->begin[d][j] = position[d] * window->stride[d] - window->pad_begin[d];
        (void)md_grid_next(window->rank, window->output, position); /* the panel ends with the grid */
    }
}

static void index_kernel_position(const struct md_window *window, const int64_t *kernel_position,
                                  struct columns *columns)
{
    for (size_t j = 0; j < columns->count; j++)
        columns->index[j] = 0;
    for (int32_t d = 0; d < window->rank; d++) {
        int64_t shift = kernel_position[d] * window->dilation[d];
        for (size_t j = 0; j < columns->count; j++) {
            int64_t at = columns->begin[d][j] + shift;
            bool inside = at >= 0 && at < window->input[d] && columns->index[j] >= 0;
            columns->index[j] = inside ? columns->index[j] * window->input[d] + at : -1;
        }
    }
    columns->consecutive = columns->index[0] >= 0;
    for (size_t j = 1; j < columns->count; j++)
        columns->consecutive = columns->consecutive && columns->index[j] == columns->index[0] + (int64_t)j;
}

#define DEFINE_GATHER(name, type)                                                                            \
    static void name(const struct columns *columns, const type *channel, type *row, size_t stride)           \
    {                                                                                                        \
        if (columns->consecutive)                                                                            \
            memcpy(row, channel + columns->index[0], columns->count * sizeof(type));                         \
        else                                                                                                 \
            for (size_t j = 0; j < columns->count; j++)                                                      \
                row[j] = columns->index[j] < 0 ? 0 : channel[columns->index[j]];                             \
        for (size_t j = columns->count; j < stride; j++)                                                     \
            row[j] = 0;                                                                                      \
    }

DEFINE_GATHER(gather_32, uint32_t)
DEFINE_GATHER(gather_64, uint64_t)

static void fill_windows(const void *source_pointer, size_t first, size_t count, size_t stride, void *panel)
{
    const struct window_source *source = source_pointer;
    const struct md_window *window = source->window;
    size_t kernel_count = md_window_count(window->rank, window->kernel);
    int64_t kernel_position[MD_WINDOW_RANK] = { 0 };
    struct columns columns = { .count = count };
    locate(window, first, &columns);
    for (size_t k = 0; k < kernel_count; k++) {
        index_kernel_position(window, kernel_position, &columns);
        if (columns.consecutive && source->element_size == 4) { /* bits are only moved: floats or not */
            md_vector_loops()->copy_rows(source->channels, count, (const float *)source->input + columns.index[0],
                                         source->plane, (float *)panel + k * stride, kernel_count * stride, stride);
            (void)md_grid_next(window->rank, window->kernel, kernel_position);
            continue;
        }
        for (size_t channel = 0; channel < source->channels; channel++) {
            size_t from = channel * source->plane, to = (channel * kernel_count + k) * stride;
            if (source->element_size == 4)
                gather_32(&columns, (const uint32_t *)source->input + from, (uint32_t *)panel + to, stride);
            else
                gather_64(&columns, (const uint64_t *)source->input + from, (uint64_t *)panel + to, stride);
        }
        (void)md_grid_next(window->rank, window->kernel,
                           kernel_position); /* as often as there are positions */
    }
}

/* The windows are the input itself. */
static bool is_pointwise(const struct md_window *window)
{
    for (int32_t d = 0; d < window->rank; d++)
        if (window->kernel[d] != 1 || window->stride[d] != 1 || window->pad_begin[d] != 0 ||
            window->pad_end[d] != 0)
            return false;
    return true;
}

static const void *at(const void *elements, size_t index, size_t size)
{
    return elements == NULL ? NULL : (const unsigned char *)elements + index * size;
}

static size_t panel_count(const struct md_convolution *convolution)
{
    const size_t positions = md_window_count(convolution->window.rank, convolution->window.output);
    const size_t width = md_gemm_panel_width(convolution->type);
    return positions / width + (positions % width != 0);
}

size_t md_convolution_part_count(const struct md_convolution *convolution)
{
    return convolution->batch * convolution->groups * panel_count(convolution);
}

double md_convolution_part_cost(const struct md_convolution *convolution)
{
    return (double)convolution->out_channels * (double)depth_of(convolution) *
           (double)md_gemm_panel_width(convolution->type);
}

void md_convolution_run(const struct md_convolution *convolution, void *workspace)
{
    md_convolution_run_parts(convolution, 0, md_convolution_part_count(convolution), workspace);
}

void md_convolution_run_parts(const struct md_convolution *convolution, size_t first, size_t count, void *workspace)
{
    const struct md_window *window = &convolution->window;
    size_t size = md_gemm_element_size(convolution->type);
    size_t plane = md_window_count(window->rank, window->input);
    size_t positions = md_window_count(window->rank, window->output);
    struct window_source source = { window, NULL, convolution->in_channels, plane, size };
    bool pointwise = is_pointwise(window);
    struct md_gemm gemm = {
        .type = convolution->type,
        .rows = convolution->out_channels,
        .columns = positions,
        .depth = depth_of(convolution),
        .c_stride = positions,
        .finish = { .alpha = 1.0,
                    .accumulate = convolution->accumulate,
                    .activation = convolution->activation },
    };
    const size_t panels = panel_count(convolution), end = first + count;
    for (size_t part = first, part_panels; part < end; part += part_panels) {
        const size_t i = part / panels, panel = part % panels;
        part_panels = panels - panel < end - part ? panels - panel : end - part;
        size_t group = i % convolution->groups;
        source.input = at(convolution->input, i * convolution->in_channels * plane, size);
        gemm.a = (struct md_matrix){ at(convolution->weights, group * gemm.rows * gemm.depth, size),
                                     (ptrdiff_t)gemm.depth, 1 };
        if (pointwise) {
            gemm.b = (struct md_matrix){ source.input, (ptrdiff_t)plane, 1 };
        } else {
            gemm.fill = fill_windows;
            gemm.fill_source = &source;
        }
        gemm.finish.row_bias = at(convolution->bias, group * gemm.rows, size);
        gemm.c = (unsigned char *)convolution->output + i * gemm.rows * positions * size;
        md_gemm_part(&gemm, panel, part_panels, 0, gemm.rows, workspace);
    }
}
