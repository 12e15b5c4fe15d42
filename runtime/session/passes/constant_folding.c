/* constant_folding.c - computes at load what depends on constants only.
 *
 * The foldable nodes form a graph of their own, which is run once by the ordinary executor; what comes out becomes
 * constants. A node that fails, or whose results would be much larger than what goes in, stays as it was. */
#include "executor.h"
#include "pass.h"

#include "allocator.h"

#include <string.h>

/* Results may grow by this much over their inputs; the rest is cheaper to compute than to keep. */
enum { MAX_GROWTH_BYTES = 1 << 20 };

struct folding {
    struct md_model *model;
    struct md_graph *graph;
    struct md_graph part; /* the foldable nodes, over the same values */
    bool *foldable;       /* per node */
    bool *known;          /* per value: constant, or made by a foldable node */
};

static bool node_is_foldable(const struct folding *folding, const struct md_node *node)
{
    bool any_version;
    const struct md_operator *row = md_operator_find(node->domain, node->op_type, node->opset, &any_version);
    if (row == NULL || node->subgraph_count > 0 || (row->flags & MD_NONDETERMINISTIC) != 0)
        return false;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MD_NO_VALUE && !folding->known[node->inputs[i]])
            return false;
    return true;
}

/* Fills `part`; its outputs are everything its nodes make. False: nothing to fold. */
static bool collect(struct folding *folding)
{
    struct md_graph *graph = folding->graph;
    struct md_graph *part = &folding->part;
    for (size_t i = 0; i < graph->value_count; i++)
        folding->known[i] = graph->values[i].constant != NULL;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct md_node *node = &graph->nodes[i];
        folding->foldable[i] = node_is_foldable(folding, node);
        if (!folding->foldable[i])
            continue;
        part->nodes[part->node_count++] = *node;
        for (size_t j = 0; j < node->output_count; j++)
            if (node->outputs[j] != MD_NO_VALUE) {
                folding->known[node->outputs[j]] = true;
                part->outputs[part->output_count++] = node->outputs[j];
            }
    }
    return part->node_count > 0;
}

static bool allocate(struct folding *folding)
{
    struct md_graph *graph = folding->graph;
    struct md_arena *arena = &folding->model->arena;
    size_t output_count = 0;
    for (size_t i = 0; i < graph->node_count; i++)
        output_count += graph->nodes[i].output_count;
    folding->foldable = md_arena_allocate_zeroed(arena, graph->node_count, sizeof *folding->foldable);
    folding->known = md_arena_allocate_zeroed(arena, graph->value_count, sizeof *folding->known);
    folding->part = (struct md_graph){ .name = graph->name, .value_count = graph->value_count, .values = graph->values };
    folding->part.nodes = md_arena_allocate_zeroed(arena, graph->node_count, sizeof *folding->part.nodes);
    folding->part.outputs = md_arena_allocate_zeroed(arena, output_count, sizeof *folding->part.outputs);
    return folding->foldable != NULL && folding->known != NULL && folding->part.nodes != NULL &&
           folding->part.outputs != NULL;
}

/* The value as a constant in the model's arena. NULL: not a tensor, too large, or no memory. */
static const struct md_tensor *keep(struct md_model *model, const struct md_value *value, size_t input_bytes)
{
    if (value->kind != MD_VALUE_TENSOR)
        return NULL;
    size_t size = md_tensor_size(&value->tensor);
    if (size > input_bytes + MAX_GROWTH_BYTES)
        return NULL;
    struct md_tensor *tensor = md_arena_allocate(&model->arena, sizeof *tensor);
    if (tensor == NULL)
        return NULL;
    *tensor = value->tensor;
    tensor->bytes = md_arena_allocate_alone(&model->arena, size);
    if (tensor->bytes == NULL)
        return NULL;
    if (size > 0)
        memcpy(tensor->bytes, value->tensor.bytes, size);
    for (size_t i = 0; tensor->datatype == MD_BYTES && i < tensor->count; i++) {
        struct md_span *span = &md_elements(struct md_span, tensor)[i];
        span->bytes = md_arena_copy_string(&model->arena, span->bytes, span->size);
        if (span->bytes == NULL)
            return NULL;
    }
    return tensor;
}

static size_t constant_input_bytes(const struct md_graph *graph, const struct md_node *node)
{
    size_t bytes = 0;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MD_NO_VALUE && graph->values[node->inputs[i]].constant != NULL)
            bytes += md_tensor_size(graph->values[node->inputs[i]].constant);
    return bytes;
}

/* Turns results into constants and drops the nodes whose results all became one. */
static void replace(struct folding *folding, const struct md_frame *frame)
{
    struct md_graph *graph = folding->graph;
    size_t count = 0;
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct md_node *node = &graph->nodes[i];
        bool folded = folding->foldable[i];
        for (size_t j = 0; folded && j < node->input_count; j++)
            folded = node->inputs[j] == MD_NO_VALUE || graph->values[node->inputs[j]].constant != NULL;
        size_t input_bytes = folded ? constant_input_bytes(graph, node) : 0;
        const struct md_tensor *kept[8];
        folded = folded && node->output_count <= sizeof kept / sizeof kept[0];
        for (size_t j = 0; folded && j < node->output_count; j++) {
            kept[j] = NULL;
            if (node->outputs[j] == MD_NO_VALUE)
                continue;
            kept[j] = keep(folding->model, &frame->values[node->outputs[j]], input_bytes);
            folded = kept[j] != NULL;
        }
        for (size_t j = 0; folded && j < node->output_count; j++)
            if (node->outputs[j] != MD_NO_VALUE) {
                graph->values[node->outputs[j]].constant = kept[j];
                graph->values[node->outputs[j]].producer = -1;
            }
        if (!folded)
            graph->nodes[count++] = *node;
    }
    graph->node_count = count;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < graph->nodes[i].output_count; j++)
            if (graph->nodes[i].outputs[j] != MD_NO_VALUE)
                graph->values[graph->nodes[i].outputs[j]].producer = (int32_t)i;
}

static enum md_code run_part(struct folding *folding, struct md_error *error)
{
    size_t program_count = 0;
    struct md_program *program;
    if (md_program_create(folding->model, &folding->part, MD_PRECISION_FP32, NULL, &program_count, &program, NULL) !=
        MD_OK)
        return MD_OK; /* the session will say what is wrong with the node */
    struct md_session session = { .allocator = folding->model->allocator,
                                  .model = folding->model,
                                  .program = program,
                                  .program_count = program_count,
                                  .output_count = folding->part.output_count,
                                  .max_run_bytes = (size_t)1 << 30 };
    struct md_run *run;
    MD_TRY(md_run_create(&session, &run, error));
    enum md_code code = md_frame_take(run, program, &run->frame, error);
    if (code == MD_OK && md_execute(run, program, run->frame, NULL, NULL) == MD_OK)
        replace(folding, run->frame); /* a node that fails will say so when it is run */
    md_run_destroy(run);
    return code;
}

static enum md_code apply(struct md_model *model, struct md_graph *graph, struct md_error *error)
{
    struct folding folding = { .model = model, .graph = graph };
    if (!allocate(&folding))
        return md_fail_memory(error, "constant folding");
    if (!collect(&folding))
        return MD_OK;
    return run_part(&folding, error);
}

const struct md_pass md_pass_constant_folding = { "constant-folding", apply };
