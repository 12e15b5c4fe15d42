/* test_fusing.c - each fusing pass: a graph as exporters write it gives the same output with the pass and without it,
 * in fewer nodes; a graph that only looks like it is left alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "allocator.h"
#include "graph.h"
#include "md_test.h"
#include "session.h"

#include <math.h>
#include <string.h>

enum { MAX_VALUES = 64, MAX_NODES = 32, MAX_OPERANDS = 4, BATCH = 2, ROWS = 5, HEADS = 2, SIZE = 6, WIDTH = HEADS * SIZE };

struct builder {
    struct md_model *model;
    struct md_graph *graph;
    unsigned seed;
};

static void *allocate(struct builder *builder, size_t count, size_t size)
{
    void *memory = md_arena_allocate_zeroed(&builder->model->arena, count, size);
    assert_non_null(memory);
    return memory;
}

static void begin(struct builder *builder)
{
    builder->seed = 1;
    builder->model = md_allocate_zeroed(md_process_allocator(), 1, sizeof *builder->model);
    builder->model->allocator = md_process_allocator();
    md_arena_init(&builder->model->arena, md_process_allocator(), 0);
    builder->graph = builder->model->graph = allocate(builder, 1, sizeof *builder->graph);
    builder->graph->name = "hand";
    builder->graph->values = allocate(builder, MAX_VALUES, sizeof *builder->graph->values);
    builder->graph->nodes = allocate(builder, MAX_NODES, sizeof *builder->graph->nodes);
    builder->graph->inputs = allocate(builder, 1, sizeof *builder->graph->inputs);
    builder->graph->outputs = allocate(builder, 2, sizeof *builder->graph->outputs);
}

static int32_t new_value(struct builder *builder)
{
    assert_true(builder->graph->value_count < MAX_VALUES);
    builder->graph->values[builder->graph->value_count] = (struct md_graph_value){ .name = "", .producer = -1 };
    return (int32_t)builder->graph->value_count++;
}

static float next_number(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return (float)(*seed >> 16 & 0x7FFF) / 16384.0f - 1.0f;
}

/* NULL numbers: random ones. */
static int32_t constant(struct builder *builder, enum md_datatype datatype, int32_t rank, const int64_t *dims,
                        const void *numbers)
{
    struct md_shape shape = md_shape_of(rank, dims);
    struct md_tensor *tensor = allocate(builder, 1, sizeof *tensor);
    assert_int_equal(md_tensor_describe(datatype, &shape, NULL, tensor, NULL), MD_OK);
    tensor->bytes = allocate(builder, tensor->count, md_datatype_size(datatype));
    for (size_t i = 0; numbers == NULL && i < tensor->count; i++)
        md_elements(float, tensor)[i] = next_number(&builder->seed);
    if (numbers != NULL)
        memcpy(tensor->bytes, numbers, md_tensor_size(tensor));
    int32_t value = new_value(builder);
    builder->graph->values[value].constant = tensor;
    return value;
}

static int32_t number(struct builder *builder, float value)
{
    return constant(builder, MD_FP32, 0, NULL, &value);
}

static int32_t row(struct builder *builder, int64_t count)
{
    return constant(builder, MD_FP32, 1, &count, NULL);
}

static int32_t input(struct builder *builder)
{
    int32_t value = new_value(builder);
    builder->graph->values[value].name = "x";
    builder->graph->values[value].type = (struct md_value_type){ .kind = MD_TYPE_TENSOR, .datatype = MD_FP32 };
    builder->graph->inputs[builder->graph->input_count++] = value;
    return value;
}

static void output(struct builder *builder, int32_t value)
{
    builder->graph->values[value].type.kind = MD_TYPE_TENSOR;
    builder->graph->outputs[builder->graph->output_count++] = value;
}

static int32_t node(struct builder *builder, const char *op_type, int32_t a, int32_t b)
{
    struct md_graph *graph = builder->graph;
    struct md_node *added = &graph->nodes[graph->node_count];
    assert_true(graph->node_count < MAX_NODES);
    int32_t *operands = allocate(builder, MAX_OPERANDS, sizeof *operands);
    int32_t made = new_value(builder);
    operands[0] = a;
    operands[1] = b;
    operands[3] = made;
    *added = (struct md_node){ .name = op_type, .domain = "", .op_type = op_type, .opset = 17,
                               .input_count = b == MD_NO_VALUE ? 1 : 2, .inputs = operands,
                               .output_count = 1, .outputs = operands + 3 };
    graph->values[made].producer = (int32_t)graph->node_count++;
    return made;
}

