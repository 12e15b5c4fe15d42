"""Overload, deadlines and the way a server goes."""
import re
import signal
import threading
import unittest

import grpc
from support import MODELS, Code, Server, modeld, wait_for

MODEL = MODELS[2]
HEAVY = ["a sentence of several words that keeps a worker busy for a while " * 10] * 64
RETRY_INFO = b"type.googleapis.com/google.rpc.RetryInfo"


def call_many(server, count, texts, timeout=60):
    """`count` calls at the same time; gives their results, errors included."""
    request = modeld.PredictRequest(model=MODEL, texts=texts)
    futures = [server.modeld.Predict.future(request, timeout=timeout) for _ in range(count)]
    results = []
    for future in futures:
        try:
            results.append(future.result())
        except grpc.RpcError as error:
            results.append(error)
    return results


class Limits(unittest.TestCase):
    def test_calls_over_the_limit_are_refused_at_once_with_a_retry_delay(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", "--max-inflight", "2"))
        results = call_many(server, 40, HEAVY)
        refused = [r for r in results if isinstance(r, grpc.RpcError)]
        self.assertGreater(len(refused), 0)
        self.assertGreaterEqual(len(results) - len(refused), 2)
        for error in refused:
            self.assertEqual(error.code(), Code.RESOURCE_EXHAUSTED, error.details())
            self.assertRegex(error.details(), r"\b2\b")
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
            self.assertIn(RETRY_INFO, details)
        self.assertEqual(len(server.predict(MODEL, ["free again"]).classifications), 1)

    def check_some_are_refused(self, words, *options):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", *options))
        results = call_many(server, 40, HEAVY)
        refused = [r for r in results if isinstance(r, grpc.RpcError)]
        self.assertTrue(0 < len(refused) < len(results), len(refused))
        for error in refused:
            self.assertEqual(error.code(), Code.RESOURCE_EXHAUSTED)
            self.assertRegex(error.details(), words)
            self.assertIn(RETRY_INFO, dict(error.trailing_metadata())["grpc-status-details-bin"])
        self.assertEqual(len(server.predict(MODEL, ["free again"]).classifications), 1)
        request = modeld.PredictRequest(model=MODEL, texts=["in a stream"])
        self.assertEqual(len(list(server.modeld.PredictStream(iter([request] * 3), timeout=30))), 3)

    def test_one_client_takes_its_share_only(self):
        self.check_some_are_refused('client "ipv4:127.0.0.1" .*limit is 3', "--max-inflight-per-client", "3")

    def test_the_queue_of_a_model_is_limited(self):
        self.check_some_are_refused("wait for this version, limit is 2", "--max-queued-per-model", "2")

    def test_bytes_in_flight_are_limited(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", "--max-inflight-bytes", "1MiB"))
        results = call_many(server, 40, ["x" * 400000] * 2)
        refused = [r for r in results if isinstance(r, grpc.RpcError)]
        self.assertGreater(len(refused), 0)
        self.assertEqual({error.code() for error in refused}, {Code.RESOURCE_EXHAUSTED})
        self.assertEqual(len(server.predict(MODEL, ["free again"]).classifications), 1)

    def test_health_answers_under_load(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", "--max-inflight", "64"))
        busy = threading.Thread(target=call_many, args=(server, 16, HEAVY))
        busy.start()
        for _ in range(20):
            server.status()
        busy.join()

    def test_a_deadline_ends_a_long_call(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1"))
        results = call_many(server, 4, HEAVY * 8, timeout=0.05)
        self.assertEqual({r.code() for r in results if isinstance(r, grpc.RpcError)}, {Code.DEADLINE_EXCEEDED})
        self.assertEqual(len(server.predict(MODEL, ["free again"], timeout=20).classifications), 1)

    def test_a_cancelled_call_frees_its_place(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", "--max-inflight", "1"))
        call = server.modeld.Predict.future(modeld.PredictRequest(model=MODEL, texts=HEAVY * 8), timeout=60)
        call.cancel()

        def accepted():
            try:
                return server.predict(MODEL, ["x"])
            except grpc.RpcError as error:
                self.assertEqual(error.code(), Code.RESOURCE_EXHAUSTED)
                return None

        wait_for("a free place", accepted)


class Drain(unittest.TestCase):
    def test_calls_in_flight_are_answered_when_the_server_is_stopped(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "2", "--drain-seconds", "60"))
        request = modeld.PredictRequest(model=MODEL, texts=HEAVY)
        futures = [server.modeld.Predict.future(request, timeout=60) for _ in range(8)]
        futures[0].result()  # the others came on the same connection, before or with it
        server.process.send_signal(signal.SIGTERM)
        for future in futures:
            self.assertEqual(len(future.result().classifications), len(HEAVY))
        self.assertEqual(server.process.wait(60), 0)

    def test_no_accepted_call_fails_when_the_server_is_stopped_under_load(self):
        server = self.enterContext(Server("--load", MODEL))
        failures, answered = [], []

        def ask():
            while True:
                try:
                    server.predict(MODEL, ["This is great."], timeout=20)
                    answered.append(1)
                except grpc.RpcError as error:
                    # Not accepted: the server says that it goes, or does not listen any more.
                    if error.code() != Code.UNAVAILABLE or not re.search(
                            "drain|shutting down|failed to connect|refused|GOAWAY", error.details(), re.I):
                        failures.append(f"{error.code()}: {error.details()}")
                    return

        threads = [threading.Thread(target=ask) for _ in range(16)]
        for thread in threads:
            thread.start()
        wait_for("some answers", lambda: len(answered) > 200)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
        self.assertEqual(failures, [])
        self.assertEqual(server.process.wait(60), 0)

    def test_sigint_stops_it_too(self):
        server = self.enterContext(Server("--load", MODEL))
        self.assertEqual(server.end(signal.SIGINT), 0)

    def test_the_drain_has_an_end(self):
        server = self.enterContext(Server("--load", MODEL, "--threads", "1", "--drain-seconds", "1"))
        request = modeld.PredictRequest(model=MODEL, texts=HEAVY * 4)
        futures = [server.modeld.Predict.future(request, timeout=60) for _ in range(30)]
        futures[0].result()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        for future in futures:
            future.cancel()


if __name__ == "__main__":
    unittest.main()
