/* region.c - operators on regions of pictures: RoiAlign, MaxRoiPool, NonMaxSuppression. */
#include "index_sort.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

#include <math.h>

/* ---- RoiAlign ---- */
struct region_parameters {
    int64_t height, width; /* of the output */
    int64_t sampling_ratio;
    double scale;
    bool half_pixel;
    bool maximum;
};

static enum md_code check_output_size(const struct md_configuration *configuration, int64_t height,
                                      int64_t width)
{
    if (height >= 1 && width >= 1 && height <= INT32_MAX && width <= INT32_MAX)
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "an output of %lld x %lld is not possible",
                   (long long)height, (long long)width);
}

static enum md_code align_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct region_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    struct md_span mode, coordinates;
    float scale;
    const struct md_attributes *attributes = configuration->attributes;
    MD_TRY(md_attribute_int(attributes, "output_height", 1, &parameters->height, configuration->error));
    MD_TRY(md_attribute_int(attributes, "output_width", 1, &parameters->width, configuration->error));
    MD_TRY(
        md_attribute_int(attributes, "sampling_ratio", 0, &parameters->sampling_ratio, configuration->error));
    MD_TRY(md_attribute_float(attributes, "spatial_scale", 1, &scale, configuration->error));
    MD_TRY(md_attribute_string(attributes, "mode", "avg", &mode, configuration->error));
    /* Opset 10 has no such attribute and does not shift. */
    MD_TRY(md_attribute_string(attributes, "coordinate_transformation_mode",
                               configuration->opset < 16 ? "output_half_pixel" : "half_pixel", &coordinates,
                               configuration->error));
    parameters->scale = (double)scale;
    parameters->maximum = md_span_equal(mode, md_span_of("max"));
    parameters->half_pixel = md_span_equal(coordinates, md_span_of("half_pixel"));
    if (parameters->sampling_ratio < 0 || parameters->sampling_ratio > INT16_MAX)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "sampling_ratio is %lld: range is [0,%d]",
                       (long long)parameters->sampling_ratio, INT16_MAX);
    if (!parameters->maximum && !md_span_equal(mode, md_span_of("avg")))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "mode \"%.*s\": known are avg and max",
                       (int)mode.size, mode.bytes);
    return check_output_size(configuration, parameters->height, parameters->width);
}

static enum md_code align_prepare(struct md_invocation *invocation)
{
    const struct region_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 4, 4));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 2, 2));
    MD_TRY(md_expect_tensor_rank(invocation, 2, 1, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    MD_TRY(md_expect_datatype(invocation, 2, MD_TYPES_INDEX));
    const struct md_tensor *input = md_input(invocation, 0), *rois = md_input(invocation, 1);
    const struct md_tensor *batch = md_input(invocation, 2);
    if (rois->shape.dims[1] != 4 || rois->shape.dims[0] != batch->shape.dims[0])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "rois of [%lld,%lld] with %lld batch indices",
                       (long long)rois->shape.dims[0], (long long)rois->shape.dims[1],
                       (long long)batch->shape.dims[0]);
    struct md_shape shape = { .rank = 4,
                              .dims = { rois->shape.dims[0], input->shape.dims[1], parameters->height,
                                        parameters->width } };
    return md_output(invocation, 0, input->datatype, &shape);
}

/* The four neighbours of a point and their weights. */
struct corners {
    int64_t offset[4];
    double weight[4];
};