/* Gives the last node an attribute: a list of integers, or one integer. */
static void set_ints(struct builder *builder, const char *name, size_t count, const int64_t *values)
{
    struct md_node *last = &builder->graph->nodes[builder->graph->node_count - 1];
    int64_t *kept = allocate(builder, count, sizeof *kept);
    struct md_attribute *attribute = allocate(builder, 1, sizeof *attribute);
    memcpy(kept, values, count * sizeof *kept);
    *attribute = (struct md_attribute){ .name = name, .kind = MD_ATTRIBUTE_INTS, .count = count, .value.ints = kept };
    last->attributes = (struct md_attributes){ attribute, 1 };
}

static int32_t transpose(struct builder *builder, int32_t x, const int64_t order[4])
{
    int32_t made = node(builder, "Transpose", x, MD_NO_VALUE);
    set_ints(builder, "perm", 4, order);
    return made;
}

static int32_t mean(struct builder *builder, int32_t x, int64_t axis)
{
    int32_t made = node(builder, "ReduceMean", x, MD_NO_VALUE);
    set_ints(builder, "axes", 1, &axis);
    return made;
}

/* ---- running ---- */
enum { MAX_RESULT = 4096 };

struct result {
    float elements[MAX_RESULT];
    size_t count, nodes;
};

typedef void (*make_fn)(struct builder *builder);

/* Sequences [first, BATCH) of an input of numbers below `magnitude`. */
static void run_batch(make_fn make, const char *disabled, enum md_precision precision, float magnitude, size_t first,
                      struct result *out_result)
{
    struct builder builder;
    struct md_session *session;
    struct md_run *run;
    struct md_run_memory memory;
    static float x[BATCH * ROWS * WIDTH];
    unsigned seed = 7;
    for (size_t i = 0; i < BATCH * ROWS * WIDTH; i++)
        x[i] = magnitude * next_number(&seed);
    begin(&builder);
    make(&builder);
    struct md_session_options options = { .disabled_passes = disabled, .precision = precision };
    assert_int_equal(md_session_create(md_process_allocator(), builder.model, &options, &session, NULL), MD_OK);
    assert_int_equal(md_run_create(session, &run, NULL), MD_OK);
    struct md_tensor tensor;
    struct md_shape shape = md_shape_of(3, (const int64_t[]){ BATCH - (int64_t)first, ROWS, WIDTH });
    assert_int_equal(md_tensor_describe(MD_FP32, &shape, x + first * ROWS * WIDTH, &tensor, NULL), MD_OK);
    assert_int_equal(md_run_set_input_tensor(run, 0, &tensor, NULL), MD_OK);
    struct md_error error = { .message = "" };
    if (md_run_execute(run, &error) != MD_OK)
        fail_msg("%s", error.message);
    const struct md_tensor *got = &md_run_output(run, 0)->tensor;
    assert_true(got->count <= MAX_RESULT);
    memcpy(out_result->elements, got->bytes, got->count * sizeof(float));
    out_result->count = got->count;
    md_run_memory(run, &memory);
    out_result->nodes = memory.node_count;
    md_run_destroy(run);
    md_session_destroy(session);
}

static void run_model(make_fn make, const char *disabled, struct result *out_result)
{
    run_batch(make, disabled, MD_PRECISION_FP32, 3.0f, 0, out_result);
}

/* Same output with all passes, without `pass`, and without any; `saved` nodes fewer with it (0: it must not match). */
static void check(make_fn make, const char *pass, size_t saved)
{
    static struct result with, without, plain;
    run_model(make, NULL, &with);
    run_model(make, pass, &without);
    run_model(make, "all", &plain);
    assert_int_equal(without.nodes - with.nodes, saved);
    assert_int_equal(with.count, plain.count);
    for (size_t i = 0; i < plain.count; i++)
        if (!(fabsf(with.elements[i] - plain.elements[i]) <= 2e-6f * (1.0f + fabsf(plain.elements[i]))) ||
            !(fabsf(without.elements[i] - plain.elements[i]) <= 2e-6f * (1.0f + fabsf(plain.elements[i]))))
            fail_msg("element %zu is %g, without the pass %g, without all %g", i, (double)with.elements[i],
                     (double)without.elements[i], (double)plain.elements[i]);
}

