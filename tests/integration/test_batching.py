"""Requests that arrive together compute together, and nobody can tell from the answer."""
import concurrent.futures
import struct
import threading
import unittest

import grpc

from support import Code, Server, modeld

MODEL = "sentiment-transformer"
CLIENTS = 32
TEXTS = [" ".join(["this", "movie", "was", "not", "very", "good", "at", "all"][: 1 + n % 8] * (1 + n % 5)) for n in range(CLIENTS)]


def tensor(name, value, length):
    return modeld.Tensor(name=name, datatype="INT64", shape=[1, length], contents=struct.pack(f"<{length}q", *value))


def request_of(number):
    """Ids of one of three lengths: equal lengths may be joined."""
    length = (5, 9, 16)[number % 3]
    ids = [2 + (number * 31 + i * 7) % 900 for i in range(length)]
    return modeld.PredictRequest(model=MODEL, inputs=[tensor("input_ids", ids, length),
                                                      tensor("attention_mask", [1] * length, length)])


class Batching(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--load", MODEL, "--threads", "1"))

    def together(self, requests, rounds=4):
        """All requests at once from as many threads, several times; the answers in order."""
        barrier = threading.Barrier(len(requests))

        def send(request):
            barrier.wait()
            return self.server.modeld.Predict(request, timeout=60)

        answers = []
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            for _ in range(rounds):
                answers.append(list(pool.map(send, requests)))
        return answers

    def test_texts_keep_their_bits(self):
        requests = [modeld.PredictRequest(model=MODEL, texts=[text]) for text in TEXTS]
        alone = [self.server.modeld.Predict(request, timeout=60).classifications for request in requests]
        for answers in self.together(requests):
            for one, answer in zip(alone, answers):
                self.assertEqual(list(one), list(answer.classifications))

    def test_tensors_keep_their_bits(self):
        requests = [request_of(number) for number in range(CLIENTS)]
        alone = [self.server.modeld.Predict(request, timeout=60).outputs for request in requests]
        for answers in self.together(requests):
            for one, answer in zip(alone, answers):
                self.assertEqual(list(one), list(answer.outputs))

    def test_a_wrong_one_fails_alone(self):
        """An id beyond the vocabulary fails in the kernel, where others may share its batch."""
        requests = [request_of(number) for number in range(CLIENTS)]
        wrong = modeld.PredictRequest(model=MODEL, inputs=[tensor("input_ids", [10 ** 6] * 5, 5),
                                                           tensor("attention_mask", [1] * 5, 5)])
        barrier = threading.Barrier(CLIENTS)

        def send(request):
            barrier.wait()
            try:
                self.server.modeld.Predict(request, timeout=60)
                return Code.OK
            except grpc.RpcError as error:
                return error.code()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            for _ in range(4):
                codes = list(pool.map(send, requests[:-1] + [wrong]))
                self.assertEqual(codes[:-1], [Code.OK] * (CLIENTS - 1))
                self.assertEqual(codes[-1], Code.INVALID_ARGUMENT)

    def test_what_cannot_be_in_time_is_refused_or_expires(self):
        texts = [" ".join(TEXTS)] * 64
        codes = []

        def send(_):
            try:
                self.server.modeld.Predict(modeld.PredictRequest(model=MODEL, texts=texts), timeout=0.05)
                return Code.OK
            except grpc.RpcError as error:
                return error.code()

        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            codes = list(pool.map(send, range(CLIENTS * 2)))
        self.assertTrue(set(codes) <= {Code.OK, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED}, codes)
        self.assertEqual(len(self.server.predict(MODEL, [TEXTS[0]]).classifications), 1)


if __name__ == "__main__":
    unittest.main()
