/* ml_svm.c - SVMClassifier and SVMRegressor of ai.onnx.ml, after libsvm: one-versus-one votes, and probabilities by
 * pairwise coupling when Platt's coefficients are given. Without support vectors per class the classifier is linear:
 * one row of coefficients per class. */
#include "ml_classes.h"
#include "operator_table.h"
#include "parameters.h"

#include <math.h>

enum svm_kernel { KERNEL_LINEAR, KERNEL_POLY, KERNEL_RBF, KERNEL_SIGMOID };
enum { MAX_CLASSES = 4096, COUPLING_ROUNDS = 100 };

struct svm {
    enum svm_kernel kernel;
    double gamma, coef0, degree;
    const float *vectors, *coefficients, *rho, *prob_a, *prob_b;
    size_t value_count, coefficient_count, rho_count, prob_a_count, prob_b_count;
    size_t vector_count; /* support vectors; 0: linear */
    size_t features;
    enum md_post_transform transform;
    struct md_class_labels labels;
    const int64_t *vectors_per_class;
    size_t class_count;
    bool one_class;
};

/* ---- attributes ---- */
static enum md_code read_kernel(const struct md_configuration *configuration, struct svm *svm)
{
    static const char *const names[] = { "LINEAR", "POLY", "RBF", "SIGMOID" };
    struct md_span name;
    const float *values = NULL;
    size_t count = 0;
    MD_TRY(md_attribute_string(configuration->attributes, "kernel_type", "LINEAR", &name, configuration->error));
    MD_TRY(md_floats_read(configuration, "kernel_params", &values, &count));
    svm->gamma = count > 0 ? (double)values[0] : 0;
    svm->coef0 = count > 1 ? (double)values[1] : 0;
    svm->degree = count > 2 ? (double)values[2] : 0;
    for (int i = KERNEL_LINEAR; i <= KERNEL_SIGMOID; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            svm->kernel = (enum svm_kernel)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute kernel_type is \"%.*s\": unknown",
                   (int)(name.size < 40 ? name.size : 40), name.bytes);
}

static enum md_code svm_read(const struct md_configuration *configuration, struct svm *svm)
{
    MD_TRY(read_kernel(configuration, svm));
    MD_TRY(md_floats_read(configuration, "support_vectors", &svm->vectors, &svm->value_count));
    MD_TRY(md_floats_read(configuration, "coefficients", &svm->coefficients, &svm->coefficient_count));
    MD_TRY(md_floats_read(configuration, "rho", &svm->rho, &svm->rho_count));
    return md_post_transform_read(configuration, &svm->transform);
}

static enum md_code fail_counts(const struct md_configuration *configuration, const struct svm *svm)
{
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "%zu support vector values, %zu coefficients and %zu rho do not fit %zu vectors of %zu classes",
                   svm->value_count, svm->coefficient_count, svm->rho_count, svm->vector_count, svm->class_count);
}

static enum md_code regressor_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct svm *svm = md_parameters_new(configuration, sizeof *svm);
    int64_t supports = 0, one_class = 0;
    if (svm == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(svm_read(configuration, svm));
    MD_TRY(md_attribute_int(configuration->attributes, "n_supports", 0, &supports, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "one_class", 0, &one_class, configuration->error));
    svm->one_class = one_class != 0;
    svm->vector_count = supports > 0 ? (size_t)supports : 0;
    *out_parameters = svm;
    if (svm->rho_count < 1 || (svm->vector_count > 0 && (svm->value_count % svm->vector_count != 0 ||
                                                          svm->coefficient_count < svm->vector_count)))
        return fail_counts(configuration, svm);
    svm->features = svm->vector_count > 0 ? svm->value_count / svm->vector_count : svm->coefficient_count;
    return MD_OK;
}

