/* attention.c - Softmax(q k' * scale + mask) v as one internal Attention, with the transposes around it:
 *
 *     Transpose(q) -------.                     Transpose(v) ---.
 *     Transpose(k) -- MatMul -- Div | Mul -- Add mask -- Softmax -- MatMul -- Transpose
 *
 * The scale may also be on q, on k, or on both; the mask and the last Transpose may be absent. The operands must be
 * transposed by four axes each: that is how their rank is known. Constants in the pattern say that it is FP32. */
#include "graph_edit.h"
#include "operator.h"
#include "pass.h"

#include <string.h>

enum { RANK = 4 };

struct match {
    const struct md_graph *graph;
    const uint32_t *uses;
    double scale;
    bool is_float;              /* a constant of the pattern is FP32 */
    int32_t inputs[4];          /* q, k, v, mask */
    int64_t permutations[4][RANK];
};

static bool only_here(const struct match *match, int32_t value)
{
    return match->uses[value] == 1;
}

/* The value before scaling by constants, which are noted. Only the scaling itself may read what it leaves out. */
static int32_t strip_scale(struct match *match, int32_t value)
{
    for (;;) {
        const struct md_node *product = md_graph_producer(match->graph, value, "Mul");
        const struct md_node *quotient = md_graph_producer(match->graph, value, "Div");
        const struct md_node *node = product != NULL ? product : quotient;
        double number;
        size_t constant = 1;
        if (node == NULL || !only_here(match, value))
            return value;
        if (product != NULL && md_graph_constant(match->graph, node, 0) != NULL)
            constant = 0;
        if (!md_graph_scalar(match->graph, node->inputs[constant], &number))
            return value;
        match->is_float = match->is_float || md_graph_constant(match->graph, node, constant)->datatype == MD_FP32;
        match->scale = product != NULL ? match->scale * number : match->scale / number;
        value = node->inputs[1 - constant];
    }
}

static bool read_permutation(const struct md_node *transpose, const int64_t **out_permutation)
{
    size_t count;
    unsigned seen = 0;
    if (md_attribute_ints(&transpose->attributes, "perm", out_permutation, &count, NULL) != MD_OK || count != RANK)
        return false;
    for (size_t i = 0; i < RANK; i++)
        seen |= (*out_permutation)[i] >= 0 && (*out_permutation)[i] < RANK ? 1u << (*out_permutation)[i] : 0;
    return seen == (1u << RANK) - 1;
}

/* Goes back over Transposes and scales from `value`, axis i of which is axis permutation[i] of what is found. */
static bool strip_transposes(struct match *match, int32_t value, int64_t permutation[RANK], int32_t *out_value)
{
    bool any = false;
    for (int64_t i = 0; i < RANK; i++)
        permutation[i] = i;
    for (;;) {
        value = strip_scale(match, value);
        const struct md_node *transpose = md_graph_producer(match->graph, value, "Transpose");
        const int64_t *order;
        if (transpose == NULL || !read_permutation(transpose, &order))
            break;
        for (size_t i = 0; i < RANK; i++)
            permutation[i] = order[permutation[i]];
        any = true;
        value = transpose->inputs[0];
    }
    *out_value = value;
    return any && value != MD_NO_VALUE;
}

static bool is_last_axis_softmax(const struct md_node *node)
{
    int64_t axis;
    int64_t absent = node->opset < 13 ? 1 : -1;
    return md_attribute_int(&node->attributes, "axis", absent, &axis, NULL) == MD_OK && (axis == -1 || axis == RANK - 1);
}

