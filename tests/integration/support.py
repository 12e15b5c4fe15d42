"""What the integration tests share: the real server as a process, stubs generated at test time, small models.

Environment (run-python sets it): MODELD and MODELCTL, the programs; MODELD_STUBS, the folder of the stubs.
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

# A client of the C core reads a connection without calls every five seconds only: so long a GOAWAY would wait for it.
os.environ.setdefault("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100")
import grpc  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
REFERENCE = os.path.join(ROOT, "deploy", "models")
GOLDENS = os.path.join(ROOT, "tests", "models", "reference", "goldens")
MODELS = ("sentiment-lstm", "spam-textcnn", "sentiment-transformer")
PROTOS = ("modeld/v1/modeld.proto", "inference/inference.proto", "inference/model_config.proto",
          "grpc/health/v1/health.proto", "onnx/onnx.proto")
MODELD = os.environ["MODELD"]
MODELCTL = os.environ["MODELCTL"]
STUBS = os.environ["MODELD_STUBS"]
Code = grpc.StatusCode


def generate_stubs():
    os.makedirs(STUBS, exist_ok=True)
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", os.path.join(ROOT, "proto"),
               "--python_out=" + STUBS, "--grpc_python_out=" + STUBS, *PROTOS]
    subprocess.run(command, check=True)
    for package in {proto.split("/")[0] for proto in PROTOS} - {"grpc"}:
        # A plain folder would lose against an installed package of the same name (onnx).
        with open(os.path.join(STUBS, package, "__init__.py"), "wb"):
            pass


generate_stubs()
sys.path.insert(0, STUBS)
grpc.__path__.append(os.path.join(STUBS, "grpc"))  # grpc.health lives in a package that exists already
from modeld.v1 import modeld_pb2 as modeld  # noqa: E402
from modeld.v1 import modeld_pb2_grpc  # noqa: E402
from inference import inference_pb2 as oip  # noqa: E402
from inference import inference_pb2_grpc  # noqa: E402
from grpc.health.v1 import health_pb2 as health  # noqa: E402
from grpc.health.v1 import health_pb2_grpc  # noqa: E402
from onnx import onnx_pb2 as onnx  # noqa: E402

SERVING = health.HealthCheckResponse.SERVING
NOT_SERVING = health.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health.HealthCheckResponse.SERVICE_UNKNOWN


def goldens(model):
    with open(os.path.join(GOLDENS, model + ".json"), encoding="utf-8") as file:
        return json.load(file)["cases"]


def wait_for(what, condition, seconds=30.0):
    """Polls what has no event: files of another process, its end."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.005)
    return result


