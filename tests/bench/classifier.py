"""classifier: LSTM and TextCNN over 64 tokens, batch 1, 8 and 32, one thread.

MD_BENCH_BATCHES and MD_BENCH_MODELS choose cells.
"""
import os

import numpy as np
import onnxruntime

import bench

MODELS = os.environ.get("MD_BENCH_MODELS", "lstm,textcnn").split(",")
BATCHES = [int(batch) for batch in os.environ.get("MD_BENCH_BATCHES", "1,8,32").split(",")]
SEQUENCE = 64
BOUND = 1e-5


def main(arguments):
    random = np.random.default_rng(3)
    ratios = []
    print(f"classifier, fp32, sequence {SEQUENCE}, one thread, ONNX Runtime {onnxruntime.__version__}; milliseconds")
    print(f"{'model':12} {'B':>4} {'modeld':>9} {'ORT':>9} {'ratio':>6}  difference")
    for name in MODELS:
        path = arguments.models / f"{name}.onnx"
        ours, theirs = bench.Modeld(arguments.programs, path), bench.OnnxRuntime(path)
        for batch in BATCHES:
            feed = {"input_ids": random.integers(0, 20000, (batch, SEQUENCE))}
            for side in (ours, theirs):
                side.set_inputs(feed)
            expected = theirs.output()
            found = bench.demand(bench.difference(ours.output(expected.shape), expected), BOUND)
            mine, ort = bench.alternate(ours, theirs)
            ratios.append(ort / mine)
            print(f"{name:12} {batch:4} {mine / 1e6:9.3f} {ort / 1e6:9.3f} {ratios[-1]:6.2f}  {found:.1e}", flush=True)
        ours.close()
    bench.finish(ratios)
