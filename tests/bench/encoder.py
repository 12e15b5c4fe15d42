"""encoder: MiniLM-L6 and BERT-base shapes, 8 to 512 tokens, batch 1, --threads N (1).

--precision fp32 and bf16 are measured against ONNX Runtime in FP32, int8 against ONNX Runtime's own dynamic int8
(quantize_dynamic, weights per channel); onnx-int8: both sides run that quantised model. Differences are against ONNX
Runtime in FP32.
MD_BENCH_LENGTHS and MD_BENCH_MODELS choose cells.
"""
import os

import numpy as np
import onnxruntime

import bench

MODELS = os.environ.get("MD_BENCH_MODELS", "minilm-l6,bert-base").split(",")
LENGTHS = [int(length) for length in os.environ.get("MD_BENCH_LENGTHS", "8,32,128,512").split(",")]
BOUNDS = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.2, "onnx-int8": 0.2}


def add_options(parser):
    parser.add_argument("--precision", choices=BOUNDS, default="fp32")
    parser.add_argument("--threads", type=int, default=1)


def quantized(models, name):
    """ONNX Runtime's dynamic int8 of a model, made once."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = models / f"{name}-int8-{onnxruntime.__version__}.onnx"
    if not path.exists():
        partial = path.with_suffix(".part")
        quantize_dynamic(models / f"{name}.onnx", partial, per_channel=True, weight_type=QuantType.QInt8)
        partial.rename(path)
    return path


def main(arguments):
    precision, threads = arguments.options.precision, arguments.options.threads
    random = np.random.default_rng(3)
    ratios, worst, other_worst = [], 0.0, 0.0
    is_quantized = precision in ("int8", "onnx-int8")
    against = "its dynamic int8" if is_quantized else "fp32"
    print(f"encoder, {precision}, batch 1, threads: {threads}, ONNX Runtime {onnxruntime.__version__} ({against}); milliseconds")
    print(f"{'model':12} {'S':>4} {'modeld':>9} {'ORT':>9} {'ratio':>6}  difference from ORT's fp32, modeld and ORT")
    for name in MODELS:
        path = arguments.models / f"{name}.onnx"
        exact = bench.OnnxRuntime(path, threads)
        theirs = bench.OnnxRuntime(quantized(arguments.models, name), threads) if is_quantized else exact
        if precision == "onnx-int8":
            ours = bench.Modeld(arguments.programs, quantized(arguments.models, name), precision="fp32", threads=threads)
        else:
            ours = bench.Modeld(arguments.programs, path, precision=precision, threads=threads)
        for length in LENGTHS:
            ids = random.integers(1000, 30000, (1, length))
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            for side in (ours, exact, theirs):
                side.set_inputs(feed)
            expected = exact.output()
            found = bench.demand(bench.difference(ours.output(expected.shape), expected), BOUNDS[precision])
            other = bench.difference(theirs.output(), expected)
            worst, other_worst = max(worst, found), max(other_worst, other)
            mine, ort = bench.alternate(ours, theirs)
            ratios.append(ort / mine)
            print(f"{name:12} {length:4} {mine / 1e6:9.3f} {ort / 1e6:9.3f} {ratios[-1]:6.2f}  {found:.1e} {other:.1e}",
                  flush=True)
        ours.close()
    print(f"largest difference from ONNX Runtime's fp32: {worst:.2e}; ONNX Runtime's own: {other_worst:.2e}")
    bench.finish(ratios)