static enum md_code classifier_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    struct svm *svm = md_parameters_new(configuration, sizeof *svm);
    size_t count = 0;
    if (svm == NULL)
        return MD_RESOURCE_EXHAUSTED;
    MD_TRY(svm_read(configuration, svm));
    MD_TRY(md_floats_read(configuration, "prob_a", &svm->prob_a, &svm->prob_a_count));
    MD_TRY(md_floats_read(configuration, "prob_b", &svm->prob_b, &svm->prob_b_count));
    MD_TRY(md_class_labels_read(configuration, "classlabels_ints", "classlabels_strings", &svm->labels));
    MD_TRY(md_attribute_ints(configuration->attributes, "vectors_per_class", &svm->vectors_per_class, &count,
                             configuration->error));
    for (size_t i = 0; i < count; i++) {
        if (svm->vectors_per_class[i] < 0 || svm->vectors_per_class[i] > INT32_MAX)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "class %zu has %lld support vectors", i,
                           (long long)svm->vectors_per_class[i]);
        svm->vector_count += (size_t)svm->vectors_per_class[i];
    }
    svm->class_count = svm->vector_count > 0 ? count : svm->labels.count;
    *out_parameters = svm;
    if (svm->class_count < 1 || svm->class_count > MAX_CLASSES || svm->class_count > svm->labels.count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu classes with %zu labels: range is [1,%d]",
                       svm->class_count, svm->labels.count, MAX_CLASSES);
    const size_t pairs = svm->class_count * (svm->class_count - 1) / 2;
    if (svm->prob_a_count != svm->prob_b_count || (svm->prob_a_count != 0 && svm->prob_a_count < pairs))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu prob_a and %zu prob_b for %zu pairs",
                       svm->prob_a_count, svm->prob_b_count, pairs);
    if (svm->vector_count == 0) {
        svm->features = svm->coefficient_count / svm->class_count;
        return svm->coefficient_count % svm->class_count == 0 && svm->rho_count >= 1 ? MD_OK :
                                                                                     fail_counts(configuration, svm);
    }
    svm->features = svm->value_count / svm->vector_count;
    if (svm->value_count % svm->vector_count != 0 || svm->rho_count < pairs ||
        svm->coefficient_count < (svm->class_count - 1) * svm->vector_count)
        return fail_counts(configuration, svm);
    return MD_OK;
}

/* ---- kernels ---- */
static double kernel_of(const struct svm *svm, const struct md_tensor *input, size_t row, const float *vector)
{
    double sum = 0;
    for (size_t f = 0; f < svm->features; f++) {
        const double x = md_tensor_double(input, row * svm->features + f), v = (double)vector[f];
        sum += svm->kernel == KERNEL_RBF ? (x - v) * (x - v) : x * v;
    }
    switch (svm->kernel) {
    case KERNEL_POLY:
        return pow(svm->gamma * sum + svm->coef0, svm->degree);
    case KERNEL_RBF:
        return exp(-svm->gamma * sum);
    case KERNEL_SIGMOID:
        return tanh(svm->gamma * sum + svm->coef0);
    case KERNEL_LINEAR:
    default:
        return sum;
    }
}

static enum md_code expect_features(struct md_invocation *invocation, size_t *out_rows)
{
    const struct svm *svm = invocation->parameters;
    size_t features = 0;
    MD_TRY(md_feature_rows(invocation, out_rows, &features));
    if (features == svm->features)
        return MD_OK;
    return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 0 has %zu features, the support vectors have %zu",
                   features, svm->features);
}

/* ---- SVMRegressor ---- */
static enum md_code regressor_prepare(struct md_invocation *invocation)
{
    size_t rows = 0;
    MD_TRY(expect_features(invocation, &rows));
    struct md_shape shape = { 2, { (int64_t)rows, 1 } };
    return md_output(invocation, 0, MD_FP32, &shape);
}

static enum md_code regressor_run(struct md_invocation *invocation)
{
    const struct svm *svm = invocation->parameters;
    struct md_tensor *output = md_output_tensor(invocation, 0);
    size_t rows = 0;
    MD_TRY(expect_features(invocation, &rows));
    for (size_t row = 0; output != NULL && row < rows; row++) {
        double sum = (double)svm->rho[0];
        if (svm->vector_count == 0)
            sum += kernel_of(svm, md_input(invocation, 0), row, svm->coefficients);
        for (size_t v = 0; v < svm->vector_count; v++)
            sum += (double)svm->coefficients[v] *
                   kernel_of(svm, md_input(invocation, 0), row, svm->vectors + v * svm->features);
        if (svm->one_class)
            sum = sum > 0 ? 1 : -1;
        md_post_transform_apply(svm->transform, 1, &sum);
        md_elements(float, output)[row] = (float)sum;
    }
    return MD_OK;
}

