"""The tiny models of the conformance kit: simple, simple_string, simple_identity, identity_<datatype>, scalar, broken."""
import os

from onnx import TensorProto, helper

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


def make(folder):
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
