"""batching: requests a second with batching over those without; MiniLM-L6 shape, texts of 8 to 128 tokens, all cores.

The last line is the ratio at the most clients; the table has the others. --without FLAGS is what switches batching off,
--ids sends token ids as tensors instead of texts.
"""
import os
import random

import serving

MODELS = [serving.ENCODER]
CLIENTS = [int(count) for count in os.environ.get("MD_BENCH_CLIENTS", "1,2,4,16,64").split(",")]
ROUNDS = int(os.environ.get("MD_BENCH_ROUNDS", "3"))
SECONDS = 3.0


def add_options(parser):
    parser.add_argument("--without", default="--max-batch-rows 1")
    parser.add_argument("--ids", action="store_true")


def write_texts(path):
    draw = random.Random(3)
    lengths = [draw.randint(serving.SHORTEST, serving.LONGEST) for _ in range(256)]
    path.write_text("".join(" ".join(f"w{draw.randint(1000, 30000)}" for _ in range(length)) + "\n"
                            for length in lengths))


def main(arguments):
    ratios = []
    with serving.Bench(arguments.programs) as run:
        repository, texts = run.repository(arguments.models, serving.ENCODER), run.folder / "texts"
        write_texts(texts)
        request = serving.IDS if arguments.options.ids else ["--texts", texts]
        flags = arguments.options.without.split()
        if flags and not serving.knows_option(run.modeld, flags[0]):
            print(f"this modeld does not know {flags[0]}: both sides are the same")
            flags = []
        servers = [run.start_modeld("batching", repository, serving.ENCODER),
                   run.start_modeld("without", repository, serving.ENCODER, *flags)]
        kind = "ids" if arguments.options.ids else "texts"
        print(f"batching, {kind} of {serving.SHORTEST} to {serving.LONGEST} tokens; "
              f"medians of {ROUNDS} rounds of {SECONDS:g} s; requests/s and p99 in ms, with batching and without")
        print(f"{'clients':>7} {'with':>9} {'without':>9} {'ratio':>6} {'p99 with':>9} {'p99 without':>12}")
        for count in CLIENTS:
            rounds = [[run.demand_ok(run.load(server, serving.ENCODER, *request, "--concurrency", count,
                                              seconds=SECONDS)) for server in servers] for _ in range(ROUNDS)]
            sides = list(zip(*rounds))
            rates = [serving.median(side, "ok_per_second") for side in sides]
            ratios.append(rates[0] / rates[1])
            print(f"{count:7} {rates[0]:9.1f} {rates[1]:9.1f} {ratios[-1]:6.2f} {serving.p99_ms(sides[0]):9.1f} "
                  f"{serving.p99_ms(sides[1]):12.1f}", flush=True)
    print(f"lowest: {min(ratios):.2f}")
    print(f"ratio: {ratios[-1]:.2f}")
