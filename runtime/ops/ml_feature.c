/* ml_feature.c - features of ai.onnx.ml, element by element: Scaler, Binarizer, Normalizer, Imputer, OneHotEncoder,
 * ArrayFeatureExtractor, FeatureVectorizer. */
#include "ml_classes.h"
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

/* ---- Scaler: (x - offset) * scale; lists of one value serve every feature ---- */
struct scaler {
    const float *offsets, *scales;
    size_t offset_count, scale_count;
};

static enum md_code scaler_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct scaler *scaler = md_parameters_new(configuration, sizeof *scaler);
    if (scaler == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_floats_read(configuration, "offset", &scaler->offsets, &scaler->offset_count));
    MD_TRY(md_floats_read(configuration, "scale", &scaler->scales, &scaler->scale_count));
    *out_parameters = scaler;
    return MD_OK;
}

static size_t feature_count(const struct md_tensor *input)
{
    return input->shape.rank > 0 ? (size_t)input->shape.dims[input->shape.rank - 1] : 1;
}

static enum md_code expect_per_feature(struct md_invocation *invocation, const char *name, size_t count)
{
    const size_t features = feature_count(md_input(invocation, 0));
    if (count <= 1 || count == features)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute %s has %zu values for %zu features", name, count,
                   features);
}

static enum md_code float_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    return md_output(invocation, 0, MD_FP32, &md_input(invocation, 0)->shape);
}

static enum md_code scaler_prepare(struct md_invocation *invocation)
{
    const struct scaler *scaler = invocation->parameters;
    MD_TRY(float_prepare(invocation));
    MD_TRY(expect_per_feature(invocation, "offset", scaler->offset_count));
    return expect_per_feature(invocation, "scale", scaler->scale_count);
}

static enum md_code scaler_run(struct md_invocation *invocation)
{
    const struct scaler *scaler = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const size_t features = feature_count(input);
    for (size_t i = 0; output != NULL && i < input->count; i++) {
        const size_t f = i % features;
        const double offset = scaler->offset_count == 0 ? 0 :
                              (double)scaler->offsets[scaler->offset_count == 1 ? 0 : f];
        const double scale = scaler->scale_count == 0 ? 1 : (double)scaler->scales[scaler->scale_count == 1 ? 0 : f];
        md_elements(float, output)[i] = (float)((md_tensor_double(input, i) - offset) * scale);
    }
    return MD_OK;
}

/* ---- Binarizer ---- */
struct binarizer {
    float threshold;
};

static enum md_code binarizer_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct binarizer *binarizer = md_parameters_new(configuration, sizeof *binarizer);
    if (binarizer == NULL)
        return MD_RESOURCE_EXHAUSTED;
    *out_parameters = binarizer;
    return md_attribute_float(configuration->attributes, "threshold", 0, &binarizer->threshold, configuration->error);
}

static enum md_code binarizer_run(struct md_invocation *invocation)
{
    const struct binarizer *binarizer = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    for (size_t i = 0; output != NULL && i < input->count; i++)
        md_tensor_set_double(output, i, md_tensor_double(input, i) > (double)binarizer->threshold);
    return MD_OK;
}

/* ---- Normalizer: rows divided by their maximum, sum of magnitudes, or length; by 0 nothing changes ---- */
struct normalizer {
    char kind; /* 'M', '1', '2' */
};

static enum md_code normalizer_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct normalizer *normalizer = md_parameters_new(configuration, sizeof *normalizer);
    struct md_span norm;
    if (normalizer == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_string(configuration->attributes, "norm", "MAX", &norm, configuration->error));
    *out_parameters = normalizer;
    normalizer->kind = md_span_equal(norm, md_span_of("MAX")) ? 'M' :
                       md_span_equal(norm, md_span_of("L1"))  ? '1' :
                       md_span_equal(norm, md_span_of("L2"))  ? '2' :
                                                                '\0';
    if (normalizer->kind != '\0')
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "attribute norm is \"%.*s\": must be \"MAX\", \"L1\" or \"L2\"",
                   (int)(norm.size < 40 ? norm.size : 40), norm.bytes);
}

static double row_norm(char kind, const struct md_tensor *input, size_t start, size_t count)
{
    double norm = kind == 'M' ? -INFINITY : 0;
    for (size_t i = start; i < start + count; i++) {
        const double x = md_tensor_double(input, i);
        if (kind == 'M')
            norm = x > norm ? x : norm;
        else
            norm += kind == '1' ? fabs(x) : x * x;
    }
    return kind == '2' ? sqrt(norm) : norm;
}

static enum md_code normalizer_run(struct md_invocation *invocation)
{
    const struct normalizer *normalizer = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const size_t features = feature_count(input);
    for (size_t start = 0; output != NULL && start < input->count; start += features) {
        double norm = row_norm(normalizer->kind, input, start, features);
        norm = norm == 0 ? 1 : norm;
        for (size_t i = start; i < start + features; i++)
            md_elements(float, output)[i] = (float)(md_tensor_double(input, i) / norm);
    }
    return MD_OK;
}

