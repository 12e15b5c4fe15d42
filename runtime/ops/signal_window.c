/* signal_window.c - tensors for signal processing that are made from numbers: HannWindow, HammingWindow,
 * BlackmanWindow, MelWeightMatrix (17); and Det (11), computed in double. */
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

/* ---- windows ---- */
struct window_parameters {
    enum md_datatype datatype;
    bool symmetric;
    double weights[3]; /* of cos(0), cos(x), cos(2x) */
};

static enum md_code read_datatype(const struct md_configuration *configuration,
                                  enum md_datatype *out_datatype)
{
    int64_t datatype;
    MD_TRY(md_attribute_int(configuration->attributes, "output_datatype", MD_FP32, &datatype,
                            configuration->error));
    if (datatype < 1 || datatype >= MD_DATATYPE_COUNT ||
        !md_datatype_in((enum md_datatype)datatype, MD_TYPES_NUMBER))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "output_datatype %lld is not a number type",
                       (long long)datatype);
    *out_datatype = (enum md_datatype)datatype;
    return MD_OK;
}

static enum md_code window_configure(const struct md_configuration *configuration, const double *weights,
                                     const void **out_parameters)
{
    struct window_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = parameters;
    int64_t periodic;
    MD_TRY(read_datatype(configuration, &parameters->datatype));
    MD_TRY(md_attribute_int(configuration->attributes, "periodic", 1, &periodic, configuration->error));
    parameters->symmetric = periodic == 0;
    memcpy(parameters->weights, weights, sizeof parameters->weights);
    return MD_OK;
}

static enum md_code hann_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const double weights[3] = { 0.5, -0.5, 0 };
    return window_configure(configuration, weights, out_parameters);
}

static enum md_code hamming_configure(const struct md_configuration *configuration,
                                      const void **out_parameters)
{
    const double weights[3] = { 25.0 / 46, -21.0 / 46, 0 };
    return window_configure(configuration, weights, out_parameters);
}

static enum md_code blackman_configure(const struct md_configuration *configuration,
                                       const void **out_parameters)
{
    const double weights[3] = { 0.42, -0.5, 0.08 };
    return window_configure(configuration, weights, out_parameters);
}

/* Input `input` as one integer in [0, INT32_MAX]. */
static enum md_code read_size(struct md_invocation *invocation, size_t input, int64_t *out_value)
{
    size_t count = 0;
    MD_TRY(md_expect_tensor(invocation, input));
    MD_TRY(md_input_ints(invocation, input, 1, out_value, &count));
    if (count != 1 || *out_value < 0 || *out_value > INT32_MAX)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu must be one number in [0,%d]",
                       input, INT32_MAX);
    return MD_OK;
}

static enum md_code window_prepare(struct md_invocation *invocation)
{
    const struct window_parameters *parameters = invocation->parameters;
    int64_t size = 0;
    MD_TRY(read_size(invocation, 0, &size));
    struct md_shape shape = md_shape_of(1, &size);
    return md_output(invocation, 0, parameters->datatype, &shape);
}

static enum md_code window_run(struct md_invocation *invocation)
{
    const struct window_parameters *parameters = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL)
        return MD_OK;
    const double whole = 2 * acos(-1.0);
    double period = (double)output->count - (parameters->symmetric ? 1 : 0);
    for (size_t i = 0; i < output->count; i++) {
        double x = period > 0 ? whole * (double)i / period : 0;
        double value =
            parameters->weights[0] + parameters->weights[1] * cos(x) + parameters->weights[2] * cos(2 * x);
        bool is_unsigned = md_datatype_in(output->datatype, MD_TYPES_UNSIGNED);
        md_tensor_set_double(output, i, is_unsigned && value < 0 ? 0 : value); /* -1e-17 at the ends */
    }
    return MD_OK;
}

/* ---- MelWeightMatrix ---- */
struct mel {
    int64_t bins, bands; /* rows and columns of the result */
    int64_t dft_length, sample_rate;
    double lower, upper;
};

static enum md_code mel_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return window_configure(configuration, (const double[3]){ 0 }, out_parameters);
}

static enum md_code mel_of(struct md_invocation *invocation, struct mel *mel)
{
    MD_TRY(read_size(invocation, 0, &mel->bands));
    MD_TRY(read_size(invocation, 1, &mel->dft_length));
    MD_TRY(read_size(invocation, 2, &mel->sample_rate));
    for (size_t i = 3; i < 5; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_datatype(invocation, i, MD_TYPES_FLOAT));
        if (md_input(invocation, i)->count != 1)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                           "input %zu has %zu elements, it must have 1", i, md_input(invocation, i)->count);
    }
    mel->lower = md_tensor_double(md_input(invocation, 3), 0);
    mel->upper = md_tensor_double(md_input(invocation, 4), 0);
    mel->bins = mel->dft_length / 2 + 1;
    if (mel->sample_rate < 1 || !(mel->lower >= 0 && mel->lower <= mel->upper && mel->upper <= 1e12))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT,
                       "MelWeightMatrix from %g Hz to %g Hz at %lld samples", mel->lower, mel->upper,
                       (long long)mel->sample_rate);
    return MD_OK;
}

