/* tree_ensemble.c - evaluation of decision trees and the attributes of TreeEnsemble 5; see tree_ensemble.h. */
#include "tree_ensemble.h"

#include "arena.h"

#include <math.h>

/* ---- evaluation ---- */
static bool is_member(const struct md_tree_ensemble *ensemble, const struct md_tree_node *node, double x)
{
    for (size_t i = 0; i < node->count; i++)
        if (ensemble->members[node->first + i] == x)
            return true;
    return false;
}

static bool goes_yes(const struct md_tree_ensemble *ensemble, const struct md_tree_node *node, double x)
{
    if (isnan(x))
        return node->missing_is_true;
    switch (node->mode) {
    case MD_TREE_LESS_OR_EQUAL:
        return x <= node->value;
    case MD_TREE_LESS:
        return x < node->value;
    case MD_TREE_GREATER_OR_EQUAL:
        return x >= node->value;
    case MD_TREE_GREATER:
        return x > node->value;
    case MD_TREE_EQUAL:
        return x == node->value;
    case MD_TREE_NOT_EQUAL:
        return x != node->value;
    case MD_TREE_MEMBER:
        return is_member(ensemble, node, x);
    case MD_TREE_LEAF:
    default:
        return false;
    }
}

static void add_weight(enum md_tree_aggregate aggregate, double weight, double *score, bool *present)
{
    if (aggregate == MD_TREE_MIN)
        *score = !*present || weight < *score ? weight : *score;
    else if (aggregate == MD_TREE_MAX)
        *score = !*present || weight > *score ? weight : *score;
    else
        *score += weight;
    *present = true;
}

enum md_code md_tree_ensemble_evaluate(const struct md_tree_ensemble *ensemble, const struct md_tensor *input,
                                       size_t row, size_t features, double *scores, bool *present,
                                       struct md_error *error)
{
    for (size_t t = 0; t < ensemble->target_count; t++) {
        scores[t] = 0;
        present[t] = false;
    }
    for (size_t r = 0; r < ensemble->root_count; r++) {
        const struct md_tree_node *node = &ensemble->nodes[ensemble->roots[r]];
        for (size_t steps = 0; node->mode != MD_TREE_LEAF; steps++) {
            if (steps > ensemble->node_count)
                return md_fail(error, MD_INVALID_ARGUMENT, "tree %zu has a circle", r);
            const double x = md_tensor_double(input, row * features + node->feature);
            node = &ensemble->nodes[goes_yes(ensemble, node, x) ? node->yes : node->no];
        }
        for (size_t w = node->first; w < node->first + node->count; w++) {
            const size_t target = ensemble->weights[w].target;
            add_weight(ensemble->aggregate, ensemble->weights[w].weight, &scores[target], &present[target]);
        }
    }
    if (ensemble->aggregate == MD_TREE_AVERAGE)
        for (size_t t = 0; t < ensemble->target_count; t++)
            scores[t] /= (double)ensemble->root_count;
    return MD_OK;
}

/* ---- TreeEnsemble 5 ---- */
enum { FEATURE_IDS, TRUE_IDS, FALSE_IDS, TRUE_LEAFS, FALSE_LEAFS, MISSING, ROOTS, LEAF_TARGETS, LISTS };

struct attributes_5 {
    const int64_t *lists[LISTS];
    size_t counts[LISTS];
    const struct md_tensor *modes, *splits, *members, *leaf_weights;
};

