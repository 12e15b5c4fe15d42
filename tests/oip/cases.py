"""The cases: one or more per point of the protocol's contract (p01 ... p19) and per row of the status table (status),
then streams, shared memory, reflection, health, and tritonclient used as its examples use it."""
import asyncio
import contextlib
import os
import queue
import struct
import subprocess
import time
import uuid

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
import tritonclient.utils.shared_memory as shm
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from models import DATATYPES

CASES = []
Code = grpc.StatusCode
A, B = list(range(16)), [1] * 16
SUM, DIFFERENCE = [a + 1 for a in A], [a - 1 for a in A]
FIELDS = {"BOOL": "bool", "INT8": "int", "INT16": "int", "INT32": "int", "INT64": "int64", "UINT8": "uint", "UINT16": "uint",
          "UINT32": "uint", "UINT64": "uint64", "FP32": "fp32", "FP64": "fp64", "BYTES": "bytes"}
VALUES = {"BOOL": [True, False], "INT8": [-128, 127], "INT16": [-32768, 32767], "INT32": [-2**31, 2**31 - 1],
          "INT64": [-2**63, 2**63 - 1], "UINT8": [0, 255], "UINT16": [0, 65535], "UINT32": [0, 2**32 - 1],
          "UINT64": [0, 2**64 - 1], "FP32": [0.5, -2.0], "FP64": [0.1, -1e300], "BYTES": [b"", b"a\0b"]}
PACK = {"BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
        "UINT64": "Q", "FP32": "f", "FP64": "d"}


def case(function):
    CASES.append((function.__name__, function))
    return function


class Kit:
    def __init__(self, address):
        self.address = address
        self.channel = grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        grpc.channel_ready_future(self.channel).result(30)
        self.oip = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)
        self.triton = triton.InferenceServerClient(address)
        for name in ["simple", "simple_string", "simple_identity", "scalar", "slow", "text",
                     *("identity_" + d.lower() for d in DATATYPES)]:
            self.oip.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=30)
        try:
            self.oip.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="broken"), timeout=30)
        except grpc.RpcError:
            pass

    def infer(self, request):
        return self.oip.ModelInfer(request, timeout=30)


def tensor(name, datatype, shape, contents=None, **parameters):
    made = pb.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    if contents is not None:
        made.contents.CopyFrom(pb.InferTensorContents(**contents))
    for key, value in parameters.items():
        setattr(made.parameters[key], "string_param" if isinstance(value, str) else "int64_param", value)
    return made


def ints(values):
    return struct.pack(f"<{len(values)}i", *values)


def texts(values):
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def simple(**fields):
    return pb.ModelInferRequest(model_name="simple", inputs=[tensor("INPUT0", "INT32", [1, 16]),
                                                             tensor("INPUT1", "INT32", [1, 16])],
                                raw_input_contents=[ints(A), ints(B)], **fields)


def typed(**fields):
    return pb.ModelInferRequest(model_name="simple", inputs=[
        tensor("INPUT0", "INT32", [1, 16], {"int_contents": A}), tensor("INPUT1", "INT32", [1, 16], {"int_contents": B})],
        **fields)


def identity(datatype, shape, contents=None, raw=None, **fields):
    return pb.ModelInferRequest(model_name="identity_" + datatype.lower(),
                                inputs=[tensor("INPUT0", datatype, shape, contents)],
                                raw_input_contents=[] if raw is None else [raw], **fields)


def refused(call, code, *words):
    try:
        answer = call()
    except grpc.RpcError as problem:
        assert problem.code() == code, f"{problem.code().name} instead of {code.name}: {problem.details()}"
        for word in words:
            assert word in problem.details(), f'"{word}" is not in the message: {problem.details()}'
        return problem
    raise AssertionError(f"answered, {code.name} expected: {str(answer)[:200]}")


def bad(kit, request, *words):
    refused(lambda: kit.infer(request), Code.INVALID_ARGUMENT, *words)


