"""Requests that are wrong: each gets its own code and a message that names the object."""
import struct
import unittest

import grpc
from support import MODELS, Code, Server, modeld, oip, refuses

MODEL = MODELS[0]


def tensor(name="input_ids", datatype="INT64", shape=(1, 3), values=(2, 3, 4), contents=None):
    contents = struct.pack(f"<{len(values)}q", *values) if contents is None else contents
    return modeld.Tensor(name=name, datatype=datatype, shape=shape, contents=contents)


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--load", ",".join(MODELS), "--max-message-bytes", "1MiB"))

    def tearDown(self):
        # Whatever was sent, the server goes on.
        self.assertEqual(len(self.server.predict(MODEL, ["fine"]).classifications), 1)

    def send(self, *inputs, **fields):
        return self.server.modeld.Predict(modeld.PredictRequest(model=MODEL, inputs=inputs, **fields), timeout=30)

    def send_bytes(self, method, data):
        call = self.server.channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
        return call(data, timeout=30)

    def refused(self, *patterns, code=Code.INVALID_ARGUMENT):
        return refuses(self, code, *patterns)

    def test_unknown_model_and_version(self):
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.server.predict("nosuch", ["x"])
        with self.refused("sentiment-lst", "did you mean", "sentiment-lstm", code=Code.NOT_FOUND):
            self.server.predict("sentiment-lst", ["x"])
        with self.refused(MODEL, "99", code=Code.NOT_FOUND):
            self.server.predict(MODEL, ["x"], version="99")
        for version in ("0", "-1", "1.0", "one!", "99999999999999999999999", " 1"):
            with self.subTest(version=version), self.refused("version"):
                self.server.predict(MODEL, ["x"], version=version)
        with self.refused("model"):
            self.server.predict("", ["x"])

    def test_unknown_methods_and_services(self):
        for method in ("/modeld.v1.ModelService/Nope", "/no.such.Service/Call", "/modeld.v1.ModelService/"):
            with self.subTest(method=method), self.refused(method.split("/")[1].replace(".", r"\."),
                                                           code=Code.UNIMPLEMENTED) as caught:
                self.send_bytes(method, b"")
            self.assertIn(method, caught["error"].details())

    def test_malformed_protobuf(self):
        for method in ("/modeld.v1.ModelService/Predict", "/inference.GRPCInferenceService/ModelInfer",
                       "/grpc.health.v1.Health/Check"):
            for data in (b"\xff\xff\xff", b"\x0a\x7fshort", b"\x0b"):
                with self.subTest(method=method, data=data), self.refused("PredictRequest|ModelInferRequest|HealthCheck"):
                    self.send_bytes(method, data)

    def test_nothing_to_predict(self):
        with self.refused("text|input"):
            self.send()
        with self.refused("text"):
            self.server.predict(MODEL, [""])
        with self.refused("text 1|text 2|texts\\[1\\]"):
            self.server.predict(MODEL, ["fine", "", "fine"])

    def test_texts_and_tensors_at_once(self):
        with self.refused("texts", "inputs|tensors"):
            self.send(tensor(), texts=["x"])

    def test_text_that_is_not_utf8(self):
        head = bytes([0x0A, len(MODEL)]) + MODEL.encode()
        for bad in (b"\xff\xfe", b"ok \xc3", b"\xed\xa0\x80", b"\xc0\xaf"):
            with self.subTest(bad=bad), self.refused("UTF-8"):
                self.send_bytes("/modeld.v1.ModelService/Predict", head + bytes([0x1A, len(bad)]) + bad)

    def test_a_model_name_that_is_not_utf8_or_a_path(self):
        with self.assertRaises(grpc.RpcError):
            self.send_bytes("/modeld.v1.ModelService/Predict", b"\x0a\x02\xff\xfe\x1a\x01x")
        for name in ("../../etc", "a/b", "..", "."):
            with self.subTest(name=name), self.assertRaises(grpc.RpcError) as caught:
                self.server.load(name)
            self.assertIn(caught.exception.code(), (Code.INVALID_ARGUMENT, Code.NOT_FOUND))

    def test_wrong_shapes(self):
        mask = tensor("attention_mask", values=(1, 1, 1))
        with self.refused("input_ids", r"\[3\]"):
            self.send(tensor(shape=(3,)), mask)
        with self.refused(MODEL):  # each alone fits the signature: a node of the graph finds it
            self.send(tensor(), tensor("attention_mask", shape=(1, 4), values=(1, 1, 1, 1)))
        with self.refused("input_ids", "negative|-1"):
            self.send(tensor(shape=(-1, 3)), mask)
        with self.refused("input_ids", "24", "32"):
            self.send(tensor(shape=(1, 4)), mask)
        with self.refused("input_ids"):
            self.send(tensor(shape=(2**62, 2**62)), mask)

    def test_wrong_datatypes(self):
        mask = tensor("attention_mask", values=(1, 1, 1))
        with self.refused("input_ids", "FP32", "INT64"):
            self.send(tensor(datatype="FP32", contents=b"\0" * 12), mask)
        with self.refused("input_ids", "INT7"):
            self.send(tensor(datatype="INT7"), mask)
        with self.refused("input_ids"):
            self.send(tensor(datatype=""), mask)

    def test_wrong_names(self):
        mask = tensor("attention_mask", values=(1, 1, 1))
        with self.refused("attention_mask"):
            self.send(tensor())
        with self.refused('"ids"'):
            self.send(tensor("ids"), mask)
        with self.refused("input_ids"):
            self.send(tensor(), tensor(), mask)
        with self.refused("extra"):
            self.send(tensor(), mask, tensor("extra"))
        with self.refused('"logitz"'):
            self.send(tensor(), mask, output_names=["logitz"])
        with self.refused("logits"):
            self.send(tensor(), mask, output_names=["logits", "logits"])

    def test_token_ids_outside_the_vocabulary(self):
        mask = tensor("attention_mask", values=(1, 1, 1))
        for model in MODELS:
            for value in (10**6, -(10**6), 2**62, -(2**63)):
                request = modeld.PredictRequest(model=model, inputs=[tensor(values=(value, 2, 3)), mask])
                with self.subTest(model=model, value=value), self.refused(str(value)):
                    self.server.modeld.Predict(request, timeout=30)

    def test_a_message_that_is_too_large(self):
        with self.refused(code=Code.RESOURCE_EXHAUSTED):
            self.server.predict(MODEL, ["x" * (2 << 20)])

    def test_a_deadline_that_has_passed(self):
        with self.refused(code=Code.DEADLINE_EXCEEDED):
            self.server.predict(MODEL, ["word " * 100] * 500, timeout=0.002)

    def test_control_characters_do_not_forge_log_lines(self):
        with self.refused(code=Code.NOT_FOUND):
            self.server.predict("evil\nlevel=error forged=1", ["x"])
        self.assertNotIn("\nlevel=error forged=1", self.server.log())

    def test_pairs_for_a_model_of_single_texts(self):
        request = modeld.PredictRequest(model=MODEL, texts=["a", "b"], pairs=["c"])
        with self.refused("pair"):
            self.server.modeld.Predict(request, timeout=30)

    def test_bad_lifecycle_requests(self):
        with self.refused("model"):
            self.server.load("")
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.server.load("nosuch")
        with self.refused(MODEL, "77", code=Code.NOT_FOUND):
            self.server.load(MODEL, 77)
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.server.unload("nosuch")
        with self.refused("nosuch", code=Code.NOT_FOUND):
            self.server.modeld.GetModel(modeld.GetModelRequest(model="nosuch"), timeout=30)


if __name__ == "__main__":
    unittest.main()
