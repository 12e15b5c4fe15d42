/* program.c - see program.h. */
#include "program.h"

#include <stdio.h>
#include <string.h>

static const char *domain_name(const char *domain)
{
    return domain[0] == '\0' ? "ai.onnx" : domain;
}

static bool node_supported(const struct md_node *node)
{
    bool any_version;
    return md_operator_find(node->domain, node->op_type, node->opset, &any_version) != NULL;
}

/* Counts the nodes without a kernel in the graph and below, and remembers the first. */
static void find_unsupported(const struct md_graph *graph, size_t *count, const struct md_node **first)
{
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct md_node *node = &graph->nodes[i];
        if (!node_supported(node)) {
            if (*first == NULL)
                *first = node;
            ++*count;
        }
        for (size_t j = 0; j < node->subgraph_count; j++)
            find_unsupported(node->subgraphs[j], count, first);
    }
}

static enum md_code check_supported(const struct md_graph *graph, struct md_error *error)
{
    size_t count = 0;
    const struct md_node *node = NULL;
    find_unsupported(graph, &count, &node);
    if (count == 0)
        return MD_OK;
    char more[64] = "";
    if (count > 1)
        (void)snprintf(more, sizeof more, "; %zu nodes in all have no kernel", count); /* fits */
    bool any_version;
    (void)md_operator_find(node->domain, node->op_type, node->opset, &any_version); /* only for any_version */
    return md_fail(error, MD_UNIMPLEMENTED, "node \"%s\": operator \"%s\" of domain \"%s\" %s opset %lld%s", node->name,
                   node->op_type, domain_name(node->domain), any_version ? "has no kernel for" : "is unknown; it is from",
                   (long long)node->opset, more);
}

static enum md_code check_arity(const struct md_node *node, const struct md_operator *row, struct md_error *error)
{
    if (node->input_count < (size_t)row->min_inputs ||
        (row->max_inputs >= 0 && node->input_count > (size_t)row->max_inputs))
        return md_fail(error, MD_INVALID_ARGUMENT, "node \"%s\" (%s) has %zu inputs, the operator takes %d to %d",
                       node->name, node->op_type, node->input_count, row->min_inputs, row->max_inputs);
    if (node->output_count < (size_t)row->min_outputs ||
        (row->max_outputs >= 0 && node->output_count > (size_t)row->max_outputs))
        return md_fail(error, MD_INVALID_ARGUMENT, "node \"%s\" (%s) has %zu outputs, the operator gives %d to %d",
                       node->name, node->op_type, node->output_count, row->min_outputs, row->max_outputs);
    for (int i = 0; i < row->min_inputs; i++)
        if (node->inputs[i] == MD_NO_VALUE)
            return md_fail(error, MD_INVALID_ARGUMENT, "node \"%s\" (%s): input %d is required and missing",
                           node->name, node->op_type, i);
    return MD_OK;
}

static bool lacks_elements(const struct md_tensor *constant)
{
    return constant != NULL && constant->bytes == NULL && constant->count > 0;
}

/* A constant without elements may only go where they are not read. */
static enum md_code check_elements(const struct md_graph *graph, const struct md_step *step, struct md_error *error)
{
    const struct md_node *node = step->node;
    for (size_t i = 0; i < node->input_count; i++) {
        const struct md_tensor *constant =
            node->inputs[i] == MD_NO_VALUE ? NULL : graph->values[node->inputs[i]].constant;
        if (lacks_elements(constant) && (step->released == NULL || !step->released[i]))
            return md_fail(error, MD_INTERNAL, "node \"%s\" (%s): constant input %zu has no elements", node->name,
                           node->op_type, i);
    }
    for (size_t i = 0; i < node->subgraph_count; i++)
        for (size_t j = 0; j < node->subgraphs[i]->capture_count; j++)
            if (lacks_elements(graph->values[node->subgraphs[i]->captures[j].outer].constant))
                return md_fail(error, MD_INTERNAL, "node \"%s\" (%s): captured constant %zu has no elements",
                               node->name, node->op_type, j);
    return MD_OK;
}

static enum md_code check_outputs(const struct md_graph *graph, struct md_error *error)
{
    for (size_t i = 0; i < graph->output_count; i++)
        if (lacks_elements(graph->values[graph->outputs[i]].constant))
            return md_fail(error, MD_INTERNAL, "output %zu is a constant without elements", i);
    return MD_OK;
}

static enum md_code configure_step(struct md_model *model, const struct md_graph *graph, enum md_precision precision,
                                   struct md_prepared *prepared, struct md_step *step, struct md_error *error)
{
    const struct md_node *node = step->node;
    MD_TRY(check_arity(node, step->row, error));
    if (step->row->configure == NULL)
        return MD_OK;
    const struct md_tensor **constants =
        md_arena_allocate_zeroed(&model->arena, node->input_count, sizeof *constants);
    bool *released = md_arena_allocate_zeroed(&model->arena, node->input_count, sizeof *released);
    if (constants == NULL || released == NULL)
        return md_fail_memory(error, "node configuration");
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MD_NO_VALUE)
            constants[i] = graph->values[node->inputs[i]].constant;
    struct md_configuration configuration = {
        .node_name = node->name,
        .opset = node->opset,
        .precision = precision,
        .attributes = &node->attributes,
        .input_count = node->input_count,
        .output_count = node->output_count,
        .constants = constants,
        .released = released,
        .prepared = prepared,
        .arena = &model->arena,
        .error = error,
    };
    enum md_code code = step->row->configure(&configuration, &step->parameters);
    if (code != MD_OK)
        return md_fail_prefix(error, code, "node \"%s\" (%s)", node->name, node->op_type);
    step->released = released;
    return MD_OK;
}

