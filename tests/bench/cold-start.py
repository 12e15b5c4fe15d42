"""cold-start: from a model file to a session, in fresh processes: BERT-base shape, second load of modeld against ORT.

Files are in the page cache. modeld's first load, which packs the weights and writes the cache, is printed, too.
"""
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import numpy as np

import bench

MODELS = ["bert-base"]
ORT_LOAD = """
import sys, time, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
clock = time.process_time_ns if sys.argv[2] == "cpu" else time.perf_counter_ns
begin = clock()
onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print((clock() - begin) / 1e6)
"""


def ours(programs, model):
    """Milliseconds, and what the packed cache did."""
    side = bench.Modeld(programs, model, cache="true")
    nanoseconds, cache = side.ask("load").split()
    side.close()
    return int(nanoseconds) / 1e6, cache


def theirs(model):
    clock = os.environ.get("MD_BENCH_CLOCK", "")
    return float(subprocess.check_output([sys.executable, "-c", ORT_LOAD, str(model), clock]))


def check(programs, model):
    ids = np.arange(1000, 1032).reshape(1, 32)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    side, ort = bench.Modeld(programs, model, cache="true"), bench.OnnxRuntime(model)
    side.set_inputs(feed)
    ort.set_inputs(feed)
    expected = ort.output()
    found = bench.demand(bench.difference(side.output(expected.shape), expected), 1e-4)
    side.close()
    print(f"outputs after the load from the cache differ by {found:.1e} from ONNX Runtime's")


def main(arguments):
    ratios = []
    for name in MODELS:
        with tempfile.TemporaryDirectory(prefix="modeld_cold_", dir=arguments.models) as folder:
            model = pathlib.Path(folder) / "model.onnx"
            shutil.copyfile(arguments.models / f"{name}.onnx", model)
            first = ours(arguments.programs, model)
            while first[1] != "written":  # the copy is so new that its time stamps do not tell yet
                first = ours(arguments.programs, model)
            rounds = [(ours(arguments.programs, model), theirs(model)) for _ in range(bench.ROUNDS)]
            if any(mine[1] != "found" for mine, _ in rounds):
                raise SystemExit("the packed cache was not used: nothing was measured")
            mine = statistics.median(mine[0] for mine, _ in rounds)
            ort = statistics.median(ort for _, ort in rounds)
            ratios.append(ort / mine)
            print(f"{name}: modeld first load {first[0]:.0f} ms, second {mine:.1f} ms; ONNX Runtime {ort:.0f} ms")
            check(arguments.programs, model)
    bench.finish(ratios)
