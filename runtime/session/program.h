/* program.h - a graph made ready to execute: each node with its operator, parameters and the values that die
 * after it. Immutable after create; the model's arena holds everything. Private to session/. */
#ifndef MD_PROGRAM_H
#define MD_PROGRAM_H

#include "graph.h"
#include "operator.h"
#include "prepared.h"

struct md_step {
    const struct md_node *node;
    const struct md_operator *row;
    const void *parameters;
    const bool *released;            /* per input: a constant whose elements nobody reads here; NULL: none */
    struct md_program **subprograms; /* node->subgraph_count entries */
    bool *wanted;                    /* per output: somebody reads it */
    size_t dying_count;
    int32_t *dying;                  /* values of this graph that nobody needs after this step */
    bool needed;                     /* some output is wanted, directly or not */
};

struct md_program {
    size_t index;                 /* of this program in its session: 0 is the main graph */
    const struct md_graph *graph;
    struct md_step *steps;        /* graph->node_count entries, in graph order */
};

/* Finds operators, checks the number of inputs and outputs, configures every node, also in subgraphs.
 * prepared may be NULL (prepared.h). *program_count is where numbering starts and is advanced by every program made.
 * UNIMPLEMENTED: names nodes without a kernel and says how many there are. INTERNAL: prepared parts or the constants
 * left do not fit the graph. */
MD_NODISCARD enum md_code md_program_create(struct md_model *model, const struct md_graph *graph,
                                            enum md_precision precision, struct md_prepared *prepared,
                                            size_t *program_count,
                                            struct md_program **out_program, struct md_error *error);

#endif
