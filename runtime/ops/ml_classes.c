/* ml_classes.c - see ml_classes.h. */
#include "ml_classes.h"

#include <math.h>

enum md_code md_floats_read(const struct md_configuration *configuration, const char *name, const float **out_values,
                            size_t *out_count)
{
    return md_attribute_floats(configuration->attributes, name, out_values, out_count, configuration->error);
}

enum md_code md_post_transform_read(const struct md_configuration *configuration,
                                    enum md_post_transform *out_transform)
{
    static const char *const names[] = { "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT" };
    struct md_span name;
    MD_TRY(md_attribute_string(configuration->attributes, "post_transform", "NONE", &name, configuration->error));
    for (int i = MD_TRANSFORM_NONE; i <= MD_TRANSFORM_PROBIT; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_transform = (enum md_post_transform)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute post_transform is \"%.*s\": unknown",
                   (int)(name.size < 40 ? name.size : 40), name.bytes);
}

static void softmax(size_t count, double *scores, bool skip_zeros)
{
    double highest = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        highest = scores[i] > highest ? scores[i] : highest;
    for (size_t i = 0; i < count; i++) {
        const bool skipped = skip_zeros && fabs(scores[i]) <= 1e-7;
        scores[i] = skipped ? 0 : exp(scores[i] - highest);
        sum += scores[i];
    }
    for (size_t i = 0; i < count && sum > 0; i++)
        scores[i] /= sum;
}

/* sqrt(2) * inverse erf(2x - 1), with Winitzki's approximation of the inverse. */
static double probit(double x)
{
    const double y = 2 * x - 1, a = 0.147, logarithm = log(1 - y * y), b = 2 / (3.14159265358979323846 * a) + 0.5 * logarithm;
    const double magnitude = sqrt(sqrt(b * b - logarithm / a) - b);
    return 1.41421356237309504880 * (y < 0 ? -magnitude : magnitude);
}

void md_post_transform_apply(enum md_post_transform transform, size_t count, double *scores)
{
    switch (transform) {
    case MD_TRANSFORM_SOFTMAX:
        softmax(count, scores, false);
        return;
    case MD_TRANSFORM_SOFTMAX_ZERO:
        softmax(count, scores, true);
        return;
    case MD_TRANSFORM_LOGISTIC:
        for (size_t i = 0; i < count; i++)
            scores[i] = 1 / (1 + exp(-scores[i]));
        return;
    case MD_TRANSFORM_PROBIT:
        for (size_t i = 0; i < count; i++)
            scores[i] = probit(scores[i]);
        return;
    case MD_TRANSFORM_NONE:
    default:
        return;
    }
}

enum md_code md_class_labels_read(const struct md_configuration *configuration, const char *integers_name,
                                  const char *strings_name, struct md_class_labels *out_labels)
{
    size_t string_count = 0;
    MD_TRY(md_attribute_ints(configuration->attributes, integers_name, &out_labels->integers, &out_labels->count,
                             configuration->error));
    MD_TRY(md_attribute_strings(configuration->attributes, strings_name, &out_labels->strings, &string_count,
                                configuration->error));
    if (out_labels->count == 0) {
        out_labels->integers = NULL;
        out_labels->count = string_count;
    }
    if (out_labels->count == 0)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "one of the attributes %s and %s must be set",
                       integers_name, strings_name);
    return MD_OK;
}

void md_class_labels_store(const struct md_class_labels *labels, size_t index, struct md_tensor *output, size_t row)
{
    if (labels->integers != NULL)
        md_elements(int64_t, output)[row] = labels->integers[index];
    else
        md_elements(struct md_span, output)[row] = labels->strings[index];
}

enum md_code md_feature_rows(struct md_invocation *invocation, size_t *out_rows, size_t *out_features)
{
    MD_TRY(md_expect_tensor(invocation, 0));
    MD_TRY(md_expect_datatype(invocation, 0, MD_TYPES_ML | MD_TYPE(MD_FP16)));
    MD_TRY(md_expect_rank(invocation, 0, 1, 2));
    const struct md_shape *shape = &md_input(invocation, 0)->shape;
    *out_rows = shape->rank == 2 ? (size_t)shape->dims[0] : 1;
    *out_features = (size_t)shape->dims[shape->rank - 1];
    return MD_OK;
}
