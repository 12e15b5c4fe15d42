/* pass.h - rewriting a model before its session is built: one file per pass, listed in passes.def.
 *
 * A pass leaves a graph that computes the same outputs, still topologically sorted. Every pass can be switched off by
 * its name (md_session_options), and a test runs each model with and without it. Private to session/. */
#ifndef MD_PASS_H
#define MD_PASS_H

#include "graph.h"

struct md_pass {
    const char *name; /* "constant-folding" */
    enum md_code (*apply)(struct md_model *model, struct md_graph *graph, struct md_error *error);
};

/* Applies every pass that `disabled` (names separated by commas, or NULL; "all") does not name to the model's graph and
 * its subgraphs. */
MD_NODISCARD enum md_code md_passes_apply(struct md_model *model, const char *disabled, struct md_error *error);

#endif
