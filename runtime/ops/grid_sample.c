/* grid_sample.c - GridSample (16: planes; 20: any number of spatial dims) and AffineGrid (20).
 *
 * A point of the grid gives, per spatial axis, 1, 2 or 4 input positions with weights; the answer is the sum
 * over all combinations. Positions and weights are computed once per point and used for all channels. */
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

#include <math.h>

enum grid_mode { GRID_NEAREST, GRID_LINEAR, GRID_CUBIC };
enum grid_padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };
enum { MAX_TAPS = 4, MAX_SPATIAL = 6 };

struct grid_parameters {
    enum grid_mode mode;
    enum grid_padding padding;
    bool align_corners;
};

/* The positions of one axis for one point; index -1: outside, a zero. */
struct taps {
    int32_t count;
    int64_t index[MAX_TAPS];
    double weight[MAX_TAPS];
};

static enum md_code grid_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    static const struct {
        const char *word;
        enum grid_mode mode;
    } modes[] = { { "linear", GRID_LINEAR },
                  { "bilinear", GRID_LINEAR },
                  { "nearest", GRID_NEAREST },
                  { "cubic", GRID_CUBIC },
                  { "bicubic", GRID_CUBIC } }; /* bi-: opset 16 */
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    struct grid_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span mode, padding;
    int64_t align;
    MD_TRY(md_attribute_string(configuration->attributes, "mode", "linear", &mode, configuration->error));
    MD_TRY(md_attribute_string(configuration->attributes, "padding_mode", "zeros", &padding,
                               configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "align_corners", 0, &align, configuration->error));
    parameters->align_corners = align != 0;
    bool known_mode = false, known_padding = false;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (md_span_equal(mode, md_span_of(modes[i].word))) {
            parameters->mode = modes[i].mode;
            known_mode = true;
        }
    for (int i = 0; i < 3; i++)
        if (md_span_equal(padding, md_span_of(paddings[i]))) {
            parameters->padding = (enum grid_padding)i;
            known_padding = true;
        }
    if (!known_mode || !known_padding)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "mode \"%.*s\" with padding_mode \"%.*s\" is not known", (int)mode.size, mode.bytes,
                       (int)padding.size, padding.bytes);
    return MD_OK;
}

static enum md_code grid_prepare(struct md_invocation *invocation)
{
    const struct grid_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 3, 2 + MAX_SPATIAL));
    const struct md_tensor *input = md_input(invocation, 0), *grid = md_input(invocation, 1);
    int32_t rank = input->shape.rank;
    MD_TRY(md_expect_tensor_rank(invocation, 1, rank, rank));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_FLOAT));
    char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
    if (grid->shape.dims[0] != input->shape.dims[0] || grid->shape.dims[rank - 1] != rank - 2)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "a grid of shape %s does not fit an input of shape %s",
                       md_shape_text(&grid->shape, a, sizeof a), md_shape_text(&input->shape, b, sizeof b));
    if (parameters->mode != GRID_NEAREST)
        MD_TRY(md_expect_datatype(invocation, 0, MD_TYPES_FLOAT));
    struct md_shape shape = input->shape;
    for (int32_t i = 2; i < rank; i++) {
        shape.dims[i] = grid->shape.dims[i - 1];
        if (input->shape.dims[i] == 0)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "spatial dim %d of the input has size 0",
                           i - 2);
    }
    return md_output(invocation, 0, input->datatype, &shape);
}

/* Mirrors x at low and high until it lies between them. */
static double reflect(double x, double low, double high)
{
    double range = high - low;
    double distance = x < low ? low - x : x - high;
    if (x >= low && x <= high)
        return x;
    if (!(range > 0) || !isfinite(distance))
        return low < 0 ? 0 : low;
    double rest = fmod(distance, range);
    bool even = fmod(floor(distance / range), 2) == 0;
    return (x < low) == even ? low + rest : high - rest;
}

static int64_t resolve(const struct grid_parameters *parameters, int64_t index, int64_t dim)
{
    if (index >= 0 && index < dim)
        return index;
    if (parameters->padding == PADDING_ZEROS)
        return -1;
    if (parameters->padding == PADDING_REFLECTION) {
        double low = parameters->align_corners ? 0 : -0.5;
        double high = (double)dim - (parameters->align_corners ? 1 : 0.5);
        index = (int64_t)reflect((double)index, low, high);
    }
    return index < 0 ? 0 : index >= dim ? dim - 1 : index;
}