class Server:
    """A modeld in a folder of its own, on a free port. Use as a context manager; kill() and stop() end it."""

    def __init__(self, *options, repository=REFERENCE, folder=None, listen="127.0.0.1:0", registry=None,
                 restore_signals=True):
        self.folder = folder or tempfile.mkdtemp(prefix="modeld_it_")
        self.owns_folder = folder is None
        self.repository = repository
        self.registry = registry or os.path.join(self.folder, "registry.db")
        self.log_path = os.path.join(self.folder, "log")
        self.options = options
        self.listen = listen
        self.restore_signals = restore_signals
        self.process = None
        self.channel = None

    def command(self):
        return [MODELD, "--listen", self.listen, "--registry", self.registry, "--repository", self.repository,
                "--port-file", os.path.join(self.folder, "port"), "--http", "127.0.0.1:0",
                "--http-port-file", os.path.join(self.folder, "http-port"), *self.options]

    def launch(self):
        """Starts the process and waits for nothing."""
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(self.folder, "port"))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            restore_signals=self.restore_signals)
        return self

    def start(self, seconds=60):
        """Starts the process, waits for the port and until it is SERVING."""
        self.launch()
        port_file = os.path.join(self.folder, "port")

        def bound():
            if self.process.poll() is not None:
                raise AssertionError(f"modeld ended with {self.process.returncode}:\n{self.log()}")
            with contextlib.suppress(FileNotFoundError):
                with open(port_file, encoding="ascii") as file:
                    return file.read().strip()
            return None

        port = wait_for("port file", bound, seconds)
        self.address = "127.0.0.1:" + port
        self.connect()
        for answer in self.health.Watch(health.HealthCheckRequest(), timeout=seconds, wait_for_ready=True):
            if answer.status == SERVING:
                break
        return self

    def http_port(self):
        with open(os.path.join(self.folder, "http-port"), encoding="ascii") as file:
            return int(file.read())

    def http(self, method, path, body=None, headers=None, timeout=30):
        """Status, headers (lower case) and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port(), timeout=timeout)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()

    def connect(self):
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
                  ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self.channel = grpc.insecure_channel(self.address, options=limits)
        self.modeld = modeld_pb2_grpc.ModelServiceStub(self.channel)
        self.oip = inference_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, signal_number, seconds=60):
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(seconds) if self.process is not None else None

    def stop(self):
        return self.end(signal.SIGTERM)

    def kill(self):
        return self.end(signal.SIGKILL)

    def refused(self, seconds=30):
        """For a server that must not start: its exit code and what it said."""
        earlier = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        self.launch()
        code = self.process.wait(seconds)
        return code, self.log()[earlier:]

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.kill()
        if self.owns_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    # The calls that most tests make.
    def load(self, model, version=0, actor="test", timeout=60, precision=""):
        return self.modeld.LoadModel(modeld.LoadModelRequest(model=model, version=version, actor=actor,
                                                             precision=precision), timeout=timeout)

    def unload(self, model, version=0, actor="test", timeout=60):
        return self.modeld.UnloadModel(modeld.UnloadModelRequest(model=model, version=version, actor=actor),
                                       timeout=timeout)

    def predict(self, model, texts, version="", timeout=60, **options):
        request = modeld.PredictRequest(model=model, version=version, texts=texts,
                                        options=modeld.PredictOptions(**options))
        return self.modeld.Predict(request, timeout=timeout)

    def versions(self):
        answer = self.modeld.ListModels(modeld.ListModelsRequest(), timeout=30)
        return {(version.model, version.version): version for version in answer.versions}

    def events(self, model="", limit=10000):
        return self.modeld.ListEvents(modeld.ListEventsRequest(model=model, limit=limit), timeout=30).events

    def status(self, service=""):
        return self.health.Check(health.HealthCheckRequest(service=service), timeout=30).status


@contextlib.contextmanager
def refuses(test, code, *patterns):
    """The block must fail with this status, and its message match every pattern. Gives the error."""
    caught = {}
    try:
        yield caught
    except grpc.RpcError as error:
        caught["error"] = error
        test.assertEqual(error.code(), code, f"message: {error.details()}")
        for pattern in patterns:
            test.assertRegex(error.details(), re.compile(pattern, re.IGNORECASE))
        return
    test.fail(f"must fail with {code.name}")


def copy_repository(folder, *models):
    """A repository that a test may change, with copies of reference models."""
    repository = os.path.join(folder, "models")
    os.makedirs(repository, exist_ok=True)
    for model in models:
        shutil.copytree(os.path.join(REFERENCE, model), os.path.join(repository, model))
    return repository


def write_model(repository, name, data, version=1):
    folder = os.path.join(repository, name, str(version))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(data)
    return folder


def value_info(name, element_type, shape):
    info = onnx.ValueInfoProto(name=name)
    info.type.tensor_type.elem_type = element_type
    for size in shape:
        dimension = info.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dimension.dim_param = size
        else:
            dimension.dim_value = size
    return info


def one_node_model(op_type, node_name="only", opset=13, element_type=1, shape=("n",), inputs=("x",), domain=""):
    """The bytes of a model with one node: inputs -> y, all of one type and shape."""
    graph = onnx.GraphProto(name="g", node=[onnx.NodeProto(op_type=op_type, name=node_name, input=list(inputs),
                                                           output=["y"], domain=domain)],
                            input=[value_info(name, element_type, shape) for name in inputs],
                            output=[value_info("y", element_type, shape)])
    model = onnx.ModelProto(ir_version=8, graph=graph, opset_import=[onnx.OperatorSetIdProto(version=opset)])
    return model.SerializeToString()
