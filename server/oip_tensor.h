/* oip_tensor.h - tensors of the Open Inference Protocol: raw or typed contents, and parameters.
 *
 * The protocol's rules that servers get wrong are checked here, each with its own message; as in
 * wire_tensor.h the caller names the tensor. Threads: any. Memory: the request's arena. */
#ifndef MD_OIP_TENSOR_H
#define MD_OIP_TENSOR_H

#include "arena.h"
#include "tensor.h"

#include <inference/inference.pb-c.h>
#include <stdbool.h>

/* Where a tensor is or goes instead of into the message. */
struct md_oip_region {
    const char *name; /* borrowed from the parameter; NULL: in the message */
    uint64_t offset, size;
};

/* Reads one parameter of a tensor into *region. INVALID_ARGUMENT: a parameter without a value, or one of shared memory
 * that is of the wrong kind or negative. */
MD_NODISCARD enum md_code md_oip_region_parameter(const char *key, const Inference__InferParameter *value,
                                                  struct md_oip_region *region, struct md_error *error);
/* The same for all parameters of an input. */
MD_NODISCARD enum md_code md_oip_input_region(const Inference__ModelInferRequest__InferInputTensor *input,
                                              struct md_oip_region *out_region, struct md_error *error);

/* raw_input_contents holds for the whole request: as many entries as inputs that are not in shared memory, in their
 * order, and no input may have `contents` as well, not even empty ones. INVALID_ARGUMENT otherwise, naming the
 * input. */
MD_NODISCARD enum md_code md_oip_check_contents(const Inference__ModelInferRequest *request,
                                                struct md_error *error);

/* raw: the input's entry of raw_input_contents; NULL: its contents count. The tensor's elements are borrowed
 * from the message or live in the arena. INVALID_ARGUMENT: datatype, shape, raw bytes (wire_tensor.h); typed:
 * none, the wrong field, two fields, FP16 and BF16, a number of elements that is not the shape's, a value
 * that does not fit. RESOURCE_EXHAUSTED: memory. */
MD_NODISCARD enum md_code md_oip_input_tensor(struct md_arena *arena,
                                              const Inference__ModelInferRequest__InferInputTensor *input,
                                              const ProtobufCBinaryData *raw, struct md_tensor *out_tensor,
                                              struct md_error *error);

/* Typed contents of an answer. INVALID_ARGUMENT: the datatype (FP16, BF16) has raw contents only. */
MD_NODISCARD enum md_code md_oip_output_contents(struct md_arena *arena, const struct md_tensor *tensor,
                                                 Inference__InferTensorContents **out_contents,
                                                 struct md_error *error);

/* INVALID_ARGUMENT: a parameter without a value. */
MD_NODISCARD enum md_code md_oip_check_parameter(const char *key, const Inference__InferParameter *value,
                                                 struct md_error *error);

#endif
