"""The HTTP port: health, metrics, the protocol's REST form, texts as JSON, limits, traces."""
import json
import re
import signal
import socket
import struct
import threading
import unittest

from support import MODELS, Code, Server, goldens, modeld, refuses, wait_for

MODEL = MODELS[0]
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def case():
    found = goldens(MODEL)[1]
    return found["input_ids"][0], found["attention_mask"][0], found["logits"][0]


def json_input(name, data, /, **fields):
    return {"name": name, "datatype": "INT64", "shape": [1, len(data)], "data": data} | fields


class Http(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--load", ",".join(MODELS), "--max-message-bytes", "1MiB",
                                                  "--max-http-connections", "32"))

    def get(self, path, status=200):
        got, headers, body = self.server.http("GET", path)
        self.assertEqual(got, status, body)
        return headers, body

    def post(self, path, body, status=200, headers=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        got, answer_headers, answer = self.server.http("POST", path, body, headers)
        self.assertEqual(got, status, answer)
        return answer_headers, answer

    def refused(self, path, body, status, *patterns, headers=None):
        answer_headers, answer = self.post(path, body, status, headers)
        self.assertEqual(answer_headers["content-type"], "application/json")
        for pattern in patterns:
            self.assertRegex(json.loads(answer)["error"], pattern)

    def infer(self, request, **more):
        return json.loads(self.post(f"/v2/models/{MODEL}/infer", request, **more)[1])

    # ---- health, metadata

    def test_health_and_metadata(self):
        for path in ("/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready",
                     f"/v2/models/{MODEL}/versions/1/ready"):
            json.loads(self.get(path)[1])
        metadata = json.loads(self.get(f"/v2/models/{MODEL}")[1])
        self.assertEqual((metadata["name"], metadata["versions"]), (MODEL, ["1"]))
        self.assertIn({"name": "input_ids", "datatype": "INT64", "shape": [-1, -1]}, metadata["inputs"])
        index = json.loads(self.get("/v2/repository/index")[1])
        self.assertIn({"name": MODEL, "version": "1", "state": "READY", "reason": ""}, index)

    def test_unknown_things(self):
        for path in ("/", "/nope", "/v2/models", "/v2/models/a/b/c", "/v2/models/nope", "/v2/models/nope/ready"):
            self.assertIn("unknown", json.loads(self.get(path, 404)[1])["error"])
        self.get(f"/v2/models/{MODEL}/versions/abc/ready", 400)
        self.get(f"/v2/models/{MODEL}/infer", 405)
        self.assertEqual(self.server.http("DELETE", "/v2")[0], 405)
        self.refused("/v1/models/sentiment-lst:predict", {"texts": ["a"]}, 404, f'did you mean "{MODEL}"')

    def test_head_has_headers_and_no_body(self):
        status, headers, body = self.server.http("HEAD", "/metrics")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["content-length"]), 1000)

    # ---- inference

    def test_texts(self):
        _, answer = self.post(f"/v1/models/{MODEL}:predict", {"texts": ["I love it", "bad"], "id": "x"})
        answer = json.loads(answer)
        expected = self.server.predict(MODEL, ["I love it", "bad"])
        self.assertEqual([c["label"] for c in answer["classifications"]],
                         [c.classes[0].label for c in expected.classifications])
        self.assertAlmostEqual(answer["classifications"][0]["score"], expected.classifications[0].classes[0].score, 6)
        self.assertEqual((answer["model"], answer["version"], answer["id"]), (MODEL, 1, "x"))
        self.assertIn("compute_us", answer["timings"])

    def test_json_tensors_flat_and_nested_give_the_golden_logits(self):
        ids, mask, logits = case()
        for data in (ids, [ids]):
            answer = self.infer({"id": "7", "inputs": [json_input("input_ids", ids, data=data),
                                                       json_input("attention_mask", mask)]})
            self.assertEqual((answer["id"], answer["model_version"]), ("7", "1"))
            for got, wanted in zip(answer["outputs"][0]["data"], logits):
                self.assertAlmostEqual(got, wanted, 5)

    def binary_request(self, ids, mask, **fields):
        inputs = [{"name": name, "datatype": "INT64", "shape": [1, len(ids)],
                   "parameters": {"binary_data_size": 8 * len(ids)}} for name in ("input_ids", "attention_mask")]
        head = json.dumps({"inputs": inputs, **fields}).encode()
        return head, head + struct.pack(f"<{2 * len(ids)}q", *ids, *mask)

    def test_binary_tensors_both_ways(self):
        ids, mask, logits = case()
        head, body = self.binary_request(ids, mask, parameters={"binary_data_output": True})
        headers, answer = self.post(f"/v2/models/{MODEL}/infer", body,
                                    headers={"Inference-Header-Content-Length": str(len(head))})
        size = int(headers["inference-header-content-length"])
        output = json.loads(answer[:size])["outputs"][0]
        self.assertEqual(output["parameters"]["binary_data_size"], len(answer) - size)
        for got, wanted in zip(struct.unpack(f"<{len(logits)}f", answer[size:]), logits):
            self.assertAlmostEqual(got, wanted, 5)

    def test_wrong_binary_lengths(self):
        ids, mask, _ = case()
        head, body = self.binary_request(ids, mask)
        path = f"/v2/models/{MODEL}/infer"

        def length(value):
            return {"Inference-Header-Content-Length": str(value)}

        self.refused(path, body[:-1], 400, "binary_data_size", r"bytes left", headers=length(len(head)))
        self.refused(path, body + b"x", 400, "1 bytes are left", headers=length(len(head)))
        self.refused(path, body, 400, str(len(body) + 1), headers=length(len(body) + 1))
        self.refused(path, body, 400, "no number", headers=length("-1"))
        self.refused(path, head, 400, "no Inference-Header-Content-Length")

    def test_wrong_requests_say_what_is_wrong(self):
        ids, mask, _ = case()
        path = f"/v2/models/{MODEL}/infer"
        good = json_input("attention_mask", mask)

        def with_ids(**fields):
            return {"inputs": [json_input("input_ids", ids, **fields), good]}

        for body, pattern in (
                ("{", "line 1"), ("[]", "no object"), ("", "no JSON"), ('{"a":1,"a":2}', "duplicate"),
                (with_ids(data=[1.5] * len(ids)), "element 0 is a fraction"), (with_ids(data=["a"] * len(ids)), "a string"),
                (with_ids(shape=[1, 99999]), "99999"), (with_ids(shape=[-1, 2]), "-1"), (with_ids(shape="x"), "array"),
                (with_ids(datatype="INT65"), "INT65"), (with_ids(datatype="INT8", data=[300] * len(ids)), r"300.*-128 to 127"),
                (with_ids(data=None), "no array"), (with_ids(name="nope"), "unknown input"),
                ({"inputs": [good]}, "missing"), ({"inputs": 1}, "array"),
                ({**with_ids(), "outputs": [{"name": "nope"}]}, "unknown output")):
            with self.subTest(pattern=pattern):
                self.refused(path, body, 400, pattern)
        for body in ({"texts": []}, {}, {"texts": "a"}, {"texts": [1]}, {"texts": ["a"], "top_k": -1}, {"texts": [""]}):
            self.refused(f"/v1/models/{MODEL}:predict", body, 400)

    # ---- limits

    def test_bodies_above_the_limit(self):
        body = b"x" * (1 << 20) + b"y"
        with socket.create_connection(("127.0.0.1", self.server.http_port()), timeout=30) as client:
            client.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body))
            answer = client.recv(65536)
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"), answer)
        self.assertIn(b"1048577 bytes, limit is 1048576", answer)

        def chunks():
            for _ in range(20):
                yield body[:65536]

        status, _, answer = self.server.http("POST", f"/v1/models/{MODEL}:predict", chunks())
        self.assertEqual(status, 413, answer)

    def test_slow_and_silent_clients_hold_up_nobody(self):
        clients = [socket.create_connection(("127.0.0.1", self.server.http_port())) for _ in range(16)]
        for client in clients[:8]:
            client.sendall(b"POST /v1/models/m:predict HTTP/1.1\r\nContent-Length: 100\r\nHo")
        for _ in range(5):
            self.get("/healthz")
        for client in clients:
            client.close()

    def test_many_connections(self):
        failures = []

        def ask():
            try:
                for _ in range(10):
                    self.post(f"/v1/models/{MODEL}:predict", {"texts": ["fine"]})
            except Exception as error:  # for the main thread
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])

    def test_clients_that_go_away(self):
        body = json.dumps({"texts": ["some words " * 50] * 20}).encode()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.server.http_port())) as client:
                client.sendall(b"POST /v1/models/%s:predict HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s"
                               % (MODEL.encode(), len(body), body))
        self.get("/healthz")

    # ---- traces and metrics

    def test_traces(self):
        headers, _ = self.post(f"/v1/models/{MODEL}:predict", {"texts": ["a"]}, headers={"traceparent": TRACEPARENT})
        self.assertRegex(headers["traceparent"], f"^00-{TRACE}-[0-9a-f]{{16}}-01$")
        self.assertNotEqual(headers["traceparent"], TRACEPARENT)
        self.assertRegex(headers["server-timing"], "queue;dur=.*tokenize;dur=.*compute;dur=.*serialize;dur=")
        for wrong in ("x", TRACEPARENT.upper(), "00-" + "0" * 32 + TRACEPARENT[35:]):
            headers, _ = self.post(f"/v1/models/{MODEL}:predict", {"texts": ["a"]}, headers={"traceparent": wrong})
            self.assertRegex(headers["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$")
            self.assertNotIn(TRACE, headers["traceparent"])
        call = self.server.modeld.Predict.with_call(modeld.PredictRequest(model=MODEL, texts=["a"]),
                                                    metadata=[("traceparent", TRACEPARENT)])[1]
        self.assertRegex(dict(call.initial_metadata())["traceparent"], f"^00-{TRACE}-[0-9a-f]{{16}}-01$")

    def samples(self):
        text = self.get("/metrics")[1].decode()
        return {name: float(value) for name, value in re.findall(r"(?m)^([^#\s].*) (\S+)$", text)}

    def test_metrics(self):
        other = MODELS[1]
        before = self.samples()
        labels = f'model="{other}",version="1"'
        zero = before[f'modeld_requests_total{{{labels},code="OK"}}']
        self.server.predict(other, ["one", "two"])
        with refuses(self, Code.INVALID_ARGUMENT):
            self.server.predict(other, [""])
        after = self.samples()
        self.assertEqual(after[f'modeld_requests_total{{{labels},code="OK"}}'] - zero, 1)
        self.assertEqual(after[f'modeld_rows_total{{{labels}}}'] - before[f'modeld_rows_total{{{labels}}}'], 3)
        for stage in ("queue", "tokenize", "batch_wait", "compute", "serialize"):
            self.assertIn(f'modeld_stage_duration_seconds_bucket{{{labels},stage="{stage}",le="+Inf"}}', before)
        count = after[f"modeld_request_duration_seconds_count{{{labels}}}"]
        self.assertEqual(count, after[f'modeld_request_duration_seconds_bucket{{{labels},le="+Inf"}}'])
        self.assertGreater(after["process_resident_memory_bytes"], 1e6)
        self.assertIn('modeld_calls_total{protocol="grpc",method="/modeld.v1.ModelService/Predict",code="OK"}', after)


class HttpLifecycle(unittest.TestCase):
    def test_load_and_unload(self):
        server = self.enterContext(Server())
        self.assertEqual(server.http("GET", f"/v2/models/{MODEL}/ready")[0], 404)
        self.assertEqual(server.http("POST", f"/v2/repository/models/{MODEL}/load")[0], 200)
        self.assertEqual(server.http("GET", f"/v2/models/{MODEL}/ready")[0], 200)
        self.assertEqual(server.http("POST", f"/v2/repository/models/{MODEL}/unload", "{}")[0], 200)
        self.assertEqual(server.http("GET", f"/v2/models/{MODEL}/ready")[0], 503)
        self.assertEqual(server.http("POST", f"/v2/repository/models/{MODEL}/unload")[0], 409)
        self.assertEqual(server.http("POST", "/v2/repository/models/nope/load")[0], 404)

    def test_requests_under_way_are_answered_when_the_server_is_stopped(self):
        server = self.enterContext(Server("--load", MODELS[2], "--threads", "1", "--drain-seconds", "60"))
        body = json.dumps({"texts": ["a sentence of several words that keeps a worker busy " * 10] * 64})
        results = []
        threads = [threading.Thread(target=lambda: results.append(
            server.http("POST", f"/v1/models/{MODELS[2]}:predict", body, timeout=60)[0])) for _ in range(4)]
        for thread in threads:
            thread.start()
        wait_for("requests", lambda: b"modeld_inflight_requests 4" in server.http("GET", "/metrics")[2] or results)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        self.assertEqual(results, [200] * 4)
        self.assertEqual(server.process.wait(60), 0)

    def test_a_slow_request_is_logged_with_its_stages(self):
        server = self.enterContext(Server("--load", MODELS[2], "--slow-request-ms", "1"))
        server.predict(MODELS[2], ["several words " * 40] * 64)
        wait_for("the line", lambda: re.search(r'msg="slow request".*trace_id="[0-9a-f]{32}".*compute_us=[1-9]',
                                               server.log()))



if __name__ == "__main__":
    unittest.main()