/* ---- Imputer ---- */
struct imputer {
    const float *floats;
    const int64_t *integers;
    size_t float_count, integer_count;
    float replaced_float;
    int64_t replaced_integer;
};

static enum md_code imputer_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    const struct md_attributes *attributes = configuration->attributes;
    struct imputer *imputer = md_parameters_new(configuration, sizeof *imputer);
    if (imputer == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_floats_read(configuration, "imputed_value_floats", &imputer->floats, &imputer->float_count));
    MD_TRY(md_attribute_ints(attributes, "imputed_value_int64s", &imputer->integers, &imputer->integer_count,
                             configuration->error));
    MD_TRY(md_attribute_float(attributes, "replaced_value_float", 0, &imputer->replaced_float, configuration->error));
    MD_TRY(md_attribute_int(attributes, "replaced_value_int64", 0, &imputer->replaced_integer, configuration->error));
    *out_parameters = imputer;
    return MD_OK;
}

static enum md_code imputer_prepare(struct md_invocation *invocation)
{
    const struct imputer *imputer = invocation->parameters;
    MD_TRY(md_prepare_same(invocation));
    const bool real = md_datatype_in(md_input(invocation, 0)->datatype, MD_TYPES_FLOAT);
    const size_t count = real ? imputer->float_count : imputer->integer_count;
    if (count == 0)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "attribute %s is missing",
                       real ? "imputed_value_floats" : "imputed_value_int64s");
    return expect_per_feature(invocation, "imputed_value", count);
}

static enum md_code imputer_run(struct md_invocation *invocation)
{
    const struct imputer *imputer = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const size_t features = feature_count(input);
    for (size_t i = 0; output != NULL && i < input->count; i++) {
        const size_t f = i % features;
        if (md_datatype_in(input->datatype, MD_TYPES_FLOAT)) {
            const double x = md_tensor_double(input, i), replaced = (double)imputer->replaced_float;
            const bool missing = isnan(replaced) ? isnan(x) : x == replaced;
            md_tensor_set_double(output, i,
                                 missing ? (double)imputer->floats[imputer->float_count == 1 ? 0 : f] : x);
            continue;
        }
        int64_t x = md_index_at(input, i);
        if (x == imputer->replaced_integer)
            x = imputer->integers[imputer->integer_count == 1 ? 0 : f];
        if (input->datatype == MD_INT32)
            md_elements(int32_t, output)[i] = (int32_t)x;
        else
            md_elements(int64_t, output)[i] = x;
    }
    return MD_OK;
}

/* ---- OneHotEncoder ---- */
struct one_hot_encoder {
    struct md_class_labels categories;
    bool zeros; /* an unknown category is all zeros; else an error */
};

static enum md_code one_hot_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct one_hot_encoder *encoder = md_parameters_new(configuration, sizeof *encoder);
    int64_t zeros = 1;
    if (encoder == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_class_labels_read(configuration, "cats_int64s", "cats_strings", &encoder->categories));
    MD_TRY(md_attribute_int(configuration->attributes, "zeros", 1, &zeros, configuration->error));
    encoder->zeros = zeros != 0;
    *out_parameters = encoder;
    return MD_OK;
}

static enum md_code one_hot_prepare(struct md_invocation *invocation)
{
    const struct one_hot_encoder *encoder = invocation->parameters;
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_rank(invocation, 0, 0, MD_MAX_RANK - 1));
    struct md_shape shape = md_input(invocation, 0)->shape;
    if ((md_input(invocation, 0)->datatype == MD_BYTES) != (encoder->categories.integers == NULL))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has type %s: the categories are %s",
                       md_datatype_name(md_input(invocation, 0)->datatype),
                       encoder->categories.integers == NULL ? "strings" : "integers");
    shape.dims[shape.rank++] = (int64_t)encoder->categories.count;
    return md_output(invocation, 0, MD_FP32, &shape);
}

static bool is_category(const struct md_class_labels *categories, size_t c, const struct md_tensor *input, size_t i)
{
    if (categories->integers == NULL)
        return md_span_equal(categories->strings[c], md_elements(const struct md_span, input)[i]);
    if (md_datatype_in(input->datatype, MD_TYPES_FLOAT))
        return trunc(md_tensor_double(input, i)) == (double)categories->integers[c];
    return md_index_at(input, i) == categories->integers[c];
}

static enum md_code one_hot_run(struct md_invocation *invocation)
{
    const struct one_hot_encoder *encoder = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    const size_t count = encoder->categories.count;
    for (size_t i = 0; output != NULL && i < input->count; i++) {
        bool known = false;
        for (size_t c = 0; c < count; c++) {
            const bool hit = is_category(&encoder->categories, c, input, i);
            md_elements(float, output)[i * count + c] = hit;
            known = known || hit;
        }
        if (!known && !encoder->zeros)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "element %zu is none of the %zu categories", i,
                           count);
    }
    return MD_OK;
}

