/* transpose.c - operators that move every element to a place that the shapes alone decide: Transpose, Expand,
 * Tile, DepthToSpace, SpaceToDepth. Each is one strided copy; any element type. */
#include "checked.h"
#include "operator_table.h"
#include "parameters.h"
#include "strided_copy.h"

/* ---- Transpose ---- */
static enum md_code transpose_configure(const struct md_configuration *configuration,
                                        const void **out_parameters)
{
    struct md_int_list *perm = md_parameters_new(configuration, sizeof *perm);
    if (perm == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = perm;
    return md_int_list_read(configuration, "perm", perm);
}

static enum md_code permutation(struct md_invocation *invocation, int32_t rank, int32_t *out_perm)
{
    const struct md_int_list *perm = invocation->parameters;
    if (perm->count == 0) {
        for (int32_t i = 0; i < rank; i++)
            out_perm[i] = rank - 1 - i;
        return MD_OK;
    }
    if (perm->count != (size_t)rank)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "perm has %zu entries, the input has rank %d",
                       perm->count, rank);
    bool used[MD_MAX_RANK] = { false };
    for (int32_t i = 0; i < rank; i++) {
        MD_TRY(md_expect_axis(invocation, perm->values[i], rank, &out_perm[i]));
        if (used[out_perm[i]])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "perm lists axis %d twice", out_perm[i]);
        used[out_perm[i]] = true;
    }
    return MD_OK;
}

/* Only dims of size 1 change their place: the bytes stay where they are. */
static bool keeps_order(const struct md_shape *shape, const int32_t *perm)
{
    int32_t last = -1;
    for (int32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[perm[i]] == 1)
            continue;
        if (perm[i] < last)
            return false;
        last = perm[i];
    }
    return true;
}

static enum md_code transpose_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    int32_t perm[MD_MAX_RANK];
    MD_TRY(permutation(invocation, input->shape.rank, perm));
    struct md_shape shape = { .rank = input->shape.rank };
    for (int32_t i = 0; i < shape.rank; i++)
        shape.dims[i] = input->shape.dims[perm[i]];
    if (keeps_order(&input->shape, perm))
        return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code transpose_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    int32_t perm[MD_MAX_RANK];
    MD_TRY(permutation(invocation, input->shape.rank, perm));
    if (output == NULL || keeps_order(&input->shape, perm))
        return MD_OK;
    struct md_strided dense = md_strided_of(input);
    struct md_strided from = { .bytes = input->bytes };
    for (int32_t i = 0; i < input->shape.rank; i++)
        from.strides[i] = dense.strides[perm[i]];
    struct md_strided to = md_strided_of(output);
    md_strided_copy(output->shape.rank, output->shape.dims, &to, &from, md_datatype_size(input->datatype));
    return MD_OK;
}

/* ---- Expand ---- */
static enum md_code expand_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape asked = { 0 }, shape;
    size_t rank = 0;
    MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK, asked.dims, &rank));
    asked.rank = (int32_t)rank;
    if (!md_shape_broadcast(&input->shape, &asked, &shape)) {
        char have[MD_SHAPE_TEXT_SIZE], want[MD_SHAPE_TEXT_SIZE];
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Expand: %s and %s do not broadcast",
                       md_shape_text(&input->shape, have, sizeof have),
                       md_shape_text(&asked, want, sizeof want));
    }
    if (md_shape_equal(&shape, &input->shape))
        return md_output_view(invocation, 0, 0, input->datatype, &shape, 0);
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code expand_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || md_shape_equal(&output->shape, &input->shape))
        return MD_OK;
    size_t size = md_datatype_size(input->datatype);
    struct md_strided from = { .bytes = input->bytes }, to = md_strided_of(output);
    md_broadcast_strides(&input->shape, &output->shape, from.strides);
    for (int32_t i = 0; i < output->shape.rank; i++)
        from.strides[i] *= (int64_t)size;
    md_strided_copy(output->shape.rank, output->shape.dims, &to, &from, size);
    return MD_OK;
}

