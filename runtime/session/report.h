/* report.h - what is in a model, for people: operators with counts, sizes, and what this build cannot run.
 * Works on any imported model, also one that no session can be made of. */
#ifndef MD_REPORT_H
#define MD_REPORT_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct md_arena;
struct md_model;

struct md_operator_use {
    const char *domain;     /* "ai.onnx" for the default domain */
    const char *op_type;
    int64_t opset;
    size_t count;           /* nodes, subgraphs included */
    bool supported;
    bool known;             /* another opset of it has a kernel */
    const char *first_node; /* name of the first such node, and the graph it is in */
    const char *first_graph;
};

struct md_model_report {
    size_t operator_count;
    struct md_operator_use *operators; /* by domain and name */
    size_t node_count;                 /* subgraphs included */
    size_t unsupported_nodes;
    size_t subgraph_count;
    size_t parameter_count;            /* elements of all constants */
    size_t parameter_bytes;
};

/* Memory is the arena's; strings are borrowed from the model. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_model_report(struct md_arena *arena, const struct md_model *model,
                                          struct md_model_report *out_report, struct md_error *error);

/* "Add 21, Gather 20, com.microsoft.Gelu 2" in the arena; NULL: no memory. */
const char *md_model_report_operators(struct md_arena *arena, const struct md_model_report *report);
/* "17, com.microsoft 1": what the model imports. NULL: no memory. */
const char *md_model_report_opsets(struct md_arena *arena, const struct md_model *model);

#endif
