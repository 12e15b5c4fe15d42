/* ml_linear.c - LinearClassifier and LinearRegressor of ai.onnx.ml: a matrix of coefficients, intercepts, and a
 * transform of the scores. Sums are taken in double, feature by feature. */
#include "ml_classes.h"
#include "operator_table.h"
#include "parameters.h"

#include "checked.h"

struct linear {
    const float *coefficients, *intercepts; /* [targets, features], [targets] or nothing */
    size_t coefficient_count, intercept_count;
    size_t targets;
    enum md_post_transform transform;
    struct md_class_labels labels; /* classifier */
    bool one_score_for_two;        /* two labels, one row of coefficients: the score of the second */
};

static enum md_code linear_read(const struct md_configuration *configuration, struct linear *linear)
{
    MD_TRY(md_floats_read(configuration, "coefficients", &linear->coefficients, &linear->coefficient_count));
    MD_TRY(md_floats_read(configuration, "intercepts", &linear->intercepts, &linear->intercept_count));
    return md_post_transform_read(configuration, &linear->transform);
}

static enum md_code expect_intercepts(const struct md_configuration *configuration, const struct linear *linear)
{
    if (linear->intercept_count != 0 && linear->intercept_count != linear->targets)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute intercepts has %zu values for %zu scores",
                       linear->intercept_count, linear->targets);
    if (linear->targets == 0 || linear->coefficient_count % linear->targets != 0)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "attribute coefficients has %zu values: not a multiple of %zu scores",
                       linear->coefficient_count, linear->targets);
    return MD_OK;
}

static enum md_code classifier_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct linear *linear = md_parameters_new(configuration, sizeof *linear);
    if (linear == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(linear_read(configuration, linear));
    MD_TRY(md_class_labels_read(configuration, "classlabels_ints", "classlabels_strings", &linear->labels));
    linear->targets = linear->intercept_count != 0 ? linear->intercept_count : linear->labels.count;
    linear->one_score_for_two = linear->labels.count == 2 && linear->targets == 1;
    MD_TRY(expect_intercepts(configuration, linear));
    *out_parameters = linear;
    if (linear->labels.count >= linear->targets)
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu labels for %zu scores", linear->labels.count,
                   linear->targets);
}

static enum md_code regressor_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct linear *linear = md_parameters_new(configuration, sizeof *linear);
    int64_t targets = 1;
    if (linear == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(linear_read(configuration, linear));
    MD_TRY(md_attribute_int(configuration->attributes, "targets", 1, &targets, configuration->error));
    if (targets < 1)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute targets is %lld: must be 1 or more",
                       (long long)targets);
    linear->targets = (size_t)targets;
    *out_parameters = linear;
    return expect_intercepts(configuration, linear);
}

/* Output `index` holds the scores; scratch has room for one row of them, and one more. */
static enum md_code linear_prepare(struct md_invocation *invocation, size_t index)
{
    const struct linear *linear = invocation->parameters;
    size_t rows = 0, features = 0, bytes = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    if (linear->coefficient_count / linear->targets != features)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has %zu features, the coefficients have %zu",
                       features, linear->coefficient_count / linear->targets);
    struct md_shape scores = { 2, { (int64_t)rows, (int64_t)(linear->one_score_for_two ? 2 : linear->targets) } };
    if (!md_checked_multiply(linear->targets + 1, sizeof(double), &bytes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "too many scores: %zu", linear->targets);
    MD_TRY(md_scratch(invocation, bytes));
    return md_output(invocation, index, MD_FP32, &scores);
}

static enum md_code classifier_prepare(struct md_invocation *invocation)
{
    const struct linear *linear = invocation->parameters;
    size_t rows = 0, features = 0;
    MD_TRY(linear_prepare(invocation, 1));
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    struct md_shape labels = { 1, { (int64_t)rows } };
    return md_output(invocation, 0, md_class_labels_datatype(&linear->labels), &labels);
}

static enum md_code regressor_prepare(struct md_invocation *invocation)
{
    return linear_prepare(invocation, 0);
}

static void row_scores(const struct linear *linear, const struct md_tensor *input, size_t row, size_t features,
                       double *scores)
{
    for (size_t t = 0; t < linear->targets; t++) {
        double sum = 0;
        for (size_t f = 0; f < features; f++)
            sum += md_tensor_double(input, row * features + f) *
                   (double)linear->coefficients[t * features + f];
        scores[t] = sum + (linear->intercept_count > 0 ? (double)linear->intercepts[t] : 0);
    }
}

static void store_scores(struct md_tensor *output, size_t row, size_t count, const double *scores)
{
    for (size_t t = 0; output != NULL && t < count; t++)
        md_elements(float, output)[row * count + t] = (float)scores[t];
}

/* One score s for two classes: [1 - s, s]; of the transforms only the logistic one applies, to [-s, s]. */
static void split_score(const struct linear *linear, double *scores)
{
    const bool logistic = linear->transform == MD_TRANSFORM_LOGISTIC;
    scores[1] = scores[0];
    scores[0] = logistic ? -scores[1] : 1 - scores[1];
    if (logistic)
        md_post_transform_apply(MD_TRANSFORM_LOGISTIC, 2, scores);
}

static enum md_code classifier_run(struct md_invocation *invocation)
{
    const struct linear *linear = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *labels = md_output_tensor(invocation, 0), *output = md_output_tensor(invocation, 1);
    double *scores = invocation->scratch;
    size_t rows = 0, features = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    for (size_t row = 0; row < rows; row++) {
        size_t best = 0, count = linear->targets;
        row_scores(linear, input, row, features, scores);
        for (size_t t = 1; t < count; t++)
            best = scores[t] > scores[best] ? t : best;
        if (linear->one_score_for_two) {
            best = scores[0] > 0;
            count = 2;
            split_score(linear, scores);
        } else {
            md_post_transform_apply(linear->transform, count, scores);
        }
        if (labels != NULL)
            md_class_labels_store(&linear->labels, best, labels, row);
        store_scores(output, row, count, scores);
    }
    return MD_OK;
}

static enum md_code regressor_run(struct md_invocation *invocation)
{
    const struct linear *linear = invocation->parameters;
    double *scores = invocation->scratch;
    size_t rows = 0, features = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    for (size_t row = 0; row < rows; row++) {
        row_scores(linear, md_input(invocation, 0), row, features, scores);
        md_post_transform_apply(linear->transform, linear->targets, scores);
        store_scores(md_output_tensor(invocation, 0), row, linear->targets, scores);
    }
    return MD_OK;
}

const struct md_operator md_operators_ml_linear[] = {
    { MD_ONNX_ML, "LinearClassifier", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 2, MD_TYPES_ML, 0, 0, classifier_configure,
      classifier_prepare, classifier_run },
    { MD_ONNX_ML, "LinearRegressor", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, MD_TYPES_ML, 0, 0, regressor_configure,
      regressor_prepare, regressor_run },
    { 0 },
};