/* False: the point lies more than a pixel outside and counts as zero. */
static bool find_corners(double y, double x, int64_t height, int64_t width, struct corners *corners)
{
    if (!(y >= -1 && y <= (double)height && x >= -1 && x <= (double)width))
        return false;
    y = y < 0 ? 0 : y;
    x = x < 0 ? 0 : x;
    int64_t top = (int64_t)y, left = (int64_t)x;
    bool last_row = top >= height - 1, last_column = left >= width - 1;
    top = last_row ? height - 1 : top;
    left = last_column ? width - 1 : left;
    double down = last_row ? 0 : y - (double)top, right = last_column ? 0 : x - (double)left;
    int64_t bottom = last_row ? top : top + 1, side = last_column ? left : left + 1;
    *corners = (struct corners){
        .offset = { top * width + left, top * width + side, bottom * width + left, bottom * width + side },
        .weight = { (1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right },
    };
    return true;
}

/* One region in pixels of the input, and its grid of sampling points per output cell. */
struct region {
    double top, left, cell_height, cell_width;
    int64_t rows, columns;
};

static struct region region_of(const struct region_parameters *parameters, const struct md_tensor *rois,
                               size_t at)
{
    double shift = parameters->half_pixel ? 0.5 : 0;
    double left = md_tensor_double(rois, 4 * at) * parameters->scale - shift;
    double top = md_tensor_double(rois, 4 * at + 1) * parameters->scale - shift;
    double width = md_tensor_double(rois, 4 * at + 2) * parameters->scale - shift - left;
    double height = md_tensor_double(rois, 4 * at + 3) * parameters->scale - shift - top;
    if (!parameters->half_pixel) { /* without the shift, regions are at least one pixel */
        width = width > 1 ? width : 1;
        height = height > 1 ? height : 1;
    }
    struct region region = { top,
                             left,
                             height / (double)parameters->height,
                             width / (double)parameters->width,
                             parameters->sampling_ratio,
                             parameters->sampling_ratio };
    if (parameters->sampling_ratio == 0) { /* adaptive; bounded, whatever the numbers are */
        double rows = ceil(region.cell_height), columns = ceil(region.cell_width);
        region.rows = rows > 0 && rows < 4096 ? (int64_t)rows : rows >= 4096 ? 4096 : 0;
        region.columns = columns > 0 && columns < 4096 ? (int64_t)columns : columns >= 4096 ? 4096 : 0;
    }
    return region;
}

#define DEFINE_ALIGN(type)                                                                                   \
    static type align_cell_##type(const struct region *region, const type *plane, int64_t height,            \
                                  int64_t width, double top, double left, bool maximum)                      \
    {                                                                                                        \
        double sum = 0, largest = -INFINITY;                                                                 \
        for (int64_t r = 0; r < region->rows; r++)                                                           \
            for (int64_t c = 0; c < region->columns; c++) {                                                  \
                struct corners corners;                                                                      \
                double y = top + ((double)r + 0.5) * region->cell_height / (double)region->rows;             \
                double x = left + ((double)c + 0.5) * region->cell_width / (double)region->columns;          \
                bool inside = find_corners(y, x, height, width, &corners);                                   \
                if (!inside)                                                                                 \
                    largest = largest > 0 ? largest : 0;                                                     \
                for (int k = 0; inside && k < 4; k++) {                                                      \
                    double part = corners.weight[k] * (double)plane[corners.offset[k]];                      \
                    sum += part;                                                                             \
                    largest = part > largest ? part : largest;                                               \
                }                                                                                            \
            }                                                                                                \
        int64_t points = region->rows * region->columns;                                                     \
        return points == 0 ? 0 : (type)(maximum ? largest : sum / (double)points);                           \
    }                                                                                                        \
    static void align_##type(const struct region_parameters *parameters, const struct region *region,        \
                             const type *planes, size_t channels, int64_t height, int64_t width, type *to)   \
    {                                                                                                        \
        for (size_t c = 0; c < channels; c++, planes += height * width)                                      \
            for (int64_t row = 0; row < parameters->height; row++)                                           \
                for (int64_t column = 0; column < parameters->width; column++)                               \
                    *to++ = align_cell_##type(                                                               \
                        region, planes, height, width, region->top + (double)row * region->cell_height,      \
                        region->left + (double)column * region->cell_width, parameters->maximum);            \
    }
DEFINE_ALIGN(float)
DEFINE_ALIGN(double)

