/* ml_tree.c - TreeEnsemble, TreeEnsembleClassifier, TreeEnsembleRegressor of ai.onnx.ml. */
#include "ml_classes.h"
#include "operator_table.h"
#include "parameters.h"
#include "tree_ensemble.h"

#include "checked.h"

struct tree_parameters {
    struct md_tree_ensemble ensemble;
    enum md_post_transform transform;
    size_t base_count;
    const float *base_values;
    const struct md_tensor *base_tensor; /* version 3 */
    struct md_class_labels labels;       /* classifier */
    bool binary;           /* classifier: two labels, but weights for one target only */
    bool positive_weights; /* binary: then the threshold is 0.5 and the scores are [1 - s, s] */
};

static double base_at(const struct tree_parameters *parameters, size_t index)
{
    return parameters->base_tensor != NULL ? md_tensor_double(parameters->base_tensor, index) :
                                             (double)parameters->base_values[index];
}

static enum md_code base_read(const struct md_configuration *configuration, struct tree_parameters *parameters)
{
    MD_TRY(md_floats_read(configuration, "base_values", &parameters->base_values, &parameters->base_count));
    MD_TRY(md_attribute_tensor(configuration->attributes, "base_values_as_tensor", &parameters->base_tensor,
                               configuration->error));
    if (parameters->base_tensor != NULL)
        parameters->base_count = parameters->base_tensor->count;
    return md_post_transform_read(configuration, &parameters->transform);
}

static enum md_code regressor_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct tree_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t targets = 1;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "n_targets", 1, &targets, configuration->error));
    if (targets < 1 || targets > INT32_MAX)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute n_targets is %lld: must be 1 or more",
                       (long long)targets);
    MD_TRY(base_read(configuration, parameters));
    if (parameters->base_count != 0 && parameters->base_count != (size_t)targets)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu base values for %lld targets",
                       parameters->base_count, (long long)targets);
    *out_parameters = parameters;
    return md_tree_ensemble_read(configuration, "target", (size_t)targets, &parameters->ensemble);
}

static enum md_code classifier_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct tree_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_class_labels_read(configuration, "classlabels_int64s", "classlabels_strings", &parameters->labels));
    MD_TRY(base_read(configuration, parameters));
    /* a binary classifier may name its one score target 0 or 1 */
    MD_TRY(md_tree_ensemble_read(configuration, "class", parameters->labels.count, &parameters->ensemble));
    const struct md_tree_ensemble *ensemble = &parameters->ensemble;
    parameters->binary = parameters->labels.count == 2 && ensemble->weight_count > 0;
    parameters->positive_weights = true;
    for (size_t i = 0; i < ensemble->weight_count; i++) {
        parameters->binary = parameters->binary && ensemble->weights[i].target == ensemble->weights[0].target;
        parameters->positive_weights = parameters->positive_weights && ensemble->weights[i].weight >= 0;
    }
    if (parameters->base_count > parameters->labels.count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu base values for %zu classes",
                       parameters->base_count, parameters->labels.count);
    *out_parameters = parameters;
    return MD_OK;
}

static enum md_code ensemble_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct tree_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    int64_t transform = MD_TRANSFORM_NONE;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(md_attribute_int(configuration->attributes, "post_transform", 0, &transform, configuration->error));
    if (transform < MD_TRANSFORM_NONE || transform > MD_TRANSFORM_PROBIT)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute post_transform is %lld: range is [0,%d]",
                       (long long)transform, MD_TRANSFORM_PROBIT);
    parameters->transform = (enum md_post_transform)transform;
    *out_parameters = parameters;
    return md_tree_ensemble_read_5(configuration, &parameters->ensemble);
}

/* Scratch: a row of scores, then a row of marks. */
static enum md_code tree_prepare(struct md_invocation *invocation, size_t index, enum md_datatype datatype)
{
    const struct tree_parameters *parameters = invocation->parameters;
    size_t rows = 0, features = 0, bytes = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    if (features < parameters->ensemble.feature_limit)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has %zu features, the trees ask for %zu",
                       features, parameters->ensemble.feature_limit);
    if (!md_checked_multiply(parameters->ensemble.target_count, sizeof(double) + sizeof(bool), &bytes))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "too many targets");
    MD_TRY(md_scratch(invocation, bytes));
    struct md_shape shape = { 2, { (int64_t)rows, (int64_t)parameters->ensemble.target_count } };
    return md_output(invocation, index, datatype, &shape);
}

static enum md_code regressor_prepare(struct md_invocation *invocation)
{
    return tree_prepare(invocation, 0, MD_FP32);
}

static enum md_code ensemble_prepare(struct md_invocation *invocation)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    return tree_prepare(invocation, 0, md_input(invocation, 0)->datatype);
}