def same(found, expected):
    assert found == expected, f"{found!r} instead of {expected!r}"


def check_simple(answer):
    same([output.name for output in answer.outputs], ["OUTPUT0", "OUTPUT1"])
    same(list(answer.raw_output_contents), [ints(SUM), ints(DIFFERENCE)])


@case
def p01_raw(kit): check_simple(kit.infer(simple()))


@case
def p01_typed(kit): check_simple(kit.infer(typed()))


@case
def p01_raw_and_contents(kit):
    request = simple()
    request.inputs[0].contents.SetInParent()
    bad(kit, request, "INPUT0")


@case
def p01_raw_count(kit):
    for change in (lambda raw: raw.append(b""), lambda raw: raw.pop()):
        request = simple()
        change(request.raw_input_contents)
        bad(kit, request)


@case
def p01_raw_and_shared_memory(kit):
    """Raw entries are those of the inputs that are not in shared memory, in their order."""
    def use(name, region):
        shm.set_shared_memory_region(region, [np.array(A, np.int32)])
        there = tensor("INPUT0", "INT32", [1, 16], shared_memory_region=name, shared_memory_byte_size=64)
        for inputs in ([there, tensor("INPUT1", "INT32", [1, 16])], [tensor("INPUT1", "INT32", [1, 16]), there]):
            check_simple(kit.infer(pb.ModelInferRequest(model_name="simple", inputs=inputs, raw_input_contents=[ints(B)])))
            bad(kit, pb.ModelInferRequest(model_name="simple", inputs=inputs, raw_input_contents=[ints(A), ints(B)]))
        there.contents.int_contents.extend(A)
        bad(kit, pb.ModelInferRequest(model_name="simple", inputs=[there, tensor("INPUT1", "INT32", [1, 16])],
                                      raw_input_contents=[ints(B)]), "INPUT0")
    with_region(kit, 64, use)


@case
def p02_neither(kit):
    request = typed()
    request.inputs[1].ClearField("contents")
    bad(kit, request, "INPUT1")


def add_datatype_cases(datatype):
    values = VALUES.get(datatype)
    raw = (texts(values) if datatype == "BYTES" else struct.pack(f"<{len(values)}{PACK[datatype]}", *values)
           if values else b"\0\x3c\0\xc0")

    def round_trip(kit): same(list(kit.infer(identity(datatype, [2], raw=raw)).raw_output_contents), [raw])
    CASES.append((f"p03_raw_{datatype}", round_trip))
    if values is None:
        def no_contents(kit): bad(kit, identity(datatype, [1], {"fp32_contents": [1.0]}), "INPUT0")
        CASES.append((f"p03_only_raw_{datatype}", no_contents))
        return
    field = FIELDS[datatype] + "_contents"

    def contents(kit):
        request = identity(datatype, [2], {field: values})
        same(list(kit.infer(request).raw_output_contents), [raw])
        request.parameters["binary_data_output"].bool_param = False
        answer = kit.infer(request)
        same(list(getattr(answer.outputs[0].contents, field)), values)
        same(len(answer.raw_output_contents), 0)

    def wrong_field(kit):
        other = "fp64_contents" if field != "fp64_contents" else "fp32_contents"
        bad(kit, identity(datatype, [1], {other: [1.0]}), "INPUT0")
        bad(kit, identity(datatype, [2], {field: values, other: [1.0]}), "INPUT0")
    CASES.extend([(f"p03_typed_{datatype}", contents), (f"p03_wrong_field_{datatype}", wrong_field)])


for _datatype in DATATYPES:
    add_datatype_cases(_datatype)


@case
def p03_narrow_values(kit):
    for datatype, field, value in (("INT8", "int", 128), ("INT16", "int", -32769), ("UINT8", "uint", 256),
                                   ("UINT16", "uint", 65536)):
        bad(kit, identity(datatype, [1], {field + "_contents": [value]}), "INPUT0")