/* Finds q, k, scale and mask behind the input of the Softmax. */
static bool match_scores(struct match *match, int32_t value)
{
    const struct md_node *sum = md_graph_producer(match->graph, value, "Add");
    if (!only_here(match, value))
        return false;
    for (size_t i = 0; i < (sum != NULL ? 2 : 1); i++) {
        struct match attempt = *match;
        int32_t product = strip_scale(&attempt, sum != NULL ? sum->inputs[i] : value);
        const struct md_node *scores = md_graph_producer(match->graph, product, "MatMul");
        if (scores == NULL || !only_here(match, product) || !only_here(match, sum != NULL ? sum->inputs[i] : value))
            continue;
        attempt.inputs[3] = sum != NULL ? sum->inputs[1 - i] : MD_NO_VALUE;
        if (!strip_transposes(&attempt, scores->inputs[0], attempt.permutations[0], &attempt.inputs[0]) ||
            !strip_transposes(&attempt, scores->inputs[1], attempt.permutations[1], &attempt.inputs[1]))
            continue;
        int64_t last = attempt.permutations[1][3]; /* MatMul takes k as [size, rows] */
        attempt.permutations[1][3] = attempt.permutations[1][2];
        attempt.permutations[1][2] = last;
        *match = attempt;
        return true;
    }
    return false;
}

static bool is_float_value(const struct match *match, int32_t value)
{
    const struct md_value_type *type = &match->graph->values[value].type;
    return type->kind == MD_TYPE_TENSOR && type->datatype == MD_FP32;
}

static bool match_attention(struct match *match, const struct md_node *mixed)
{
    const struct md_node *softmax = md_graph_producer(match->graph, mixed->inputs[0], "Softmax");
    if (softmax == NULL || !only_here(match, mixed->inputs[0]) || !is_last_axis_softmax(softmax) ||
        softmax->inputs[0] == MD_NO_VALUE || !match_scores(match, softmax->inputs[0]))
        return false;
    double scale = match->scale;
    if (!strip_transposes(match, mixed->inputs[1], match->permutations[2], &match->inputs[2]) || match->scale != scale)
        return false; /* a scaled v is not the scale of the scores */
    for (size_t i = 0; i < 3; i++)
        match->is_float = match->is_float || is_float_value(match, match->inputs[i]);
    return match->is_float;
}

static enum md_code fuse(struct md_model *model, struct match *match, struct md_node *mixed, struct md_error *error)
{
    static const char *const names[] = { "perm_q", "perm_k", "perm_v", "perm_out" };
    const struct md_graph *graph = match->graph;
    struct md_attribute attributes[5];
    const int64_t *order;
    struct md_node *last = md_graph_only_reader(graph, match->uses, mixed->outputs[0], "Transpose");
    if (last == NULL || !read_permutation(last, &order)) {
        static const int64_t same[RANK] = { 0, 1, 2, 3 };
        order = same;
        last = mixed;
    }
    memcpy(match->permutations[3], order, sizeof match->permutations[3]);
    int64_t *kept = md_arena_allocate(&model->arena, sizeof match->permutations);
    if (kept == NULL)
        return md_fail_memory(error, "attention");
    memcpy(kept, match->permutations, sizeof match->permutations);
    for (size_t i = 0; i < 4; i++)
        attributes[i] = (struct md_attribute){ .name = names[i], .kind = MD_ATTRIBUTE_INTS, .count = RANK,
                                               .value.ints = kept + i * RANK };
    attributes[4] = (struct md_attribute){ .name = "scale", .kind = MD_ATTRIBUTE_FLOAT, .value.f = (float)match->scale };
    return md_graph_rewrite(model, last, MD_INTERNAL_DOMAIN, "Attention", match->inputs, 4, attributes, 5, error);
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    uint32_t *uses;
    MD_TRY(md_graph_count_uses(model, graph, &uses, error));
    for (size_t i = 0; i < graph->node_count; i++) {
        struct match match = { .graph = graph, .uses = uses, .scale = 1.0 };
        if (md_node_is(&graph->nodes[i], "MatMul") && match_attention(&match, &graph->nodes[i]))
            MD_TRY(fuse(model, &match, &graph->nodes[i], error));
    }
    return MD_OK;
}

const struct md_pass md_pass_attention = { "attention", apply };
