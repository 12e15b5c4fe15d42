/* graph_image.c - see graph_image.h. */
#include "graph_image.h"

#include "allocator.h"
#include "graph_check.h"
#include "model_import.h"

enum { INLINE_BYTES = 4096 };

/* Where the elements of a tensor are. */
enum storage { STORAGE_NONE, STORAGE_INLINE, STORAGE_TEXTS, STORAGE_PLACED, STORAGE_COUNT };

/* One stream with its place. */
struct image {
    struct md_byte_stream *stream;
    struct md_image_place *place;
    size_t depth; /* of the graph, in others */
};

static void fail(struct image *image)
{
    md_byte_stream_fail(image->stream);
}

/* A small number that is an enum or an int32_t in memory. */
static int32_t number(struct image *image, int64_t value, int64_t low, int64_t high)
{
    md_byte_stream_signed(image->stream, &value);
    if (value < low || value > high) {
        fail(image);
        return 0;
    }
    return (int32_t)value;
}

static enum md_datatype datatype(struct image *image, enum md_datatype value)
{
    return (enum md_datatype)number(image, value, 0, MD_DATATYPE_COUNT - 1);
}

static void shape(struct image *image, struct md_shape *value, int64_t least)
{
    value->rank = number(image, value->rank, 0, MD_MAX_RANK);
    for (int32_t i = 0; i < value->rank; i++) {
        md_byte_stream_signed(image->stream, &value->dims[i]);
        if (value->dims[i] < least)
            fail(image);
    }
}

/* ---- tensors ---- */
static enum storage storage_of(const struct md_tensor *tensor)
{
    if (tensor->count == 0)
        return STORAGE_INLINE;
    if (tensor->bytes == NULL)
        return STORAGE_NONE;
    if (tensor->datatype == MD_BYTES)
        return STORAGE_TEXTS;
    return md_tensor_size(tensor) < INLINE_BYTES ? STORAGE_INLINE : STORAGE_PLACED;
}

static void inline_elements(struct image *image, struct md_tensor *tensor)
{
    const size_t size = md_tensor_size(tensor);
    size_t stored = size;
    const void *bytes = md_byte_stream_numbers(image->stream, &stored, 1, tensor->bytes);
    if (stored != size)
        fail(image);
    else if (image->stream->reading && size > 0)
        tensor->bytes = (void *)(uintptr_t)bytes; /* in the arena */
}

static void text_elements(struct image *image, struct md_tensor *tensor)
{
    size_t count = tensor->count;
    struct md_span *texts = md_byte_stream_array(image->stream, &count, sizeof *texts, tensor->bytes);
    if (count != tensor->count)
        fail(image);
    for (size_t i = 0; i < count; i++)
        md_byte_stream_span(image->stream, &texts[i]);
    tensor->bytes = texts;
}

static void placed_elements(struct image *image, struct md_tensor *tensor)
{
    const size_t size = md_tensor_size(tensor);
    const struct md_span *content = &image->place->content;
    size_t offset = 0;
    if (!image->stream->reading && !image->place->add(image->place, tensor->bytes, size, &offset))
        fail(image);
    md_byte_stream_size(image->stream, &offset, SIZE_MAX / 2);
    if (!image->stream->reading || !md_byte_stream_ok(image->stream))
        return;
    if (offset % MD_ALIGNMENT != 0 || offset > content->size || size > content->size - offset)
        fail(image);
    else
        tensor->bytes = (void *)(uintptr_t)(content->bytes + offset); /* constants are never written to */
}

/* Kernels index tables with these. */
static bool elements_are_legal(const struct md_tensor *tensor)
{
    const enum md_datatype type = tensor->datatype;
    const bool nibble = type == MD_UINT4 || type == MD_FP4E2M1;
    if (tensor->bytes == NULL || (type != MD_BOOL && type != MD_INT4 && !nibble))
        return true;
    const int low = type == MD_INT4 ? -8 : 0, high = type == MD_BOOL ? 1 : type == MD_INT4 ? 7 : 15;
    const int8_t *elements = tensor->bytes;
    bool legal = true;
    for (size_t i = 0; i < tensor->count; i++)
        legal = legal && elements[i] >= low && elements[i] <= high;
    return legal;
}