@case
def p04_bytes_lengths(kit):
    for raw in (b"\x05\0\0\0ab", b"\x01\0\0", b"\x01\0\0\0a!", b"\xff\xff\xff\xff", b""):
        bad(kit, identity("BYTES", [1], raw=raw), "INPUT0")


@case
def p05_empty(kit):
    answer = kit.infer(identity("FP32", [0], raw=b""))
    same((list(answer.outputs[0].shape), list(answer.raw_output_contents)), ([0], [b""]))


@case
def p06_raw_length(kit):
    for raw in (b"\0" * 7, b"\0" * 9, b""):
        bad(kit, identity("FP32", [2], raw=raw), "INPUT0")


@case
def p06_shapes(kit):
    for shape in ([-1], [2**62, 2**62], [1, 2]):
        bad(kit, identity("FP32", shape, raw=b"\0" * 8), "INPUT0")


@case
def p07_metadata(kit):
    answer = kit.oip.ModelMetadata(pb.ModelMetadataRequest(name="simple"), timeout=30)
    same([(i.name, i.datatype, list(i.shape)) for i in answer.inputs],
         [("INPUT0", "INT32", [-1, 16]), ("INPUT1", "INT32", [-1, 16])])
    scalar = kit.oip.ModelMetadata(pb.ModelMetadataRequest(name="scalar"), timeout=30)
    same(list(scalar.inputs[0].shape), [])


@case
def p07_scalar(kit):
    for shape in ([], [1]):
        request = pb.ModelInferRequest(model_name="scalar", inputs=[tensor("INPUT0", "FP32", shape)],
                                       raw_input_contents=[struct.pack("<f", 2.5)])
        same(list(kit.infer(request).raw_output_contents), [struct.pack("<f", 2.5)])


@case
def p08_raw_by_default_in_order(kit):
    answer = kit.infer(typed(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=n)
                                      for n in ("OUTPUT1", "OUTPUT0")]))
    same([output.name for output in answer.outputs], ["OUTPUT1", "OUTPUT0"])
    same(list(answer.raw_output_contents), [ints(DIFFERENCE), ints(SUM)])
    assert not any(output.HasField("contents") for output in answer.outputs)


@case
def p09_outputs(kit):
    wanted = pb.ModelInferRequest.InferRequestedOutputTensor
    same(len(kit.infer(simple(outputs=[wanted(name="OUTPUT1")])).outputs), 1)
    bad(kit, simple(outputs=[wanted(name="nosuch")]), "nosuch")
    bad(kit, simple(outputs=[wanted(name="OUTPUT0"), wanted(name="OUTPUT0")]), "OUTPUT0")


@case
def p10_id(kit): same([kit.infer(simple(id=id)).id for id in ("", "x-7", "é")], ["", "x-7", "é"])


@case
def p11_version(kit):
    same([kit.infer(simple(model_version=version)).model_version for version in ("", "1")], ["1", "1"])
    for version in ("0", "-1", "1.5"):
        bad(kit, simple(model_version=version))


@case
def p12_model_ready(kit):
    def ready(name, version=""):
        return kit.oip.ModelReady(pb.ModelReadyRequest(name=name, version=version), timeout=30).ready
    same((ready("simple"), ready("simple", "1"), ready("broken")), (True, True, False))
    refused(lambda: ready("nosuch"), Code.NOT_FOUND, "nosuch")
    refused(lambda: ready("simple", "one two"), Code.INVALID_ARGUMENT)


@case
def p13_parameters(kit):
    request = simple()
    request.parameters["unknown"].double_param = 1.5
    request.parameters["priority"].uint64_param = 1
    request.parameters["timeout"].int64_param = 10**9
    check_simple(kit.infer(request))
    request.parameters["empty"].SetInParent()
    bad(kit, request, "empty")


@case
def p13_load_config(kit):
    kit.triton.load_model("simple", config='{"version_policy": {"specific": {"versions": [1]}}}')
    for text in ("{", "[]"):
        request = pb.RepositoryModelLoadRequest(model_name="simple")
        request.parameters["config"].string_param = text
        refused(lambda: kit.oip.RepositoryModelLoad(request, timeout=30), Code.INVALID_ARGUMENT, "config")