/* Keys' cubic convolution with a = -0.75, as GridSample fixes it. */
static void cubic_weights(double x, double *weights)
{
    const double a = -0.75;
    const double near[2] = { x, 1 - x }, far[2] = { x + 1, 2 - x };
    for (int i = 0; i < 2; i++) {
        weights[1 + i] = ((a + 2) * near[i] - (a + 3)) * near[i] * near[i] + 1;
        weights[3 * i] = ((a * far[i] - 5 * a) * far[i] + 8 * a) * far[i] - 4 * a;
    }
}

static void find_taps(const struct grid_parameters *parameters, double at, bool single, int64_t dim,
                      struct taps *taps)
{
    double low = parameters->align_corners ? 0 : -0.5;
    double high = (double)dim - (parameters->align_corners ? 1 : 0.5);
    double x =
        parameters->align_corners ? (at + 1) / 2 * (double)(dim - 1) : ((at + 1) * (double)dim - 1) / 2;
    if (single) /* the definition computes in the grid's type: it decides ties of the nearest mode */
        x = (double)(float)x;
    if (parameters->mode == GRID_NEAREST)
        x = rint(x);
    /* Linear and cubic taps are held inside the border one by one; only the cubic kernel sees the difference.
     */
    if (parameters->padding == PADDING_BORDER && parameters->mode == GRID_NEAREST)
        x = x < 0 ? 0 : x > (double)(dim - 1) ? (double)(dim - 1) : x;
    else if (parameters->padding == PADDING_REFLECTION)
        x = reflect(x, low, high);
    double limit = (double)dim + 8; /* beyond it all is padding; NaN goes there, too */
    x = !(x > -8) ? -8 : x > limit ? limit : x;
    int64_t first = (int64_t)floor(x);
    double fraction = x - floor(x);
    taps->count = parameters->mode == GRID_NEAREST ? 1 : parameters->mode == GRID_LINEAR ? 2 : 4;
    taps->weight[0] = 1 - (parameters->mode == GRID_LINEAR ? fraction : 0);
    taps->weight[1] = fraction;
    if (parameters->mode == GRID_CUBIC) {
        cubic_weights(fraction, taps->weight);
        first--;
    }
    for (int32_t t = 0; t < taps->count; t++)
        taps->index[t] = resolve(parameters, first + t, dim);
}

/* Combination `number` of the taps of all axes: its offset in a channel (in elements), or -1, and its weight.
 */
static int64_t combine(const struct taps *taps, const int64_t *dims, int32_t spatial, int32_t number,
                       double *out_weight)
{
    int64_t offset = 0;
    double weight = 1;
    for (int32_t i = 0; i < spatial; i++) {
        int32_t t = number % taps[i].count;
        number /= taps[i].count;
        if (taps[i].index[t] < 0)
            return -1;
        offset = offset * dims[i] + taps[i].index[t];
        weight *= taps[i].weight[t];
    }
    *out_weight = weight;
    return offset;
}

enum { MAX_COMBINATIONS = 4096 }; /* 4 to the power of MAX_SPATIAL */

struct point {
    int32_t count;
    int64_t offset[MAX_COMBINATIONS];
    double weight[MAX_COMBINATIONS];
};

static void find_point(const struct grid_parameters *parameters, const struct md_tensor *grid, size_t at,
                       const struct md_tensor *input, struct point *point)
{
    struct taps taps[MAX_SPATIAL];
    int32_t spatial = input->shape.rank - 2, combinations = 1;
    for (int32_t i = 0; i < spatial; i++) { /* the last coordinate of the grid is that of the first axis */
        double x = md_tensor_double(grid, at * (size_t)spatial + (size_t)(spatial - 1 - i));
        find_taps(parameters, x, grid->datatype == MD_FP32, input->shape.dims[2 + i], &taps[i]);
        combinations *= taps[i].count;
    }
    point->count = 0;
    for (int32_t k = 0; k < combinations; k++) {
        int64_t offset = combine(taps, input->shape.dims + 2, spatial, k, &point->weight[point->count]);
        if (offset >= 0)
            point->offset[point->count++] = offset;
    }
}

static void sample(const struct md_tensor *input, size_t plane, const struct point *point, bool nearest,
                   struct md_tensor *output, size_t to)
{
    size_t size = md_datatype_size(input->datatype);
    if (nearest) {
        char *element = md_elements(char, output) + to * size;
        if (point->count > 0)
            memcpy(element, md_elements(const char, input) + (plane + (size_t)point->offset[0]) * size, size);
        else
            memset(element, 0, size);
        return;
    }
    double sum = 0;
    if (input->datatype == MD_FP32) {
        const float *x = md_elements(const float, input) + plane;
        for (int32_t k = 0; k < point->count; k++)
            sum += point->weight[k] * (double)x[point->offset[k]];
        md_elements(float, output)[to] = (float)sum;
    } else {
        const double *x = md_elements(const double, input) + plane;
        for (int32_t k = 0; k < point->count; k++)
            sum += point->weight[k] * x[point->offset[k]];
        md_elements(double, output)[to] = sum;
    }
}

