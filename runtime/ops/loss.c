/* loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: [batch, classes, positions] against one class index
 * per batch entry and position. Sums are taken in double, in the order of the targets. */
#include "elementwise.h"
#include "operator_table.h"

#include "parameters.h"

#include <math.h>

enum reduction_kind { REDUCTION_NONE, REDUCTION_SUM, REDUCTION_MEAN };

struct loss_parameters {
    enum reduction_kind reduction;
    bool has_ignore_index;
    int64_t ignore_index;
    bool from_scores; /* SoftmaxCrossEntropyLoss: the inputs are no log-probabilities yet */
};

static enum md_code loss_configure(const struct md_configuration *configuration, bool from_scores,
                                   const void **out_parameters)
{
    static const char *const names[] = { "none", "sum", "mean" };
    struct loss_parameters *parameters = md_parameters_new(configuration, sizeof *parameters);
    struct md_span reduction;
    if (parameters == NULL)
        return MD_RESOURCE_EXHAUSTED;
    parameters->from_scores = from_scores;
    parameters->has_ignore_index = md_attribute_find(configuration->attributes, "ignore_index") != NULL;
    MD_TRY(md_attribute_int(configuration->attributes, "ignore_index", 0, &parameters->ignore_index,
                            configuration->error));
    MD_TRY(md_attribute_string(configuration->attributes, "reduction", "mean", &reduction, configuration->error));
    *out_parameters = parameters;
    for (int i = REDUCTION_NONE; i <= REDUCTION_MEAN; i++)
        if (md_span_equal(reduction, md_span_of(names[i]))) {
            parameters->reduction = (enum reduction_kind)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                   "attribute reduction is \"%.*s\": must be \"none\", \"sum\" or \"mean\"",
                   (int)(reduction.size < 40 ? reduction.size : 40), reduction.bytes);
}

static enum md_code nll_configure(const struct md_configuration *configuration, const void **out_parameters)
{
    return loss_configure(configuration, false, out_parameters);
}

static enum md_code cross_entropy_configure(const struct md_configuration *configuration,
                                            const void **out_parameters)
{
    return loss_configure(configuration, true, out_parameters);
}

static enum md_code expect_targets(struct md_invocation *invocation)
{
    const struct md_tensor *input = md_input(invocation, 0), *target = md_input(invocation, 1),
                           *weight = md_input(invocation, 2);
    char texts[2][MD_SHAPE_TEXT_SIZE];
    struct md_shape expected = input->shape;
    expected.rank--;
    for (int32_t d = 1; d < expected.rank; d++)
        expected.dims[d] = input->shape.dims[d + 1];
    if (!md_shape_equal(&expected, &target->shape))
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 1 has shape %s: with input 0 it must be %s",
                       md_shape_text(&target->shape, texts[0], sizeof texts[0]),
                       md_shape_text(&expected, texts[1], sizeof texts[1]));
    if (weight != NULL && weight->count != (size_t)input->shape.dims[1])
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "input 2 has %zu weights for %lld classes",
                       weight->count, (long long)input->shape.dims[1]);
    return MD_OK;
}

static enum md_code loss_prepare(struct md_invocation *invocation)
{
    const struct loss_parameters *parameters = invocation->parameters;
    const struct md_shape scalar = { 0 };
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_tensor(invocation, 1));
    MD_TRY(md_expect_rank(invocation, 0, 2, MD_MAX_RANK));
    MD_TRY(md_expect_datatype(invocation, 1, MD_TYPES_INDEX));
    MD_TRY(md_expect_same_datatype(invocation, 0, 2));
    MD_TRY(expect_targets(invocation));
    const struct md_tensor *input = md_input(invocation, 0);
    MD_TRY(md_output(invocation, 1, input->datatype, &input->shape));
    return md_output(invocation, 0, input->datatype,
                     parameters->reduction == REDUCTION_NONE ? &md_input(invocation, 1)->shape : &scalar);
}

/* Log of the sum of exponentials of one position's scores, which are `stride` apart. */
static double log_sum_exp(const struct md_tensor *scores, size_t start, size_t classes, size_t stride)
{
    double highest = -INFINITY, sum = 0;
    for (size_t c = 0; c < classes; c++) {
        const double x = md_tensor_double(scores, start + c * stride);
        highest = x > highest || isnan(x) ? x : highest;
    }
    for (size_t c = 0; c < classes; c++)
        sum += exp(md_tensor_double(scores, start + c * stride) - highest);
    return highest + log(sum);
}

struct loss_sums {
    double loss, weight;
};

/* The loss of one position. INVALID_ARGUMENT: the target is no class. */
static enum md_code position_loss(struct md_invocation *invocation, size_t position, size_t start, size_t stride,
                                  double log_sum, struct loss_sums *sums, double *out_loss)
{
    const struct loss_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0), *weight = md_input(invocation, 2);
    const int64_t target = md_index_at(md_input(invocation, 1), position), classes = input->shape.dims[1];
    *out_loss = 0;
    if (parameters->has_ignore_index && target == parameters->ignore_index)
        return MD_OK;
    if (target < 0 || target >= classes)
        return md_fail(invocation->error, MD_INVALID_ARGUMENT, "target %zu is class %lld: range is [0,%lld]",
                       position, (long long)target, (long long)classes - 1);
    const double w = weight != NULL ? md_tensor_double(weight, (size_t)target) : 1;
    *out_loss = w * (log_sum - md_tensor_double(input, start + (size_t)target * stride));
    sums->loss += *out_loss;
    sums->weight += w;
    return MD_OK;
}

static enum md_code loss_run(struct md_invocation *invocation)
{
    const struct loss_parameters *parameters = invocation->parameters;
    const struct md_tensor *input = md_input(invocation, 0);
    struct md_tensor *output = md_output_tensor(invocation, 0), *log_probabilities = md_output_tensor(invocation, 1);
    const size_t classes = (size_t)input->shape.dims[1];
    const size_t inner = md_shape_product(&input->shape, 2, input->shape.rank);
    struct loss_sums sums = { 0, 0 };
    for (size_t position = 0; position < (size_t)input->shape.dims[0] * inner; position++) {
        const size_t start = position / inner * classes * inner + position % inner;
        const double log_sum = parameters->from_scores ? log_sum_exp(input, start, classes, inner) : 0;
        double loss = 0;
        MD_TRY(position_loss(invocation, position, start, inner, log_sum, &sums, &loss));
        if (output != NULL && parameters->reduction == REDUCTION_NONE)
            md_tensor_set_double(output, position, loss);
        for (size_t c = 0; log_probabilities != NULL && c < classes; c++)
            md_tensor_set_double(log_probabilities, start + c * inner,
                                 md_tensor_double(input, start + c * inner) - log_sum);
    }
    if (output != NULL && parameters->reduction != REDUCTION_NONE)
        md_tensor_set_double(output, 0, parameters->reduction == REDUCTION_SUM ? sums.loss : sums.loss / sums.weight);
    return MD_OK;
}

#define ROW(name, outputs, configure)                                                                        \
    { MD_ONNX, name, 12, MD_OPSET_NEWEST, 2, 3, 1, outputs, MD_TYPES_FLOAT, MD_TYPES_WIDE_FLOAT, 0,          \
      configure, loss_prepare, loss_run }

const struct md_operator md_operators_loss[] = {
    ROW("NegativeLogLikelihoodLoss", 1, nll_configure),
    ROW("SoftmaxCrossEntropyLoss", 2, cross_entropy_configure),
    { 0 },
};