@case
def p14_index(kit):
    states = {m.name: (m.state, m.reason) for m in kit.oip.RepositoryIndex(pb.RepositoryIndexRequest(), timeout=30).models}
    same(states["simple"][0], "READY")
    assert states["broken"][0] == "UNAVAILABLE" and states["broken"][1], states["broken"]
    ready = kit.oip.RepositoryIndex(pb.RepositoryIndexRequest(ready=True), timeout=30).models
    same({m.state for m in ready}, {"READY"})


@case
def p14_load_and_unload(kit):
    def ready(): return kit.triton.is_model_ready("simple_identity")
    kit.triton.unload_model("simple_identity", unload_dependents=True)
    same(ready(), False)
    kit.oip.RepositoryModelLoad(pb.RepositoryModelLoadRequest(repository_name="simple_identity"), timeout=30)
    same(ready(), True)  # as KServe's client asks
    refused(lambda: kit.oip.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name="nosuch"), timeout=30),
            Code.NOT_FOUND, "failed to load", "nosuch")


@case
def p15_platform(kit):
    same(kit.oip.ModelMetadata(pb.ModelMetadataRequest(name="simple"), timeout=30).platform, "onnx_onnxv1")
    server = kit.oip.ServerMetadata(pb.ServerMetadataRequest(), timeout=30)
    assert server.name and server.version and "model_repository" in server.extensions, str(server)


@case
def p16_large_message(kit):
    raw = bytes(8 << 20)
    same(kit.triton.infer("identity_uint8", [numpy_input("INPUT0", np.frombuffer(raw, np.uint8))])
         .as_numpy("OUTPUT0").tobytes(), raw)


def stream(kit, requests, **options):
    return list(kit.oip.ModelStreamInfer(iter(requests), timeout=30, **options))


@case
def p17_stream_in_order(kit):
    ids = [str(i) for i in range(64)]
    answers = stream(kit, [simple(id=id) for id in ids])
    same([answer.infer_response.id for answer in answers], ids)
    check_simple(answers[-1].infer_response)


@case
def p17_stream_goes_on_after_an_error(kit):
    answers = stream(kit, [simple(id="a"), simple(model_version="99"), simple(id="c")])
    same([bool(answer.error_message) for answer in answers], [False, True, False])


@case
def p17_stream_ends_with_a_status_if_asked(kit):
    refused(lambda: stream(kit, [simple(), simple(model_version="99")], metadata=[("triton_grpc_error", "true")]),
            Code.NOT_FOUND, "99")


@case
def p17_stream_one_by_one(kit):
    requests = queue.Queue()
    calls = kit.oip.ModelStreamInfer(iter(requests.get, None), timeout=30)
    for i in range(3):
        requests.put(simple(id=str(i)))
        same(next(calls).infer_response.id, str(i))
    requests.put(None)
    same(list(calls), [])


def statistics(kit):
    return kit.oip.ModelStatistics(pb.ModelStatisticsRequest(name="simple"), timeout=30).model_stats[0]


@case
def p18_statistics(kit):
    before, since = statistics(kit), time.time()
    request = simple()
    for i in range(2):
        request.inputs[i].shape[0] = 3
        request.raw_input_contents[i] = ints([A, B][i] * 3)
    kit.infer(request)
    deadline = time.monotonic() + 5
    while (after := statistics(kit)).inference_stats.success.count <= before.inference_stats.success.count:
        assert time.monotonic() < deadline, f"{after} after {before} and one more request"
        time.sleep(0.05)
    same((after.inference_count - before.inference_count, after.execution_count - before.execution_count), (3, 1))
    assert after.last_inference / 1000 >= since - 1, f"last_inference {after.last_inference} is before {since}"
    for part in ("success", "queue", "compute_infer"):
        grown = [getattr(s.inference_stats, part) for s in (before, after)]
        assert grown[1].count == grown[0].count + 1 and grown[1].ns >= grown[0].ns, f"{part}: {grown}"
    assert after.inference_stats.success.ns > before.inference_stats.success.ns
    assert 3 in [batch.batch_size for batch in after.batch_stats], after.batch_stats


