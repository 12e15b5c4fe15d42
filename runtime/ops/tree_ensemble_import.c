/* tree_ensemble_import.c - the attributes of TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 and 3):
 * nodes are named by (tree, node) pairs, leaves are nodes, weights name their leaf. See tree_ensemble.h. */
#include "tree_ensemble.h"

#include "arena.h"

#include <stdio.h>
#include <stdlib.h>

/* Where the node called (tree, node) is. */
struct place {
    int64_t tree, node;
    size_t index;
};

struct node_lists {
    size_t count;
    const int64_t *tree_ids, *node_ids, *feature_ids, *true_ids, *false_ids, *missing;
    size_t missing_count;
    const struct md_span *modes;
};

struct weight_lists {
    size_t count;
    const int64_t *tree_ids, *node_ids, *targets;
};

/* Numbers that are either a list of floats or (version 3) a tensor. */
struct numbers {
    size_t count;
    const float *floats;
    const struct md_tensor *tensor;
};

static double number_at(const struct numbers *numbers, size_t index)
{
    return numbers->tensor != NULL ? md_tensor_double(numbers->tensor, index) : (double)numbers->floats[index];
}

static enum md_code read_numbers(const struct md_configuration *configuration, const char *name,
                                 struct numbers *out_numbers)
{
    char tensor_name[64];
    (void)snprintf(tensor_name, sizeof tensor_name, "%s_as_tensor", name); /* all names are short */
    MD_TRY(md_attribute_floats(configuration->attributes, name, &out_numbers->floats, &out_numbers->count,
                               configuration->error));
    MD_TRY(md_attribute_tensor(configuration->attributes, tensor_name, &out_numbers->tensor, configuration->error));
    if (out_numbers->tensor == NULL)
        return MD_OK;
    out_numbers->count = out_numbers->tensor->count;
    if (md_datatype_in(out_numbers->tensor->datatype, MD_TYPES_FLOAT))
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute %s has type %s", tensor_name,
                   md_datatype_name(out_numbers->tensor->datatype));
}

/* A list that must have `count` values. */
static enum md_code read_list(const struct md_configuration *configuration, const char *prefix, const char *suffix,
                              size_t count, const int64_t **out_values)
{
    char name[64];
    size_t found = 0;
    (void)snprintf(name, sizeof name, "%s_%s", prefix, suffix);
    MD_TRY(md_attribute_ints(configuration->attributes, name, out_values, &found, configuration->error));
    if (found == count)
        return MD_OK;
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute %s has %zu values, it must have %zu", name,
                   found, count);
}

static enum md_code read_nodes(const struct md_configuration *configuration, struct node_lists *lists)
{
    size_t mode_count = 0;
    MD_TRY(md_attribute_ints(configuration->attributes, "nodes_nodeids", &lists->node_ids, &lists->count,
                             configuration->error));
    MD_TRY(read_list(configuration, "nodes", "treeids", lists->count, &lists->tree_ids));
    MD_TRY(read_list(configuration, "nodes", "featureids", lists->count, &lists->feature_ids));
    MD_TRY(read_list(configuration, "nodes", "truenodeids", lists->count, &lists->true_ids));
    MD_TRY(read_list(configuration, "nodes", "falsenodeids", lists->count, &lists->false_ids));
    MD_TRY(md_attribute_ints(configuration->attributes, "nodes_missing_value_tracks_true", &lists->missing,
                             &lists->missing_count, configuration->error));
    MD_TRY(md_attribute_strings(configuration->attributes, "nodes_modes", &lists->modes, &mode_count,
                                configuration->error));
    if (mode_count != lists->count || (lists->missing_count != 0 && lists->missing_count != lists->count))
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "%zu modes and %zu missing-value rules for %zu nodes",
                       mode_count, lists->missing_count, lists->count);
    return MD_OK;
}

