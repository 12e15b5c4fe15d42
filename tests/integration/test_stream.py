"""Streams: ModelStreamInfer and PredictStream answer in order, survive errors, end with the server."""
import queue
import unittest

from support import MODELS, Code, Server, goldens, grpc, modeld, oip
from test_oip import raw_request

MODEL = MODELS[0]


def requests_until_closed(requests):
    """An iterator that sends what is put into the queue; None is the half-close."""
    while (request := requests.get()) is not None:
        yield request


class StreamTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--load-all").start()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def test_answers_come_in_order_and_half_close_ends_the_stream(self):
        ids = [str(i) for i in range(100)]
        stream = self.server.oip.ModelStreamInfer((raw_request(id=id) for id in ids), timeout=60)
        answers = list(stream)
        self.assertEqual([answer.infer_response.id for answer in answers], ids)
        self.assertEqual({answer.error_message for answer in answers}, {""})
        self.assertEqual(stream.code(), Code.OK)
        once = self.server.oip.ModelInfer(raw_request(), timeout=30)
        self.assertEqual(answers[-1].infer_response.raw_output_contents, once.raw_output_contents)
        self.assertTrue(answers[0].infer_response.parameters["triton_final_response"].bool_param)

    def test_no_message_is_no_answer(self):
        stream = self.server.oip.ModelStreamInfer(iter(()), timeout=30)
        self.assertEqual(list(stream), [])
        self.assertEqual(stream.code(), Code.OK)

    def test_an_answer_comes_before_the_next_request(self):
        requests = queue.Queue()
        stream = self.server.oip.ModelStreamInfer(requests_until_closed(requests), timeout=30)
        for i in range(3):
            requests.put(raw_request(id=str(i)))
            self.assertEqual(next(stream).infer_response.id, str(i))
        requests.put(None)
        self.assertEqual(list(stream), [])

    def test_an_error_leaves_the_stream_open(self):
        requests = [raw_request(id="a"), raw_request(model_version="99", id="b"), raw_request(id="c")]
        answers = list(self.server.oip.ModelStreamInfer(iter(requests), timeout=30))
        self.assertEqual([answer.infer_response.id for answer in answers], ["a", "b", "c"])
        self.assertIn("99", answers[1].error_message)
        self.assertEqual((answers[0].error_message, answers[2].error_message), ("", ""))

    def test_the_header_asks_for_a_status_instead(self):
        requests = queue.Queue()
        stream = self.server.oip.ModelStreamInfer(requests_until_closed(requests), timeout=30,
                                                  metadata=[("triton_grpc_error", "true")])
        requests.put(raw_request(id="a"))
        self.assertEqual(next(stream).infer_response.id, "a")
        requests.put(raw_request(model_version="99"))
        with self.assertRaises(grpc.RpcError) as caught:
            next(stream)
        requests.put(None)
        self.assertEqual(caught.exception.code(), Code.NOT_FOUND)

    def test_a_malformed_message_is_answered(self):
        call = self.server.channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer",
                                                 request_serializer=bytes,
                                                 response_deserializer=oip.ModelStreamInferResponse.FromString)
        answers = list(call(iter([b"\xff\xff\xff", raw_request(id="after").SerializeToString()]), timeout=30))
        self.assertIn("malformed", answers[0].error_message)
        self.assertEqual(answers[1].infer_response.id, "after")

    def test_cancelling_leaves_the_server_well(self):
        for _ in range(20):
            stream = self.server.oip.ModelStreamInfer((raw_request(id=str(i)) for i in range(50)), timeout=30)
            next(stream)
            stream.cancel()
        self.assertEqual(len(list(self.server.oip.ModelStreamInfer(iter([raw_request()]), timeout=30))), 1)

    def test_predict_stream(self):
        cases = [case for case in goldens(MODEL) if "texts" in case][:5]
        requests = [modeld.PredictRequest(model=MODEL, texts=case["texts"], id=str(i)) for i, case in enumerate(cases)]
        requests.insert(2, modeld.PredictRequest(model="nosuch", texts=["x"], id="bad"))
        answers = list(self.server.modeld.PredictStream(iter(requests), timeout=30))
        self.assertEqual(answers[2].error.code, Code.NOT_FOUND.value[0])
        self.assertEqual(answers[2].error.id, "bad")
        del answers[2], requests[2]
        for request, answer in zip(requests, answers):
            self.assertEqual(answer.response.classifications, self.server.modeld.Predict(request).classifications)


class StreamDrainTest(unittest.TestCase):
    def test_open_streams_end_with_the_server(self):
        with Server("--load-all") as server:
            requests = queue.Queue()
            stream = server.oip.ModelStreamInfer(requests_until_closed(requests), timeout=60)
            requests.put(raw_request(id="a"))
            self.assertEqual(next(stream).infer_response.id, "a")
            server.process.terminate()
            with self.assertRaises(grpc.RpcError) as caught:
                next(stream)
            requests.put(None)
            self.assertEqual(caught.exception.code(), Code.UNAVAILABLE)
            self.assertEqual(server.process.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