@case
def p18_statistics_of_failures(kit):
    before = statistics(kit).inference_stats
    bad(kit, pb.ModelInferRequest(model_name="simple"))
    after = statistics(kit).inference_stats
    same((after.fail.count - before.fail.count, after.success.count - before.success.count), (1, 0))
    refused(lambda: kit.oip.ModelStatistics(pb.ModelStatisticsRequest(name="nosuch"), timeout=30), Code.NOT_FOUND)


@case
def p19_text(kit):
    request = pb.ModelInferRequest(model_name="text", inputs=[tensor("text", "BYTES", [2])],
                                   raw_input_contents=[texts([b"WIN a FREE prize now!!! call 0900", b"see you at lunch"])])
    answer = kit.infer(request)
    found = {output.name: (output.datatype, list(output.shape)) for output in answer.outputs}
    same(found, {"label": ("BYTES", [2]), "score": ("FP32", [2])})
    request.inputs[0].datatype = "INT32"
    request.raw_input_contents[0] = ints([1, 2])
    bad(kit, request, "text")


@case
def config(kit):
    answer = kit.triton.get_model_config("simple").config
    same((answer.name, answer.platform, [(i.name, list(i.dims)) for i in answer.input]),
         ("simple", "onnx_onnxv1", [("INPUT0", [-1, 16]), ("INPUT1", [-1, 16])]))


@case
def settings(kit):
    assert kit.triton.get_trace_settings().settings and kit.triton.get_log_settings().settings


@case
def status_not_found(kit):
    refused(lambda: kit.infer(pb.ModelInferRequest(model_name="nosuch")), Code.NOT_FOUND, "nosuch")
    refused(lambda: kit.infer(pb.ModelInferRequest(model_name="simpel")), Code.NOT_FOUND, "simple")
    refused(lambda: kit.infer(simple(model_version="99")), Code.NOT_FOUND, "99")


@case
def status_invalid_argument(kit):
    bad(kit, pb.ModelInferRequest())
    request = simple()
    request.inputs[0].name = "nosuch"
    bad(kit, request, "nosuch")
    request = simple()
    request.inputs[0].datatype = "FP32"
    bad(kit, request, "INPUT0")
    bad(kit, pb.ModelInferRequest(model_name="simple"), "INPUT0")


@case
def status_unavailable(kit):
    refused(lambda: kit.infer(pb.ModelInferRequest(model_name="broken")), Code.UNAVAILABLE, "broken", "FAILED")


@case
def status_unimplemented(kit):
    call = kit.channel.unary_unary("/inference.GRPCInferenceService/NoSuch")
    refused(lambda: call(b"", timeout=10), Code.UNIMPLEMENTED, "NoSuch")
    refused(lambda: kit.oip.CudaSharedMemoryStatus(pb.CudaSharedMemoryStatusRequest(), timeout=10), Code.UNIMPLEMENTED)


@case
def status_malformed(kit):
    call = kit.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    refused(lambda: call(b"\xff\xff\xff", timeout=10), Code.INVALID_ARGUMENT)


def slow(turns, **parameters):
    request = pb.ModelInferRequest(model_name="slow", inputs=[tensor("INPUT0", "INT64", [1])],
                                   raw_input_contents=[struct.pack("<q", turns)])
    for key, value in parameters.items():
        request.parameters[key].int64_param = value
    return request


@contextlib.contextmanager
def every_place_taken(kit):
    """While 2000 calls that take hours are under way; gives the first that is done, so refused."""
    done, calls = queue.Queue(), []
    try:
        for _ in range(2000):
            calls.append(kit.oip.ModelInfer.future(slow(10**8)))
            calls[-1].add_done_callback(done.put)
        yield done.get(timeout=30)
    finally:
        for call in calls:
            call.cancel()
        deadline = time.monotonic() + 10
        while kit.oip.ModelInfer.future(slow(1), timeout=10).code() != Code.OK and time.monotonic() < deadline:
            time.sleep(0.05)  # until the server has heard of it


