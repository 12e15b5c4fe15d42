/* spectral.c - DFT (17, 20) and STFT (17).
 *
 * Transforms run in double: radix 2 where the length is a power of two, Bluestein's algorithm elsewhere, so
 * that every length costs n log n. Twiddle factors come from sin and cos of exact fractions of a turn. */
#include "fourier.h"
#include "operator_table.h"
#include "parameters.h"

struct spectral_parameters {
    bool inverse, onesided;
    int64_t axis; /* opset 17 */
};

static enum md_code spectral_configure(const struct md_configuration *configuration, bool onesided,
                                       int64_t axis, const void **out_parameters)
{
    struct spectral_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t inverse, half;
    MD_TRY(md_attribute_int(configuration->attributes, "inverse", 0, &inverse, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "onesided", onesided, &half, configuration->error));
    parameters->inverse = inverse != 0;
    parameters->onesided = half != 0;
    return md_attribute_int(configuration->attributes, "axis", axis, &parameters->axis, configuration->error);
}

static enum md_code dft_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return spectral_configure(configuration, false, 1, out_parameters);
}

static enum md_code stft_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return spectral_configure(configuration, true, 0, out_parameters);
}

/* One integer from an input, or `absent`. */
static enum md_code read_int(struct md_invocation *invocation, size_t input, int64_t absent,
                             int64_t *out_value)
{
    size_t count = 0;
    int64_t value = absent;
    MD_TRY(md_input_ints(invocation, input, 1, &value, &count));
    if (md_input(invocation, input) != NULL && count != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has no elements, it must have 1",
                       input);
    *out_value = value;
    return MD_OK;
}

static double number_at(const struct md_tensor *tensor, size_t index)
{
    return tensor->datatype == MD_FP64 ? md_elements(const double, tensor)[index]
                                       : (double)md_elements(const float, tensor)[index];
}

static void set_number(struct md_tensor *tensor, size_t index, double value)
{
    if (tensor->datatype == MD_FP64)
        md_elements(double, tensor)[index] = value;
    else
        md_elements(float, tensor)[index] = (float)value;
}

/* ---- DFT ---- */
struct dft {
    struct md_shape shape; /* of the output */
    int32_t axis;
    int64_t length;   /* of the transform */
    bool real_output; /* the inverse of a one-sided transform */
};

static enum md_code dft_of(struct md_invocation *invocation, struct dft *dft)
{
    const struct spectral_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, MD_MAX_RANK));
    const struct md_shape *input = &md_input(invocation, 0)->shape;
    int64_t axis = parameters->axis, parts = input->dims[input->rank - 1];
    if (invocation->opset >= 20)
        MD_TRY(read_int(invocation, 2, -2, &axis));
    MD_TRY(md_expect_axis(invocation, axis, input->rank, &dft->axis));
    if (dft->axis == input->rank - 1 || (parts != 1 && parts != 2))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "DFT along axis %d of rank %d with a last dim of %lld", (int)dft->axis,
                       (int)input->rank, (long long)parts);
    dft->real_output = parameters->inverse && parameters->onesided;
    int64_t dim = input->dims[dft->axis];
    MD_TRY(read_int(invocation, 1, dft->real_output ? 2 * (dim - 1) : dim, &dft->length));
    if (dft->length < 1 || dft->length > MD_FOURIER_MAX_LENGTH)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "DFT of length %lld: range is [1,%d]",
                       (long long)dft->length, MD_FOURIER_MAX_LENGTH);
    if (parameters->onesided && !parameters->inverse && parts != 1)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "a one-sided DFT needs real input");
    dft->shape = *input;
    dft->shape.dims[dft->axis] =
        parameters->onesided && !parameters->inverse ? dft->length / 2 + 1 : dft->length;
    dft->shape.dims[input->rank - 1] = dft->real_output ? 1 : 2;
    return MD_OK;
}

static enum md_code dft_prepare(struct md_invocation *invocation)
{
    struct dft dft;
    MD_TRY(dft_of(invocation, &dft));
    MD_TRY(md_scratch(invocation, md_fourier_size((size_t)dft.length)));
    return md_output(invocation, 0, md_input(invocation, 0)->datatype, &dft.shape);
}

/* Fills the signal of one lane; a one-sided spectrum gets its mirrored half back. */
static void read_lane(const struct md_tensor *input, const struct dft *dft, size_t first, size_t step,
                      double *signal)
{
    size_t parts = (size_t)input->shape.dims[input->shape.rank - 1];
    int64_t dim = input->shape.dims[dft->axis];
    for (int64_t i = 0; i < dft->length; i++) {
        bool mirrored = dft->real_output && i > dft->length / 2;
        int64_t at = mirrored ? dft->length - i : i;
        size_t from = (first + (size_t)at * step) * parts;
        signal[2 * i] = at < dim ? number_at(input, from) : 0;
        signal[2 * i + 1] = at < dim && parts == 2 ? number_at(input, from + 1) * (mirrored ? -1 : 1) : 0;
    }
}

