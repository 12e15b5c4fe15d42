"""The Open Inference Protocol's six RPCs, and the points of its contract that servers get wrong."""
import os
import shutil
import struct
import tempfile
import unittest

from support import (MODELS, Code, Server, copy_repository, goldens, modeld, oip, one_node_model, refuses,
                     write_model)

TOLERANCE = 1e-5
MODEL = MODELS[0]
INT32, FP32 = 6, 1  # onnx.TensorProto.DataType


def text_case(model=MODEL, number=1):
    case = goldens(model)[number]
    ids, mask = case["input_ids"][0], case["attention_mask"][0]
    return ids, mask, case["logits"][0]


def int64s(values):
    return struct.pack(f"<{len(values)}q", *values)


def tensor(name, shape, datatype="INT64", contents=None, **parameters):
    made = oip.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    if contents is not None:
        made.contents.CopyFrom(oip.InferTensorContents(**contents))
    for key, value in parameters.items():
        made.parameters[key].string_param = value
    return made


def raw_request(model=MODEL, number=1, **fields):
    ids, mask, _ = text_case(model, number)
    shape = [1, len(ids)]
    return oip.ModelInferRequest(model_name=model, inputs=[tensor("input_ids", shape), tensor("attention_mask", shape)],
                                 raw_input_contents=[int64s(ids), int64s(mask)], **fields)


def typed_request(model=MODEL, number=1, **fields):
    ids, mask, _ = text_case(model, number)
    shape = [1, len(ids)]
    return oip.ModelInferRequest(
        model_name=model, inputs=[tensor("input_ids", shape, contents={"int64_contents": ids}),
                                  tensor("attention_mask", shape, contents={"int64_contents": mask})], **fields)