static enum md_code classifier_prepare(struct md_invocation *invocation)
{
    const struct tree_parameters *parameters = invocation->parameters;
    size_t rows = 0, features = 0;
    MD_TRY(tree_prepare(invocation, 1, MD_FP32));
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    struct md_shape shape = { 1, { (int64_t)rows } };
    return md_output(invocation, 0, md_class_labels_datatype(&parameters->labels), &shape);
}

static enum md_code regressor_run(struct md_invocation *invocation)
{
    const struct tree_parameters *parameters = invocation->parameters;
    const size_t targets = parameters->ensemble.target_count;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    double *scores = invocation->scratch;
    bool *present = (bool *)(void *)(scores + targets);
    size_t rows = 0, features = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    for (size_t row = 0; output != NULL && row < rows; row++) {
        MD_TRY(md_tree_ensemble_evaluate(&parameters->ensemble, md_input(invocation, 0), row, features, scores,
                                         present, invocation->error));
        for (size_t t = 0; t < targets && parameters->base_count > 0; t++)
            scores[t] += base_at(parameters, t);
        md_post_transform_apply(parameters->transform, targets, scores);
        for (size_t t = 0; t < targets; t++)
            md_tensor_set_double(output, row * targets + t, scores[t]);
    }
    return MD_OK;
}

/* Weights for target 0 only: one score s for two classes, [1 - s, s] of probabilities, [-s, s] of margins, of which
 * only the logistic transform is taken. Weights for target 1 only: the score of class 0 is 0. */
static size_t binary_label(const struct tree_parameters *parameters, double *scores)
{
    const bool logistic = parameters->transform == MD_TRANSFORM_LOGISTIC;
    if (parameters->ensemble.weights[0].target == 0) {
        if (parameters->base_count > 0)
            scores[0] += base_at(parameters, parameters->base_count - 1);
        scores[1] = scores[0];
        scores[0] = parameters->positive_weights && !logistic ? 1 - scores[1] : -scores[1];
        const size_t best = scores[1] > (parameters->positive_weights ? 0.5 : 0);
        if (logistic)
            md_post_transform_apply(MD_TRANSFORM_LOGISTIC, 2, scores);
        return best;
    }
    const size_t best = scores[1] > (parameters->positive_weights ? 0.5 : 0);
    md_post_transform_apply(parameters->transform, 2, scores);
    return best;
}

static size_t highest_label(const struct tree_parameters *parameters, double *scores)
{
    const size_t classes = parameters->ensemble.target_count;
    size_t best = 0;
    for (size_t c = 0; c < parameters->base_count; c++)
        scores[c] += base_at(parameters, c);
    for (size_t c = 1; c < classes; c++)
        best = scores[c] > scores[best] ? c : best;
    md_post_transform_apply(parameters->transform, classes, scores);
    return best;
}

static enum md_code classifier_run(struct md_invocation *invocation)
{
    const struct tree_parameters *parameters = invocation->parameters;
    const size_t classes = parameters->ensemble.target_count;
    struct md_tensor *labels = md_output_tensor(invocation, 0), *output = md_output_tensor(invocation, 1);
    double *scores = invocation->scratch;
    bool *present = (bool *)(void *)(scores + classes);
    size_t rows = 0, features = 0;
    MD_TRY(md_feature_rows(invocation, &rows, &features));
    for (size_t row = 0; row < rows; row++) {
        MD_TRY(md_tree_ensemble_evaluate(&parameters->ensemble, md_input(invocation, 0), row, features, scores,
                                         present, invocation->error));
        const size_t best = parameters->binary ? binary_label(parameters, scores) : highest_label(parameters, scores);
        if (labels != NULL)
            md_class_labels_store(&parameters->labels, best, labels, row);
        for (size_t c = 0; output != NULL && c < classes; c++)
            md_elements(float, output)[row * classes + c] = (float)scores[c];
    }
    return MD_OK;
}

#define TYPES_REAL (MD_TYPE(MD_FP32) | MD_TYPE(MD_FP64) | MD_TYPE(MD_FP16))

const struct md_operator md_operators_ml_tree[] = {
    { MD_ONNX_ML, "TreeEnsemble", 5, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, TYPES_REAL, 0, 0, ensemble_configure,
      ensemble_prepare, regressor_run },
    { MD_ONNX_ML, "TreeEnsembleClassifier", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 2, MD_TYPES_ML, 0, 0,
      classifier_configure, classifier_prepare, classifier_run },
    { MD_ONNX_ML, "TreeEnsembleRegressor", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, MD_TYPES_ML, 0, 0, regressor_configure,
      regressor_prepare, regressor_run },
    { 0 },
};