static enum md_code grid_run(struct md_invocation *invocation)
{
    const struct grid_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *grid = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    struct point point;
    size_t batch = (size_t)input->shape.dims[0], channels = (size_t)input->shape.dims[1];
    size_t plane = md_shape_product(&input->shape, 2, input->shape.rank);
    size_t points = md_shape_product(&output->shape, 2, output->shape.rank);
    for (size_t n = 0; n < batch; n++)
        for (size_t p = 0; p < points; p++) {
            find_point(parameters, grid, n * points + p, input, &point);
            for (size_t c = 0; c < channels; c++)
                sample(input, (n * channels + c) * plane, &point, parameters->mode == GRID_NEAREST, output,
                       (n * channels + c) * points + p);
        }
    return MD_OK;
}

/* ---- AffineGrid ---- */
static enum md_code affine_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct grid_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t align;
    MD_TRY(md_attribute_int(configuration->attributes, "align_corners", 0, &align, configuration->error));
    parameters->align_corners = align != 0;
    return MD_OK;
}

static enum md_code affine_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor_rank(invocation, 0, 3, 3));
    MD_TRY(md_expect_tensor(invocation, 1));
    const struct md_tensor *theta = md_input(invocation, 0);
    int64_t size[MD_MAX_RANK];
    size_t count = 0;
    MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK, size, &count));
    int64_t spatial = (int64_t)count - 2;
    char text[MD_SHAPE_TEXT_SIZE];
    if ((spatial != 2 && spatial != 3) || theta->shape.dims[0] != size[0] ||
        theta->shape.dims[1] != spatial || theta->shape.dims[2] != spatial + 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "theta of shape %s does not fit a size of %zu entries",
                       md_shape_text(&theta->shape, text, sizeof text), count);
    struct md_shape shape = { .rank = (int32_t)count, .dims = { size[0] } };
    for (int32_t i = 2; i < shape.rank; i++)
        shape.dims[i - 1] = size[i];
    shape.dims[shape.rank - 1] = spatial;
    return md_output(invocation, 0, theta->datatype, &shape);
}

static double grid_coordinate(int64_t at, int64_t dim, bool align_corners)
{
    if (!align_corners)
        return (2 * (double)at + 1) / (double)dim - 1;
    return dim > 1 ? 2 * (double)at / (double)(dim - 1) - 1 : 0;
}

static enum md_code affine_run(struct md_invocation *invocation)
{
    const struct grid_parameters *parameters = invocation->parameters;
    const struct md_tensor *theta = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t spatial = output->shape.rank - 2;
    size_t points = md_shape_product(&output->shape, 1, 1 + spatial);
    for (size_t k = 0; k < output->count / (size_t)spatial; k++) {
        size_t n = k / points, rest = k % points;
        double x[4] = { 0 };
        for (int32_t i = spatial - 1; i >= 0; i--) { /* x first: the last axis */
            int64_t dim = output->shape.dims[1 + i];
            x[spatial - 1 - i] =
                grid_coordinate((int64_t)(rest % (size_t)dim), dim, parameters->align_corners);
            rest /= (size_t)dim;
        }
        x[spatial] = 1;
        for (int32_t row = 0; row < spatial; row++) {
            double sum = 0;
            for (int32_t column = 0; column <= spatial; column++)
                sum += x[column] *
                       md_tensor_double(theta, (n * (size_t)spatial + (size_t)row) * (size_t)(spatial + 1) +
                                                   (size_t)column);
            md_tensor_set_double(output, k * (size_t)spatial + (size_t)row, sum);
        }
    }
    return MD_OK;
}

/* clang-format off */
enum {
    GRID_NATIVE = MD_TYPES_ALL & ~(MD_TYPE(MD_FP16) | MD_TYPE(MD_BF16)),
    AFFINE_NATIVE = MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64)
};

const struct md_operator md_operators_grid_sample[] = {
    { MD_ONNX, "GridSample", 16, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, GRID_NATIVE, 0,
      grid_configure, grid_prepare, grid_run },
    { MD_ONNX, "AffineGrid", 20, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_FLOAT, AFFINE_NATIVE, 0,
      affine_configure, affine_prepare, affine_run },
    { 0 },
};