static enum md_code align_run(struct md_invocation *invocation)
{
    const struct region_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *rois = md_input(invocation, 1);
    const struct md_tensor *batch = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int64_t height = input->shape.dims[2], width = input->shape.dims[3];
    size_t channels = (size_t)input->shape.dims[1];
    size_t image = channels * (size_t)height * (size_t)width;
    size_t cells = channels * (size_t)parameters->height * (size_t)parameters->width;
    if (height == 0 || width == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "RoiAlign of a picture of %lld x %lld",
                       (long long)height, (long long)width);
    for (size_t i = 0; i < batch->count; i++) {
        int64_t n = md_index_at(batch, i);
        if (n < 0 || n >= input->shape.dims[0])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "batch index %lld: range is [0,%lld]",
                           (long long)n, (long long)(input->shape.dims[0] - 1));
        struct region region = region_of(parameters, rois, i);
        if (input->datatype == MD_FP64)
            align_double(parameters, &region, md_elements(const double, input) + (size_t)n * image, channels,
                         height, width, md_elements(double, output) + i * cells);
        else
            align_float(parameters, &region, md_elements(const float, input) + (size_t)n * image, channels,
                        height, width, md_elements(float, output) + i * cells);
    }
    return MD_OK;
}

/* ---- MaxRoiPool ---- */
static enum md_code pool_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct region_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    const int64_t *size;
    size_t count;
    float scale;
    MD_TRY(md_attribute_float(configuration->attributes, "spatial_scale", 1, &scale, configuration->error));
    MD_TRY(md_attribute_ints(configuration->attributes, "pooled_shape", &size, &count, configuration->error));
    if (count != 2)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "pooled_shape has %zu entries, it must have 2", count);
    parameters->height = size[0];
    parameters->width = size[1];
    parameters->scale = (double)scale;
    return check_output_size(configuration, size[0], size[1]);
}

static enum md_code pool_prepare(struct md_invocation *invocation)
{
    const struct region_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 4, 4));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 2, 2));
    MD_TRY(md_expect_same_datatype(invocation, 0, 1));
    const struct md_tensor *input = md_input(invocation, 0), *rois = md_input(invocation, 1);
    if (rois->shape.dims[1] != 5)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "rois have %lld columns, they must have 5",
                       (long long)rois->shape.dims[1]);
    struct md_shape shape = { .rank = 4,
                              .dims = { rois->shape.dims[0], input->shape.dims[1], parameters->height,
                                        parameters->width } };
    return md_output(invocation, 0, input->datatype, &shape);
}

/* Rows (or columns) [*out_first, *out_end) of the picture that belong to cell `at` of `cells`. */
static void cell_range(double start, double end, int64_t at, int64_t cells, int64_t limit, int64_t *out_first,
                       int64_t *out_end)
{
    double first = round(start), size = round(end) - first + 1;
    size = size > 1 ? size : 1;
    double low = floor((double)at * size / (double)cells) + first;
    double high = ceil((double)(at + 1) * size / (double)cells) + first;
    *out_first = !(low > 0) ? 0 : low > (double)limit ? limit : (int64_t)low;
    *out_end = !(high > 0) ? 0 : high > (double)limit ? limit : (int64_t)high;
}

static void pool_region(const struct region_parameters *parameters, const struct md_tensor *input,
                        size_t image, const double *box, struct md_tensor *output, size_t to)
{
    int64_t height = input->shape.dims[2], width = input->shape.dims[3];
    for (size_t c = 0; c < (size_t)input->shape.dims[1]; c++)
        for (int64_t row = 0; row < parameters->height; row++)
            for (int64_t column = 0; column < parameters->width; column++) {
                int64_t top, bottom, left, right;
                cell_range(box[1], box[3], row, parameters->height, height, &top, &bottom);
                cell_range(box[0], box[2], column, parameters->width, width, &left, &right);
                double largest = bottom > top && right > left ? -INFINITY : 0;
                for (int64_t y = top; y < bottom; y++)
                    for (int64_t x = left; x < right; x++) {
                        double value = md_tensor_double(
                            input, image + (c * (size_t)height + (size_t)y) * (size_t)width + (size_t)x);
                        largest = value > largest ? value : largest;
                    }
                md_tensor_set_double(output, to++, largest);
            }
}