static enum md_code mel_prepare(struct md_invocation *invocation)
{
    const struct window_parameters *parameters = invocation->parameters;
    struct mel mel;
    MD_TRY(mel_of(invocation, &mel));
    struct md_shape shape = { .rank = 2, .dims = { mel.bins, mel.bands } };
    return md_output(invocation, 0, parameters->datatype, &shape);
}

/* The DFT bin of edge `index` of bands + 2: edges are equally spaced on the mel scale. */
static int64_t edge_bin(const struct mel *mel, int64_t index)
{
    /* In units of 2595 / ln(10) mel, which cancel. */
    double low = log1p(mel->lower / 700), high = log1p(mel->upper / 700);
    double hertz = 700 * expm1(low + (double)index * (high - low) / (double)(mel->bands + 2));
    double bin = floor((double)(mel->dft_length + 1) * hertz / (double)mel->sample_rate);
    return bin < 0 ? 0 : bin > (double)mel->bins ? mel->bins : (int64_t)bin;
}

/* One column: a triangle from edge `band` over `band` + 1, where it is 1, to `band` + 2. */
static void fill_band(const struct mel *mel, int64_t band, struct md_tensor *output)
{
    int64_t low = edge_bin(mel, band), center = edge_bin(mel, band + 1), high = edge_bin(mel, band + 2);
    for (int64_t bin = low; bin <= high && bin < mel->bins; bin++) {
        double value = 0;
        if (bin < center)
            value = (double)(bin - low) / (double)(center - low);
        else if (bin == center)
            value = 1;
        else if (bin < high)
            value = (double)(high - bin) / (double)(high - center);
        md_tensor_set_double(output, (size_t)(bin * mel->bands + band), value);
    }
}

static enum md_code mel_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    struct mel mel;
    if (output == NULL || output->count == 0)
        return MD_OK;
    MD_TRY(mel_of(invocation, &mel));
    memset(output->bytes, 0, md_tensor_size(output));
    for (int64_t band = 0; band < mel.bands; band++)
        fill_band(&mel, band, output);
    return MD_OK;
}

/* ---- Det ---- */
static enum md_code det_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor_rank(invocation, 0, 2, MD_MAX_RANK));
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_shape shape = input->shape;
    int64_t n = shape.dims[shape.rank - 1];
    if (shape.dims[shape.rank - 2] != n)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Det of matrices of %lld x %lld",
                       (long long)shape.dims[shape.rank - 2], (long long)n);
    shape.rank -= 2;
    size_t square, bytes;
    if (__builtin_mul_overflow((size_t)n, (size_t)n, &square) ||
        __builtin_mul_overflow(square, sizeof(double), &bytes) || bytes > PTRDIFF_MAX)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "Det of matrices of size %lld is too much",
                       (long long)n);
    MD_TRY(md_scratch(invocation, bytes));
    return md_output(invocation, 0, input->datatype, &shape);
}

/* Gaussian elimination with partial pivoting; destroys the matrix. */
static double determinant(double *m, size_t n)
{
    double product = 1;
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(m[i * n + k]) > fabs(m[pivot * n + k]))
                pivot = i;
        for (size_t j = 0; j < n && pivot != k; j++) {
            double keep = m[k * n + j];
            m[k * n + j] = m[pivot * n + j];
            m[pivot * n + j] = keep;
        }
        product *= pivot != k ? -m[k * n + k] : m[k * n + k];
        if (m[k * n + k] == 0)
            return 0;
        for (size_t i = k + 1; i < n; i++) {
            double factor = m[i * n + k] / m[k * n + k];
            for (size_t j = k + 1; j < n; j++)
                m[i * n + j] -= factor * m[k * n + j];
        }
    }
    return product;
}

static enum md_code det_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL)
        return MD_OK;
    size_t n = (size_t)input->shape.dims[input->shape.rank - 1];
    double *matrix = invocation->scratch;
    for (size_t k = 0; k < output->count; k++) {
        for (size_t i = 0; i < n * n; i++)
            matrix[i] = md_tensor_double(input, k * n * n + i);
        md_tensor_set_double(output, k, determinant(matrix, n));
    }
    return MD_OK;
}

/* clang-format off */
enum {
    SIZE_TYPES = MD_TYPES_INDEX,
    DET_NATIVE = MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64)
};

const struct md_operator md_operators_signal_window[] = {
    { MD_ONNX, "HannWindow", 17, MD_OPSET_NEWEST, 1, 1, 1, 1, SIZE_TYPES, 0, 0,
      hann_configure, window_prepare, window_run },
    { MD_ONNX, "HammingWindow", 17, MD_OPSET_NEWEST, 1, 1, 1, 1, SIZE_TYPES, 0, 0,
      hamming_configure, window_prepare, window_run },
    { MD_ONNX, "BlackmanWindow", 17, MD_OPSET_NEWEST, 1, 1, 1, 1, SIZE_TYPES, 0, 0,
      blackman_configure, window_prepare, window_run },
    { MD_ONNX, "MelWeightMatrix", 17, MD_OPSET_NEWEST, 5, 5, 1, 1, SIZE_TYPES, 0, 0,
      mel_configure, mel_prepare, mel_run },
    { MD_ONNX, "Det", 11, MD_OPSET_NEWEST, 1, 1, 1, 1, MD_TYPES_FLOAT, DET_NATIVE, 0,
      NULL, det_prepare, det_run },
    { 0 },
};
