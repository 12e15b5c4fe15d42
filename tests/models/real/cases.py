"""Makes conformance cases of real models: inputs, and ONNX Runtime's outputs as what is expected.

Usage: cases.py SOURCES OUT     (virtual environment with onnx, onnxruntime)
SOURCES holds what `make` gathered; OUT gets real/<case>/{model.onnx,test_data_set_N/{input,output}_M.pb}, the layout of
the official backend cases. States (speech model, decoder cache) are fed back for several steps, one data set a step.
"""
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic


def session(path, optimised=False):
    options = onnxruntime.SessionOptions()
    # The model as it is written, not a rewriting of it, is the reference.
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimised else level.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_set(folder, inputs, outputs):
    folder.mkdir(parents=True)
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for index, array in enumerate(arrays):
            tensor = numpy_helper.from_array(np.asarray(array))
            (folder / f"{kind}_{index}.pb").write_bytes(tensor.SerializeToString())


def make_case(out, name, model, feeds, feedback=None):
    """feeds: one dict a step; feedback maps an output's index to the name of the next step's input."""
    folder = out / "real" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copyfile(model, folder / "model.onnx")
    runner, carried = session(model), {}
    for step, feed in enumerate(feeds):
        feed = {**feed, **carried}
        outputs = runner.run(None, feed)
        write_set(folder / f"test_data_set_{step}", [feed[i.name] for i in runner.get_inputs()], outputs)
        carried = {name: outputs[index] for index, name in (feedback or {}).items()}
    print(f"{name}: {len(feeds)} data sets, {model.stat().st_size} bytes")


def encoder_feeds(random, vocabulary):
    for batch, length in ((1, 8), (1, 128), (3, 40)):
        ids = random.integers(1000, vocabulary, (batch, length))
        mask = np.ones_like(ids)
        mask[-1, length // 2 :] = batch == 1
        yield {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def perturbed(random, model, scale=5e-7):
    """The model with its FP32 vectors (biases, normalisation weights) changed in their last bits."""
    proto = onnx.load(str(model))
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 1 and tensor.dims[0] > 1:
            values = numpy_helper.to_array(tensor)
            noisy = values * (1 + random.uniform(-scale, scale, values.shape))
            tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    return onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])


def stable_feeds(random, model, vocabulary, wanted):
    """Inputs on which the reference agrees with itself to rtol 1e-3: optimised or not, and with weights changed in
    their last bits. In a dynamically quantised model such a difference can move an activation across a rounding step,
    and six layers make up to 0.2 of it: on other inputs there is no right answer to compare with."""
    plain, others, found = session(model), [session(model, optimised=True)], []
    others += [perturbed(random, model) for _ in range(4)]
    for _ in range(400):
        length = int(random.integers(3, 24))
        ids = random.integers(1000, vocabulary, (1, length))
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        want = plain.run(None, feed)[0]
        if all(np.allclose(want, other.run(None, feed)[0], rtol=1e-3, atol=1e-5) for other in others):
            found.append(feed)
        if len(found) == wanted:
            return found
    sys.exit(f"{model}: only {len(found)} of {wanted} inputs on which the reference agrees with itself")


def main():
    sources, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    random = np.random.default_rng(7)

    for version, state in (("v5", "state"), ("v6", "state")):
        audio = [random.normal(0, 0.1, (1, 512)).astype(np.float32) for _ in range(4)]
        first = {"state": np.zeros((2, 1, 128), np.float32)}
        feeds = [{"input": chunk, "sr": np.array(16000, np.int64), **first} for chunk in audio]
        make_case(out, f"silero-vad-{version}", sources / f"silero_vad_{version}.onnx", feeds, {1: state})
    audio = [random.normal(0, 0.1, (1, 1536)).astype(np.float32) for _ in range(4)]
    zeros = np.zeros((2, 1, 64), np.float32)
    feeds = [{"input": chunk, "sr": np.array(16000, np.int64), "h": zeros, "c": zeros} for chunk in audio]
    make_case(out, "silero-vad-legacy", sources / "silero_vad_legacy.onnx", feeds, {1: "h", 2: "c"})

    for opset in (14, 17):
        model = sources / f"minilm-opset{opset}.onnx"
        make_case(out, f"minilm-opset{opset}", model, list(encoder_feeds(random, 30000)))
    for kind, per_channel in (("tensor", False), ("channel", True)):
        quantized = sources / f"minilm-int8-{kind}.onnx"
        quantize_dynamic(sources / "minilm-opset14.onnx", quantized, per_channel=per_channel, weight_type=QuantType.QInt8)
        make_case(out, f"minilm-int8-per-{kind}", quantized, stable_feeds(random, quantized, 30000, 6))

    empty = np.zeros((2, 4, 0, 16), np.float32)
    steps = [{"input_ids": random.integers(0, 500, (2, n)), "past_key": empty, "past_value": empty} for n in (5, 1, 1, 3)]
    make_case(out, "decoder-kv-cache", sources / "decoder.onnx", steps, {1: "past_key", 2: "past_value"})

    for name, model, shape in (
        ("cnn-text-direction", "ch_ppocr_mobile_v2.0_cls_infer.onnx", (2, 3, 48, 192)),
        ("cnn-text-detection", "ch_PP-OCRv4_det_infer.onnx", (1, 3, 96, 160)),
        ("cnn-text-recognition", "ch_PP-OCRv4_rec_infer.onnx", (1, 3, 48, 160)),
    ):
        image = random.normal(0, 0.5, shape).astype(np.float32)
        make_case(out, name, sources / model, [{"x": image}])


main()
