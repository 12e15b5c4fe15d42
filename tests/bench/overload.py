"""overload: three times the capacity is offered for --seconds N (60); MiniLM-L6 shape, token ids of 8 to 128.

The ratio is requests answered OK a second, over the capacity that a closed loop found just before. Besides: how long
accepted requests took, the server's memory, and whether half of the capacity is answered without a refusal in the second
after.
"""
import serving

MODELS = [serving.ENCODER]
CLIENTS, DEADLINE_MS = 32, 3000


def add_options(parser):
    parser.add_argument("--seconds", type=float, default=60)


def show(name, result):
    latency = result["latency_us"]
    codes = ", ".join(f"{code} {count}" for code, count in sorted(result["codes"].items()))
    print(f"{name:10} {result['offered_per_second']:9.1f} {result['ok_per_second']:9.1f} {latency['p50'] / 1e3:8.1f} "
          f"{latency['p99'] / 1e3:8.1f} {latency['max'] / 1e3:8.1f}  {codes}", flush=True)


def main(arguments):
    with serving.Bench(arguments.programs) as run:
        server = run.start_modeld("modeld", run.repository(arguments.models, serving.ENCODER), serving.ENCODER)
        request = [*serving.IDS, "--deadline-ms", DEADLINE_MS, "--connections", 8]
        print(f"overload, deadlines of {DEADLINE_MS} ms; latencies of accepted requests in ms, from when each was due")
        print(f"{'':10} {'offered/s':>9} {'OK/s':>9} {'p50':>8} {'p99':>8} {'max':>8}")
        found = run.demand_ok(run.load(server, serving.ENCODER, *request, "--concurrency", CLIENTS, seconds=8))
        capacity, before = found["ok_per_second"], server.memory_mb()
        show("capacity", found)
        over = run.load(server, serving.ENCODER, *request, "--rate", 3 * capacity, seconds=arguments.options.seconds)
        most = server.memory_mb("VmHWM")
        after = run.load(server, serving.ENCODER, *request, "--rate", capacity / 2, seconds=1, warm_up=0)
        show("overload", over)
        show("recovery", after)
        late = over["codes"].get("DEADLINE_EXCEEDED", 0) / over["requests"]
        recovered = after["codes"].get("OK", 0) / after["requests"]
        print(f"past their deadline: {late:.2%}; memory: {before:.0f} MB before, {most:.0f} MB at most; "
              f"answered in the second after: {recovered:.1%}")
    print(f"ratio: {over['ok_per_second'] / capacity:.2f}")
