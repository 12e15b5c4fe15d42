"""What the benchmarks of serving share: servers on free ports, `modelctl bench` as the load, their CPU and memory.

Every server is a process of this one and ends with it. Loads of the two sides alternate in the same run.
"""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import onnx
from onnx import TensorProto, helper

HERE = pathlib.Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
ENCODER = "minilm-l6-classifier"
SHORTEST, LONGEST = 8, 128
IDS = ["--input", "input_ids=INT64[-1,-1]", "--input", "attention_mask=INT64[-1,-1]", "--input",
       "token_type_ids=INT64[-1,-1]", "--dims", f"batch=1,sequence={SHORTEST}..{LONGEST}", "--values",
       "input_ids=1000..30000,attention_mask=1,token_type_ids=0"]


class Server:
    """A process that writes its port to a file; `program` is its command line without that file."""

    def __init__(self, folder, name, program, stdin=subprocess.DEVNULL, environment=None):
        self.name, self.port_file = name, pathlib.Path(folder) / f"{name}.port"
        self.log = pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(word).replace("PORT_FILE", str(self.port_file)) for word in program],
                                            stdin=stdin, stdout=log, stderr=log, env=environment)

    def wait(self, seconds=60):
        end = time.monotonic() + seconds
        while not (self.port_file.exists() and self.port_file.read_text().strip()):
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{self.name} did not start:\n{self.log.read_text()}")
            time.sleep(0.01)
        self.address = f"127.0.0.1:{self.port_file.read_text().strip()}"
        return self

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self, key="VmRSS"):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1000
        return 0.0

    def close(self):
        self.process.kill()
        self.process.wait()


class Bench:
    """The programs, a temporary folder, and the servers that end with it. Use as a context manager."""

    def __init__(self, programs):
        build = pathlib.Path(programs).parents[1]
        self.modeld, self.modelctl = build / "server" / "modeld", build / "client" / "modelctl" / "modelctl"
        self.echo = pathlib.Path(programs) / "echo_server"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory(prefix="modeld_bench_")))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def start(self, name, program, **options):
        server = Server(self.folder, name, program, **options)
        self.stack.callback(server.close)
        return server.wait()

    def start_modeld(self, name, repository, model, *options):
        server = self.start(name, [str(self.modeld), "--listen", "127.0.0.1:0", "--port-file", "PORT_FILE",
                                   "--registry", str(self.folder / f"{name}.db"), "--repository", str(repository),
                                   *options])
        subprocess.run([self.modelctl, "load", model, "--server", server.address, "--timeout", "60"], check=True,
                       stdout=subprocess.DEVNULL)
        return server

    def load(self, server, model, *options, seconds=3.0, warm_up=0.5):
        """One load; the answer of `modelctl bench --json`, and the server's CPU a call in microseconds."""
        before = server.cpu_seconds()
        done = subprocess.run([self.modelctl, "bench", model, "--server", server.address, "--json", "--duration",
                               str(seconds), "--warm-up", str(warm_up), *map(str, options)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=seconds + 60)
        if not done.stdout:
            raise SystemExit(f"no load on {server.name}: {done.stderr}")
        result = json.loads(done.stdout)
        result["server_cpu_us_per_call"] = (server.cpu_seconds() - before) * 1e6 / max(result["calls"], 1)
        return result

    def demand_ok(self, result):
        """Every request must have been answered: a refusal is cheap, and no throughput."""
        if set(result["codes"]) != {"OK"}:
            raise SystemExit(f"not every request was answered: {result['codes']}: {result['first_failure']}")
        return result

    def repository(self, models, name):
        """A repository with one version of a model directory of models.py."""
        folder = self.folder / "repository"
        if not (folder / name).exists():
            shutil.copytree(models / name, folder / name / "1")
        return folder

    def trivial_repository(self):
        folder = self.folder / "trivial"
        (folder / "add" / "1").mkdir(parents=True)
        info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "add", info[:1], info[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save(model, folder / "add" / "1" / "model.onnx")
        return folder


def median(results, key):
    return statistics.median(result[key] for result in results)


def p99_ms(results):
    return statistics.median(result["latency_us"]["p99"] for result in results) / 1e3


def p50_ms(results):
    return statistics.median(result["latency_us"]["p50"] for result in results) / 1e3


def knows_option(program, option):
    return option in subprocess.run([program, "--help"], capture_output=True, text=True).stdout