enum { NEVER_USED = -1, GRAPH_OUTPUT = INT32_MAX };

/* last_use[v]: index of the last step that reads value v; captures count as reads of the node with the subgraph. */
static void find_last_uses(const struct md_program *program, int32_t *last_use)
{
    const struct md_graph *graph = program->graph;
    for (size_t i = 0; i < graph->value_count; i++)
        last_use[i] = NEVER_USED;
    for (size_t i = graph->node_count; i-- > 0;) {
        struct md_step *step = &program->steps[i];
        const struct md_node *node = step->node;
        for (size_t j = 0; j < node->output_count; j++) {
            int32_t value = node->outputs[j];
            for (size_t k = 0; value != MD_NO_VALUE && k < graph->output_count; k++)
                if (graph->outputs[k] == value)
                    last_use[value] = GRAPH_OUTPUT;
            step->wanted[j] = value != MD_NO_VALUE && last_use[value] != NEVER_USED;
            step->needed = step->needed || step->wanted[j];
        }
        if (!step->needed)
            continue; /* dead code reads nothing */
        for (size_t j = 0; j < node->input_count; j++)
            if (node->inputs[j] != MD_NO_VALUE && last_use[node->inputs[j]] == NEVER_USED)
                last_use[node->inputs[j]] = (int32_t)i;
        for (size_t j = 0; j < node->subgraph_count; j++)
            for (size_t k = 0; k < node->subgraphs[j]->capture_count; k++) {
                int32_t outer = node->subgraphs[j]->captures[k].outer;
                if (last_use[outer] == NEVER_USED)
                    last_use[outer] = (int32_t)i;
            }
    }
    for (size_t k = 0; k < graph->output_count; k++)
        last_use[graph->outputs[k]] = GRAPH_OUTPUT;
}

static enum md_code list_dying(struct md_model *model, struct md_program *program, const int32_t *last_use,
                               struct md_error *error)
{
    const struct md_graph *graph = program->graph;
    for (size_t v = 0; v < graph->value_count; v++)
        if (last_use[v] >= 0 && last_use[v] != GRAPH_OUTPUT)
            program->steps[last_use[v]].dying_count++;
    for (size_t i = 0; i < graph->node_count; i++) {
        struct md_step *step = &program->steps[i];
        if (step->dying_count > 0) {
            step->dying = md_arena_allocate_zeroed(&model->arena, step->dying_count, sizeof *step->dying);
            if (step->dying == NULL)
                return md_fail_memory(error, "liveness of values");
        }
        step->dying_count = 0;
    }
    for (size_t v = 0; v < graph->value_count; v++)
        if (last_use[v] >= 0 && last_use[v] != GRAPH_OUTPUT) {
            struct md_step *step = &program->steps[last_use[v]];
            step->dying[step->dying_count++] = (int32_t)v;
        }
    return MD_OK;
}

static enum md_code fill_liveness(struct md_model *model, struct md_program *program, struct md_error *error)
{
    int32_t *last_use = md_arena_allocate_zeroed(&model->arena, program->graph->value_count, sizeof *last_use);
    if (last_use == NULL)
        return md_fail_memory(error, "liveness of values");
    find_last_uses(program, last_use);
    return list_dying(model, program, last_use, error);
}

static enum md_code build(struct md_model *model, const struct md_graph *graph, enum md_precision precision,
                          struct md_prepared *prepared, size_t *program_count, struct md_program **out_program,
                          struct md_error *error)
{
    struct md_program *program = md_arena_allocate_zeroed(&model->arena, 1, sizeof *program);
    if (program == NULL)
        return md_fail_memory(error, "program");
    program->index = (*program_count)++;
    program->graph = graph;
    program->steps = md_arena_allocate_zeroed(&model->arena, graph->node_count, sizeof *program->steps);
    if (program->steps == NULL)
        return md_fail_memory(error, "program");
    for (size_t i = 0; i < graph->node_count; i++) {
        struct md_step *step = &program->steps[i];
        const struct md_node *node = &graph->nodes[i];
        bool any_version;
        step->node = node;
        step->row = md_operator_find(node->domain, node->op_type, node->opset, &any_version);
        step->wanted = md_arena_allocate_zeroed(&model->arena, node->output_count, sizeof *step->wanted);
        step->subprograms = md_arena_allocate_zeroed(&model->arena, node->subgraph_count, sizeof(void *));
        if (step->wanted == NULL || step->subprograms == NULL)
            return md_fail_memory(error, "program");
        MD_TRY(configure_step(model, graph, precision, prepared, step, error));
        MD_TRY(check_elements(graph, step, error));
        for (size_t j = 0; j < node->subgraph_count; j++)
            MD_TRY(build(model, node->subgraphs[j], precision, prepared, program_count, &step->subprograms[j],
                         error));
    }
    MD_TRY(check_outputs(graph, error));
    MD_TRY(fill_liveness(model, program, error));
    *out_program = program;
    return MD_OK;
}

enum md_code md_program_create(struct md_model *model, const struct md_graph *graph, enum md_precision precision,
                               struct md_prepared *prepared, size_t *program_count, struct md_program **out_program,
                               struct md_error *error)
{
    MD_TRY(check_supported(graph, error));
    return build(model, graph, precision, prepared, program_count, out_program, error);
}