/* may_lack: elements may be absent. */
static void tensor(struct image *image, struct md_tensor *value, bool may_lack)
{
    value->datatype = datatype(image, value->datatype);
    shape(image, &value->shape, 0);
    if (image->stream->reading && !md_shape_count(&value->shape, value->datatype, &value->count))
        fail(image);
    const enum storage storage = (enum storage)number(image, storage_of(value), 0, STORAGE_COUNT - 1);
    if (value->datatype == MD_DATATYPE_NONE || (value->datatype == MD_BYTES) != (storage == STORAGE_TEXTS))
        if (storage == STORAGE_TEXTS || value->count > 0 || value->datatype == MD_DATATYPE_NONE)
            fail(image);
    if (!md_byte_stream_ok(image->stream) && !image->stream->reading)
        return;
    if (!md_byte_stream_ok(image->stream)) {
        *value = (struct md_tensor){ .datatype = MD_UINT8, .shape = { 1, { 0 } } };
        return;
    }
    if (storage == STORAGE_INLINE)
        inline_elements(image, value);
    else if (storage == STORAGE_TEXTS)
        text_elements(image, value);
    else if (storage == STORAGE_PLACED)
        placed_elements(image, value);
    else if (!may_lack)
        fail(image);
    if (image->stream->reading && !elements_are_legal(value))
        fail(image);
}

/* ---- values ---- */
static void value_type(struct image *image, struct md_value_type *type)
{
    bool named = type->dim_names != NULL;
    type->kind = (enum md_type_kind)number(image, type->kind, 0, MD_TYPE_OPTIONAL);
    md_byte_stream_flag(image->stream, &type->optional);
    type->datatype = datatype(image, type->datatype);
    md_byte_stream_flag(image->stream, &type->has_shape);
    shape(image, &type->shape, -1);
    md_byte_stream_flag(image->stream, &named);
    size_t count = (size_t)type->shape.rank;
    if (!named)
        return;
    type->dim_names = md_byte_stream_array(image->stream, &count, sizeof *type->dim_names, type->dim_names);
    if (count != (size_t)type->shape.rank)
        fail(image);
    for (size_t i = 0; i < count; i++) {
        bool present = type->dim_names[i] != NULL;
        md_byte_stream_flag(image->stream, &present);
        if (present)
            md_byte_stream_text(image->stream, &type->dim_names[i]);
    }
}

static void graph_value(struct image *image, struct md_graph_value *value)
{
    bool constant = value->constant != NULL;
    md_byte_stream_text(image->stream, &value->name);
    value_type(image, &value->type);
    md_byte_stream_flag(image->stream, &constant);
    if (!constant)
        return;
    struct md_tensor copy = { 0 };
    if (!image->stream->reading)
        copy = *value->constant;
    tensor(image, &copy, true);
    if (!image->stream->reading)
        return;
    struct md_tensor *kept = md_arena_allocate(image->stream->arena, sizeof *kept);
    if (kept == NULL) {
        fail(image);
        return;
    }
    *kept = copy;
    value->constant = kept;
}

/* ---- attributes ---- */
static size_t subgraph_index(const struct md_node *node, const struct md_graph *graph)
{
    size_t index = 0;
    while (index < node->subgraph_count && node->subgraphs[index] != graph)
        index++;
    return index;
}

static void graph_attribute(struct image *image, const struct md_node *node, struct md_attribute *attribute)
{
    size_t index = image->stream->reading ? 0 : subgraph_index(node, attribute->value.graph);
    md_byte_stream_size(image->stream, &index, SIZE_MAX);
    if (index >= node->subgraph_count)
        fail(image);
    else
        attribute->value.graph = node->subgraphs[index];
}

static void list_attribute(struct image *image, struct md_attribute *attribute)
{
    if (attribute->kind == MD_ATTRIBUTE_FLOATS) {
        attribute->value.floats =
            md_byte_stream_numbers(image->stream, &attribute->count, sizeof(float), attribute->value.floats);
    } else if (attribute->kind == MD_ATTRIBUTE_INTS) {
        attribute->value.ints =
            md_byte_stream_numbers(image->stream, &attribute->count, sizeof(int64_t), attribute->value.ints);
    } else if (attribute->kind == MD_ATTRIBUTE_STRINGS) {
        struct md_span *texts =
            md_byte_stream_array(image->stream, &attribute->count, sizeof *texts, attribute->value.strings);
        for (size_t i = 0; i < attribute->count; i++)
            md_byte_stream_span(image->stream, &texts[i]);
        attribute->value.strings = texts;
    } else {
        struct md_tensor *tensors =
            md_byte_stream_array(image->stream, &attribute->count, sizeof *tensors, attribute->value.tensors);
        for (size_t i = 0; i < attribute->count; i++)
            tensor(image, &tensors[i], false);
        attribute->value.tensors = tensors;
    }
}