static enum md_code dft_run(struct md_invocation *invocation)
{
    const struct spectral_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct dft dft;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(dft_of(invocation, &dft));
    struct md_fourier fourier;
    md_fourier_init(&fourier, (size_t)dft.length, parameters->inverse, invocation->scratch);
    int32_t last = input->shape.rank - 1;
    size_t outer = md_shape_product(&input->shape, 0, dft.axis);
    size_t inner = md_shape_product(&input->shape, dft.axis + 1, last);
    size_t in = (size_t)input->shape.dims[dft.axis], out = (size_t)output->shape.dims[dft.axis];
    size_t parts = (size_t)output->shape.dims[last];
    for (size_t lane = 0; lane < outer * inner; lane++) {
        size_t o = lane / inner, i = lane % inner;
        read_lane(input, &dft, o * in * inner + i, inner, fourier.signal);
        md_fourier_run(&fourier);
        for (size_t k = 0; k < out; k++)
            for (size_t part = 0; part < parts; part++)
                set_number(output, ((o * out + k) * inner + i) * parts + part, fourier.signal[2 * k + part]);
    }
    return MD_OK;
}

/* ---- STFT ---- */
struct stft {
    int64_t step, length, frames, bins;
};

static enum md_code stft_of(struct md_invocation *invocation, struct stft *stft)
{
    const struct spectral_parameters *parameters = invocation->parameters;
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, 3));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    MD_TRY(md_expect_rank(invocation, 2, 1, 1));
    const struct md_shape *signal = &md_input(invocation, 0)->shape;
    const struct md_tensor *window = md_input(invocation, 2);
    int64_t parts = signal->rank == 3 ? signal->dims[2] : 1, size = signal->dims[1];
    MD_TRY(read_int(invocation, 1, 0, &stft->step));
    MD_TRY(read_int(invocation, 3, window != NULL ? window->shape.dims[0] : size, &stft->length));
    if (parts != 1 && (parts != 2 || parameters->onesided))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "STFT of a signal with a last dim of %lld%s",
                       (long long)parts, parameters->onesided ? ", one-sided" : "");
    if (window != NULL && window->shape.dims[0] != stft->length)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "frame_length is %lld, the window has %lld elements", (long long)stft->length,
                       (long long)window->shape.dims[0]);
    if (stft->step < 1 || stft->length < 1 || stft->length > size || stft->length > MD_FOURIER_MAX_LENGTH)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "STFT with steps of %lld and frames of %lld, signal of %lld", (long long)stft->step,
                       (long long)stft->length, (long long)size);
    stft->frames = (size - stft->length) / stft->step + 1;
    stft->bins = parameters->onesided ? stft->length / 2 + 1 : stft->length;
    return MD_OK;
}

static enum md_code stft_prepare(struct md_invocation *invocation)
{
    struct stft stft;
    MD_TRY(stft_of(invocation, &stft));
    const struct md_tensor *signal = md_input(invocation, 0);
    struct md_shape shape = { .rank = 4, .dims = { signal->shape.dims[0], stft.frames, stft.bins, 2 } };
    MD_TRY(md_scratch(invocation, md_fourier_size((size_t)stft.length)));
    return md_output(invocation, 0, signal->datatype, &shape);
}

static enum md_code stft_run(struct md_invocation *invocation)
{
    const struct spectral_parameters *parameters = invocation->parameters;
    const struct md_tensor *signal = md_input(invocation, 0), *window = md_input(invocation, 2);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct stft stft;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(stft_of(invocation, &stft));
    struct md_fourier fourier;
    md_fourier_init(&fourier, (size_t)stft.length, parameters->inverse, invocation->scratch);
    size_t parts = signal->shape.rank == 3 ? (size_t)signal->shape.dims[2] : 1, to = 0;
    for (int64_t row = 0; row < signal->shape.dims[0] * stft.frames; row++) {
        int64_t first = row / stft.frames * signal->shape.dims[1] + row % stft.frames * stft.step;
        for (int64_t i = 0; i < stft.length; i++) {
            double weight = window != NULL ? number_at(window, (size_t)i) : 1;
            size_t from = (size_t)(first + i) * parts;
            fourier.signal[2 * i] = weight * number_at(signal, from);
            fourier.signal[2 * i + 1] = parts == 2 ? weight * number_at(signal, from + 1) : 0;
        }
        md_fourier_run(&fourier);
        for (int64_t k = 0; k < 2 * stft.bins; k++)
            set_number(output, to++, fourier.signal[k]);
    }
    return MD_OK;
}

/* clang-format off */
enum { SPECTRAL_NATIVE = MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) };

const struct md_operator md_operators_spectral[] = {
    { MD_ONNX, "DFT", 17, 19, 1, 2, 1, 1, MD_TYPES_FLOAT, SPECTRAL_NATIVE, 0,
      dft_configure, dft_prepare, dft_run },
    { MD_ONNX, "DFT", 20, MD_OPSET_NEWEST, 1, 3, 1, 1, MD_TYPES_FLOAT, SPECTRAL_NATIVE, 0,
      dft_configure, dft_prepare, dft_run },
    { MD_ONNX, "STFT", 17, MD_OPSET_NEWEST, 2, 4, 1, 1, MD_TYPES_FLOAT, SPECTRAL_NATIVE, 0,
      stft_configure, stft_prepare, stft_run },
    { 0 },
};