def check_retry_info(refusal):
    same(refusal.code(), Code.RESOURCE_EXHAUSTED)
    details = rpc_status.from_call(refusal).details
    info = error_details_pb2.RetryInfo()
    assert details and details[0].Unpack(info), f"no RetryInfo: {details}"
    assert info.retry_delay.ToMilliseconds() > 0, info


@case
def status_resource_exhausted(kit):
    with every_place_taken(kit) as refusal:
        check_retry_info(refusal)


@case
def status_resource_exhausted_ends_streams(kit):
    with every_place_taken(kit):
        check_retry_info(refused(lambda: stream(kit, [slow(1)], metadata=[("triton_grpc_error", "true")]),
                                 Code.RESOURCE_EXHAUSTED))


@case
def status_deadline_exceeded(kit):
    refused(lambda: kit.infer(slow(1, timeout=1)), Code.DEADLINE_EXCEEDED, "timeout")
    refused(lambda: kit.oip.ModelInfer(slow(10**8), timeout=2), Code.DEADLINE_EXCEEDED)  # long enough to be let in
    is_free_again(kit, time.monotonic())


def is_free_again(kit, began):
    """What nobody waits for any more is stopped: it would take hours. Some calls more than the server has cores."""
    calls = [kit.oip.ModelInfer.future(slow(1), timeout=10) for _ in range(os.cpu_count() * 2)]
    same({call.code() for call in calls}, {Code.OK})
    assert time.monotonic() - began < 5, "the server went on with what nobody waits for"


@case
def status_cancelled(kit):
    calls = [kit.oip.ModelInfer.future(slow(10**8), timeout=60) for _ in range(os.cpu_count() * 2)]
    time.sleep(0.1)
    began = time.monotonic()
    for call in calls:
        call.cancel()
    same({call.code() for call in calls}, {Code.CANCELLED})
    is_free_again(kit, began)


@case
def status_failed_precondition(kit):
    load = pb.RepositoryModelLoadRequest(model_name="imprecise")
    refused(lambda: kit.oip.RepositoryModelLoad(load, timeout=30), Code.FAILED_PRECONDITION, "imprecise")


@case
def status_already_exists(kit):
    def use(name, region):
        request = pb.SystemSharedMemoryRegisterRequest(name=name, key="/" + name, byte_size=64)
        refused(lambda: kit.oip.SystemSharedMemoryRegister(request, timeout=10), Code.ALREADY_EXISTS, name)
    with_region(kit, 64, use)


@case
def status_aborted(kit):
    """Loads of one version at the same time: one works, the others may lose."""
    load = pb.RepositoryModelLoadRequest(model_name="scalar")
    codes = [call.code() for call in [kit.oip.RepositoryModelLoad.future(load, timeout=30) for _ in range(16)]]
    assert Code.OK in codes and set(codes) <= {Code.OK, Code.ABORTED}, codes


# ---- health and reflection ----

@case
def health(kit):
    stub = health_pb2_grpc.HealthStub(kit.channel)
    for name in ("", "inference.GRPCInferenceService", "simple", "simple/1"):
        same(stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status, 1)
    same(stub.Check(health_pb2.HealthCheckRequest(service="broken"), timeout=10).status, 2)
    refused(lambda: stub.Check(health_pb2.HealthCheckRequest(service="nosuch"), timeout=10), Code.NOT_FOUND)
    same(next(stub.Watch(health_pb2.HealthCheckRequest(service="nosuch"), timeout=10)).status, 3)


@case
def reflection_lists_and_describes(kit):
    database = ProtoReflectionDescriptorDatabase(kit.channel)
    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(database.get_services())
    service = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService")
    ours = {m.name: m.input_type.full_name for m in service.methods}
    theirs = {m.name: m.input_type.full_name for m in pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods}
    same(ours, theirs)


