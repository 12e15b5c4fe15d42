/* report.c - see report.h. */
#include "report.h"

#include "graph.h"
#include "operator.h"

#include <stdlib.h>
#include <string.h>

static size_t count_nodes(const struct md_graph *graph)
{
    size_t count = graph->node_count;
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].subgraph_count; j++)
            count += count_nodes(graph->nodes[i].subgraphs[j]);
    return count;
}

/* One entry per node; entries of one operator are merged afterwards. */
static void list_nodes(const struct md_graph *graph, struct md_model_report *report)
{
    for (size_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].constant != NULL) {
            report->parameter_count += graph->values[i].constant->count;
            report->parameter_bytes += md_tensor_size(graph->values[i].constant);
        }
    for (size_t i = 0; i < graph->node_count; i++) {
        const struct md_node *node = &graph->nodes[i];
        bool known;
        struct md_operator_use *use = &report->operators[report->node_count++];
        *use = (struct md_operator_use){
            .domain = node->domain[0] == '\0' ? "ai.onnx" : node->domain,
            .op_type = node->op_type,
            .opset = node->opset,
            .count = 1,
            .supported = md_operator_find(node->domain, node->op_type, node->opset, &known) != NULL,
            .first_node = node->name,
            .first_graph = graph->name,
        };
        use->known = known;
        report->unsupported_nodes += !use->supported;
        for (size_t j = 0; j < node->subgraph_count; j++) {
            report->subgraph_count++;
            list_nodes(node->subgraphs[j], report);
        }
    }
}

static int by_domain_and_name(const void *a, const void *b)
{
    const struct md_operator_use *x = a;
    const struct md_operator_use *y = b;
    int order = strcmp(x->domain, y->domain);
    return order != 0 ? order : strcmp(x->op_type, y->op_type);
}

enum md_code md_model_report(struct md_arena *arena, const struct md_model *model, struct md_model_report *out_report,
                             struct md_error *error)
{
    struct md_model_report report = { 0 };
    report.operators = md_arena_allocate_zeroed(arena, count_nodes(model->graph), sizeof *report.operators);
    if (report.operators == NULL)
        return md_fail_memory(error, "model report");
    list_nodes(model->graph, &report);
    qsort(report.operators, report.node_count, sizeof *report.operators, by_domain_and_name);
    for (size_t i = 0; i < report.node_count; i++) {
        struct md_operator_use *last = report.operator_count > 0 ? &report.operators[report.operator_count - 1] : NULL;
        if (last != NULL && by_domain_and_name(last, &report.operators[i]) == 0)
            last->count++;
        else
            report.operators[report.operator_count++] = report.operators[i];
    }
    *out_report = report;
    return MD_OK;
}

const char *md_model_report_operators(struct md_arena *arena, const struct md_model_report *report)
{
    const char *text = "";
    for (size_t i = 0; i < report->operator_count && text != NULL; i++) {
        const struct md_operator_use *use = &report->operators[i];
        bool plain = strcmp(use->domain, "ai.onnx") == 0;
        text = md_arena_printf(arena, "%s%s%s%s%s %zu", text, i == 0 ? "" : ", ", plain ? "" : use->domain,
                               plain ? "" : ".", use->op_type, use->count);
    }
    return text;
}

const char *md_model_report_opsets(struct md_arena *arena, const struct md_model *model)
{
    const char *text = "";
    for (size_t i = 0; i < model->opset_count && text != NULL; i++) {
        const struct md_opset *opset = &model->opsets[i];
        text = md_arena_printf(arena, "%s%s%s%s%lld", text, i == 0 ? "" : ", ", opset->domain,
                               opset->domain[0] == '\0' ? "" : " ", (long long)opset->version);
    }
    return text;
}