/* ---- SVMClassifier ---- */
/* Scores that one row gets: per class when linear or with probabilities, else per pair; one pair is shown as two. */
static size_t score_count(const struct svm *svm)
{
    const size_t pairs = svm->class_count * (svm->class_count - 1) / 2;
    if (svm->vector_count == 0 || svm->prob_a_count > 0)
        return svm->class_count;
    return svm->class_count == 2 ? 2 : pairs;
}

/* Scratch, in doubles: kernels, pairwise scores, votes, pairwise probabilities, probabilities, Q p. */
struct svm_scratch {
    double *kernels, *pairs, *votes, *matrix, *probabilities, *products;
};

static struct svm_scratch split_scratch(const struct svm *svm, double *memory)
{
    const size_t classes = svm->class_count;
    struct svm_scratch scratch;
    scratch.kernels = memory;
    scratch.pairs = scratch.kernels + svm->vector_count;
    scratch.votes = scratch.pairs + classes * classes;
    scratch.matrix = scratch.votes + classes;
    scratch.probabilities = scratch.matrix + classes * classes;
    scratch.products = scratch.probabilities + classes;
    return scratch;
}

static enum md_code classifier_prepare(struct md_invocation *invocation)
{
    const struct svm *svm = invocation->parameters;
    const size_t classes = svm->class_count, count = svm->vector_count + 2 * classes * classes + 3 * classes;
    size_t rows = 0;
    MD_TRY(expect_features(invocation, &rows));
    MD_TRY(md_scratch(invocation, count * sizeof(double)));
    struct md_shape labels = { 1, { (int64_t)rows } }, scores = { 2, { (int64_t)rows, (int64_t)score_count(svm) } };
    MD_TRY(md_output(invocation, 1, MD_FP32, &scores));
    return md_output(invocation, 0, md_class_labels_datatype(&svm->labels), &labels);
}

/* One score and one vote per pair of classes i < j. */
static void vote(const struct svm *svm, struct svm_scratch *scratch)
{
    size_t pair = 0, start_i = 0;
    for (size_t i = 0; i < svm->class_count; i++)
        scratch->votes[i] = 0;
    for (size_t i = 0; i < svm->class_count; i++) {
        const size_t count_i = (size_t)svm->vectors_per_class[i];
        size_t start_j = start_i + count_i;
        for (size_t j = i + 1; j < svm->class_count; j++, pair++) {
            const size_t count_j = (size_t)svm->vectors_per_class[j];
            const float *row_i = svm->coefficients + (j - 1) * svm->vector_count;
            const float *row_j = svm->coefficients + i * svm->vector_count;
            double sum = (double)svm->rho[pair];
            for (size_t v = start_i; v < start_i + count_i; v++)
                sum += (double)row_i[v] * scratch->kernels[v];
            for (size_t v = start_j; v < start_j + count_j; v++)
                sum += (double)row_j[v] * scratch->kernels[v];
            scratch->pairs[pair] = sum;
            scratch->votes[sum > 0 ? i : j] += 1;
            start_j += count_j;
        }
        start_i += count_i;
    }
}

/* Wu, Lin and Weng, "Probability Estimates for Multi-class Classification by Pairwise Coupling", second method. */
static void couple(size_t k, struct svm_scratch *s)
{
    double *q = s->pairs; /* k * k: the pairwise scores are in the matrix by now */
    for (size_t t = 0; t < k; t++) {
        s->probabilities[t] = 1.0 / (double)k;
        q[t * k + t] = 0;
        for (size_t j = 0; j < k; j++)
            if (j != t) {
                q[t * k + t] += s->matrix[j * k + t] * s->matrix[j * k + t];
                q[t * k + j] = -s->matrix[j * k + t] * s->matrix[t * k + j];
            }
    }
    for (size_t round = 0; round < COUPLING_ROUNDS; round++) {
        double total = 0, error = 0;
        for (size_t t = 0; t < k; t++) {
            s->products[t] = 0;
            for (size_t j = 0; j < k; j++)
                s->products[t] += q[t * k + j] * s->probabilities[j];
            total += s->probabilities[t] * s->products[t];
        }
        for (size_t t = 0; t < k; t++)
            error = fabs(s->products[t] - total) > error ? fabs(s->products[t] - total) : error;
        if (error < 0.005 / (double)k)
            return;
        for (size_t t = 0; t < k; t++) {
            const double step = (total - s->products[t]) / q[t * k + t];
            s->probabilities[t] += step;
            total = (total + step * (step * q[t * k + t] + 2 * s->products[t])) / (1 + step) / (1 + step);
            for (size_t j = 0; j < k; j++) {
                s->products[j] = (s->products[j] + step * q[t * k + j]) / (1 + step);
                s->probabilities[j] /= 1 + step;
            }
        }
    }
}

