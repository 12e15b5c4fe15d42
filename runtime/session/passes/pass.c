/* pass.c - the table of passes; see pass.h. */
#include "pass.h"

#include <string.h>

#define MD_PASS(name) extern const struct md_pass md_pass_##name;
#include "passes.def"
#undef MD_PASS

static const struct md_pass *const passes[] = {
#define MD_PASS(name) &md_pass_##name,
#include "passes.def"
#undef MD_PASS
};

static bool is_disabled(const char *disabled, const char *name)
{
    size_t size = strlen(name);
    if (disabled == NULL)
        return false;
    if (strcmp(disabled, "all") == 0)
        return true;
    for (const char *at = disabled; (at = strstr(at, name)) != NULL; at += size)
        if ((at == disabled || at[-1] == ',') && (at[size] == '\0' || at[size] == ','))
            return true;
    return false;
}

static enum md_code apply_below(struct md_model *model, struct md_graph *graph, const struct md_pass *pass,
                                struct md_error *error)
{
    MD_TRY(pass->apply(model, graph, error));
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].subgraph_count; j++)
            MD_TRY(apply_below(model, graph->nodes[i].subgraphs[j], pass, error));
    return MD_OK;
}

enum md_code md_passes_apply(struct md_model *model, const char *disabled, struct md_error *error)
{
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++)
        if (!is_disabled(disabled, passes[i]->name))
            MD_TRY(apply_below(model, model->graph, passes[i], error));
    return MD_OK;
}