/* ---- GELU ---- */
static int32_t bracket(struct builder *b, int32_t x, bool divide)
{
    int32_t scaled = divide ? node(b, "Div", x, number(b, 1.41421356f)) : node(b, "Mul", number(b, 0.70710678f), x);
    return node(b, "Add", node(b, "Erf", scaled, MD_NO_VALUE), number(b, 1.0f));
}

static void gelu_half_last(struct builder *b)
{
    int32_t x = input(b);
    output(b, node(b, "Mul", node(b, "Mul", x, bracket(b, x, true)), number(b, 0.5f)));
}

static void gelu_half_first(struct builder *b)
{
    int32_t x = input(b);
    output(b, node(b, "Mul", node(b, "Mul", number(b, 0.5f), x), bracket(b, x, false)));
}

static void gelu_half_inside(struct builder *b)
{
    int32_t x = input(b);
    int32_t erf = node(b, "Erf", node(b, "Div", x, number(b, 1.41421356f)), MD_NO_VALUE);
    output(b, node(b, "Mul", x, node(b, "Add", node(b, "Mul", erf, number(b, 0.5f)), number(b, 0.5f))));
}

static void gelu_tanh(struct builder *b)
{
    int32_t x = input(b);
    int32_t cubic = node(b, "Mul", number(b, 0.044715f), node(b, "Pow", x, number(b, 3.0f)));
    int32_t inner = node(b, "Mul", number(b, 0.7978845608f), node(b, "Add", x, cubic));
    int32_t sum = node(b, "Add", number(b, 1.0f), node(b, "Tanh", inner, MD_NO_VALUE));
    output(b, node(b, "Mul", node(b, "Mul", x, number(b, 0.5f)), sum));
}

static void gelu_tanh_products(struct builder *b)
{
    int32_t x = input(b);
    int32_t square = node(b, "Mul", node(b, "Mul", x, number(b, 0.044715f)), x);
    int32_t sum = node(b, "Add", number(b, 1.0f), square);
    int32_t inner = node(b, "Mul", node(b, "Mul", x, number(b, 0.7978845608f)), sum);
    int32_t tanh_sum = node(b, "Add", node(b, "Tanh", inner, MD_NO_VALUE), number(b, 1.0f));
    output(b, node(b, "Mul", node(b, "Mul", number(b, 0.5f), x), tanh_sum));
}

static void not_gelu_factor(struct builder *b)
{
    int32_t x = input(b);
    output(b, node(b, "Mul", node(b, "Mul", x, bracket(b, x, true)), number(b, 0.501f)));
}

static void not_gelu_other_value(struct builder *b)
{
    int32_t x = input(b), y = node(b, "Neg", x, MD_NO_VALUE);
    output(b, node(b, "Mul", node(b, "Mul", y, bracket(b, x, true)), number(b, 0.5f)));
}

static void test_gelu_in_all_spellings(void **state)
{
    (void)state;
    check(gelu_half_last, "gelu", 4);
    check(gelu_half_first, "gelu", 4);
    check(gelu_half_inside, "gelu", 4);
    check(gelu_tanh, "gelu", 7);
    check(gelu_tanh_products, "gelu", 8);
    check(not_gelu_factor, "gelu", 0);
    check(not_gelu_other_value, "gelu", 0);
}

/* ---- layer normalization ---- */
static void layer_norm_over(struct builder *b, int32_t x, int64_t axis, bool power)
{
    int32_t d = node(b, "Sub", x, mean(b, x, axis));
    int32_t square = power ? node(b, "Pow", d, number(b, 2.0f)) : node(b, "Mul", d, d);
    int32_t variance = mean(b, square, axis);
    int32_t root = node(b, "Sqrt", node(b, "Add", variance, number(b, 1e-5f)), MD_NO_VALUE);
    int32_t scaled = node(b, "Mul", node(b, "Div", d, root), row(b, WIDTH));
    output(b, node(b, "Add", scaled, row(b, WIDTH)));
}

static void layer_norm(struct builder *b)
{
    layer_norm_over(b, input(b), -1, true);
}

static void layer_norm_product(struct builder *b)
{
    layer_norm_over(b, input(b), -1, false);
}

