"""Checks the shipped models against their golden files with the reference implementations.

Run by `make` with the Python that has `tokenizers`, `onnx` and `onnxruntime`. Fails if a token id
differs, a logit is off by 1e-5, or a text's logits depend on its padding.
"""

import argparse
import collections
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime
from tokenizers import Tokenizer

LIMIT = 1e-5


def run(session, ids, mask):
    feeds = {"input_ids": numpy.array(ids, numpy.int64), "attention_mask": numpy.array(mask, numpy.int64)}
    return session.run(["logits"], feeds)[0]


def golden_difference(session, tokenizer, cases):
    worst = 0.0
    for case in cases:
        encoded = tokenizer.encode_batch(case["texts"])
        if [e.ids for e in encoded] != case["input_ids"]:
            sys.exit(f"token ids differ: {case['texts']}")
        if [e.attention_mask for e in encoded] != case["attention_mask"]:
            sys.exit(f"attention mask differs: {case['texts']}")
        logits = run(session, case["input_ids"], case["attention_mask"])
        worst = max(worst, float(numpy.abs(logits - numpy.array(case["logits"])).max()))
    return worst


def padding_difference(session, tokenizer, cases):
    """Every text alone without padding, against itself with more and more of it."""
    limit, pad = tokenizer.truncation["max_length"], tokenizer.padding["pad_id"]
    worst = 0.0
    for text in sorted({text for case in cases for text in case["texts"]}):
        ids = tokenizer.encode(text).ids
        alone = run(session, [ids], [[1] * len(ids)])
        for extra in (1, 2, 3, 7, 30, limit - len(ids)):
            if 0 < extra <= limit - len(ids):
                padded = run(session, [ids + [pad] * extra], [[1] * len(ids) + [0] * extra])
                worst = max(worst, float(numpy.abs(alone - padded).max()))
    return worst


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--deploy", type=pathlib.Path, required=True)
    arguments.add_argument("--goldens", type=pathlib.Path, required=True)
    options = arguments.parse_args()
    sound = True
    for path in sorted(options.goldens.glob("*.json")):
        golden = json.loads(path.read_text("utf-8"))
        folder = options.deploy / golden["model"] / "1"
        model = onnx.load(folder / "model.onnx")
        onnx.checker.check_model(model, full_check=True)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), settings,
                                               providers=["CPUExecutionProvider"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        difference = golden_difference(session, tokenizer, golden["cases"])
        padding = padding_difference(session, tokenizer, golden["cases"])
        sound = sound and difference < LIMIT and padding < LIMIT
        operators = collections.Counter(node.op_type for node in model.graph.node)
        opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
        print(f"{golden['model']}: {len(golden['cases'])} cases, "
              f"{sum(len(case['texts']) for case in golden['cases'])} texts; largest difference of a logit: "
              f"{difference:.2e} to ONNX Runtime, {padding:.2e} between paddings; "
              f"model.onnx {(folder / 'model.onnx').stat().st_size} bytes")
        for operator, count in sorted(operators.items()):
            print(f"    {operator} x{count} (opset {opsets['ai.onnx']})")
    sys.exit(0 if sound else 1)


if __name__ == "__main__":
    main()
