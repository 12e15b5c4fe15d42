"""List, get, load, unload, events, and what a restart brings back."""
import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import grpc
from support import (MODELCTL, MODELS, REFERENCE, Code, Server, copy_repository, goldens, modeld, refuses)

MODEL, OTHER = MODELS[0], MODELS[1]
READY, UNLOADED = modeld.MODEL_STATE_READY, modeld.MODEL_STATE_UNLOADED


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.server = self.enterContext(Server())

    def get(self, model, version=0):
        return self.server.modeld.GetModel(modeld.GetModelRequest(model=model, version=version), timeout=30)

    def test_a_new_server_serves_nothing(self):
        self.assertEqual([v for v in self.server.versions().values() if v.state == READY], [])
        with refuses(self, Code.NOT_FOUND, MODEL):
            self.server.predict("nosuch-" + MODEL, ["x"])

    def test_load_answers_with_the_version(self):
        before = time.time() * 1e6
        answer = self.server.load(MODEL)
        version = answer.version
        self.assertEqual((version.model, version.version, version.state), (MODEL, 1, READY))
        self.assertEqual(version.task, "text-classification")
        self.assertRegex(version.sha256, "^[0-9a-f]{64}$")
        folder = os.path.join(REFERENCE, MODEL, "1")
        self.assertEqual(version.size_bytes, sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder)))
        self.assertEqual(os.path.realpath(version.path), os.path.realpath(folder))
        self.assertGreater(version.memory_bytes, 100000)
        self.assertGreaterEqual(version.loaded_at_us, before - 1e6)
        self.assertGreater(answer.load_us, 0)
        self.assertEqual({i.name for i in version.inputs}, {"input_ids", "attention_mask"})
        self.assertEqual(self.server.versions()[MODEL, 1].state, READY)

    def test_load_again_replaces_the_version(self):
        self.server.load(MODEL)
        self.assertEqual(self.server.load(MODEL).version.state, READY)
        self.assertEqual(len(self.server.predict(MODEL, ["x"]).classifications), 1)

    def test_get_shows_the_effective_configuration(self):
        self.server.load(MODEL)
        answer = self.get(MODEL)
        self.assertEqual(len(answer.versions), len(answer.configurations))
        entries = {e.key: (e.value, e.source) for e in answer.configurations[0].entries}
        self.assertTrue(any(value == "128" for value, _ in entries.values()), entries)
        self.assertTrue(all(source for _, source in entries.values()), entries)
        self.assertEqual([entries[key][0] for key in ("max_batch_rows", "max_batch_tokens", "joins_tensors")],
                         ["32", "512", "not yet"])
        self.assertEqual(self.get(MODEL, 1).versions[0].version, 1)
        with refuses(self, Code.NOT_FOUND, "99"):
            self.get(MODEL, 99)

    def test_unload_gives_memory_back_and_stops_serving(self):
        self.server.load(MODEL)
        answer = self.server.unload(MODEL)
        self.assertEqual([(v.model, v.version, v.state) for v in answer.versions], [(MODEL, 1, UNLOADED)])
        self.assertEqual(self.server.versions()[MODEL, 1].memory_bytes, 0)
        with self.assertRaises(grpc.RpcError) as caught:
            self.server.predict(MODEL, ["x"])
        self.assertIn(caught.exception.code(), (Code.UNAVAILABLE, Code.NOT_FOUND))
        self.assertIn(MODEL, caught.exception.details())
        with self.assertRaises(grpc.RpcError):
            self.server.unload(MODEL)

    def test_events_tell_who_did_what(self):
        self.server.load(MODEL, actor="alice")
        self.server.unload(MODEL, actor="bob")
        with self.assertRaises(grpc.RpcError):
            self.server.load("nosuch", actor="carol")
        events = self.server.events()
        self.assertEqual([(e.actor, e.action, e.model, e.code) for e in events],
                         [("carol", "load", "nosuch", "NOT_FOUND"), ("bob", "unload", MODEL, "OK"),
                          ("alice", "load", MODEL, "OK")])
        self.assertEqual([e.id for e in events], sorted((e.id for e in events), reverse=True))
        self.assertTrue(all(abs(e.at_us / 1e6 - time.time()) < 60 for e in events))
        self.assertEqual([e.actor for e in self.server.events(MODEL)], ["bob", "alice"])
        self.assertEqual([e.actor for e in self.server.events(limit=1)], ["carol"])

    def test_counts_grow_with_requests(self):
        self.server.load(MODEL)
        for _ in range(5):
            self.server.predict(MODEL, ["x"])
        self.assertGreaterEqual(self.server.versions()[MODEL, 1].request_count, 0)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual(self.server.versions()[MODEL, 1].request_count, 5)

    def test_a_restart_brings_back_what_was_loaded(self):
        self.server.load(MODEL)
        self.server.load(OTHER)
        self.server.unload(OTHER)
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        states = {name: version.state for (name, _), version in self.server.versions().items()}
        self.assertEqual((states[MODEL], states[OTHER]), (READY, UNLOADED))
        case = goldens(MODEL)[0]
        self.assertEqual(self.server.predict(MODEL, case["texts"]).classifications[0].classes[0].label,
                         case["labels"][0])
        self.assertEqual(self.server.events(MODEL)[0].action, "restore")

    def test_predictions_go_on_while_models_come_and_go(self):
        self.server.load(MODEL)
        stop = threading.Event()
        failures, answered = [], []

        def ask():
            while not stop.is_set():
                try:
                    self.server.predict(MODEL, ["This is great."])
                    answered.append(1)
                except grpc.RpcError as error:
                    failures.append(f"{error.code()}: {error.details()}")

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(5):
                self.server.load(MODEL)  # replaced under load
                self.server.load(OTHER)
                self.server.unload(OTHER)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(answered), 0)


