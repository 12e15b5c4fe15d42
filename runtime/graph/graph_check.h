/* graph_check.h - what holds of every graph that the importer or a pass has made. */
#ifndef MD_GRAPH_CHECK_H
#define MD_GRAPH_CHECK_H

#include "graph.h"

/* Every index exists; every value is an input, a constant, a capture or an output of one node, and of one only; nodes
 * read what comes before them; graph attributes and subgraphs are the same. Sets the producers of values. False: it does
 * not hold, or no memory for the check (in `arena`). */
bool md_graph_check(struct md_arena *arena, struct md_graph *graph);

#endif
