"""modelctl bench and top against a started server."""
import json
import os
import subprocess
import unittest

from support import MODELCTL, Server

MODEL = "sentiment-lstm"


class Bench(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server())
        cls.server.load(MODEL)

    def modelctl(self, *words, code=0):
        done = subprocess.run([MODELCTL, *words, "--server", self.server.address], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def bench(self, *words):
        done = self.modelctl("bench", MODEL, "--json", "--duration", "0.5", "--warm-up", "0", *words)
        return json.loads(done.stdout)

    def check_answered(self, result):
        self.assertEqual(list(result["codes"]), ["OK"], result["first_failure"])
        self.assertGreater(result["codes"]["OK"], 0)
        latency = result["latency_us"]
        self.assertLessEqual(0, latency["p50"])
        self.assertLessEqual(latency["p50"], latency["p99"])
        self.assertLessEqual(latency["p99"], latency["max"])

    def test_closed_loop_of_the_models_signature(self):
        result = self.bench("--concurrency", "4", "--dims", "batch=1,sequence=4..16")
        self.check_answered(result)
        self.assertEqual(result["loop"], "closed")

    def test_open_loop_offers_its_rate(self):
        result = self.bench("--rate", "100", "--arrivals", "fixed", "--dims", "1,8")
        self.check_answered(result)
        self.assertIn(result["requests"], range(49, 52))

    def test_texts_of_a_file(self):
        path = os.path.join(self.server.folder, "texts")
        with open(path, "w", encoding="utf-8") as file:
            file.write("I love this phone.\n\nIt does not work.\n")
        self.check_answered(self.bench("--texts", path))

    def test_open_inference_protocol(self):
        self.check_answered(self.bench("--protocol", "oip", "--dims", "1,8"))

    def test_people_get_percentiles_and_a_histogram(self):
        done = self.modelctl("bench", MODEL, "--duration", "0.2", "--warm-up", "0", "--dims", "1,8")
        for word in ("answered", "p99", "up to", "CPU a call"):
            self.assertIn(word, done.stdout)

    def test_failures_are_told_apart(self):
        self.assertIn("nope", self.modelctl("bench", "nope", "--input", "x=FP32[1]", code=1).stderr)
        self.modelctl("bench", MODEL, "--texts", "/no/such/file", code=2)

    def test_top_shows_the_model(self):
        done = self.modelctl("top", "--count", "2", "--interval", "0.1")
        self.assertEqual(done.stdout.count(MODEL), 2)
        rows = [json.loads(line) for line in self.modelctl("top", "--count", "1", "--json").stdout.splitlines()]
        self.assertEqual([row["model"] for row in rows], [MODEL])


if __name__ == "__main__":
    unittest.main()
