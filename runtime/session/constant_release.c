/* constant_release.c - see constant_release.h. */
#include "constant_release.h"

#include "allocator.h"

#include <stdlib.h>
#include <string.h>

/* Bytes that somebody may read. */
struct range {
    uintptr_t begin, end;
};

/* With items NULL ranges are counted only. */
struct ranges {
    struct range *items;
    size_t count;
};

static void need(struct ranges *ranges, const struct md_tensor *tensor)
{
    size_t size = tensor == NULL || tensor->bytes == NULL ? 0 : md_tensor_size(tensor);
    if (size == 0)
        return;
    if (ranges->items != NULL)
        ranges->items[ranges->count] = (struct range){ (uintptr_t)tensor->bytes, (uintptr_t)tensor->bytes + size };
    ranges->count++;
}

static void need_attributes(struct ranges *ranges, const struct md_attributes *attributes)
{
    for (size_t i = 0; i < attributes->count; i++) {
        const struct md_attribute *attribute = &attributes->items[i];
        if (attribute->kind == MD_ATTRIBUTE_TENSOR || attribute->kind == MD_ATTRIBUTE_SPARSE_TENSOR)
            need(ranges, &attribute->value.tensor);
        for (size_t j = 0; attribute->kind == MD_ATTRIBUTE_TENSORS && j < attribute->count; j++)
            need(ranges, &attribute->value.tensors[j]);
    }
}

static void need_step(struct ranges *ranges, const struct md_graph *graph, const struct md_step *step)
{
    const struct md_node *node = step->node;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] != MD_NO_VALUE && (step->released == NULL || !step->released[i]))
            need(ranges, graph->values[node->inputs[i]].constant);
    for (size_t i = 0; i < node->subgraph_count; i++)
        for (size_t j = 0; j < node->subgraphs[i]->capture_count; j++)
            need(ranges, graph->values[node->subgraphs[i]->captures[j].outer].constant);
    need_attributes(ranges, &node->attributes);
}

/* No deeper than MD_MAX_NESTING, like the other walks here. */
static void need_program(struct ranges *ranges, const struct md_program *program)
{
    const struct md_graph *graph = program->graph;
    for (size_t i = 0; i < graph->output_count; i++)
        need(ranges, graph->values[graph->outputs[i]].constant);
    for (size_t i = 0; i < graph->node_count; i++) {
        need_step(ranges, graph, &program->steps[i]);
        for (size_t j = 0; j < graph->nodes[i].subgraph_count; j++)
            need_program(ranges, program->steps[i].subprograms[j]);
    }
}

static int compare(const void *a, const void *b)
{
    const struct range *left = a, *right = b;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* Sorted, without overlaps. */
static void merge(struct ranges *ranges)
{
    size_t kept = 0;
    if (ranges->count > 1)
        qsort(ranges->items, ranges->count, sizeof *ranges->items, compare);
    for (size_t i = 0; i < ranges->count; i++) {
        const struct range range = ranges->items[i];
        if (kept > 0 && range.begin <= ranges->items[kept - 1].end) {
            if (range.end > ranges->items[kept - 1].end)
                ranges->items[kept - 1].end = range.end;
        } else {
            ranges->items[kept++] = range;
        }
    }
    ranges->count = kept;
}

/* Number of the first range that ends behind `address`. */
static size_t first_behind(const struct ranges *ranges, uintptr_t address)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ranges->items[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_needed(const struct ranges *ranges, const struct md_tensor *tensor)
{
    const uintptr_t begin = (uintptr_t)tensor->bytes;
    const size_t first = first_behind(ranges, begin);
    return first < ranges->count && ranges->items[first].begin < begin + md_tensor_size(tensor);
}

static void release_constants(struct md_model *model, struct md_graph *graph, const struct ranges *ranges)
{
    for (size_t i = 0; i < graph->value_count; i++) {
        struct md_tensor *constant = (struct md_tensor *)(uintptr_t)graph->values[i].constant; /* in the arena */
        if (constant == NULL || constant->bytes == NULL || constant->count == 0 || is_needed(ranges, constant))
            continue;
        md_arena_release(&model->arena, constant->bytes);
        constant->bytes = NULL;
    }
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t j = 0; j < graph->nodes[i].subgraph_count; j++)
            release_constants(model, graph->nodes[i].subgraphs[j], ranges);
}

static void release_pages(struct md_model *model, const struct ranges *ranges)
{
    for (size_t i = 0; i < model->mapping_count; i++) {
        const struct md_file_mapping *mapping = &model->mappings[i];
        uintptr_t at = (uintptr_t)mapping->bytes;
        const uintptr_t end = at + mapping->size;
        for (size_t j = first_behind(ranges, at); at < end; j++) {
            const bool last = j >= ranges->count || ranges->items[j].begin >= end;
            const uintptr_t until = last ? end : ranges->items[j].begin;
            if (until > at)
                model->released_bytes += md_file_release_pages(mapping, at - (uintptr_t)mapping->bytes, until - at);
            at = last ? end : ranges->items[j].end;
        }
    }
}

enum md_code md_constants_release(struct md_model *model, const struct md_program *program, struct md_error *error)
{
    struct ranges ranges = { .items = NULL };
    need_program(&ranges, program);
    ranges.items = md_allocate_zeroed(model->allocator, ranges.count + 1, sizeof *ranges.items);
    if (ranges.items == NULL)
        return md_fail_memory(error, "list of constants");
    ranges.count = 0;
    need_program(&ranges, program);
    merge(&ranges);
    release_constants(model, model->graph, &ranges);
    release_pages(model, &ranges);
    md_release(model->allocator, ranges.items);
    md_process_allocator_trim();
    return MD_OK;
}