/* ---- Tile ---- */
/* Opset 1 has two scalars, how often and along which axis; opset 6 one number per dim. */
static enum md_code tile_repeats(struct md_invocation *invocation, int32_t rank, int64_t *out_repeats)
{
    size_t count = 0;
    if (invocation->opset >= 6) {
        MD_TRY(md_expect_tensor(invocation, 1));
        MD_TRY(md_input_ints(invocation, 1, MD_MAX_RANK, out_repeats, &count));
        if (count != (size_t)rank)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "repeats has %zu entries, the input has rank %d", count, rank);
        return MD_OK;
    }
    for (size_t i = 1; i < 3; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        if (md_input(invocation, i)->count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input %zu of Tile-1 has %zu elements, it must have 1", i,
                           md_input(invocation, i)->count);
    }
    int32_t axis;
    double wanted = md_tensor_double(md_input(invocation, 2), 0);
    double tiles = md_tensor_double(md_input(invocation, 1), 0);
    if (!(wanted >= -MD_MAX_RANK && wanted <= MD_MAX_RANK) ||
        !(tiles >= 0 && tiles <= (double)(INT64_C(1) << 53)))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%g tiles along axis %g is out of range",
                       tiles, wanted);
    MD_TRY(md_expect_axis(invocation, (int64_t)wanted, rank, &axis));
    for (int32_t i = 0; i < rank; i++)
        out_repeats[i] = i == axis ? (int64_t)tiles : 1;
    return MD_OK;
}

static enum md_code tile_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape shape = input->shape;
    int64_t repeats[MD_MAX_RANK];
    MD_TRY(tile_repeats(invocation, shape.rank, repeats));
    for (int32_t i = 0; i < shape.rank; i++)
        if (repeats[i] < 0 || !md_checked_multiply_i64(shape.dims[i], repeats[i], &shape.dims[i]))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "dim %d of size %lld cannot be repeated %lld times", i,
                           (long long)input->shape.dims[i], (long long)repeats[i]);
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code tile_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int32_t rank = input->shape.rank;
    size_t size = md_datatype_size(input->datatype);
    struct md_strided dense = md_strided_of(input), result = md_strided_of(output);
    struct md_strided to = { .bytes = output->bytes }, from = { .bytes = input->bytes };
    int64_t dims[MD_COPY_MAX_RANK];
    for (int32_t i = 0; i < rank; i++) { /* every dim becomes (repeat, dim) */
        dims[2 * i] = output->shape.dims[i] / input->shape.dims[i];
        dims[2 * i + 1] = input->shape.dims[i];
        to.strides[2 * i] = result.strides[i] * input->shape.dims[i];
        to.strides[2 * i + 1] = result.strides[i];
        from.strides[2 * i] = 0;
        from.strides[2 * i + 1] = dense.strides[i];
    }
    md_strided_copy(2 * rank, dims, &to, &from, size);
    return MD_OK;
}

/* ---- DepthToSpace, SpaceToDepth ---- */
struct block_parameters {
    int64_t size;
    bool columns_first; /* mode CRD: depth is [C, b, b]; DCR: [b, b, C] */
};

static enum md_code block_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct block_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    MD_TRY(
        md_attribute_int(configuration->attributes, "blocksize", 0, &parameters->size, configuration->error));
    if (parameters->size < 1 || parameters->size > INT32_MAX)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "blocksize is %lld, it must be in [1,%d]",
                       (long long)parameters->size, INT32_MAX);
    struct md_span mode;
    MD_TRY(md_attribute_string(configuration->attributes, "mode", "DCR", &mode, configuration->error));
    parameters->columns_first = md_span_equal(mode, md_span_of("CRD"));
    if (!parameters->columns_first && !md_span_equal(mode, md_span_of("DCR")))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "mode \"%.*s\": known are DCR and CRD",
                       (int)mode.size, mode.bytes);
    return MD_OK;
}