static enum md_code pool_run(struct md_invocation *invocation)
{
    const struct region_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *rois = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    size_t image = md_shape_product(&input->shape, 1, 4);
    size_t cells = md_shape_product(&output->shape, 1, 4);
    for (size_t i = 0; i < (size_t)rois->shape.dims[0]; i++) {
        double n = md_tensor_double(rois, 5 * i), box[4];
        if (!(n >= 0 && n < (double)input->shape.dims[0]))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "batch index %g: range is [0,%lld]", n,
                           (long long)(input->shape.dims[0] - 1));
        for (size_t k = 0; k < 4; k++)
            box[k] = md_tensor_double(rois, 5 * i + 1 + k) * parameters->scale;
        pool_region(parameters, input, (size_t)n * image, box, output, i * cells);
    }
    return MD_OK;
}

/* ---- NonMaxSuppression ---- */
struct nms_parameters {
    bool center_point;
};

/* One class of one picture. */
struct candidates {
    const float *boxes;  /* 4 numbers per box */
    const float *scores; /* one per box */
    bool center_point;
};

static enum md_code nms_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct nms_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t center;
    MD_TRY(md_attribute_int(configuration->attributes, "center_point_box", 0, &center, configuration->error));
    parameters->center_point = center != 0;
    return MD_OK;
}

static enum md_code expect_number(struct md_invocation *invocation, size_t input, unsigned types)
{
    const struct md_tensor *tensor = md_input(invocation, input);
    MD_TRY(md_expect_datatype(invocation, input, types));
    if (tensor != NULL && tensor->count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu elements, it must have 1",
                       input, tensor->count);
    return MD_OK;
}

static enum md_code nms_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor_rank(invocation, 0, 3, 3));
    MD_TRY(md_expect_tensor_rank(invocation, 1, 3, 3));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPE(MD_FP32)));
    MD_TRY(expect_number(invocation, 2, MD_TYPE(MD_INT64)));
    MD_TRY(expect_number(invocation, 3, MD_TYPE(MD_FP32)));
    MD_TRY(expect_number(invocation, 4, MD_TYPE(MD_FP32)));
    const struct md_shape *boxes = &md_input(invocation, 0)->shape, *scores = &md_input(invocation, 1)->shape;
    char a[MD_SHAPE_TEXT_SIZE], b[MD_SHAPE_TEXT_SIZE];
    if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "boxes of shape %s do not fit scores of shape %s", md_shape_text(boxes, a, sizeof a),
                       md_shape_text(scores, b, sizeof b));
    size_t count = (size_t)boxes->dims[1], classes = md_shape_product(scores, 0, 2), all;
    if (__builtin_mul_overflow(count, classes, &all) || __builtin_add_overflow(all, 2 * count, &all) ||
        all > PTRDIFF_MAX / (3 * sizeof(int64_t)))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "NonMaxSuppression of %zu boxes in %zu classes is too much", count, classes);
    /* Room for the worst case: every box of every class is chosen. */
    return md_scratch(invocation, (2 * count + 3 * (all - 2 * count)) * sizeof(int64_t));
}

static void box_sides(const struct candidates *candidates, int64_t index, float *sides)
{
    const float *box = candidates->boxes + 4 * index;
    if (candidates->center_point) { /* x, y, width, height */
        sides[0] = box[0] - box[2] / 2;
        sides[1] = box[1] - box[3] / 2;
        sides[2] = box[0] + box[2] / 2;
        sides[3] = box[1] + box[3] / 2;
        return;
    }
    for (int i = 0; i < 2; i++) { /* any two opposite corners */
        sides[i] = box[i] < box[i + 2] ? box[i] : box[i + 2];
        sides[i + 2] = box[i] < box[i + 2] ? box[i + 2] : box[i];
    }
}