static void not_layer_norm_axis(struct builder *b)
{
    layer_norm_over(b, input(b), 1, true);
}

static void layer_norm_of_sum(struct builder *b)
{
    int32_t x = input(b);
    layer_norm_over(b, node(b, "Add", x, node(b, "Neg", row(b, WIDTH), MD_NO_VALUE)), -1, true);
}

static void layer_norm_of_equal_shapes(struct builder *b)
{
    int32_t x = input(b);
    layer_norm_over(b, node(b, "Add", x, node(b, "Exp", x, MD_NO_VALUE)), -1, true);
}

static void test_layer_normalization_and_skip(void **state)
{
    (void)state;
    check(layer_norm, "layer-normalization", 8);
    check(layer_norm_product, "layer-normalization", 8);
    check(not_layer_norm_axis, "layer-normalization", 0);
    check(layer_norm_of_sum, "skip-layer-normalization", 1);
    check(layer_norm_of_equal_shapes, "skip-layer-normalization", 1);
}

/* ---- products with bias and activation ---- */
static int32_t product(struct builder *b, int32_t x, int64_t columns)
{
    const int64_t dims[] = { WIDTH, columns };
    return node(b, "MatMul", x, constant(b, MD_FP32, 2, dims, NULL));
}

static void linear_relu(struct builder *b)
{
    int32_t x = input(b);
    output(b, node(b, "Relu", node(b, "Add", row(b, 51), product(b, x, 51)), MD_NO_VALUE));
}

static void linear_tanh(struct builder *b)
{
    int32_t x = input(b);
    output(b, node(b, "Tanh", node(b, "Add", product(b, x, 7), row(b, 7)), MD_NO_VALUE));
}

static void linear_gelu(struct builder *b)
{
    int32_t x = node(b, "Add", product(b, input(b), 50), row(b, 50));
    output(b, node(b, "Mul", node(b, "Mul", x, bracket(b, x, true)), number(b, 0.5f)));
}

static void linear_read_twice(struct builder *b)
{
    int32_t x = node(b, "Add", product(b, input(b), 7), row(b, 7));
    output(b, node(b, "Relu", x, MD_NO_VALUE));
    output(b, x);
}

static void linear_alone(struct builder *b)
{
    output(b, product(b, input(b), 7));
}

static int32_t gemm_of(struct builder *b, bool transpose)
{
    const int64_t flat[] = { BATCH * ROWS, WIDTH }, two = 2, dims[] = { transpose ? 9 : WIDTH, transpose ? WIDTH : 9 };
    int32_t x = node(b, "Reshape", input(b), constant(b, MD_INT64, 1, &two, flat));
    int32_t made = node(b, "Gemm", x, constant(b, MD_FP32, 2, dims, NULL));
    struct md_node *last = &b->graph->nodes[b->graph->node_count - 1];
    last->inputs[2] = row(b, 9);
    last->input_count = 3;
    struct md_attribute *attribute = allocate(b, 1, sizeof *attribute);
    *attribute = (struct md_attribute){ .name = "transB", .kind = MD_ATTRIBUTE_INT, .value.i = transpose };
    last->attributes = (struct md_attributes){ attribute, 1 };
    return made;
}

static void linear_gemm(struct builder *b)
{
    output(b, node(b, "Relu", gemm_of(b, false), MD_NO_VALUE));
}

static void linear_gemm_transposed(struct builder *b)
{
    output(b, node(b, "Tanh", gemm_of(b, true), MD_NO_VALUE));
}

static void not_linear_one_element(struct builder *b)
{
    output(b, node(b, "Add", product(b, input(b), 7), row(b, 1)));
}

static void test_products_with_bias_and_activation(void **state)
{
    (void)state;
    check(linear_relu, "linear", 2);
    check(linear_tanh, "linear", 2);
    check(linear_gelu, "linear", 2);
    check(linear_read_twice, "linear", 1);
    check(linear_alone, "linear", 0); /* another node, not fewer */
    check(linear_gemm, "linear", 1);
    check(linear_gemm_transposed, "linear", 1);
    check(not_linear_one_element, "linear", 0);
}

/* ---- products of a dynamically quantised model ---- */
struct codes {
    int32_t values, scale, zero_point;
};