/* ---- ArrayFeatureExtractor: columns of the last dimension ---- */
static enum md_code extractor_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_rank(invocation, 0, 1, MD_MAX_RANK));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPE(MD_INT64)));
    const struct md_tensor *input = md_input(invocation, 0), *columns = md_input(invocation, 1);
    const int64_t features = input->shape.dims[input->shape.rank - 1];
    struct md_shape shape = input->shape;
    for (size_t i = 0; i < columns->count; i++) {
        const int64_t column = md_index_at(columns, i);
        if (column < 0 || column >= features)
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "column %lld: range is [0,%lld]",
                           (long long)column, (long long)features - 1);
    }
    if (shape.rank == 1) {
        shape.rank = 2;
        shape.dims[0] = 1;
    }
    shape.dims[shape.rank - 1] = (int64_t)columns->count;
    return md_output(invocation, 0, input->datatype, &shape);
}

static enum md_code extractor_run(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *columns = md_input(invocation, 1);
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t size = md_datatype_size(input->datatype), features = feature_count(input);
    for (size_t i = 0; i < output->count; i++) {
        const size_t row = i / columns->count, column = (size_t)md_index_at(columns, i % columns->count);
        memcpy((char *)output->bytes + i * size, (const char *)input->bytes + (row * features + column) * size, size);
    }
    return MD_OK;
}

/* ---- FeatureVectorizer: rows of all inputs, side by side ---- */
static size_t row_count(const struct md_tensor *input)
{
    return input->shape.rank > 1 ? (size_t)input->shape.dims[0] : 1;
}

static enum md_code vectorizer_prepare(struct md_invocation *invocation)
{
    struct md_shape shape = { 2, { 0, 0 } };
    for (size_t i = 0; i < invocation->input_count; i++) {
        MD_TRY(md_expect_tensor(invocation, i));
        MD_TRY(md_expect_datatype(invocation, i, MD_TYPES_ML));
        MD_TRY(md_expect_rank(invocation, i, 1, 2));
        const struct md_tensor *input = md_input(invocation, i);
        if (i == 0)
            shape.dims[0] = (int64_t)row_count(input);
        if (row_count(input) != (size_t)shape.dims[0])
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input %zu has %zu rows, input 0 has %lld", i,
                           row_count(input), (long long)shape.dims[0]);
        if (__builtin_add_overflow(shape.dims[1], input->shape.dims[input->shape.rank - 1], &shape.dims[1]))
            return md_fail(invocation->error, MD_INVALID_ARGUMENT, "the inputs have too many features");
    }
    return md_output(invocation, 0, MD_FP32, &shape);
}

static enum md_code vectorizer_run(struct md_invocation *invocation)
{
    struct md_tensor *output = md_output_tensor(invocation, 0);
    if (output == NULL || output->count == 0)
        return MD_OK;
    const size_t width = (size_t)output->shape.dims[1];
    size_t start = 0;
    for (size_t k = 0; k < invocation->input_count; k++) {
        const struct md_tensor *input = md_input(invocation, k);
        const size_t features = feature_count(input);
        for (size_t i = 0; i < input->count; i++)
            md_elements(float, output)[i / features * width + start + i % features] =
                (float)md_tensor_double(input, i);
        start += features;
    }
    return MD_OK;
}

#define ROW(name, types, configure, prepare, run)                                                            \
    { MD_ONNX_ML, name, 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, types, 0, 0, configure, prepare, run }

const struct md_operator md_operators_ml_feature[] = {
    ROW("Scaler", MD_TYPES_ML, scaler_configure, scaler_prepare, scaler_run),
    ROW("Binarizer", MD_TYPES_ML, binarizer_configure, md_prepare_same, binarizer_run),
    ROW("Normalizer", MD_TYPES_ML, normalizer_configure, float_prepare, normalizer_run),
    ROW("Imputer", MD_TYPES_ML, imputer_configure, imputer_prepare, imputer_run),
    ROW("OneHotEncoder", MD_TYPES_ML | MD_TYPE(MD_BYTES), one_hot_configure, one_hot_prepare, one_hot_run),
    { MD_ONNX_ML, "ArrayFeatureExtractor", 1, MD_OPSET_ML_NEWEST, 2, 2, 1, 1, MD_TYPES_ML | MD_TYPE(MD_BYTES), 0, 0,
      NULL, extractor_prepare, extractor_run },
    { MD_ONNX_ML, "FeatureVectorizer", 1, MD_OPSET_ML_NEWEST, 1, -1, 1, 1, MD_TYPES_ML, 0, 0, NULL,
      vectorizer_prepare, vectorizer_run },
    { 0 },
};