class TwoVersions(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="modeld_it_")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.repository = copy_repository(self.folder, MODEL)
        shutil.copytree(os.path.join(self.repository, MODEL, "1"), os.path.join(self.repository, MODEL, "12"))
        self.server = self.enterContext(Server(repository=self.repository))

    def test_the_highest_version_is_loaded_and_answers(self):
        self.assertEqual(self.server.load(MODEL).version.version, 12)
        self.assertEqual(self.server.load(MODEL, 1).version.version, 1)
        self.assertEqual(self.server.predict(MODEL, ["x"]).version, 12)
        self.assertEqual(self.server.predict(MODEL, ["x"], version="1").version, 1)
        self.server.unload(MODEL, 12)
        self.assertEqual(self.server.predict(MODEL, ["x"]).version, 1)

    def test_unload_without_a_version_unloads_all(self):
        self.server.load(MODEL, 1)
        self.server.load(MODEL, 12)
        self.assertEqual(sorted(v.version for v in self.server.unload(MODEL).versions), [1, 12])

    def test_load_all(self):
        server = self.enterContext(Server("--load-all", repository=self.repository))
        self.assertEqual({key for key, v in server.versions().items() if v.state == READY}, {(MODEL, 1), (MODEL, 12)})


class Modelctl(unittest.TestCase):
    """The command line against the real server; its parsing and formats have unit tests."""

    def setUp(self):
        self.server = self.enterContext(Server())

    def run_ctl(self, *words, text=None):
        done = subprocess.run([MODELCTL, "--server", self.server.address, *words], capture_output=True, text=True,
                              input=text, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_a_session(self):
        code, out, _ = self.run_ctl("load", MODEL, "--actor", "ops")
        self.assertEqual(code, 0)
        self.assertIn(f"{MODEL}:1 is READY", out)
        code, out, _ = self.run_ctl("predict", MODEL, "This is great.")
        self.assertEqual(code, 0)
        self.assertRegex(out, rf"positive +0\.9\d+\nnegative +0\.0\d+\nmodel {MODEL}  version 1  tokens 4  queue")
        code, out, _ = self.run_ctl("predict", MODEL, "--json", text="This is great.\n\nTerrible\n")
        self.assertEqual((code, len(out.splitlines())), (0, 2))
        code, out, _ = self.run_ctl("predict", MODEL, "--input", "input_ids=INT64[1,4]:12,9,29,2", "--input",
                                    "attention_mask=INT64[1,4]:1,1,1,1")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"logits FP32\[1,2\]: -2\.505\d* 2\.907\d*")
        code, out, _ = self.run_ctl("models")
        self.assertRegex(out, rf"{MODEL} +1  READY")
        code, out, _ = self.run_ctl("show", MODEL)
        self.assertIn("input_ids INT64[-1,-1]", out)
        code, out, _ = self.run_ctl("health", MODEL, "--wait", "10")
        self.assertEqual((code, out), (0, "SERVING\n"))
        code, out, _ = self.run_ctl("events")
        self.assertRegex(out, r"ops +load")
        code, out, _ = self.run_ctl("unload", MODEL)
        self.assertEqual((code, out), (0, f"{MODEL}:1 is UNLOADED\n"))

    def test_refusals(self):
        code, out, err = self.run_ctl("load", "nosuch")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, "^modelctl: NOT_FOUND: .*nosuch")
        code, _, err = self.run_ctl("health", "nosuch")
        self.assertEqual(code, 1)


if __name__ == "__main__":
    unittest.main()
