/* operator_run.c - see operator_run.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "operator_run.h"

#include "allocator.h"

static struct md_operator_run *run_of(struct md_invocation *invocation)
{
    return (struct md_operator_run *)invocation;
}

static struct md_shape shape_of(const int64_t *dims)
{
    struct md_shape shape = { 0 };
    while (dims[shape.rank] >= 0) {
        shape.dims[shape.rank] = dims[shape.rank];
        shape.rank++;
    }
    return shape;
}

/* ---- services ---- */
static enum md_code allocate_output(struct md_invocation *invocation, size_t index, enum md_datatype datatype,
                                    const struct md_shape *shape)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    struct md_value *output = invocation->outputs[index];
    MD_TRY(md_tensor_describe(datatype, shape, NULL, &output->tensor, invocation->error));
    output->kind = MD_VALUE_TENSOR;
    output->tensor.bytes = md_arena_allocate(&run_of(invocation)->arena, md_tensor_size(&output->tensor) + 1);
    return output->tensor.bytes != NULL ? MD_OK : md_fail_memory(invocation->error, "output");
}

static enum md_code declare_view(struct md_invocation *invocation, size_t index, size_t input,
                                 enum md_datatype datatype, const struct md_shape *shape, size_t offset)
{
    if (!md_wants_output(invocation, index))
        return MD_OK;
    struct md_value *output = invocation->outputs[index];
    char *bytes = (char *)invocation->inputs[input]->tensor.bytes + offset;
    output->kind = MD_VALUE_TENSOR;
    return md_tensor_describe(datatype, shape, bytes, &output->tensor, invocation->error);
}

static enum md_code request_scratch(struct md_invocation *invocation, size_t size)
{
    invocation->scratch = md_arena_allocate(&run_of(invocation)->arena, size + 1);
    return invocation->scratch != NULL ? MD_OK : md_fail_memory(invocation->error, "scratch");
}

static void *run_allocate(struct md_invocation *invocation, size_t size)
{
    return md_arena_allocate(&run_of(invocation)->arena, size + 1);
}

static const struct md_run_services services = {
    .declare_output = allocate_output,
    .declare_view = declare_view,
    .allocate_output = allocate_output,
    .request_scratch = request_scratch,
    .run_allocate = run_allocate,
};

/* ---- the run ---- */
void md_operator_run_init(struct md_operator_run *run)
{
    *run = (struct md_operator_run){ .output_count = 1 };
    md_arena_init(&run->arena, md_process_allocator(), 0);
}

void md_operator_run_cleanup(struct md_operator_run *run)
{
    md_arena_cleanup(&run->arena);
}

void md_operator_run_input(struct md_operator_run *run, enum md_datatype datatype, const int64_t *dims,
                           const void *elements)
{
    struct md_value *value = &run->inputs[run->input_count++];
    struct md_shape shape = shape_of(dims);
    value->kind = MD_VALUE_TENSOR;
    assert_int_equal(md_tensor_describe(datatype, &shape, NULL, &value->tensor, NULL), MD_OK);
    value->tensor.bytes = md_arena_allocate(&run->arena, md_tensor_size(&value->tensor) + 1);
    assert_non_null(value->tensor.bytes);
    if (value->tensor.count > 0)
        memcpy(value->tensor.bytes, elements, md_tensor_size(&value->tensor));
}

void md_operator_run_absent(struct md_operator_run *run)
{
    run->inputs[run->input_count++].kind = MD_VALUE_NONE;
}

void md_operator_run_int(struct md_operator_run *run, const char *name, int64_t value)
{
    run->attributes[run->attribute_count++] =
        (struct md_attribute){ .name = name, .kind = MD_ATTRIBUTE_INT, .value = { .i = value } };
}

void md_operator_run_text(struct md_operator_run *run, const char *name, const char *value)
{
    run->attributes[run->attribute_count++] = (struct md_attribute){
        .name = name, .kind = MD_ATTRIBUTE_STRING, .value = { .string = md_span_of(value) }
    };
}

void md_operator_run_ints(struct md_operator_run *run, const char *name, const int64_t *values, size_t count)
{
    run->attributes[run->attribute_count++] = (struct md_attribute){
        .name = name, .kind = MD_ATTRIBUTE_INTS, .count = count, .value = { .ints = values }
    };
}

enum md_code md_operator_run_go(struct md_operator_run *run, const char *domain, const char *op_type, int64_t opset)
{
    bool any = false;
    const struct md_operator *row = md_operator_find(domain, op_type, opset, &any);
    if (row == NULL)
        fail_msg("no row for %s at opset %d", op_type, (int)opset);
    const struct md_attributes attributes = { run->attributes, run->attribute_count };
    const struct md_tensor *constants[MD_RUN_OPERANDS] = { NULL };
    bool released[MD_RUN_OPERANDS] = { false };
    const struct md_configuration configuration = {
        .released = released, .node_name = "test", .opset = opset, .attributes = &attributes, .input_count = run->input_count,
        .output_count = run->output_count, .constants = constants, .arena = &run->arena, .error = &run->error,
    };
    for (size_t i = 0; i < run->input_count; i++)
        run->input_list[i] = &run->inputs[i];
    for (size_t i = 0; i < run->input_count; i++)
        if ((run->constant_inputs & 1u << i) != 0)
            constants[i] = &run->inputs[i].tensor;
    for (size_t i = 0; i < run->output_count; i++)
        run->output_list[i] = &run->outputs[i];
    run->invocation = (struct md_invocation){
        .row = row, .opset = opset, .input_count = run->input_count, .output_count = run->output_count,
        .inputs = run->input_list, .outputs = run->output_list, .error = &run->error, .thread_pool = run->thread_pool,
        .services = &services,
    };
    if (row->configure != NULL)
        MD_TRY(row->configure(&configuration, &run->invocation.parameters));
    MD_TRY(row->prepare(&run->invocation));
    return row->run != NULL ? row->run(&run->invocation) : MD_OK;
}

void md_operator_run_expect(const struct md_operator_run *run, enum md_datatype datatype, const int64_t *dims,
                            const void *elements)
{
    const struct md_tensor *output = &run->outputs[0].tensor;
    const struct md_shape shape = shape_of(dims);
    assert_int_equal(output->datatype, datatype);
    assert_true(md_shape_equal(&output->shape, &shape));
    assert_memory_equal(output->bytes, elements, md_tensor_size(output));
}
