/* ml_classes.h - what the classifiers and regressors of ai.onnx.ml share: rows of features, class labels, and the
 * transforms that turn scores into what is asked for. Threads: pure functions. */
#ifndef MD_ML_CLASSES_H
#define MD_ML_CLASSES_H

#include "operator.h"

enum md_post_transform {
    MD_TRANSFORM_NONE,
    MD_TRANSFORM_SOFTMAX,
    MD_TRANSFORM_LOGISTIC,
    MD_TRANSFORM_SOFTMAX_ZERO, /* softmax of the scores that are not 0 */
    MD_TRANSFORM_PROBIT
};

enum { MD_TYPES_ML = (1 << MD_FP32) | (1 << MD_FP64) | (1 << MD_INT32) | (1 << MD_INT64) };

/* Borrowed from the model's arena. One of the two lists has `count` entries. */
struct md_class_labels {
    size_t count;
    const int64_t *integers;       /* NULL: labels are strings */
    const struct md_span *strings;
};

MD_NODISCARD enum md_code md_post_transform_read(const struct md_configuration *configuration,
                                                 enum md_post_transform *out_transform);
void md_post_transform_apply(enum md_post_transform transform, size_t count, double *scores);
/* Reads whichever of the two attributes is there. INVALID_ARGUMENT: neither is. */
MD_NODISCARD enum md_code md_class_labels_read(const struct md_configuration *configuration, const char *integers_name,
                                               const char *strings_name, struct md_class_labels *out_labels);
static inline enum md_datatype md_class_labels_datatype(const struct md_class_labels *labels)
{
    return labels->integers != NULL ? MD_INT64 : MD_BYTES;
}
/* output[row] = label `index`. */
void md_class_labels_store(const struct md_class_labels *labels, size_t index, struct md_tensor *output, size_t row);

/* Input 0 as rows: [N, C], or [C] as one row. INVALID_ARGUMENT: another rank, or not MD_TYPES_ML. */
MD_NODISCARD enum md_code md_feature_rows(struct md_invocation *invocation, size_t *out_rows, size_t *out_features);
/* Floats attribute of any length; never NULL when count > 0. */
MD_NODISCARD enum md_code md_floats_read(const struct md_configuration *configuration, const char *name,
                                         const float **out_values, size_t *out_count);

#endif
