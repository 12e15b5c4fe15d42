/* quantization_layout.c - see quantization_layout.h. */
#include "quantization_layout.h"
#include "float_code.h"

static enum md_code fail_scale_shape(struct md_invocation *invocation, size_t input)
{
    char texts[2][MD_SHAPE_TEXT_SIZE];
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu of shape %s does not fit input 0 of shape %s",
                   input, md_shape_text(&md_input(invocation, input)->shape, texts[0], sizeof texts[0]),
                   md_shape_text(&md_input(invocation, 0)->shape, texts[1], sizeof texts[1]));
}

/* The scales have the input's shape, but one per block along the axis. */
static bool is_blocked_shape(const struct md_shape *shape, const struct md_shape *scale, int32_t axis, size_t blocks)
{
    if (scale->rank != shape->rank)
        return false;
    for (int32_t d = 0; d < shape->rank; d++)
        if (scale->dims[d] != (d == axis ? (int64_t)blocks : shape->dims[d]))
            return false;
    return true;
}

enum md_code md_quantization_layout_init(struct md_invocation *invocation, int64_t axis, int64_t block_size,
                                         struct md_quantization_layout *out_layout)
{
    const struct md_tensor *input = md_input(invocation, 0), *scale = md_input(invocation, 1),
                           *zero = md_input(invocation, 2);
    struct md_quantization_layout layout = { MD_PER_TENSOR, 1, input->count, 1, 1, 1, 1 };
    int32_t at = 0;
    if (zero != NULL && zero->count != scale->count)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "%zu zero points for %zu scales", zero->count,
                       scale->count);
    if (block_size < 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute block_size is %lld: must not be negative",
                       (long long)block_size);
    *out_layout = layout;
    if (scale->count == 1 && block_size == 0)
        return MD_OK;
    MD_TRY(md_expect_axis(invocation, axis, input->shape.rank, &at));
    layout.outer = md_shape_product(&input->shape, 0, at);
    layout.length = (size_t)input->shape.dims[at];
    layout.inner = md_shape_product(&input->shape, at + 1, input->shape.rank);
    layout.granularity = block_size == 0 ? MD_PER_AXIS : MD_PER_BLOCK;
    if (block_size == 0) {
        if (scale->count != layout.length || scale->shape.rank != 1)
            return fail_scale_shape(invocation, 1);
        layout.run_count = layout.inner == 1 ? layout.outer : layout.outer * layout.length;
    } else {
        layout.block = (size_t)block_size;
        layout.blocks = layout.length / layout.block + (layout.length % layout.block != 0);
        if (!is_blocked_shape(&input->shape, &scale->shape, at, layout.blocks))
            return fail_scale_shape(invocation, 1);
        layout.run_count = layout.outer * (layout.inner == 1 ? layout.blocks : layout.length);
    }
    *out_layout = layout;
    return MD_OK;
}

struct md_scale_run md_quantization_run(const struct md_quantization_layout *layout, size_t index)
{
    const size_t length = layout->length, inner = layout->inner;
    if (layout->granularity == MD_PER_TENSOR)
        return (struct md_scale_run){ 0, length, 0, 0 };
    if (layout->granularity == MD_PER_AXIS && inner == 1)
        return (struct md_scale_run){ index * length, length, 0, 1 };
    if (layout->granularity == MD_PER_AXIS)
        return (struct md_scale_run){ index * inner, inner, index % length, 0 };
    if (inner == 1) {
        const size_t first = index % layout->blocks * layout->block, left = length - first;
        return (struct md_scale_run){ index / layout->blocks * length + first,
                                      left < layout->block ? left : layout->block, index, 0 };
    }
    return (struct md_scale_run){ index * inner, inner,
                                  (index / length * layout->blocks + index % length / layout->block) * inner, 1 };
}

void md_scales_read(const struct md_invocation *invocation, struct md_scale *out_scales)
{
    const struct md_tensor *scale = md_input(invocation, 1), *zero = md_input(invocation, 2);
    for (size_t i = 0; i < scale->count; i++) {
        out_scales[i] = (struct md_scale){ .scale = (float)md_tensor_double(scale, i) };
        if (zero == NULL)
            continue;
        if (md_datatype_in(zero->datatype, MD_TYPES_CODED))
            out_scales[i].real_zero = (float)md_tensor_double(zero, i);
        else
            out_scales[i].zero = (int32_t)md_tensor_int(zero, i);
    }
}