/* Adds an output to the last node. */
static int32_t more_output(struct builder *builder)
{
    struct md_node *last = &builder->graph->nodes[builder->graph->node_count - 1];
    int32_t *outputs = allocate(builder, last->output_count + 1, sizeof *outputs), made = new_value(builder);
    memcpy(outputs, last->outputs, last->output_count * sizeof *outputs);
    outputs[last->output_count++] = made;
    last->outputs = outputs;
    builder->graph->values[made].producer = (int32_t)builder->graph->node_count - 1;
    return made;
}

static struct codes codes_of(struct builder *b, int32_t x)
{
    struct codes codes = { .values = node(b, "DynamicQuantizeLinear", x, MD_NO_VALUE) };
    codes.scale = more_output(b);
    codes.zero_point = more_output(b);
    return codes;
}

static int32_t sums(struct builder *b, const struct codes *codes, int64_t columns, bool per_column)
{
    const int64_t dims[] = { WIDTH, columns }, one = 1, to = MD_FP32, *count = per_column ? &columns : &one;
    uint8_t bytes[WIDTH * 64], zeros[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(128.0f + 127.0f * next_number(&b->seed));
    for (size_t i = 0; i < sizeof zeros; i++)
        zeros[i] = (uint8_t)(120 + i);
    int32_t *inputs = allocate(b, 4, sizeof *inputs);
    inputs[0] = codes->values;
    inputs[1] = constant(b, MD_UINT8, 2, dims, bytes);
    inputs[2] = codes->zero_point;
    inputs[3] = constant(b, MD_UINT8, 1, count, zeros);
    int32_t made = node(b, "MatMulInteger", inputs[0], inputs[1]);
    struct md_node *last = &b->graph->nodes[b->graph->node_count - 1];
    last->inputs = inputs;
    last->input_count = 4;
    made = node(b, "Cast", made, MD_NO_VALUE);
    struct md_attribute *attribute = allocate(b, 1, sizeof *attribute);
    *attribute = (struct md_attribute){ .name = "to", .kind = MD_ATTRIBUTE_INT, .value.i = to };
    b->graph->nodes[b->graph->node_count - 1].attributes = (struct md_attributes){ attribute, 1 };
    return made;
}

static int32_t quantized(struct builder *b, const struct codes *codes, int64_t columns, bool per_column)
{
    float scales[64];
    const int64_t one = 1, *count = per_column ? &columns : &one;
    for (size_t i = 0; i < 64; i++)
        scales[i] = 0.001f * (float)(i + 1);
    int32_t factor = node(b, "Mul", codes->scale, constant(b, MD_FP32, 1, count, scales));
    return node(b, "Mul", sums(b, codes, columns, per_column), factor);
}

static void quantized_alone(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    output(b, quantized(b, &codes, 51, true));
}

static void quantized_bias(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    output(b, node(b, "Add", row(b, 7), quantized(b, &codes, 7, false)));
}

static void quantized_relu(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    output(b, node(b, "Relu", node(b, "Add", quantized(b, &codes, 50, true), row(b, 50)), MD_NO_VALUE));
}

static void quantized_gelu(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    int32_t x = node(b, "Add", quantized(b, &codes, 50, true), row(b, 50));
    output(b, node(b, "Mul", node(b, "Mul", x, bracket(b, x, true)), number(b, 0.5f)));
}

static void quantized_twice(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    int32_t one = quantized(b, &codes, 48, true), other = quantized(b, &codes, 48, false);
    output(b, node(b, "Add", one, node(b, "Add", other, row(b, 48))));
}

static void not_quantized_scale(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    output(b, node(b, "Mul", sums(b, &codes, 7, true), node(b, "Mul", codes.scale, codes.scale)));
}

static void not_quantized_read_twice(struct builder *b)
{
    const struct codes codes = codes_of(b, input(b));
    int32_t cast = sums(b, &codes, 7, true), factor = node(b, "Mul", codes.scale, number(b, 0.1f));
    output(b, node(b, "Add", node(b, "Mul", cast, factor), cast));
}

static void test_products_of_dynamically_quantised_models(void **state)
{
    (void)state;
    check(quantized_alone, "quantized-linear", 3);
    check(quantized_bias, "quantized-linear", 4);
    check(quantized_relu, "quantized-linear", 5);
    check(quantized_gelu, "quantized-linear", 5);
    check(quantized_twice, "quantized-linear", 7);
    check(not_quantized_scale, "quantized-linear", 0);
    check(not_quantized_read_twice, "quantized-linear", 0);
}

/* ---- convolution ---- */
static int32_t convolution(struct builder *b, int32_t x)
{
    const int64_t dims[] = { 7, ROWS, 3 }, pads[] = { 1, 1 };
    int32_t made = node(b, "Conv", x, constant(b, MD_FP32, 3, dims, NULL));
    set_ints(b, "pads", 2, pads);
    return made;
}

static void convolution_relu(struct builder *b)
{
    output(b, node(b, "Relu", convolution(b, input(b)), MD_NO_VALUE));
}

static void convolution_read_twice(struct builder *b)
{
    int32_t made = convolution(b, input(b));
    output(b, node(b, "Add", node(b, "Relu", made, MD_NO_VALUE), made));
}

static void test_convolution_with_relu(void **state)
{
    (void)state;
    check(convolution_relu, "convolution", 1);
    check(convolution_read_twice, "convolution", 0);
}

/* ---- convolution-max ---- */
struct filters_form {
    bool no_relu, keep_dims, padded, not_transposed;
};

static int32_t filters(struct builder *b, struct filters_form form)
{
    const int64_t order[] = { 0, form.not_transposed ? 1 : 2, form.not_transposed ? 2 : 1 }, pads[] = { 1, 1 };
    const int64_t weights[] = { 50, form.not_transposed ? ROWS : WIDTH, 3 }, axis = 2;
    int32_t x = node(b, "Transpose", input(b), MD_NO_VALUE);
    set_ints(b, "perm", 3, order);
    x = node(b, "Conv", x, constant(b, MD_FP32, 3, weights, NULL));
    b->graph->nodes[b->graph->node_count - 1].inputs[2] = row(b, 50);
    b->graph->nodes[b->graph->node_count - 1].input_count = 3;
    if (form.padded)
        set_ints(b, "pads", 2, pads);
    x = form.no_relu ? x : node(b, "Relu", x, MD_NO_VALUE);
    x = node(b, "ReduceMax", x, MD_NO_VALUE);
    set_ints(b, "axes", 1, &axis);
    if (form.keep_dims)
        return x;
    struct md_attribute *both = allocate(b, 2, sizeof *both);
    both[0] = b->graph->nodes[b->graph->node_count - 1].attributes.items[0];
    both[1] = (struct md_attribute){ .name = "keepdims", .kind = MD_ATTRIBUTE_INT };
    b->graph->nodes[b->graph->node_count - 1].attributes = (struct md_attributes){ both, 2 };
    return x;
}

static void filters_of_words(struct builder *b)
{
    output(b, filters(b, (struct filters_form){ 0 }));
}

static void filters_without_relu(struct builder *b)
{
    output(b, filters(b, (struct filters_form){ .no_relu = true, .keep_dims = true }));
}

static void filters_beyond_the_words(struct builder *b)
{
    output(b, filters(b, (struct filters_form){ .padded = true }));
}

static void filters_of_channels(struct builder *b)
{
    output(b, filters(b, (struct filters_form){ .not_transposed = true }));
}

static void test_filters_and_their_largest(void **state)
{
    (void)state;
    check(filters_of_words, "convolution-max", 2); /* without it, Conv and Relu are one */
    check(filters_without_relu, "convolution-max", 2);
    check(filters_beyond_the_words, "convolution-max", 0);
    check(filters_of_channels, "convolution-max", 0);
}

/* ---- attention ---- */
struct attention_form {
    bool scale_before, direct_key, mask_per_query, no_mask, shared_weights;
};

static int32_t heads_of(struct builder *b, int32_t x)
{
    static const int64_t dims[] = { 0, 0, HEADS, SIZE };
    const int64_t count = 4;
    return node(b, "Reshape", product(b, x, WIDTH), constant(b, MD_INT64, 1, &count, dims));
}

static void attention_of(struct builder *b, struct attention_form form)
{
    static const int64_t by_head[] = { 0, 2, 1, 3 }, key_order[] = { 0, 2, 3, 1 }, swap_last[] = { 0, 1, 3, 2 };
    static const float masked[ROWS] = { 0.0f, 0.0f, -0.5f, -3.402823466e38f, -3.402823466e38f };
    const int64_t key_mask[] = { 1, 1, 1, ROWS }, query_mask[] = { ROWS, ROWS }, three = 3;
    static const int64_t joined[] = { 0, 0, -1 };
    int32_t x = input(b);
    int32_t q = transpose(b, heads_of(b, x), by_head), v = transpose(b, heads_of(b, x), by_head);
    int32_t k = heads_of(b, x);
    k = form.direct_key ? transpose(b, k, key_order) : transpose(b, transpose(b, k, by_head), swap_last);
    if (form.scale_before) {
        q = node(b, "Mul", q, number(b, 0.6f));
        k = node(b, "Mul", k, number(b, 0.6f));
    }
    int32_t scores = node(b, "MatMul", q, k);
    if (!form.scale_before)
        scores = node(b, "Div", scores, number(b, 2.449f));
    if (!form.no_mask)
        scores = node(b, "Add", scores, form.mask_per_query ? constant(b, MD_FP32, 2, query_mask, NULL) :
                                                              constant(b, MD_FP32, 4, key_mask, masked));
    int32_t weights = node(b, "Softmax", scores, MD_NO_VALUE);
    int32_t mixed = transpose(b, node(b, "MatMul", weights, v), by_head);
    output(b, node(b, "Reshape", mixed, constant(b, MD_INT64, 1, &three, joined)));
    if (form.shared_weights)
        output(b, weights);
}

static void attention_plain(struct builder *b)
{
    attention_of(b, (struct attention_form){ .direct_key = true });
}

static void attention_scaled_before(struct builder *b)
{
    attention_of(b, (struct attention_form){ .scale_before = true });
}

static void attention_query_mask(struct builder *b)
{
    attention_of(b, (struct attention_form){ .mask_per_query = true });
}

static void attention_no_mask(struct builder *b)
{
    attention_of(b, (struct attention_form){ .no_mask = true, .direct_key = true });
}

static void not_attention_weights_wanted(struct builder *b)
{
    attention_of(b, (struct attention_form){ .shared_weights = true });
}

static void test_attention(void **state)
{
    (void)state;
    check(attention_plain, "attention", 8);
    check(attention_scaled_before, "attention", 10);
    check(attention_query_mask, "attention", 9);
    check(attention_no_mask, "attention", 7);
    check(not_attention_weights_wanted, "attention", 0);
}

/* ---- fused nodes in a lower precision ---- */
static void check_precision(make_fn make, enum md_precision precision, float bound)
{
    static struct result exact, whole, alone;
    float largest = 0.0f;
    const float magnitude = 0.3f; /* larger ones make softmax a choice of the largest score, which rounding decides */
    run_batch(make, NULL, MD_PRECISION_FP32, magnitude, 0, &exact);
    run_batch(make, NULL, precision, magnitude, 0, &whole);
    run_batch(make, NULL, precision, magnitude, 1, &alone);
    assert_int_equal(whole.count, exact.count);
    for (size_t i = 0; i < exact.count; i++)
        largest = fabsf(exact.elements[i]) > largest ? fabsf(exact.elements[i]) : largest;
    for (size_t i = 0; i < exact.count; i++)
        if (!(fabsf(whole.elements[i] - exact.elements[i]) <= bound * largest))
            fail_msg("element %zu is %g, in FP32 %g", i, (double)whole.elements[i], (double)exact.elements[i]);
    assert_int_equal(alone.count * BATCH, whole.count * (BATCH - 1));
    assert_memory_equal(alone.elements, whole.elements + whole.count - alone.count, alone.count * sizeof(float));
}

static void test_lower_precisions_are_near_and_do_not_see_the_batch(void **state)
{
    static const make_fn makes[] = { linear_alone, linear_relu, linear_gelu, attention_plain, attention_no_mask };
    (void)state;
    for (size_t i = 0; i < sizeof makes / sizeof makes[0]; i++) {
        check_precision(makes[i], MD_PRECISION_FP32, 0.0f);
        check_precision(makes[i], MD_PRECISION_BF16, 0.03f);
        check_precision(makes[i], MD_PRECISION_INT8, 0.06f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gelu_in_all_spellings),
        cmocka_unit_test(test_layer_normalization_and_skip),
        cmocka_unit_test(test_products_with_bias_and_activation),
        cmocka_unit_test(test_products_of_dynamically_quantised_models),
        cmocka_unit_test(test_convolution_with_relu),
        cmocka_unit_test(test_filters_and_their_largest),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_lower_precisions_are_near_and_do_not_see_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
