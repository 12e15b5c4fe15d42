"""What the benchmarks against ONNX Runtime share: both sides, alternation, the table's last line.

A benchmark NAME is a file NAME.py beside this one with `MODELS` (names of models.py) and `main(bench)`; tests/bench/run
makes the environment and starts it through this file: bench.py NAME PROGRAMS_DIR MODELS_DIR [--OPTION VALUE]...
Every cell: outputs compared first, then rounds in which each side runs in turn; the medians of the rounds are compared.
The last line is "ratio: X.XX": ONNX Runtime's time divided by modeld's, geometric mean over the table.
"""
import argparse
import importlib
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

ROUNDS = int(os.environ.get("MD_BENCH_ROUNDS", "7"))
ROUND_SECONDS = 0.25
# MD_BENCH_CLOCK=cpu counts the time that the thread itself took: for machines that are shared with other work.
clock = time.thread_time_ns if os.environ.get("MD_BENCH_CLOCK") == "cpu" else time.perf_counter_ns
KINDS = {"int64": "INT64", "int32": "INT32", "float32": "FP32"}


class Modeld:
    """A bench_model process: see bench_model.c for its options and commands."""

    program = "bench_model"

    def __init__(self, programs, model, **options):
        command = [str(pathlib.Path(programs) / self.program), str(model)]
        options.setdefault("disable", os.environ.get("MD_BENCH_DISABLED_PASSES"))
        for name, value in options.items():
            command += [f"--{name}", str(value)] if value is not None else []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.folder = tempfile.TemporaryDirectory(prefix="modeld_bench_")
        self.answer()

    def answer(self):
        line = self.process.stdout.readline().strip()
        if not line.startswith("ok"):
            raise SystemExit(f"{self.program}: {line or 'it has ended'}")
        return line[3:]

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def set_inputs(self, feed):
        for name, array in feed.items():
            path = f"{self.folder.name}/{name}.raw"
            pathlib.Path(path).write_bytes(np.ascontiguousarray(array).tobytes())
            self.ask(f"input {name} {KINDS[str(array.dtype)]} {path} {array.ndim} {' '.join(map(str, array.shape))}")

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

    def set_inputs(self, feed):
        self.feed = feed

    def output(self):
        return self.session.run(None, self.feed)[0]

    def time(self, runs):
        times = []
        for _ in range(runs):
            begin = clock()
            self.session.run(None, self.feed)
            times.append(clock() - begin)
        return sorted(times)[runs // 2]


def difference(ours, theirs):
    """Largest difference, relative to the largest value."""
    return float(np.max(np.abs(ours - theirs)) / np.max(np.abs(theirs)))


def demand(found, bound):
    """A wrong result ends the benchmark: nothing fast is wrong."""
    if not found < bound:
        raise SystemExit(f"outputs differ by {found:.2g}, more than {bound:.2g}: nothing was measured")
    return found


def alternate(ours, theirs):
    """Median nanoseconds of both sides."""
    runs = max(1, min(200, int(ROUND_SECONDS * 1e9 / max(theirs.time(1), theirs.time(1), 1))))
    ours.time(runs)
    pairs = [(ours.time(runs), theirs.time(runs)) for _ in range(ROUNDS)]
    return statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)


def finish(ratios):
    print(f"ratio: {math.exp(statistics.mean(map(math.log, ratios))):.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("models", type=pathlib.Path)
    known, rest = parser.parse_known_args()
    benchmark = importlib.import_module(known.name)
    options = argparse.ArgumentParser(prog=f"tests/bench/run {known.name}")
    benchmark.add_options(options) if hasattr(benchmark, "add_options") else None
    known.options = options.parse_args(rest)
    benchmark.main(known)


if __name__ == "__main__":
    sys.modules["bench"] = sys.modules["__main__"]
    main()
