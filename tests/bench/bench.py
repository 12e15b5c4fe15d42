"""Compares modeld with ONNX Runtime, alternating in one run. Started by tests/bench/run, which makes its environment.

Usage: bench.py encoder BENCH_MODEL MODELS_DIR
Every cell: outputs compared first, then rounds in which each side runs in turn; the medians of the rounds are compared.
The last line is "ratio: X.XX": ONNX Runtime's time divided by modeld's, geometric mean over the table.
"""
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

LENGTHS = [int(length) for length in os.environ.get("MD_BENCH_LENGTHS", "8,32,128,512").split(",")]
MODELS = os.environ.get("MD_BENCH_MODELS", "minilm-l6,bert-base").split(",")
ROUNDS = int(os.environ.get("MD_BENCH_ROUNDS", "7"))
ROUND_SECONDS = 0.25
# MD_BENCH_CLOCK=cpu counts the time that the thread itself took: for machines that are shared with other work.
clock = time.thread_time_ns if os.environ.get("MD_BENCH_CLOCK") == "cpu" else time.perf_counter_ns


class Modeld:
    """A bench_model process: see bench_model.c for its commands."""

    def __init__(self, program, model):
        disabled = os.environ.get("MD_BENCH_DISABLED_PASSES")
        command = [program, str(model)] + ([disabled] if disabled else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = tempfile.TemporaryDirectory(prefix="modeld_bench_")
        self.answer()

    def answer(self):
        line = self.process.stdout.readline().strip()
        if not line.startswith("ok"):
            raise SystemExit(f"bench_model: {line or 'it has ended'}")
        return line[3:]

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def set_inputs(self, feed):
        for name, array in feed.items():
            path = f"{self.folder.name}/{name}.raw"
            pathlib.Path(path).write_bytes(np.ascontiguousarray(array).tobytes())
            kind = {"int64": "INT64", "float32": "FP32"}[str(array.dtype)]
            self.ask(f"input {name} {kind} {path} {array.ndim} {' '.join(map(str, array.shape))}")

    def output(self, shape):
        self.ask(f"outputs {self.folder.name}")
        return np.fromfile(f"{self.folder.name}/0.bin", np.float32).reshape(shape)

    def time(self, runs):
        return int(self.ask(f"time {runs}"))

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


class OnnxRuntime:
    def __init__(self, model, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.feed = None

    def time(self, runs):
        times = []
        for _ in range(runs):
            begin = clock()
            self.session.run(None, self.feed)
            times.append(clock() - begin)
        return sorted(times)[runs // 2]


def compare(ours, theirs):
    """Largest difference, relative to the largest value; a wrong result ends the benchmark."""
    difference = float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))
    if not difference < 1e-4:
        raise SystemExit(f"outputs differ by {difference:.2g}: nothing was measured")
    return difference


def alternate(ours, theirs):
    """Median nanoseconds of both sides."""
    runs = max(1, min(200, int(ROUND_SECONDS * 1e9 / max(theirs.time(1), theirs.time(1), 1))))
    ours.time(runs)
    pairs = [(ours.time(runs), theirs.time(runs)) for _ in range(ROUNDS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def encoder(program, models):
    random = np.random.default_rng(3)
    ratios = []
    print(f"encoder, fp32, batch 1, one thread, ONNX Runtime {onnxruntime.__version__}; milliseconds")
    print(f"{'model':12} {'S':>4} {'modeld':>9} {'ORT':>9} {'ratio':>6}  largest difference")
    for name in MODELS:
        ours, theirs = Modeld(program, models / f"{name}.onnx"), OnnxRuntime(models / f"{name}.onnx")
        for length in LENGTHS:
            ids = random.integers(1000, 30000, (1, length))
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            ours.set_inputs(feed)
            theirs.feed = feed
            expected = theirs.session.run(None, feed)[0]
            difference = compare(ours.output(expected.shape), expected)
            mine, other = alternate(ours, theirs)
            ratios.append(other / mine)
            print(f"{name:12} {length:4} {mine / 1e6:9.3f} {other / 1e6:9.3f} {ratios[-1]:6.2f}  {difference:.1e}", flush=True)
        ours.close()
    print(f"ratio: {math.exp(statistics.mean(map(math.log, ratios))):.2f}")


def main():
    names = {"encoder": encoder}
    names[sys.argv[1]](sys.argv[2], pathlib.Path(sys.argv[3]))


main()