static void find_probabilities(const struct svm *svm, struct svm_scratch *scratch)
{
    const size_t k = svm->class_count;
    size_t pair = 0;
    for (size_t i = 0; i < k; i++)
        for (size_t j = i + 1; j < k; j++, pair++) {
            const double z = scratch->pairs[pair] * (double)svm->prob_a[pair] + (double)svm->prob_b[pair];
            double p = 1 / (1 + exp(z));
            p = p < 1e-7 ? 1e-7 : p > 1 - 1e-7 ? 1 - 1e-7 : p;
            scratch->matrix[i * k + j] = p;
            scratch->matrix[j * k + i] = 1 - p;
        }
    couple(k, scratch);
}

/* The row's label, which the votes decide even when there are probabilities (so does scikit-learn); *out_scores are
 * what output 1 shows, before the transform. */
static size_t classify(const struct svm *svm, const struct md_tensor *input, size_t row, struct svm_scratch *scratch,
                       double **out_scores)
{
    *out_scores = scratch->pairs;
    if (svm->vector_count == 0) {
        for (size_t c = 0; c < svm->class_count; c++)
            scratch->votes[c] = (double)svm->rho[0] +
                                kernel_of(svm, input, row, svm->coefficients + c * svm->features);
        *out_scores = scratch->votes;
    } else {
        for (size_t v = 0; v < svm->vector_count; v++)
            scratch->kernels[v] = kernel_of(svm, input, row, svm->vectors + v * svm->features);
        vote(svm, scratch);
    }
    if (svm->vector_count > 0 && svm->prob_a_count > 0) {
        find_probabilities(svm, scratch);
        *out_scores = scratch->probabilities;
    } else if (svm->vector_count > 0 && svm->class_count == 2) {
        scratch->pairs[1] = scratch->pairs[0]; /* what runtimes show for one pair, although it speaks for class 0 */
        scratch->pairs[0] = -scratch->pairs[1];
    }
    size_t best = 0;
    for (size_t c = 1; c < svm->class_count; c++)
        best = scratch->votes[c] > scratch->votes[best] ? c : best;
    return best;
}

static enum md_code classifier_run(struct md_invocation *invocation)
{
    const struct svm *svm = invocation->parameters;
    struct md_tensor *labels = md_output_tensor(invocation, 0), *output = md_output_tensor(invocation, 1);
    const size_t count = score_count(svm);
    size_t rows = 0;
    struct svm_scratch scratch = split_scratch(svm, invocation->scratch);
    MD_TRY(expect_features(invocation, &rows));
    for (size_t row = 0; row < rows; row++) {
        double *scores = NULL;
        const size_t best = classify(svm, md_input(invocation, 0), row, &scratch, &scores);
        if (labels != NULL)
            md_class_labels_store(&svm->labels, best, labels, row);
        md_post_transform_apply(svm->transform, count, scores);
        for (size_t c = 0; output != NULL && c < count; c++)
            md_elements(float, output)[row * count + c] = (float)scores[c];
    }
    return MD_OK;
}

const struct md_operator md_operators_ml_svm[] = {
    { MD_ONNX_ML, "SVMClassifier", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 2, MD_TYPES_ML, 0, 0, classifier_configure,
      classifier_prepare, classifier_run },
    { MD_ONNX_ML, "SVMRegressor", 1, MD_OPSET_ML_NEWEST, 1, 1, 1, 1, MD_TYPES_ML, 0, 0, regressor_configure,
      regressor_prepare, regressor_run },
    { 0 },
};