@case
def reflection_answers_in_both_versions(kit):
    for version in ("v1", "v1alpha"):
        call = kit.channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                         reflection_pb2.ServerReflectionRequest.SerializeToString,
                                         reflection_pb2.ServerReflectionResponse.FromString)
        ask = reflection_pb2.ServerReflectionRequest
        answers = list(call(iter([ask(file_containing_symbol="inference.ModelInferRequest.InferInputTensor.shape"),
                                  ask(file_containing_symbol="inference.NoSuch"), ask(list_services="")]), timeout=10))
        assert answers[0].file_descriptor_response.file_descriptor_proto
        same(answers[1].error_response.error_code, 5)
        assert answers[2].list_services_response.service


# ---- shared memory ----

def numpy_input(name, array, datatype=None):
    made = triton.InferInput(name, array.shape, datatype or triton._utils.np_to_triton_dtype(array.dtype))
    made.set_data_from_numpy(array)
    return made


def with_region(kit, size, use):
    name = "oip_kit_" + uuid.uuid4().hex[:8]
    region = shm.create_shared_memory_region(name, "/" + name, size)
    try:
        kit.triton.register_system_shared_memory(name, "/" + name, size)
        use(name, region)
    finally:
        kit.triton.unregister_system_shared_memory(name)
        shm.destroy_shared_memory_region(region)


@case
def shared_memory_in_and_out(kit):
    def use(name, region):
        shm.set_shared_memory_region(region, [np.array(A, np.int32), np.array(B, np.int32)])
        inputs = [triton.InferInput(f"INPUT{i}", [1, 16], "INT32") for i in range(2)]
        outputs = [triton.InferRequestedOutput(f"OUTPUT{i}") for i in range(2)]
        for i in range(2):
            inputs[i].set_shared_memory(name, 64, offset=64 * i)
            outputs[i].set_shared_memory(name, 64, offset=128 + 64 * i)
        kit.triton.infer("simple", inputs, outputs=outputs)
        same(shm.get_contents_as_numpy(region, np.int32, [32], 128).tolist(), SUM + DIFFERENCE)
        assert name in kit.triton.get_system_shared_memory_status().regions
    with_region(kit, 256, use)


@case
def shared_memory_bounds(kit):
    def use(name, region):
        for offset, size in ((0, 65), (64, 64), (2**62, 64)):
            bad(kit, pb.ModelInferRequest(model_name="simple", inputs=[
                tensor("INPUT0", "INT32", [1, 16], shared_memory_region=name, shared_memory_byte_size=size,
                       shared_memory_offset=offset)]), "INPUT0")
        refused(lambda: kit.oip.SystemSharedMemoryRegister(pb.SystemSharedMemoryRegisterRequest(
            name=name + "x", key="/" + name, byte_size=2**40), timeout=10), Code.INVALID_ARGUMENT)
        bad(kit, pb.ModelInferRequest(model_name="simple", inputs=[
            tensor("INPUT0", "INT32", [1, 16], shared_memory_region="nosuch", shared_memory_byte_size=64)]), "nosuch")
    with_region(kit, 64, use)


@case
def shared_memory_that_is_cut_does_not_kill(kit):
    def use(name, region):
        os.truncate("/dev/shm/" + name, 0)
        bad(kit, pb.ModelInferRequest(model_name="simple", inputs=[
            tensor("INPUT0", "INT32", [1, 16], shared_memory_region=name, shared_memory_byte_size=64)]), name)
        same(kit.triton.is_server_live(), True)
    with_region(kit, 64, use)


# ---- tritonclient, as its simple_grpc examples use it ----

def simple_inputs():
    return [numpy_input("INPUT0", np.array([A], np.int32)), numpy_input("INPUT1", np.array([B], np.int32))]


def check_result(result):
    same((result.as_numpy("OUTPUT0")[0].tolist(), result.as_numpy("OUTPUT1")[0].tolist()), (SUM, DIFFERENCE))