static enum md_code read_lists(const struct md_configuration *configuration, struct attributes_5 *attributes)
{
    static const char *const names[LISTS] = {
        "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_trueleafs", "nodes_falseleafs",
        "nodes_missing_value_tracks_true", "tree_roots", "leaf_targetids",
    };
    const struct md_attributes *all = configuration->attributes;
    for (int i = 0; i < LISTS; i++)
        MD_TRY(md_attribute_ints(all, names[i], &attributes->lists[i], &attributes->counts[i], configuration->error));
    MD_TRY(md_attribute_tensor(all, "nodes_modes", &attributes->modes, configuration->error));
    MD_TRY(md_attribute_tensor(all, "nodes_splits", &attributes->splits, configuration->error));
    MD_TRY(md_attribute_tensor(all, "membership_values", &attributes->members, configuration->error));
    MD_TRY(md_attribute_tensor(all, "leaf_weights", &attributes->leaf_weights, configuration->error));
    const size_t nodes = attributes->counts[FEATURE_IDS];
    for (int i = TRUE_IDS; i <= MISSING; i++)
        if (attributes->counts[i] != nodes && !(i == MISSING && attributes->counts[i] == 0))
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute %s has %zu values for %zu nodes",
                           names[i], attributes->counts[i], nodes);
    if (attributes->modes == NULL || attributes->splits == NULL || attributes->leaf_weights == NULL)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "nodes_modes, nodes_splits and leaf_weights must be set");
    if (attributes->modes->datatype != MD_UINT8 || attributes->modes->count != nodes ||
        attributes->splits->count != nodes || attributes->leaf_weights->count != attributes->counts[LEAF_TARGETS])
        return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                       "%zu modes and %zu splits for %zu nodes, %zu weights for %zu leaves", attributes->modes->count,
                       attributes->splits->count, nodes, attributes->leaf_weights->count,
                       attributes->counts[LEAF_TARGETS]);
    const unsigned types = MD_TYPES_FLOAT;
    if (!md_datatype_in(attributes->splits->datatype, types) ||
        !md_datatype_in(attributes->leaf_weights->datatype, types) ||
        (attributes->members != NULL && !md_datatype_in(attributes->members->datatype, types)))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "splits, weights and members must be real numbers");
    return MD_OK;
}

/* The node that a branch leads to: interior nodes first, then the leaves. */
static enum md_code find_branch(const struct md_configuration *configuration, const struct attributes_5 *attributes,
                                size_t node, bool yes, size_t *out_index)
{
    const bool leaf = attributes->lists[yes ? TRUE_LEAFS : FALSE_LEAFS][node] != 0;
    const int64_t index = attributes->lists[yes ? TRUE_IDS : FALSE_IDS][node];
    const size_t interior = attributes->counts[FEATURE_IDS], limit = leaf ? attributes->counts[LEAF_TARGETS] : interior;
    if (index < 0 || (uint64_t)index >= limit)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "node %zu leads to %s %lld of %zu", node,
                       leaf ? "leaf" : "node", (long long)index, limit);
    *out_index = (size_t)index + (leaf ? interior : 0);
    return MD_OK;
}

/* Sets are listed in the order of the nodes that use them, each ended by NaN. */
static void take_members(const struct md_tree_ensemble *ensemble, size_t member_count, size_t *position,
                         struct md_tree_node *node)
{
    node->first = *position;
    while (*position < member_count && !isnan(ensemble->members[*position]))
        (*position)++;
    node->count = *position - node->first;
    if (*position < member_count)
        (*position)++;
}