static enum md_code read_mode(const struct md_configuration *configuration, struct md_span name,
                              enum md_tree_mode *out_mode)
{
    static const char *const names[] = { "BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                         "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF" };
    for (int i = MD_TREE_LESS_OR_EQUAL; i <= MD_TREE_LEAF; i++)
        if (i != MD_TREE_MEMBER && md_span_equal(name, md_span_of(names[i]))) {
            *out_mode = (enum md_tree_mode)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute nodes_modes has \"%.*s\": unknown",
                   (int)(name.size < 40 ? name.size : 40), name.bytes);
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* NULL: there is no such node. */
static const struct place *find_place(const struct place *places, size_t count, int64_t tree, int64_t node)
{
    const struct place wanted = { tree, node, 0 };
    return count > 0 ? bsearch(&wanted, places, count, sizeof *places, compare_places) : NULL;
}

static enum md_code link_branch(const struct md_configuration *configuration, const struct place *places,
                                const struct node_lists *lists, size_t node, int64_t child, bool *is_child,
                                size_t *out_index)
{
    const struct place *place = find_place(places, lists->count, lists->tree_ids[node], child);
    if (place == NULL)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "node %lld of tree %lld leads to unknown node %lld",
                       (long long)lists->node_ids[node], (long long)lists->tree_ids[node], (long long)child);
    *out_index = place->index;
    is_child[place->index] = true;
    return MD_OK;
}

static enum md_code fill_nodes(const struct md_configuration *configuration, const struct node_lists *lists,
                               const struct place *places, struct md_tree_ensemble *ensemble)
{
    struct numbers values = { 0 };
    bool *is_child = md_arena_allocate_zeroed(configuration->arena, lists->count, sizeof *is_child);
    if (is_child == NULL)
        return md_fail_memory(configuration->error, "tree ensemble");
    MD_TRY(read_numbers(configuration, "nodes_values", &values));
    if (values.count != lists->count)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute nodes_values has %zu values for %zu nodes",
                       values.count, lists->count);
    for (size_t i = 0; i < lists->count; i++) {
        struct md_tree_node *node = &ensemble->nodes[i];
        MD_TRY(read_mode(configuration, lists->modes[i], &node->mode));
        node->value = number_at(&values, i);
        node->missing_is_true = lists->missing_count > 0 && lists->missing[i] != 0;
        if (node->mode == MD_TREE_LEAF)
            continue;
        if (lists->feature_ids[i] < 0 || lists->feature_ids[i] > INT32_MAX)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT, "node %zu asks for feature %lld", i,
                           (long long)lists->feature_ids[i]);
        node->feature = (size_t)lists->feature_ids[i];
        if (node->feature >= ensemble->feature_limit)
            ensemble->feature_limit = node->feature + 1;
        MD_TRY(link_branch(configuration, places, lists, i, lists->true_ids[i], is_child, &node->yes));
        MD_TRY(link_branch(configuration, places, lists, i, lists->false_ids[i], is_child, &node->no));
    }
    for (size_t i = 0; i < lists->count; i++)
        if (!is_child[i])
            ensemble->roots[ensemble->root_count++] = i;
    if (lists->count > 0 && ensemble->root_count == 0)
        return md_fail(configuration->error, MD_INVALID_ARGUMENT, "no tree has a root");
    return MD_OK;
}

