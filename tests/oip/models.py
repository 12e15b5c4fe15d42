"""The tiny models of the conformance kit: simple, simple_string, simple_identity, identity_<datatype>, scalar; slow, which
multiplies matrices as often as it is told; text, a classifier of texts; broken and imprecise, which cannot be loaded."""
import os
import shutil

import numpy as np
from onnx import TensorProto, helper, numpy_helper

TEXT_MODEL = os.path.join(os.path.dirname(__file__), "..", "..", "deploy", "models", "spam-textcnn", "1")

DATATYPES = {"BOOL": TensorProto.BOOL, "INT8": TensorProto.INT8, "INT16": TensorProto.INT16, "INT32": TensorProto.INT32,
             "INT64": TensorProto.INT64, "UINT8": TensorProto.UINT8, "UINT16": TensorProto.UINT16,
             "UINT32": TensorProto.UINT32, "UINT64": TensorProto.UINT64, "FP16": TensorProto.FLOAT16,
             "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE, "BF16": TensorProto.BFLOAT16,
             "BYTES": TensorProto.STRING}


def write(folder, name, nodes, inputs, outputs):
    """inputs, outputs: (name, element type, shape)."""
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info(*tensor) for tensor in inputs],
                              [helper.make_tensor_value_info(*tensor) for tensor in outputs])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    os.makedirs(os.path.join(folder, name, "1"), exist_ok=True)
    with open(os.path.join(folder, name, "1", "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())


def add_and_subtract(folder, name, element, before, after):
    sums = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    write(folder, name, before + sums + after,
          [("INPUT0", element, ["n", 16]), ("INPUT1", element, ["n", 16])],
          [("OUTPUT0", element, ["n", 16]), ("OUTPUT1", element, ["n", 16])])


def slow(folder):
    """INPUT0, a count of turns; a turn is about half a millisecond on one core. OUTPUT0 is 0."""
    side = 256
    state = helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, side])
    body = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"]), helper.make_node("Identity", ["go"], ["on"])], "turn",
        [helper.make_tensor_value_info("turn", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []), state],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("y", TensorProto.FLOAT, [side, side])])
    weights = numpy_helper.from_array(np.zeros([side, side], np.float32))
    write(folder, "slow", [helper.make_node("Constant", [], ["weights"], value=weights),
                           helper.make_node("Squeeze", ["INPUT0"], ["turns"]),
                           helper.make_node("Loop", ["turns", "", "weights"], ["product"], body=body),
                           helper.make_node("ReduceMax", ["product"], ["OUTPUT0"], keepdims=0)],
          [("INPUT0", TensorProto.INT64, [1])], [("OUTPUT0", TensorProto.FLOAT, [])])


def imprecise(folder):
    """In int8 it differs from fp32 by more than its model.json allows."""
    weights = numpy_helper.from_array(np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64))
    write(folder, "imprecise", [helper.make_node("Constant", [], ["weights"], value=weights),
                                helper.make_node("MatMul", ["INPUT0", "weights"], ["OUTPUT0"])],
          [("INPUT0", TensorProto.FLOAT, ["n", 64])], [("OUTPUT0", TensorProto.FLOAT, ["n", 64])])
    with open(os.path.join(folder, "imprecise", "1", "model.json"), "w", encoding="ascii") as file:
        file.write('{"precision": "int8", "max_precision_difference": 0}')


def make(folder):
    slow(folder)
    imprecise(folder)
    shutil.copytree(TEXT_MODEL, os.path.join(folder, "text", "1"), dirs_exist_ok=True)
    identity = [helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])]
    pairs = (("INPUT0", "a"), ("INPUT1", "b")), (("sum", "OUTPUT0"), ("difference", "OUTPUT1"))
    add_and_subtract(folder, "simple", TensorProto.INT32,
                     *[[helper.make_node("Identity", [a], [b]) for a, b in side] for side in pairs])
    add_and_subtract(folder, "simple_string", TensorProto.STRING,
                     [helper.make_node("Cast", [a], [b], to=TensorProto.INT32) for a, b in pairs[0]],
                     [helper.make_node("Cast", [a], [b], to=TensorProto.STRING) for a, b in pairs[1]])
    write(folder, "simple_identity", identity, [("INPUT0", TensorProto.STRING, ["n", "m"])],
          [("OUTPUT0", TensorProto.STRING, ["n", "m"])])
    for datatype, element in DATATYPES.items():
        write(folder, "identity_" + datatype.lower(), identity, [("INPUT0", element, ["n"])],
              [("OUTPUT0", element, ["n"])])
    write(folder, "scalar", identity, [("INPUT0", TensorProto.FLOAT, [])], [("OUTPUT0", TensorProto.FLOAT, [])])
    os.makedirs(os.path.join(folder, "broken", "1"), exist_ok=True)
    with open(os.path.join(folder, "broken", "1", "model.onnx"), "wb") as file:
        file.write(b"this is no model")
