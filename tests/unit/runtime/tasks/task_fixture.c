/* task_fixture.c - see task_fixture.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "task_fixture.h"

#include "graph.h"

#include <string.h>

const struct session_options any_shape = { .rows = -1, .tokens = -1, .classes = 2 };
const char *const plain_tokenizer =
    "{'model':{'type':'WordLevel','unk_token':'?','vocab':{'[PAD]':0,'a':1,'b':2,'c':3,'d':4,'?':5}},"
    "'pre_tokenizer':{'type':'WhitespaceSplit'},'padding':{'pad_id':0}}";

enum { IDS, MASK, EXTRA, TABLE, ROWS, LOGITS, VALUE_COUNT };

static void set_type(struct md_graph_value *value, const char *name, enum md_datatype datatype, int32_t rank,
                     const int64_t *dims)
{
    *value = (struct md_graph_value){
        .name = name,
        .producer = -1,
        .type = { .kind = MD_TYPE_TENSOR, .datatype = datatype, .has_shape = dims != NULL }
    };
    if (dims != NULL)
        value->type.shape = md_shape_of(rank, dims);
}

static const struct md_tensor *make_table(struct md_arena *arena, int64_t classes)
{
    struct md_tensor *table = md_arena_allocate(arena, sizeof *table);
    struct md_shape shape = { .rank = 2, .dims = { FIXTURE_TOKENS, classes } };
    float *numbers = md_arena_allocate(arena, FIXTURE_TOKENS * 8 * sizeof *numbers);
    for (int64_t i = 0; i < FIXTURE_TOKENS * classes; i++)
        numbers[i] = (float)(i / classes) * (float)(i % classes + 1) / 10.0f;
    assert_int_equal(md_tensor_describe(MD_FP32, &shape, numbers, table, NULL), MD_OK);
    return table;
}

static void set_node(struct md_node *node, const char *op_type, int64_t opset, int32_t first, int32_t second,
                     int32_t output, struct md_arena *arena)
{
    int32_t *operands = md_arena_allocate(arena, 3 * sizeof *operands);
    operands[0] = first;
    operands[1] = second;
    operands[2] = output;
    *node = (struct md_node){ .name = op_type, .domain = "", .op_type = op_type, .opset = opset,
                              .input_count = second < 0 ? 1 : 2, .inputs = operands,
                              .output_count = 1, .outputs = operands + 2 };
}

static void set_reduction(struct md_node *node, struct md_arena *arena)
{
    static const int64_t axes[] = { 1 };
    struct md_attribute *items = md_arena_allocate_zeroed(arena, 2, sizeof *items);
    items[0] =
        (struct md_attribute){ .name = "axes", .kind = MD_ATTRIBUTE_INTS, .count = 1, .value.ints = axes };
    items[1] =
        (struct md_attribute){ .name = "keepdims", .kind = MD_ATTRIBUTE_INT, .count = 1, .value.i = 0 };
    node->attributes = (struct md_attributes){ items, 2 };
}

static void set_values(struct md_graph *graph, const struct session_options *options, struct md_arena *arena)
{
    int64_t input[2] = { options->rows, options->tokens };
    int64_t table[2] = { FIXTURE_TOKENS, options->classes };
    int64_t output[2] = { -1, options->classes };
    enum md_datatype datatype = options->int32 ? MD_INT32 : MD_INT64;
    set_type(&graph->values[IDS], "input_ids", datatype, 2, input);
    set_type(&graph->values[MASK], "attention_mask", datatype, 2, input);
    set_type(&graph->values[EXTRA], options->extra == NULL ? "" : options->extra, datatype, 2, input);
    set_type(&graph->values[TABLE], "table", MD_FP32, 2, table);
    graph->values[TABLE].constant = make_table(arena, options->classes);
    set_type(&graph->values[ROWS], "rows", MD_FP32, 0, NULL);
    set_type(&graph->values[LOGITS], "logits", MD_FP32, 2, options->hide_classes ? NULL : output);
    graph->values[ROWS].producer = 0;
    graph->values[LOGITS].producer = 1;
}

struct md_session *make_session(const struct session_options *options)
{
    const struct md_allocator *allocator = md_process_allocator();
    struct md_model *model = md_allocate_zeroed(allocator, 1, sizeof *model);
    assert_non_null(model);
    model->allocator = allocator;
    md_arena_init(&model->arena, allocator, 0);
    struct md_arena *arena = &model->arena;
    struct md_graph *graph = md_arena_allocate_zeroed(arena, 1, sizeof *graph);
    assert_non_null(graph);
    model->graph = graph;
    graph->name = "sums";
    graph->value_count = VALUE_COUNT;
    graph->values = md_arena_allocate_zeroed(arena, VALUE_COUNT, sizeof *graph->values);
    set_values(graph, options, arena);
    graph->node_count = 2;
    graph->nodes = md_arena_allocate_zeroed(arena, 2, sizeof *graph->nodes);
    set_node(&graph->nodes[0], "Gather", 11, TABLE, IDS, ROWS, arena);
    set_node(&graph->nodes[1], "ReduceSum", 11, ROWS, -1, LOGITS, arena);
    set_reduction(&graph->nodes[1], arena);
    graph->inputs = md_arena_allocate(arena, 4 * sizeof *graph->inputs);
    graph->input_count = options->extra == NULL ? 2 : 3;
    for (int32_t i = 0; i < 3; i++)
        graph->inputs[i] = i;
    graph->outputs = graph->inputs + 3;
    graph->outputs[0] = LOGITS;
    graph->output_count = 1;
    struct md_session *session = NULL;
    struct md_error error = { "" };
    if (md_session_create(allocator, model, NULL, &session, &error) != MD_OK)
        fail_msg("%s", error.message);
    return session;
}

static void write_json(const char *folder, const char *name, const char *json)
{
    char path[MD_TEST_PATH_SIZE];
    char text[4096];
    if (json == NULL)
        return;
    size_t size = strlen(json);
    assert_true(size < sizeof text);
    for (size_t i = 0; i < size; i++)
        text[i] = json[i] == '\'' ? '"' : json[i];
    md_test_join(path, folder, name);
    md_test_write_file(path, text, size);
}

void make_directory(char out_path[MD_TEST_PATH_SIZE], const char *tokenizer, const char *config,
                    const char *model)
{
    md_test_make_folder(out_path);
    write_json(out_path, "tokenizer.json", tokenizer);
    write_json(out_path, "config.json", config);
    write_json(out_path, "model.json", model);
}

struct md_task *make_task(const struct md_session *session, const char *tokenizer, const char *config,
                          const char *model)
{
    char folder[MD_TEST_PATH_SIZE];
    struct md_task *task = NULL;
    struct md_error error = { "" };
    make_directory(folder, tokenizer, config, model);
    enum md_code code = md_task_create(md_process_allocator(), folder, session, &task, &error);
    md_test_remove_folder(folder);
    if (code != MD_OK)
        fail_msg("%s", error.message);
    return task;
}

const char *find_entry(const struct md_task *task, const char *key)
{
    const struct md_configuration_entry *entries;
    size_t count = md_task_configuration(task, &entries);
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].key, key) == 0)
            return entries[i].value;
    return NULL;
}
