"""rpc: calls a second of a trivial model (Add on FP32 [1,4]) against a bare gRPC echo server; 1, 16 and 64 in flight.

The echo server (peer/echo_server.c) is on the same C core with the same number of pollers, takes the same requests,
answers as many bytes, and parses nothing. The ratio is calls a second of modeld over those of the echo server.
"""
import os
import subprocess

import bench
import serving

MODELS = []
CLIENTS = [int(count) for count in os.environ.get("MD_BENCH_CLIENTS", "1,16,64").split(",")]
ROUNDS = int(os.environ.get("MD_BENCH_ROUNDS", "5"))
SECONDS = 2.0
REQUEST = ["--input", "x=FP32[1,4]"]


def main(arguments):
    ratios = []
    with serving.Bench(arguments.programs) as run:
        modeld = run.start_modeld("modeld", run.trivial_repository(), "add")
        probe = run.demand_ok(run.load(modeld, "add", *REQUEST, seconds=0.2, warm_up=0))
        size = round(probe["response_bytes"] / probe["calls"])
        echo = run.start("echo", [str(run.echo), "PORT_FILE", str(size)], stdin=subprocess.PIPE)
        print(f"rpc, requests of {probe['request_bytes'] // probe['calls']} bytes, answers of {size}; medians of "
              f"{ROUNDS} rounds of {SECONDS:g} s; CPU is the server's, us a call")
        print(f"{'flight':>6} {'':8} {'calls/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU':>6} {'client':>7} {'ratio':>6}")
        for count in CLIENTS:
            rounds = [[run.demand_ok(run.load(server, "add", *REQUEST, "--concurrency", count, seconds=SECONDS))
                       for server in (modeld, echo)] for _ in range(ROUNDS)]
            sides = list(zip(*rounds))
            rates = [serving.median(side, "ok_per_second") for side in sides]
            ratios.append(rates[0] / rates[1])
            for name, side, rate in zip(("modeld", "echo"), sides, rates):
                print(f"{count:6} {name:8} {rate:9.0f} {serving.p50_ms(side):8.3f} {serving.p99_ms(side):8.3f} "
                      f"{serving.median(side, 'server_cpu_us_per_call'):6.1f} "
                      f"{serving.median(side, 'client_cpu_us_per_call'):7.1f}"
                      + (f" {ratios[-1]:6.2f}" if name == "modeld" else ""), flush=True)
    print(f"lowest: {min(ratios):.2f}")
    bench.finish(ratios)
