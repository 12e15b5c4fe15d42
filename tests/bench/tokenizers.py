"""tokenizers: texts into ids and offsets, against PyPI's tokenizers (Rust), one thread; and loading tokenizer.json.

The vocabularies of tests/tokenizers, English prose and Django's translations. The ratios are per model kind, and in all.
"""
import math
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile

import bench

os.environ["TOKENIZERS_PARALLELISM"] = "false"
MODELS = []
HERE = pathlib.Path(__file__).resolve().parent.parent / "tokenizers"


class Modeld(bench.Modeld):
    program = "bench_tokenizer"

    def __init__(self, programs, path):
        super().__init__(programs, path, disable=None)

    def set_texts(self, texts):
        path = pathlib.Path(self.folder.name, "texts")
        path.write_bytes(b"".join(struct.pack("<I", len(text)) + text for text in (text.encode() for text in texts)))
        return int(self.ask(f"texts {path}"))


class Reference:
    def __init__(self, module, path):
        self.module, self.path, self.texts = module, str(path), []
        self.tokenizer = module.Tokenizer.from_file(self.path)

    def measure(self, runs, run):
        times = []
        for _ in range(runs):
            begin = bench.clock()
            result = run()
            times.append(bench.clock() - begin)
            del result
        return sorted(times)[runs // 2]

    def time(self, runs):
        return self.measure(runs, lambda: self.tokenizer.encode_batch(self.texts))

    def load(self, runs):
        return self.measure(runs, lambda: self.module.Tokenizer.from_file(self.path))


def corpora(packages):
    sys.path.insert(0, str(HERE))
    import texts
    import vocabularies

    source = next(packages.glob("sentencepiece-*.tar.gz"))
    novel = vocabularies.tar_file(source, source.name.removesuffix(".tar.gz") + "/test/botchan.txt").decode()
    strings = [text for text in texts.translations(next(packages.glob("django-*.whl"))) if text]
    return {"english": [line for line in novel.split("\n") if line][:1500], "translations": random.Random(5).sample(strings, 1500)}


def main(arguments):
    folder = pathlib.Path(subprocess.run([HERE / "make"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip())
    sys.path.append(str(next((folder.parent / "venv/lib").glob("python3*")) / "site-packages"))
    # This file has the name of the reference: it is looked up without this folder.
    own = sys.modules.pop("tokenizers", None)
    before, sys.path[:] = sys.path[:], [path for path in sys.path if pathlib.Path(path).resolve() != HERE.parent / "bench"]
    import tokenizers as reference
    sys.path[:] = before
    sys.modules["tokenizers"] = own
    texts = corpora(folder.parent / "packages")
    by_kind, loads = {}, []
    print(f"one thread, tokenizers {reference.__version__}; milliseconds")
    print(f"{'vocabulary':12} {'kind':9} {'texts':12} {'modeld':>9} {'reference':>9} {'ratio':>6} {'MB/s':>6}")
    for path in sorted(folder.glob("*.json")):
        ours, theirs = Modeld(arguments.programs, path), Reference(reference, path)
        kind = type(theirs.tokenizer.model).__name__
        mine, other = int(ours.ask("load 3")), theirs.load(1)
        loads.append(other / mine)
        print(f"{path.stem:12} {kind:9} {'(loading)':12} {mine / 1e6:9.2f} {other / 1e6:9.2f} {loads[-1]:6.2f}", flush=True)
        for name, some in texts.items():
            tokens, theirs.texts = ours.set_texts(some), some
            if tokens != sum(len(encoding.ids) for encoding in theirs.tokenizer.encode_batch(some)):
                raise SystemExit(f"{path.stem}: another number of tokens: nothing was measured")
            mine, other = bench.alternate(ours, theirs)
            by_kind.setdefault(kind, []).append(other / mine)
            speed = sum(len(text.encode()) for text in some) / mine * 1e3
            print(f"{path.stem:12} {kind:9} {name:12} {mine / 1e6:9.2f} {other / 1e6:9.2f} {other / mine:6.2f} {speed:6.0f}", flush=True)
        ours.close()
    for kind, ratios in by_kind.items():
        print(f"{kind}: {math.exp(statistics.mean(map(math.log, ratios))):.2f}")
    print(f"loading: {math.exp(statistics.mean(map(math.log, loads))):.2f}")
    bench.finish([ratio for ratios in by_kind.values() for ratio in ratios])
