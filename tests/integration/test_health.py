"""grpc.health.v1: Check and Watch, for the server, its services and its models."""
import queue
import threading
import unittest

import grpc
from support import MODELS, NOT_SERVING, SERVICE_UNKNOWN, SERVING, Code, Server, health, refuses

MODEL, OTHER = MODELS[0], MODELS[1]


class Watching:
    """A Watch whose answers come in a queue."""

    def __init__(self, server, service):
        self.answers = queue.Queue()
        self.call = server.health.Watch(health.HealthCheckRequest(service=service), timeout=60)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            for answer in self.call:
                self.answers.put(answer.status)
        except grpc.RpcError as error:
            self.answers.put(error.code())

    def next(self):
        return self.answers.get(timeout=20)

    def until(self, wanted):
        seen = []
        while not seen or seen[-1] != wanted:
            seen.append(self.next())
        return seen


class Health(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server("--load", MODEL))

    def test_check_knows_server_services_and_models(self):
        for service in ("", "modeld.v1.ModelService", "inference.GRPCInferenceService", "grpc.health.v1.Health", MODEL,
                        MODEL + "/1"):
            with self.subTest(service=service):
                self.assertEqual(self.server.status(service), SERVING)

    def test_check_refuses_unknown_names(self):
        for service in ("nosuch", MODEL + "/99", "modeld.v1", "\x01"):
            with self.subTest(service=service), refuses(self, Code.NOT_FOUND):
                self.server.status(service)

    def test_check_follows_load_and_unload(self):
        self.server.load(OTHER)
        self.assertEqual(self.server.status(OTHER), SERVING)
        self.server.unload(OTHER)
        self.assertEqual(self.server.status(OTHER), NOT_SERVING)
        self.assertEqual(self.server.status(), SERVING)

    def test_watch_answers_at_once(self):
        self.assertEqual(Watching(self.server, "").next(), SERVING)
        self.assertEqual(Watching(self.server, MODEL).next(), SERVING)
        self.assertEqual(Watching(self.server, "nosuch").next(), SERVICE_UNKNOWN)

    def test_watch_follows_a_model_through_its_life(self):
        watching = Watching(self.server, OTHER)
        self.assertEqual(watching.next(), SERVICE_UNKNOWN)
        self.server.load(OTHER)
        seen = watching.until(SERVING)
        self.assertNotIn(SERVICE_UNKNOWN, seen)
        self.server.unload(OTHER)
        self.assertEqual(watching.next(), NOT_SERVING)
        self.server.load(OTHER)
        self.assertEqual(watching.next(), SERVING)

    def test_many_watches_and_clients_that_leave(self):
        watchings = [Watching(self.server, MODEL) for _ in range(50)]
        self.assertEqual({watching.next() for watching in watchings}, {SERVING})
        for watching in watchings[:25]:
            watching.call.cancel()
        self.server.unload(MODEL)
        self.assertEqual({watching.next() for watching in watchings[25:]}, {NOT_SERVING})

    def test_watch_ends_when_the_server_stops(self):
        watching = Watching(self.server, "")
        self.assertEqual(watching.next(), SERVING)
        self.server.process.terminate()
        seen = [watching.next()]
        while not isinstance(seen[-1], grpc.StatusCode):
            seen.append(watching.next())
        self.assertEqual(seen[0], NOT_SERVING)
        self.assertEqual(self.server.process.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
