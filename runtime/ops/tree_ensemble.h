/* tree_ensemble.h - decision trees as the TreeEnsemble operators evaluate them, whatever their attributes looked like.
 *
 * Nodes of all trees are in one array; a leaf is a node whose mode is MD_TREE_LEAF and that has weights. Built once at
 * load in the model's arena, immutable afterwards. */
#ifndef MD_TREE_ENSEMBLE_H
#define MD_TREE_ENSEMBLE_H

#include "operator.h"

enum md_tree_mode { /* the numbers of TreeEnsemble 5; LEAF is ours */
    MD_TREE_LESS_OR_EQUAL,
    MD_TREE_LESS,
    MD_TREE_GREATER_OR_EQUAL,
    MD_TREE_GREATER,
    MD_TREE_EQUAL,
    MD_TREE_NOT_EQUAL,
    MD_TREE_MEMBER,
    MD_TREE_LEAF
};

enum md_tree_aggregate { MD_TREE_AVERAGE, MD_TREE_SUM, MD_TREE_MIN, MD_TREE_MAX };

struct md_tree_node {
    enum md_tree_mode mode;
    bool missing_is_true; /* where NaN goes */
    size_t feature;
    size_t yes, no;       /* nodes */
    double value;
    size_t first, count;  /* leaf: weights; member: the set */
};

struct md_tree_weight {
    size_t target;
    double weight;
};

struct md_tree_ensemble {
    size_t node_count, root_count, weight_count, target_count;
    struct md_tree_node *nodes;
    size_t *roots;
    struct md_tree_weight *weights;
    const double *members;
    size_t feature_limit; /* features that an input must have at least */
    enum md_tree_aggregate aggregate;
};

/* Reads the attributes of TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 and 3); `prefix` is "class"
 * or "target". INVALID_ARGUMENT: lists of different lengths, unknown nodes, a tree without a root. */
MD_NODISCARD enum md_code md_tree_ensemble_read(const struct md_configuration *configuration, const char *prefix,
                                                size_t target_count, struct md_tree_ensemble *out_ensemble);
/* Reads those of TreeEnsemble (ai.onnx.ml 5). */
MD_NODISCARD enum md_code md_tree_ensemble_read_5(const struct md_configuration *configuration,
                                                  struct md_tree_ensemble *out_ensemble);

/* Evaluates row `row` of `input` ([rows, features]). scores and present have target_count entries; present says which
 * targets got a weight at all. INVALID_ARGUMENT: a tree goes round in circles. */
MD_NODISCARD enum md_code md_tree_ensemble_evaluate(const struct md_tree_ensemble *ensemble,
                                                    const struct md_tensor *input, size_t row, size_t features,
                                                    double *scores, bool *present, struct md_error *error);

#endif
