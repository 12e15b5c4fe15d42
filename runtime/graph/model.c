/* model.c - what every model can do, however it was made; see graph.h. */
#include "graph.h"

#include "allocator.h"

#include <string.h>

struct md_model *md_model_create(const struct md_allocator *allocator)
{
    struct md_model *model = md_allocate_zeroed(allocator, 1, sizeof *model);
    if (model == NULL)
        return NULL;
    model->allocator = allocator;
    md_arena_init(&model->arena, allocator, 0);
    return model;
}

void md_model_destroy(struct md_model *model)
{
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->mapping_count; i++)
        md_file_unmap(&model->mappings[i]);
    md_arena_cleanup(&model->arena); /* holds the mappings' array */
    md_release(model->allocator, model);
}

int64_t md_model_opset(const struct md_model *model, const char *domain)
{
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (size_t i = 0; i < model->opset_count; i++)
        if (strcmp(model->opsets[i].domain, domain) == 0)
            return model->opsets[i].version;
    return 0;
}
