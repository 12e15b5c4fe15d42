"""mixed: classifying batches of 16 texts of 8 to 128 tokens; MiniLM-L6 and BERT-base shapes, one thread.

modeld is given texts, and its time includes reading their tokens; ONNX Runtime is given token ids, padded to the longest
text of the batch, as its users do. Scores are compared first. MD_BENCH_MODELS chooses models.
"""
import os
import pathlib

import numpy as np
import onnxruntime

import bench

MODELS = [f"{name}-classifier" for name in os.environ.get("MD_BENCH_MODELS", "minilm-l6,bert-base").split(",")]
TEXTS, SHORTEST, LONGEST, BATCHES = 16, 8, 128, 3


class ModeldTask(bench.Modeld):
    """A bench_task process: see bench_task.c for its commands."""

    program = "bench_task"

    def set_texts(self, rows):
        path = pathlib.Path(self.folder.name) / "texts"
        path.write_text("".join(" ".join(f"w{token}" for token in row) + "\n" for row in rows))
        self.ask(f"texts {path}")

    def scores(self):
        return np.array([float(word) for word in self.ask("scores").split()]).reshape(-1, 2)


def draw(random):
    lengths = random.integers(SHORTEST, LONGEST + 1, TEXTS)
    lengths[:2] = SHORTEST, LONGEST
    return [random.integers(1000, 30000, length) for length in lengths]


def padded(rows):
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, :len(row)], mask[i, :len(row)] = row, 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def softmax(logits):
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def main(arguments):
    random = np.random.default_rng(5)
    ratios = []
    print(f"mixed, fp32, {TEXTS} texts of {SHORTEST} to {LONGEST} tokens, one thread, ONNX Runtime "
          f"{onnxruntime.__version__} (padded); sentences per second")
    print(f"{'model':22} {'tokens':>7} {'modeld':>9} {'ORT':>9} {'ratio':>6}  largest difference")
    for name in MODELS:
        ours = ModeldTask(arguments.programs, arguments.models / name)
        theirs = bench.OnnxRuntime(arguments.models / f"{name}.onnx")
        for _ in range(BATCHES):
            rows = draw(random)
            ours.set_texts(rows)
            theirs.set_inputs(padded(rows))
            found = bench.demand(bench.difference(ours.scores(), softmax(theirs.output())), 1e-4)
            mine, ort = bench.alternate(ours, theirs)
            ratios.append(ort / mine)
            print(f"{name:22} {sum(map(len, rows)):7} {TEXTS * 1e9 / mine:9.1f} {TEXTS * 1e9 / ort:9.1f} "
                  f"{ratios[-1]:6.2f}  {found:.1e}", flush=True)
        ours.close()
    bench.finish(ratios)