class Oip(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="modeld_it_")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        repository = copy_repository(cls.folder, *MODELS)
        write_model(repository, "relu", one_node_model("Relu"))
        write_model(repository, "sum", one_node_model("Add", inputs=("a", "b"), shape=("n", 2)))
        os.makedirs(os.path.join(repository, "broken", "1"))
        write_model(repository, "broken", b"junk")
        cls.server = cls.enterClassContext(Server("--load", ",".join(MODELS) + ",relu,sum", repository=repository))

    def infer(self, request):
        return self.server.oip.ModelInfer(request, timeout=30)

    def refused(self, *patterns, code=Code.INVALID_ARGUMENT):
        return refuses(self, code, *patterns)

    def check_logits(self, answer, expected):
        self.assertEqual([(o.name, o.datatype, list(o.shape)) for o in answer.outputs],
                         [("logits", "FP32", [1, len(expected)])])
        if answer.raw_output_contents:
            self.assertFalse(answer.outputs[0].HasField("contents"))
            got = struct.unpack(f"<{len(expected)}f", answer.raw_output_contents[0])
        else:
            got = answer.outputs[0].contents.fp32_contents
        self.assertLessEqual(max(abs(a - b) for a, b in zip(got, expected)), TOLERANCE)

    def test_raw_and_typed_inputs_give_the_golden_logits(self):
        for model in MODELS:
            for number, case in enumerate(goldens(model)):
                if len(case["texts"]) != 1:
                    continue
                with self.subTest(model=model, case=number):
                    expected = text_case(model, number)[2]
                    raw = self.infer(raw_request(model, number))
                    typed = self.infer(typed_request(model, number))
                    self.check_logits(raw, expected)
                    self.check_logits(typed, expected)
                    self.assertEqual(raw.raw_output_contents, typed.raw_output_contents)

    def test_the_answer_is_raw_unless_binary_data_output_is_false(self):
        request = raw_request()
        self.assertEqual(len(self.infer(request).raw_output_contents), 1)
        request.parameters["binary_data_output"].bool_param = False
        answer = self.infer(request)
        self.assertEqual(len(answer.raw_output_contents), 0)
        self.check_logits(answer, text_case()[2])

    def test_text_models_take_text(self):
        case = goldens(MODEL)[0]
        contents = {"bytes_contents": [text.encode() for text in case["texts"]]}
        answer = self.infer(oip.ModelInferRequest(
            model_name=MODEL, inputs=[tensor("text", [len(case["texts"])], "BYTES", contents)]))
        outputs = {output.name: raw for output, raw in zip(answer.outputs, answer.raw_output_contents)}
        label = case["labels"][0].encode()
        self.assertTrue(outputs["label"].startswith(struct.pack("<I", len(label)) + label))
        self.assertLessEqual(abs(struct.unpack_from("<f", outputs["score"])[0] - max(case["scores"][0])), TOLERANCE)
        for raw in (b"\x05\0\0\0ab", b"\x01\0\0", b"\x01\0\0\0a!", b"\x02\0\0\0\xff\xfe", b"\0\0\0\0"):
            request = oip.ModelInferRequest(model_name=MODEL, inputs=[tensor("text", [1], "BYTES")],
                                            raw_input_contents=[raw])
            with self.subTest(raw=raw), self.refused("text"):
                self.infer(request)

    def test_raw_and_contents_may_not_be_mixed(self):
        request = raw_request()
        request.inputs[0].contents.SetInParent()  # present, even if empty
        with self.refused("input_ids"):
            self.infer(request)

    def test_the_number_of_raw_entries_is_that_of_the_inputs(self):
        request = raw_request()
        del request.raw_input_contents[1]
        with self.refused("1", "2"):
            self.infer(request)
        request = raw_request()
        request.raw_input_contents.append(b"")
        with self.refused("3", "2"):
            self.infer(request)

    def test_an_input_needs_contents(self):
        request = typed_request()
        request.inputs[1].ClearField("contents")
        with self.refused("attention_mask"):
            self.infer(request)

    def test_contents_must_be_of_the_datatype(self):
        ids = text_case()[0]
        wrong = ({"fp32_contents": [float(i) for i in ids]}, {"int_contents": ids}, {"uint64_contents": ids},
                 {"int64_contents": ids, "int_contents": ids})
        for contents in wrong:
            request = typed_request()
            request.inputs[0].contents.CopyFrom(oip.InferTensorContents(**contents))
            with self.subTest(contents=list(contents)), self.refused("input_ids"):
                self.infer(request)

    def test_a_value_must_fit_the_datatype(self):
        for datatype, field, value in (("INT8", "int_contents", 128), ("INT16", "int_contents", -32769),
                                       ("UINT8", "uint_contents", 256)):
            request = typed_request()
            request.inputs[0].CopyFrom(tensor("input_ids", [1, 1], datatype, {field: [value]}))
            with self.subTest(datatype=datatype), self.refused("input_ids"):
                self.infer(request)

    def test_raw_length_is_exact(self):
        for change in (-1, 1, -8, 8):
            request = raw_request()
            raw = request.raw_input_contents[0]
            request.raw_input_contents[0] = raw[:change] if change < 0 else raw + b"\0" * change
            with self.subTest(change=change), self.refused("input_ids", str(len(raw)), str(len(raw) + change)):
                self.infer(request)

    def test_shapes_are_checked(self):
        for shape in ((-1, 3), (2**62, 2**62), (3,), (1, 1, 8)):
            request = raw_request()
            request.inputs[0].shape[:] = shape
            with self.subTest(shape=shape), self.refused("input_ids"):
                self.infer(request)

    def test_an_empty_tensor_is_legal(self):
        request = oip.ModelInferRequest(model_name="relu", inputs=[tensor("x", [0], "FP32")],
                                        raw_input_contents=[b""])
        answer = self.infer(request)
        self.assertEqual(list(answer.outputs[0].shape), [0])
        self.assertEqual(list(answer.raw_output_contents), [b""])

    def test_inputs_come_in_any_order(self):
        a, b = struct.pack("<2f", 1, 2), struct.pack("<2f", 10, 20)
        request = oip.ModelInferRequest(model_name="sum", inputs=[tensor("b", [1, 2], "FP32"), tensor("a", [1, 2], "FP32")],
                                        raw_input_contents=[b, a])
        self.assertEqual(struct.unpack("<2f", self.infer(request).raw_output_contents[0]), (11.0, 22.0))

    def test_outputs_filter(self):
        requested = oip.ModelInferRequest.InferRequestedOutputTensor
        self.check_logits(self.infer(raw_request(outputs=[requested(name="logits")])), text_case()[2])
        with self.refused('"logit"'):
            self.infer(raw_request(outputs=[requested(name="logit")]))
        with self.refused("logits"):
            self.infer(raw_request(outputs=[requested(name="logits"), requested(name="logits")]))

    def test_inputs_are_named_once_and_known(self):
        request = raw_request()
        request.inputs[1].name = "input_ids"
        with self.refused("input_ids"):
            self.infer(request)
        request.inputs[1].name = "mask"
        with self.refused('"mask"'):
            self.infer(request)
        with self.refused("input_ids|attention_mask|input"):
            self.infer(oip.ModelInferRequest(model_name=MODEL))

    def test_id_and_version_come_back(self):
        answer = self.infer(raw_request(id="xyz-7"))
        self.assertEqual((answer.id, answer.model_name, answer.model_version), ("xyz-7", MODEL, "1"))
        self.assertEqual(self.infer(raw_request()).id, "")
        self.assertEqual(self.infer(raw_request(model_version="1")).model_version, "1")

    def test_versions_are_checked(self):
        with self.refused("99", code=Code.NOT_FOUND):
            self.infer(raw_request(model_version="99"))
        for version in ("0", "-1", "1.5", "x y"):
            with self.subTest(version=version), self.refused("version"):
                self.infer(raw_request(model_version=version))
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.infer(oip.ModelInferRequest(model_name="nosuch"))

    def test_parameters(self):
        request = raw_request()
        request.parameters["unknown_key"].string_param = "ignored"
        self.check_logits(self.infer(request), text_case()[2])
        request = raw_request()
        request.parameters["empty"].SetInParent()
        with self.refused("empty"):
            self.infer(request)

    def test_server_live_ready_and_metadata(self):
        self.assertTrue(self.server.oip.ServerLive(oip.ServerLiveRequest(), timeout=10).live)
        self.assertTrue(self.server.oip.ServerReady(oip.ServerReadyRequest(), timeout=10).ready)
        metadata = self.server.oip.ServerMetadata(oip.ServerMetadataRequest(), timeout=10)
        self.assertEqual(metadata.name, "modeld")
        self.assertRegex(metadata.version, r"^\d+\.\d+\.\d+")

    def model_ready(self, name, version=""):
        return self.server.oip.ModelReady(oip.ModelReadyRequest(name=name, version=version), timeout=10).ready

    def test_model_ready(self):
        self.assertTrue(self.model_ready(MODEL))
        self.assertTrue(self.model_ready(MODEL, "1"))
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.model_ready("nosuch")
        with self.refused("99", code=Code.NOT_FOUND):
            self.model_ready(MODEL, "99")
        with self.refused("version"):
            self.model_ready(MODEL, "one two")
        with self.assertRaises(Exception):
            self.server.load("broken")
        self.assertFalse(self.model_ready("broken"))

    def test_model_metadata(self):
        for model in MODELS:
            metadata = self.server.oip.ModelMetadata(oip.ModelMetadataRequest(name=model), timeout=10)
            self.assertEqual((metadata.name, list(metadata.versions), metadata.platform), (model, ["1"], "onnx_onnxv1"))
            inputs = {i.name: (i.datatype, list(i.shape)) for i in metadata.inputs}
            self.assertEqual(inputs["input_ids"], ("INT64", [-1, -1]))
            self.assertEqual(inputs["attention_mask"], ("INT64", [-1, -1]))
            self.assertEqual([(o.name, o.datatype, list(o.shape)) for o in metadata.outputs],
                             [("logits", "FP32", [-1, 2])])
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.server.oip.ModelMetadata(oip.ModelMetadataRequest(name="nosuch"), timeout=10)

    def test_the_native_rpc_agrees(self):
        ids, mask, _ = text_case()
        inputs = [modeld.Tensor(name=name, datatype="INT64", shape=[1, len(ids)], contents=int64s(values))
                  for name, values in (("input_ids", ids), ("attention_mask", mask))]
        native = self.server.modeld.Predict(modeld.PredictRequest(model=MODEL, inputs=inputs), timeout=10)
        self.assertEqual(native.outputs[0].contents, self.infer(raw_request()).raw_output_contents[0])


if __name__ == "__main__":
    unittest.main()
