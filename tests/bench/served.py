"""served: requests a second at equal p99 against a server on ONNX Runtime; MiniLM-L6 shape, ids of 8 to 128 tokens.

The peer is peer/ort_server.py (Python's grpc.aio over ONNX Runtime, padded batches, all cores), with the best of
SETTINGS at 64 clients. Equal p99: the limit is the peer's p99 under 0.8 of its capacity, offered as a Poisson process;
each side's figure is the highest rate of LOADS that keeps it, every request answered.
"""
import os
import subprocess
import sys

import grpc
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import bench
import serving

MODELS = [serving.ENCODER]
CLIENTS = 64
ROUNDS = int(os.environ.get("MD_BENCH_ROUNDS", "2"))
CORES = len(os.sched_getaffinity(0))
SETTINGS = [(1, 0, CORES, 1), (8, 2, CORES, 1), (16, 2, 1, CORES), (32, 5, 1, CORES)]
LOADS = (0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)


def write_descriptors(path):
    proto = serving.HERE.parents[1] / "proto"
    subprocess.run(["/usr/bin/python3", "-m", "grpc_tools.protoc", "-I", proto, f"--descriptor_set_out={path}",
                    "modeld/v1/modeld.proto"], check=True)


def start_peer(run, path, descriptors, setting):
    names = ("--max-batch", "--delay-ms", "--workers", "--threads")
    options = [word for pair in zip(names, map(str, setting)) for word in pair]
    return run.start("peer-" + "-".join(map(str, setting)), [
        sys.executable, serving.HERE / "peer" / "ort_server.py", path, descriptors, "PORT_FILE", *options])


def logits(server, descriptors, ids):
    """What a server answers to one row of ids."""
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        pool.Add(file)
    request, response = [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"modeld.v1.{name}"))
                         for name in ("PredictRequest", "PredictResponse")]
    message = request(model=serving.ENCODER)
    rows = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    for name, row in rows.items():
        message.inputs.add(name=name, datatype="INT64", shape=row.shape, contents=row.tobytes())
    with grpc.insecure_channel(server.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        call = channel.unary_unary("/modeld.v1.ModelService/Predict", request.SerializeToString, response.FromString)
        return np.frombuffer(call(message, timeout=30).outputs[0].contents, np.float32)


def open_loop(run, server, rate):
    return run.load(server, serving.ENCODER, *serving.IDS, "--rate", rate, "--connections", 5, seconds=4)


def highest_rate(run, server, capacity, limit_ms):
    """The highest of LOADS that keeps the limit; the lowest, if none does."""
    for load in LOADS:
        result = open_loop(run, server, load * capacity)
        p99 = result["latency_us"]["p99"] / 1e3
        if p99 <= limit_ms and set(result["codes"]) == {"OK"}:
            break
    print(f"  {server.name}: {result['ok_per_second']:.1f}/s at p99 {p99:.1f} ms ({load:g} of its capacity)",
          flush=True)
    return result["ok_per_second"]


def closed_loop(run, server, seconds=3.0):
    return run.demand_ok(run.load(server, serving.ENCODER, *serving.IDS, "--concurrency", CLIENTS, seconds=seconds))


def best_peer(run, path, descriptors):
    best = None
    for setting in SETTINGS:
        server = start_peer(run, path, descriptors, setting)
        rate = closed_loop(run, server)["ok_per_second"]
        print(f"  peer, batches of {setting[0]}, delay {setting[1]} ms, {setting[2]} x {setting[3]} threads: "
              f"{rate:.1f}/s", flush=True)
        if best is None or rate > best[0]:
            best = rate, server, setting
    return best[1], best[2]


def main(arguments):
    with serving.Bench(arguments.programs) as run:
        path, descriptors = arguments.models / f"{serving.ENCODER}.onnx", run.folder / "descriptors"
        write_descriptors(descriptors)
        print(f"served, {CLIENTS} clients, {CORES} cores")
        modeld = run.start_modeld("modeld", run.repository(arguments.models, serving.ENCODER), serving.ENCODER)
        peer, _ = best_peer(run, path, descriptors)
        ids = np.random.default_rng(3).integers(1000, 30000, (1, 40))
        found = bench.demand(bench.difference(logits(modeld, descriptors, ids), logits(peer, descriptors, ids)), 1e-4)
        rounds = [[closed_loop(run, server) for server in (modeld, peer)] for _ in range(ROUNDS)]
        sides = list(zip(*rounds))
        rates = [serving.median(side, "ok_per_second") for side in sides]
        print(f"outputs differ by {found:.1e}")
        print(f"closed loop: modeld {rates[0]:.1f}/s, p99 {serving.p99_ms(sides[0]):.1f} ms; "
              f"{peer.name} {rates[1]:.1f}/s, p99 {serving.p99_ms(sides[1]):.1f} ms; {rates[0] / rates[1]:.2f} times")
        limit_ms = open_loop(run, peer, 0.8 * rates[1])["latency_us"]["p99"] / 1e3
        print(f"open loop, p99 at most {limit_ms:.1f} ms:")
        ours, theirs = (highest_rate(run, server, rate, limit_ms) for server, rate in zip((modeld, peer), rates))
    print(f"ratio: {ours / theirs:.2f}")