@case
def client_infer(kit): check_result(kit.triton.infer("simple", simple_inputs(), request_id="1"))


@case
def client_async_infer(kit):
    done = queue.Queue()
    for _ in range(8):
        kit.triton.async_infer("simple", simple_inputs(), lambda result, error: done.put((result, error)))
    for _ in range(8):
        result, error = done.get(timeout=30)
        assert error is None, error
        check_result(result)


@case
def client_string_infer(kit):
    inputs = [numpy_input(name, np.array([[str(v) for v in values]], object), "BYTES")
              for name, values in (("INPUT0", A), ("INPUT1", B))]
    result = kit.triton.infer("simple_string", inputs)
    same([int(v) for v in result.as_numpy("OUTPUT0")[0]], SUM)


@case
def client_identity_with_nul(kit):
    values = np.array([[b"a\0b", b""]], object)
    same(kit.triton.infer("simple_identity", [numpy_input("INPUT0", values, "BYTES")]).as_numpy("OUTPUT0").tolist(),
         values.tolist())


@case
def client_stream(kit):
    done = queue.Queue()
    client = triton.InferenceServerClient(kit.address)
    client.start_stream(callback=lambda result, error: done.put((result, error)))
    for i in range(8):
        client.async_stream_infer("simple", simple_inputs(), request_id=str(i), sequence_id=7, sequence_start=i == 0,
                                  sequence_end=i == 7)
    for i in range(8):
        result, error = done.get(timeout=30)
        assert error is None, error
        check_result(result)
        same(result.get_response().id, str(i))
    client.stop_stream()
    client.close()


@case
def client_health_metadata(kit):
    assert kit.triton.is_server_live() and kit.triton.is_server_ready() and kit.triton.is_model_ready("simple")
    same(kit.triton.get_model_metadata("simple").name, "simple")
    assert kit.triton.get_server_metadata().extensions
    try:
        kit.triton.get_model_metadata("wrong_model_name")
    except triton.InferenceServerException as problem:
        assert "wrong_model_name" in problem.message()


@case
def client_aio_infer(kit):
    async def infer():
        async with triton_aio.InferenceServerClient(kit.address) as client:
            for result in await asyncio.gather(*[client.infer("simple", simple_inputs()) for _ in range(4)]):
                check_result(result)
    asyncio.run(infer())


@case
def client_model_control(kit):
    name = "simple_identity"
    kit.triton.unload_model(name)
    same(kit.triton.is_model_ready(name), False)
    kit.triton.load_model(name)
    same(kit.triton.is_model_ready(name), True)
    assert name in [model.name for model in kit.triton.get_model_repository_index().models]
    try:
        kit.triton.load_model("wrong_model_name")
    except triton.InferenceServerException as problem:
        assert problem.message().startswith("failed to load"), problem.message()
    else:
        raise AssertionError("a model that is not there was loaded")


@case
def client_keepalive_and_timeout(kit):
    options = triton.KeepAliveOptions(keepalive_time_ms=2**31 - 1, keepalive_timeout_ms=20000)
    with triton.InferenceServerClient(kit.address, keepalive_options=options) as client:
        check_result(client.infer("simple", simple_inputs(), client_timeout=10, headers={"x-request-id": "kit"}))
        try:
            client.infer("slow", [numpy_input("INPUT0", np.array([10**8]))], client_timeout=2)
        except triton.InferenceServerException as problem:
            assert "Deadline Exceeded" in problem.message(), problem.message()
        else:
            raise AssertionError("answered in spite of its timeout")


# ---- @grpc/grpc-js with stubs from reflection: node.js ----

def add_node_case(name):
    def run(kit):
        program = os.path.join(os.path.dirname(__file__), "node.js")
        done = subprocess.run(["node", program, kit.address, name], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    CASES.append((f"node_{name}", run))


for _name in ("list", "infer", "infer_v1alpha", "error", "stream", "load_report"):
    add_node_case(_name)
