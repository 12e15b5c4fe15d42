/* col2im.c - Col2Im (18): sliding blocks put back together; where they overlap, they are added up.
 * Any number of spatial dims. */
#include "checked.h"
#include "operator_table.h"
#include "parameters.h"

struct col2im_parameters {
    struct md_int_list dilations, pads, strides;
};

/* All that is known about one spatial dim. */
struct dim {
    int64_t image, block, dilation, pad, stride;
    int64_t steps; /* of the sliding block */
};

struct col2im {
    int32_t spatial;
    struct dim dims[MD_MAX_RANK];
    size_t block_size, step_count, image_size; /* products over the spatial dims */
};

static enum md_code col2im_configure(const struct md_configuration *configuration,
                                     const void **out_parameters)
{
    struct col2im_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(md_int_list_read(configuration, "dilations", &parameters->dilations));
    MD_TRY(md_int_list_read(configuration, "pads", &parameters->pads));
    return md_int_list_read(configuration, "strides", &parameters->strides);
}

static bool in_range(int64_t value, int64_t low)
{
    return value >= low && value <= INT32_MAX;
}

/* One dim from the node's lists. False: a number is out of range, or the block does not fit. */
static bool dim_of(const struct col2im_parameters *parameters, int32_t at, int32_t spatial, int64_t image,
                   int64_t block, struct dim *dim)
{
    int64_t begin = parameters->pads.present ? parameters->pads.values[at] : 0;
    int64_t end = parameters->pads.present ? parameters->pads.values[spatial + at] : 0;
    *dim = (struct dim){ image,
                         block,
                         parameters->dilations.present ? parameters->dilations.values[at] : 1,
                         begin,
                         parameters->strides.present ? parameters->strides.values[at] : 1,
                         0 };
    if (!in_range(image, 1) || !in_range(block, 1) || !in_range(dim->dilation, 1) ||
        !in_range(dim->stride, 1) || !in_range(begin, 0) || !in_range(end, 0))
        return false;
    int64_t room = image + begin + end - dim->dilation * (block - 1) - 1;
    dim->steps = room < 0 ? 0 : room / dim->stride + 1;
    return room >= 0;
}

static enum md_code col2im_of(struct md_invocation *invocation, struct col2im *col2im)
{
    const struct col2im_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 3, 3));
    int64_t image[MD_MAX_RANK], block[MD_MAX_RANK];
    size_t count = 0, block_count = 0;
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_tensor(invocation, 2));
    MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK - 2, image, &count));
    MD_TRY(md_input_ints(invocation, 2, MD_MAX_RANK - 2, block, &block_count));
    if (count == 0 || block_count != count ||
        (parameters->pads.present && parameters->pads.count != 2 * count) ||
        (parameters->dilations.present && parameters->dilations.count != count) ||
        (parameters->strides.present && parameters->strides.count != count))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "image_shape has %zu entries, block_shape %zu, pads %zu, dilations %zu, strides %zu",
                       count, block_count, parameters->pads.count, parameters->dilations.count,
                       parameters->strides.count);
    *col2im = (struct col2im){ (int32_t)count, { { 0 } }, 1, 1, 1 };
    for (int32_t i = 0; i < col2im->spatial; i++) {
        struct dim *dim = &col2im->dims[i];
        if (!dim_of(parameters, i, col2im->spatial, image[i], block[i], dim) ||
            !md_checked_multiply(col2im->block_size, (size_t)block[i], &col2im->block_size) ||
            !md_checked_multiply(col2im->step_count, (size_t)dim->steps, &col2im->step_count) ||
            !md_checked_multiply(col2im->image_size, (size_t)image[i], &col2im->image_size))
            return md_fail(
                invocation->error, MD_INVALID_ARGUMENT,
                "spatial dim %d: a block of %lld with dilation %lld does not fit a picture of %lld", (int)i,
                (long long)block[i], (long long)dim->dilation, (long long)image[i]);
    }
    return MD_OK;
}

static enum md_code col2im_prepare(struct md_invocation *invocation)
{
    struct col2im col2im;
    MD_TRY(col2im_of(invocation, &col2im));
    const struct md_tensor *input = md_input(invocation, 0);
    if ((size_t)input->shape.dims[1] % col2im.block_size != 0 ||
        (size_t)input->shape.dims[2] != col2im.step_count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "input of [.,%lld,%lld]: blocks have %zu elements in %zu places",
                       (long long)input->shape.dims[1], (long long)input->shape.dims[2], col2im.block_size,
                       col2im.step_count);
    struct md_shape shape = { .rank = 2 + col2im.spatial,
                              .dims = { input->shape.dims[0],
                                        input->shape.dims[1] / (int64_t)col2im.block_size } };
    for (int32_t i = 0; i < col2im.spatial; i++)
        shape.dims[2 + i] = col2im.dims[i].image;
    return md_output(invocation, 0, input->datatype, &shape);
}

/* Where element `element` of the block in place `step` lies in the picture; -1: in the padding. */
static int64_t position(const struct col2im *col2im, size_t element, size_t step)
{
    int64_t offset = 0, pitch = 1;
    for (int32_t i = col2im->spatial - 1; i >= 0; i--) {
        const struct dim *dim = &col2im->dims[i];
        int64_t at = (int64_t)(step % (size_t)dim->steps) * dim->stride - dim->pad +
                     (int64_t)(element % (size_t)dim->block) * dim->dilation;
        step /= (size_t)dim->steps;
        element /= (size_t)dim->block;
        if (at < 0 || at >= dim->image)
            return -1;
        offset += at * pitch;
        pitch *= dim->image;
    }
    return offset;
}

/* Integers are added as uint64_t, where wrapping is defined. */
#define ADD_REAL(datatype_, type)    ADD_CASE(datatype_, type, type)
#define ADD_INTEGER(datatype_, type) ADD_CASE(datatype_, type, uint64_t)
#define ADD_CASE(datatype_, type, sum_type)                                                                  \
    case datatype_:                                                                                          \
        md_elements(type, output)[to] = (type)((sum_type)md_elements(type, output)[to] +                     \
                                               (sum_type)md_elements(const type, input)[from]);              \
        break;

static void add_element(const struct md_tensor *input, size_t from, struct md_tensor *output, size_t to)
{
    switch ((int)input->datatype) {
        MD_FOR_EACH_REAL(ADD_REAL)
        MD_FOR_EACH_INTEGER(ADD_INTEGER)
    default:
        break;
    }
}

static enum md_code col2im_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct col2im col2im;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(col2im_of(invocation, &col2im));
    memset(output->bytes, 0, md_tensor_size(output));
    size_t planes = output->count / col2im.image_size;
    for (size_t element = 0; element < col2im.block_size; element++)
        for (size_t step = 0; step < col2im.step_count; step++) {
            int64_t at = position(&col2im, element, step);
            for (size_t plane = 0; at >= 0 && plane < planes; plane++)
                add_element(input, (plane * col2im.block_size + element) * col2im.step_count + step, output,
                            plane * col2im.image_size + (size_t)at);
        }
    return MD_OK;
}

/* clang-format off */
enum { COL2IM_NATIVE = MD_TYPES_INTEGER | MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) };

const struct md_operator md_operators_col2im[] = {
    { MD_ONNX, "Col2Im", 18, MD_OPSET_NEWEST, 3, 3, 1, 1, MD_TYPES_NUMBER, COL2IM_NATIVE, 0,
      col2im_configure, col2im_prepare, col2im_run },
    { 0 },
};
