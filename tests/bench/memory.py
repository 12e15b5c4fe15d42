"""memory: resident bytes of one loaded model over those of an empty process, first load and second, against ORT."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench

MODELS = ["minilm-l6", "bert-base"]
MIB = 1 << 20
ORT_LOAD = """
import sys, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = sys.argv[1] and onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
print("ok", flush=True)
sys.stdin.readline()
"""


def resident(process):
    """VmRSS, and the anonymous part of it."""
    fields = {}
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        fields[name] = value.split()
    return int(fields["VmRSS"][0]) * 1024, int(fields["RssAnon"][0]) * 1024


def smallest():
    """A process of the C library alone."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(b"x")
    process.stdin.flush()
    process.stdout.read(1)
    found = resident(process)[0]
    process.communicate()
    return found


def ours(programs, model, cache, empty):
    side = bench.Modeld(programs, model, cache=cache)
    total, anonymous = resident(side.process)
    side.close()
    return total - empty, anonymous


def theirs(model):
    process = subprocess.Popen([sys.executable, "-c", ORT_LOAD, str(model)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    found = resident(process)
    process.communicate("\n")
    return found


def main(arguments):
    ratios, worst = [], 0.0
    empty, small = theirs("")[0], smallest()
    print(f"{'model':12} {'weights':>8} {'first':>8} {'second':>8} {'anon':>8} {'ORT':>8}  MiB resident after load")
    for name in MODELS:
        with tempfile.TemporaryDirectory(prefix="modeld_memory_", dir=arguments.models) as folder:
            model = pathlib.Path(folder) / "model.onnx"
            shutil.copyfile(arguments.models / f"{name}.onnx", model)
            weights = model.stat().st_size
            first = ours(arguments.programs, model, "false", small)
            ours(arguments.programs, model, "true", small)
            ours(arguments.programs, model, "true", small)
            second = ours(arguments.programs, model, "true", small)
            ort = theirs(model)[0] - empty
            worst = max(worst, first[0] / weights, second[0] / weights)
            ratios.append(ort / max(first[0], second[0]))
            print(f"{name:12} {weights / MIB:8.1f} {first[0] / MIB:8.1f} {second[0] / MIB:8.1f} "
                  f"{second[1] / MIB:8.1f} {ort / MIB:8.1f}")
    print(f"resident/weights: {worst:.2f}")
    bench.finish(ratios)