static float overlap(const struct candidates *candidates, int64_t first, int64_t second)
{
    float a[4], b[4];
    box_sides(candidates, first, a);
    box_sides(candidates, second, b);
    float height = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), width = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (!(height > 0 && width > 0))
        return 0;
    float both = height * width;
    float sum = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both;
    return sum > 0 ? both / sum : 0;
}

static bool better_score(const void *owner, int64_t a, int64_t b)
{
    const struct candidates *candidates = owner;
    return candidates->scores[a] > candidates->scores[b];
}

/* Greedy: the best box that overlaps no chosen one too much. Appends indices to `chosen`, returns how many.
 */
static size_t suppress(const struct candidates *candidates, size_t count, size_t limit,
                       const float *score_threshold, float iou_threshold, int64_t *order, int64_t *spare,
                       int64_t *chosen)
{
    size_t left = 0, taken = 0;
    for (size_t i = 0; i < count; i++)
        if (score_threshold == NULL ? candidates->scores[i] == candidates->scores[i]
                                    : candidates->scores[i] > *score_threshold)
            order[left++] = (int64_t)i;
    md_index_sort(order, spare, left, better_score, candidates);
    for (size_t i = 0; i < left && taken < limit; i++) {
        bool keep = true;
        for (size_t k = 0; k < taken && keep; k++)
            keep = !(overlap(candidates, order[i], chosen[3 * k + 2]) > iou_threshold);
        if (keep)
            chosen[3 * taken++ + 2] = order[i];
    }
    return taken;
}

static enum md_code nms_run(struct md_invocation *invocation)
{
    const struct nms_parameters *parameters = invocation->parameters;
    const struct md_tensor *boxes = md_input(invocation, 0), *scores = md_input(invocation, 1);
    const struct md_tensor *limit = md_input(invocation, 2), *iou = md_input(invocation, 3);
    const struct md_tensor *threshold = md_input(invocation, 4);
    if (!md_wants_output(invocation, 0))
        return MD_OK;
    size_t count = (size_t)boxes->shape.dims[1], classes = (size_t)scores->shape.dims[1], found = 0;
    int64_t wanted = limit != NULL ? md_index_at(limit, 0) : 0;
    int64_t *order = invocation->scratch, *spare = order + count, *chosen = spare + count;
    for (size_t n = 0; n < (size_t)scores->shape.dims[0] && wanted > 0 && count > 0; n++)
        for (size_t c = 0; c < classes; c++) {
            struct candidates candidates = { md_elements(const float, boxes) + n * count * 4,
                                             md_elements(const float, scores) + (n * classes + c) * count,
                                             parameters->center_point };
            int64_t *rows = chosen + 3 * found;
            size_t taken = suppress(&candidates, count, (size_t)wanted,
                                    threshold != NULL ? md_elements(const float, threshold) : NULL,
                                    iou != NULL ? md_elements(const float, iou)[0] : 0, order, spare, rows);
            for (size_t k = 0; k < taken; k++) {
                rows[3 * k] = (int64_t)n;
                rows[3 * k + 1] = (int64_t)c;
            }
            found += taken;
        }
    struct md_shape shape = { .rank = 2, .dims = { (int64_t)found, 3 } };
    MD_TRY(md_output_now(invocation, 0, MD_INT64, &shape));
    md_copy_bytes(md_output_tensor(invocation, 0)->bytes, chosen, 3 * found * sizeof *chosen);
    return MD_OK;
}

/* clang-format off */
enum { REGION_NATIVE = MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) };

const struct md_operator md_operators_region[] = {
    { MD_ONNX, "RoiAlign", 10, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_FLOAT, REGION_NATIVE, 0,
      align_configure, align_prepare, align_run },
    { MD_ONNX, "MaxRoiPool", 1, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_FLOAT, REGION_NATIVE, 0,
      pool_configure, pool_prepare, pool_run },
    { MD_ONNX, "NonMaxSuppression", 10, MD_OPSET_NEWEST, 2, 5, 1, 1, MD_TYPE(MD_FP32), 0, 0,
      nms_configure, nms_prepare, nms_run },
    { 0 },
};