static void attribute(struct image *image, const struct md_node *node, struct md_attribute *value)
{
    md_byte_stream_text(image->stream, &value->name);
    value->kind = (enum md_attribute_kind)number(image, value->kind, 0, MD_ATTRIBUTE_TYPE);
    switch (value->kind) {
    case MD_ATTRIBUTE_FLOAT:
        md_byte_stream_raw(image->stream, &value->value.f, sizeof value->value.f);
        return;
    case MD_ATTRIBUTE_INT:
        md_byte_stream_signed(image->stream, &value->value.i);
        return;
    case MD_ATTRIBUTE_STRING:
        md_byte_stream_span(image->stream, &value->value.string);
        return;
    case MD_ATTRIBUTE_TENSOR:
    case MD_ATTRIBUTE_SPARSE_TENSOR:
        tensor(image, &value->value.tensor, false);
        return;
    case MD_ATTRIBUTE_GRAPH:
        graph_attribute(image, node, value);
        return;
    case MD_ATTRIBUTE_FLOATS:
    case MD_ATTRIBUTE_INTS:
    case MD_ATTRIBUTE_STRINGS:
    case MD_ATTRIBUTE_TENSORS:
        list_attribute(image, value);
        return;
    case MD_ATTRIBUTE_TYPE:
        value->value.type = datatype(image, value->value.type);
        return;
    default:
        fail(image);
    }
}

/* ---- graphs ---- */
static int32_t *indices(struct image *image, size_t *count, const int32_t *items)
{
    return (int32_t *)(uintptr_t)md_byte_stream_numbers(image->stream, count, sizeof *items, items);
}

static void graph(struct image *image, struct md_graph *value);

static void subgraphs(struct image *image, struct md_node *node)
{
    node->subgraphs = md_byte_stream_array(image->stream, &node->subgraph_count, sizeof *node->subgraphs, node->subgraphs);
    for (size_t i = 0; i < node->subgraph_count; i++) {
        if (image->stream->reading)
            node->subgraphs[i] = md_arena_allocate_zeroed(image->stream->arena, 1, sizeof *node->subgraphs[i]);
        if (node->subgraphs[i] == NULL) {
            fail(image);
            node->subgraph_count = i;
            return;
        }
        graph(image, node->subgraphs[i]);
    }
}

static void node(struct image *image, struct md_node *value)
{
    md_byte_stream_text(image->stream, &value->name);
    md_byte_stream_text(image->stream, &value->domain);
    md_byte_stream_text(image->stream, &value->op_type);
    md_byte_stream_signed(image->stream, &value->opset);
    value->inputs = indices(image, &value->input_count, value->inputs);
    value->outputs = indices(image, &value->output_count, value->outputs);
    subgraphs(image, value);
    struct md_attribute *items = md_byte_stream_array(image->stream, &value->attributes.count, sizeof *items,
                                                      value->attributes.items);
    value->attributes.items = items;
    for (size_t i = 0; i < value->attributes.count; i++)
        attribute(image, value, &items[i]);
}

static void graph(struct image *image, struct md_graph *value)
{
    struct md_byte_stream *stream = image->stream;
    if (image->depth == MD_MAX_NESTING) {
        fail(image);
        return;
    }
    image->depth++;
    md_byte_stream_text(stream, &value->name);
    value->values = md_byte_stream_array(stream, &value->value_count, sizeof *value->values, value->values);
    for (size_t i = 0; i < value->value_count; i++)
        graph_value(image, &value->values[i]);
    value->inputs = indices(image, &value->input_count, value->inputs);
    value->outputs = indices(image, &value->output_count, value->outputs);
    value->captures = (struct md_capture *)(uintptr_t)md_byte_stream_numbers(stream, &value->capture_count,
                                                                             sizeof *value->captures, value->captures);
    value->nodes = md_byte_stream_array(stream, &value->node_count, sizeof *value->nodes, value->nodes);
    for (size_t i = 0; i < value->node_count; i++)
        node(image, &value->nodes[i]);
    image->depth--;
}

static void opsets(struct md_byte_stream *stream, struct md_model *model)
{
    struct md_opset *items = md_byte_stream_array(stream, &model->opset_count, sizeof *items, model->opsets);
    model->opsets = items;
    for (size_t i = 0; i < model->opset_count; i++) {
        md_byte_stream_text(stream, &items[i].domain);
        md_byte_stream_signed(stream, &items[i].version);
    }
}

void md_graph_image(struct md_byte_stream *stream, struct md_image_place *place, struct md_model *model)
{
    struct image image = { .stream = stream, .place = place };
    md_byte_stream_signed(stream, &model->ir_version);
    md_byte_stream_text(stream, &model->producer);
    md_byte_stream_size(stream, &model->constant_bytes, SIZE_MAX);
    opsets(stream, model);
    if (stream->reading)
        model->graph = md_arena_allocate_zeroed(stream->arena, 1, sizeof *model->graph);
    if (model->graph == NULL)
        md_byte_stream_fail(stream);
    if (!md_byte_stream_ok(stream))
        return;
    graph(&image, model->graph);
    if (stream->reading && md_byte_stream_ok(stream) && !md_graph_check(stream->arena, model->graph))
        md_byte_stream_fail(stream);
}