/* Weights sorted by leaf: counts, then places, in the order of the lists. */
static enum md_code fill_weights(const struct md_configuration *configuration, const char *prefix,
                                 const struct place *places, struct md_tree_ensemble *ensemble)
{
    struct weight_lists lists = { 0 };
    struct numbers weights = { 0 };
    char name[64];
    (void)snprintf(name, sizeof name, "%s_weights", prefix);
    MD_TRY(read_numbers(configuration, name, &weights));
    lists.count = weights.count;
    MD_TRY(read_list(configuration, prefix, "treeids", lists.count, &lists.tree_ids));
    MD_TRY(read_list(configuration, prefix, "nodeids", lists.count, &lists.node_ids));
    MD_TRY(read_list(configuration, prefix, "ids", lists.count, &lists.targets));
    ensemble->weights = md_arena_allocate_zeroed(configuration->arena, lists.count, sizeof *ensemble->weights);
    size_t *leaves = md_arena_allocate_zeroed(configuration->arena, lists.count, sizeof *leaves);
    if (ensemble->weights == NULL || leaves == NULL)
        return md_fail_memory(configuration->error, "tree ensemble");
    for (size_t i = 0; i < lists.count; i++) {
        const struct place *place = find_place(places, ensemble->node_count, lists.tree_ids[i], lists.node_ids[i]);
        if (place == NULL || lists.targets[i] < 0 || (uint64_t)lists.targets[i] >= ensemble->target_count)
            return md_fail(configuration->error, MD_INVALID_ARGUMENT,
                           "weight %zu is for target %lld of %zu at node %lld of tree %lld", i,
                           (long long)lists.targets[i], ensemble->target_count, (long long)lists.node_ids[i],
                           (long long)lists.tree_ids[i]);
        leaves[i] = place->index;
        ensemble->nodes[place->index].count++;
    }
    for (size_t i = 0, first = 0; i < ensemble->node_count; i++) {
        ensemble->nodes[i].first = first;
        first += ensemble->nodes[i].count;
        ensemble->nodes[i].count = 0;
    }
    for (size_t i = 0; i < lists.count; i++) {
        struct md_tree_node *leaf = &ensemble->nodes[leaves[i]];
        ensemble->weights[leaf->first + leaf->count++] =
            (struct md_tree_weight){ (size_t)lists.targets[i], number_at(&weights, i) };
    }
    ensemble->weight_count = lists.count;
    return MD_OK;
}

static enum md_code read_aggregate(const struct md_configuration *configuration, enum md_tree_aggregate *out_aggregate)
{
    static const char *const names[] = { "AVERAGE", "SUM", "MIN", "MAX" };
    struct md_span name;
    MD_TRY(md_attribute_string(configuration->attributes, "aggregate_function", "SUM", &name, configuration->error));
    for (int i = MD_TREE_AVERAGE; i <= MD_TREE_MAX; i++)
        if (md_span_equal(name, md_span_of(names[i]))) {
            *out_aggregate = (enum md_tree_aggregate)i;
            return MD_OK;
        }
    return md_fail(configuration->error, MD_INVALID_ARGUMENT, "attribute aggregate_function is \"%.*s\": unknown",
                   (int)(name.size < 40 ? name.size : 40), name.bytes);
}

enum md_code md_tree_ensemble_read(const struct md_configuration *configuration, const char *prefix,
                                   size_t target_count, struct md_tree_ensemble *out_ensemble)
{
    struct node_lists lists = { 0 };
    MD_TRY(read_nodes(configuration, &lists));
    MD_TRY(read_aggregate(configuration, &out_ensemble->aggregate));
    out_ensemble->target_count = target_count;
    out_ensemble->node_count = lists.count;
    out_ensemble->nodes = md_arena_allocate_zeroed(configuration->arena, lists.count, sizeof *out_ensemble->nodes);
    out_ensemble->roots = md_arena_allocate_zeroed(configuration->arena, lists.count, sizeof *out_ensemble->roots);
    struct place *places = md_arena_allocate_zeroed(configuration->arena, lists.count, sizeof *places);
    if (out_ensemble->nodes == NULL || out_ensemble->roots == NULL || places == NULL)
        return md_fail_memory(configuration->error, "tree ensemble");
    for (size_t i = 0; i < lists.count; i++)
        places[i] = (struct place){ lists.tree_ids[i], lists.node_ids[i], i };
    if (lists.count > 0)
        qsort(places, lists.count, sizeof *places, compare_places);
    MD_TRY(fill_nodes(configuration, &lists, places, out_ensemble));
    return fill_weights(configuration, prefix, places, out_ensemble);
}