static enum md_code fill_nodes(const struct md_configuration *configuration, const struct attributes_5 *attributes,
                               struct md_tree_ensemble *ensemble)
{
    const size_t interior = attributes->counts[FEATURE_IDS];
    const size_t member_count = attributes->members != NULL ? attributes->members->count : 0;
    size_t member = 0;
    for (size_t i = 0; i < interior; i++) {
        struct md_tree_node *node = &ensemble->nodes[i];
        const uint8_t mode = md_elements(const uint8_t, attributes->modes)[i];
        const int64_t feature = attributes->lists[FEATURE_IDS][i];
        if (mode > MD_TREE_MEMBER || feature < 0 || feature > INT32_MAX)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "node %zu has mode %d and feature %lld", i,
                           (int)mode, (long long)feature);
        node->mode = (enum md_tree_mode)mode;
        node->feature = (size_t)feature;
        node->value = md_tensor_double(attributes->splits, i);
        node->missing_is_true = attributes->counts[MISSING] > 0 && attributes->lists[MISSING][i] != 0;
        if (node->feature >= ensemble->feature_limit)
            ensemble->feature_limit = node->feature + 1;
        if (node->mode == MD_TREE_MEMBER)
            take_members(ensemble, member_count, &member, node);
        MD_TRY(find_branch(configuration, attributes, i, true, &node->yes));
        MD_TRY(find_branch(configuration, attributes, i, false, &node->no));
    }
    for (size_t i = 0; i < ensemble->weight_count; i++) {
        const int64_t target = attributes->lists[LEAF_TARGETS][i];
        if (target < 0 || (uint64_t)target >= ensemble->target_count)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "leaf %zu has target %lld of %zu", i,
                           (long long)target, ensemble->target_count);
        ensemble->weights[i] =
            (struct md_tree_weight){ (size_t)target, md_tensor_double(attributes->leaf_weights, i) };
        ensemble->nodes[interior + i] = (struct md_tree_node){ .mode = MD_TREE_LEAF, .first = i, .count = 1 };
    }
    for (size_t i = 0; i < ensemble->root_count; i++) {
        const int64_t root = attributes->lists[ROOTS][i];
        if (root < 0 || (uint64_t)root >= interior)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "tree %zu has root %lld of %zu nodes", i,
                           (long long)root, interior);
        ensemble->roots[i] = (size_t)root;
    }
    return MD_OK;
}

enum md_code md_tree_ensemble_read_5(const struct md_configuration *configuration,
                                     struct md_tree_ensemble *out_ensemble)
{
    struct attributes_5 attributes = { 0 };
    int64_t targets = 1, aggregate = MD_TREE_SUM;
    MD_TRY(read_lists(configuration, &attributes));
    MD_TRY(md_attribute_int(configuration->attributes, "n_targets", 1, &targets, configuration->error));
    MD_TRY(md_attribute_int(configuration->attributes, "aggregate_function", MD_TREE_SUM, &aggregate,
                            configuration->error));
    if (targets < 1 || targets > INT32_MAX || aggregate < MD_TREE_AVERAGE || aggregate > MD_TREE_MAX)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "n_targets is %lld, aggregate_function is %lld",
                       (long long)targets, (long long)aggregate);
    out_ensemble->target_count = (size_t)targets;
    out_ensemble->aggregate = (enum md_tree_aggregate)aggregate;
    out_ensemble->root_count = attributes.counts[ROOTS];
    out_ensemble->weight_count = attributes.counts[LEAF_TARGETS];
    out_ensemble->node_count = attributes.counts[FEATURE_IDS] + out_ensemble->weight_count;
    out_ensemble->nodes = md_arena_allocate_zeroed(configuration->arena, out_ensemble->node_count,
                                                   sizeof *out_ensemble->nodes);
    out_ensemble->roots = md_arena_allocate_zeroed(configuration->arena, out_ensemble->root_count,
                                                   sizeof *out_ensemble->roots);
    out_ensemble->weights = md_arena_allocate_zeroed(configuration->arena, out_ensemble->weight_count,
                                                     sizeof *out_ensemble->weights);
    const size_t member_count = attributes.members != NULL ? attributes.members->count : 0;
    double *members = md_arena_allocate_zeroed(configuration->arena, member_count, sizeof *members);
    if (out_ensemble->nodes == NULL || out_ensemble->roots == NULL || out_ensemble->weights == NULL || members == NULL)
        return md_fail_memory(configuration->error, "tree ensemble");
    for (size_t i = 0; i < member_count; i++)
        members[i] = md_tensor_double(attributes.members, i);
    out_ensemble->members = members;
    return fill_nodes(configuration, &attributes, out_ensemble);
}
