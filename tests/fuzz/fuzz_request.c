/* fuzz_request.c - the bytes of a request through what the server does before it knows the model: unpacking into the
 * request's arena, the protocol's checks, conversion of tensors there and back. The first byte chooses the method. */
#include "arena.h"
#include "bounded_allocator.h"
#include "fuzz_entry.h"
#include "message.h"
#include "oip_tensor.h"
#include "wire_tensor.h"

#include <modeld/v1/modeld.pb-c.h>
#include <stdlib.h>

enum { MEMORY_LIMIT = 64 << 20 };

static void convert_back(struct md_arena *arena, const struct md_tensor *tensor)
{
    uint8_t *bytes;
    size_t size;
    Inference__InferTensorContents *contents;
    enum md_code code = md_wire_tensor_to_raw(arena, tensor, &bytes, &size, NULL);
    if (code != MD_OK && code != MD_RESOURCE_EXHAUSTED)
        abort(); /* what came from the wire can go back */
    code = md_oip_output_contents(arena, tensor, &contents, NULL);
    (void)code; /* half precision has no typed form */
}

static void check_infer(struct md_arena *arena, const Inference__ModelInferRequest *request)
{
    if (md_oip_check_contents(request, NULL) != MD_OK)
        return;
    for (size_t i = 0; i < request->n_inputs; i++) {
        struct md_tensor tensor;
        const ProtobufCBinaryData *raw = request->n_raw_input_contents > 0 ? &request->raw_input_contents[i] : NULL;
        if (md_oip_input_tensor(arena, request->inputs[i], raw, &tensor, NULL) == MD_OK)
            convert_back(arena, &tensor);
    }
}

static void check_predict(struct md_arena *arena, const Modeld__V1__PredictRequest *request)
{
    for (size_t i = 0; i < request->n_inputs; i++) {
        const Modeld__V1__Tensor *input = request->inputs[i];
        enum md_datatype datatype;
        struct md_shape shape;
        struct md_tensor tensor;
        if (md_wire_datatype(input->datatype, &datatype, NULL) == MD_OK &&
            md_wire_shape(datatype, input->shape, input->n_shape, &shape, NULL) == MD_OK &&
            md_wire_tensor_from_raw(arena, datatype, &shape, input->contents.data, input->contents.len, &tensor, NULL) ==
                MD_OK)
            convert_back(arena, &tensor);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct md_bounded_allocator bounded;
    struct md_arena arena;
    md_bounded_allocator_init(&bounded, MEMORY_LIMIT);
    md_arena_init(&arena, &bounded.allocator, 0);
    grpc_slice slice = grpc_slice_from_copied_buffer((const char *)data + 1, size - 1);
    grpc_byte_buffer *payload = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    bool infer = data[0] % 2 == 0;
    const ProtobufCMessageDescriptor *type =
        infer ? &inference__model_infer_request__descriptor : &modeld__v1__predict_request__descriptor;
    const ProtobufCMessage *message;
    if (md_message_unpack(type, payload, &arena, MEMORY_LIMIT / 4, &message, NULL) == MD_OK) {
        if (infer)
            check_infer(&arena, (const Inference__ModelInferRequest *)message);
        else
            check_predict(&arena, (const Modeld__V1__PredictRequest *)message);
    }
    grpc_byte_buffer_destroy(payload);
    md_arena_cleanup(&arena);
    if (bounded.live != 0)
        abort();
    return 0;
}