static enum md_code depth_to_space_prepare(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 4, 4));
    const struct md_tensor *input = md_input(invocation, 0);
    int64_t block = parameters->size;
    struct md_shape shape = input->shape;
    if (shape.dims[1] % (block * block) != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "%lld channels do not divide by blocksize %lld squared", (long long)shape.dims[1],
                       (long long)block);
    shape.dims[1] /= block * block;
    if (!md_checked_multiply_i64(shape.dims[2], block, &shape.dims[2]) ||
        !md_checked_multiply_i64(shape.dims[3], block, &shape.dims[3]))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the output of DepthToSpace is too large");
    return md_output(invocation, 0, input->datatype, &shape);
}

/* Strides of the space tensor [N, C, H b, W b] by (n, channel, block row, block column, row, column), and of
 * the depth tensor [N, depth, H, W] by the same. */
static void block_layouts(const struct md_tensor *space, const struct md_tensor *depth, int64_t block,
                          bool columns_first, int64_t *out_dims, struct md_strided *out_space,
                          struct md_strided *out_depth)
{
    struct md_strided s = md_strided_of(space), d = md_strided_of(depth);
    int64_t channels = space->shape.dims[1];
    const int64_t dims[6] = { space->shape.dims[0], channels, block, block, depth->shape.dims[2],
                              depth->shape.dims[3] };
    const int64_t to[6] = { s.strides[0], s.strides[1],         s.strides[2],
                            s.strides[3], s.strides[2] * block, s.strides[3] * block };
    const int64_t plane = d.strides[1];
    const int64_t channel = columns_first ? plane * block * block : plane;
    const int64_t row = columns_first ? plane * block : plane * channels * block;
    const int64_t column = columns_first ? plane : plane * channels;
    const int64_t from[6] = { d.strides[0], channel, row, column, d.strides[2], d.strides[3] };
    out_space->bytes = space->bytes;
    out_depth->bytes = depth->bytes;
    for (int32_t i = 0; i < 6; i++) {
        out_dims[i] = dims[i];
        out_space->strides[i] = to[i];
        out_depth->strides[i] = from[i];
    }
}

static enum md_code depth_to_space_run(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int64_t dims[6];
    struct md_strided space, depth;
    block_layouts(output, input, parameters->size, parameters->columns_first, dims, &space, &depth);
    md_strided_copy(6, dims, &space, &depth, md_datatype_size(input->datatype));
    return MD_OK;
}

static enum md_code space_to_depth_prepare(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 4, 4));
    const struct md_tensor *input = md_input(invocation, 0);
    int64_t block = parameters->size;
    struct md_shape shape = input->shape;
    if (shape.dims[2] % block != 0 || shape.dims[3] % block != 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "a plane of %lld x %lld does not divide by blocksize %lld", (long long)shape.dims[2],
                       (long long)shape.dims[3], (long long)block);
    if (!md_checked_multiply_i64(shape.dims[1], block * block, &shape.dims[1]))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the output of SpaceToDepth is too large");
    shape.dims[2] /= block;
    shape.dims[3] /= block;
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code space_to_depth_run(struct md_invocation *invocation)
{
    const struct block_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    int64_t dims[6];
    struct md_strided space, depth;
    block_layouts(input, output, parameters->size, parameters->columns_first, dims, &space, &depth);
    md_strided_copy(6, dims, &depth, &space, md_datatype_size(input->datatype));
    return MD_OK;
}

/* clang-format off */
const struct md_operator md_operators_transpose[] = {
    { MD_ONNX, "Transpose", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0,
      transpose_configure, transpose_prepare, transpose_run },
    { MD_ONNX, "Expand", 8, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0,
      NULL, expand_prepare, expand_run },
    { MD_ONNX, "Tile", 1, 5, 3, 3, 1, 1, MD_TYPES_ALL, 0, 0, NULL, tile_prepare, tile_run },
    { MD_ONNX, "Tile", 6, MD_OPSET_NEWEST, 2, 2, 1, 1, MD_TYPES_ALL, 0, 0, NULL, tile_prepare, tile_run },
    { MD_ONNX, "DepthToSpace", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0,
      block_configure, depth_to_space_prepare, depth_to_space_run },
    { MD_ONNX, "SpaceToDepth", 1, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_ALL, 0, 0,
      block_configure, space_to_depth_prepare, space_to_depth_run },
    { 0 },
};
