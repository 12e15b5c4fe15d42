"""The precision of a load: chosen in the request or in model.json, checked against fp32, recorded, restored."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import grpc
from support import MODELCTL, Code, Server, copy_repository, goldens, modeld, refuses

MODEL = "sentiment-transformer"
READY, FAILED = modeld.MODEL_STATE_READY, modeld.MODEL_STATE_FAILED
BOUNDS = {"bf16": 0.05, "int8": 0.15}


class Precision(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="modeld_it_")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.repository = copy_repository(self.folder, MODEL)
        self.server = self.enterContext(Server(repository=self.repository))

    def model_json(self, **keys):
        with open(os.path.join(self.repository, MODEL, "1", "model.json"), "w", encoding="utf-8") as file:
            json.dump(keys, file)

    def get(self):
        """The version and its effective configuration, as key: (value, source)."""
        answer = self.server.modeld.GetModel(modeld.GetModelRequest(model=MODEL), timeout=30)
        entries = {e.key: (e.value, e.source) for c in answer.configurations for e in c.entries}
        return answer.versions[0], entries

    def restart(self):
        self.assertEqual(self.server.stop(), 0)
        self.server.start()

    def check_predictions(self):
        for case in goldens(MODEL):
            answer = self.server.predict(MODEL, case["texts"])
            self.assertEqual([c.classes[0].label for c in answer.classifications], case["labels"])

    def check_event(self, precision, difference):
        event = self.server.events(MODEL)[0]
        self.assertEqual(event.code, "OK")
        self.assertRegex(event.message, rf", precision {precision}, difference [0-9.e-]+ of {BOUNDS[precision]}$")
        told = float(event.message.split("difference ")[1].split(" of")[0])
        self.assertAlmostEqual(told, difference, delta=0.01 * difference)

    def test_fp32_is_the_default(self):
        self.server.load(MODEL)
        version, entries = self.get()
        self.assertEqual((version.precision, version.precision_difference), ("fp32", 0))
        self.assertEqual(entries["precision"], ("fp32", "default"))
        self.assertTrue(self.server.events(MODEL)[0].message.endswith(", precision fp32"))

    def test_a_precision_is_measured_recorded_and_restored(self):
        for precision in BOUNDS:
            with self.subTest(precision=precision):
                loaded = self.server.load(MODEL, precision=precision).version
                self.assertEqual((loaded.precision, loaded.state), (precision, READY))
                self.assertTrue(0 <= loaded.precision_difference <= BOUNDS[precision], loaded.precision_difference)
                self.check_event(precision, loaded.precision_difference)
                self.check_predictions()
                self.restart()
                version, entries = self.get()
                self.assertEqual((version.precision, version.state), (precision, READY))
                self.assertEqual(version.precision_difference, loaded.precision_difference)
                self.assertEqual(entries["precision"], (precision, "load"))
                self.assertEqual(entries["max_precision_difference"], (str(BOUNDS[precision]), "default"))
                self.check_event(precision, loaded.precision_difference)
                self.assertEqual(self.server.versions()[MODEL, 1].precision, precision)

    def test_model_json_chooses_and_the_request_wins(self):
        self.model_json(precision="int8", max_precision_difference=0.5)
        self.server.load(MODEL)
        version, entries = self.get()
        self.assertEqual((version.precision, entries["precision"]), ("int8", ("int8", "model.json")))
        self.assertEqual(entries["max_precision_difference"], ("0.5", "model.json"))
        self.server.load(MODEL, precision="fp32")
        self.assertEqual(self.get()[0].precision, "fp32")
        self.restart()  # what was loaded comes back, not what the file says
        self.assertEqual(self.get()[0].precision, "fp32")

    def test_a_difference_above_the_bound_is_refused(self):
        """Products that an int8 session computes in fp32 differ by nothing, and such a load is right to work."""
        self.model_json(max_precision_difference=0)
        if self.load_is_exact("int8"):
            return
        version, _ = self.get()
        self.assertEqual((version.state, version.precision), (FAILED, ""))
        self.assertRegex(version.reason, "precision int8: output \"logits\" differs from fp32 by .*, limit is 0")
        self.server.load(MODEL)
        with refuses(self, Code.FAILED_PRECONDITION, "differs from fp32"):
            self.server.load(MODEL, precision="int8")
        version, _ = self.get()
        self.assertEqual((version.state, version.precision), (READY, "fp32"))
        self.check_predictions()
        self.restart()
        self.assertEqual((self.get()[0].state, self.get()[0].precision), (READY, "fp32"))

    def load_is_exact(self, precision):
        """True: loaded, with no difference at all. False: refused for its difference."""
        try:
            answer = self.server.load(MODEL, precision=precision)
        except grpc.RpcError as error:
            self.assertEqual(error.code(), Code.FAILED_PRECONDITION, error.details())
            return False
        self.assertEqual(answer.version.precision_difference, 0)
        return True

    def test_unknown_precisions_are_refused_with_the_known_ones(self):
        with refuses(self, Code.INVALID_ARGUMENT, '"fp8".*fp32, bf16, int8'):
            self.server.load(MODEL, precision="fp8")
        self.model_json(precision="fp16")
        with refuses(self, Code.INVALID_ARGUMENT, 'model.json: precision: "fp16".*fp32, bf16, int8'):
            self.server.load(MODEL)
        self.model_json(max_precision_difference=2)
        with refuses(self, Code.INVALID_ARGUMENT, "model.json: max_precision_difference: expected a number from 0 to 1"):
            self.server.load(MODEL)

    def test_without_a_tokenizer_tensors_are_compared(self):
        for name in ("tokenizer.json", "config.json"):
            os.remove(os.path.join(self.repository, MODEL, "1", name))
        self.model_json(precision="bf16")
        version = self.server.load(MODEL).version
        self.assertEqual((version.task, version.precision), ("tensors", "bf16"))
        self.assertTrue(0 <= version.precision_difference <= BOUNDS["bf16"])

    def test_modelctl_loads_and_shows_it(self):
        def run(*words):
            done = subprocess.run([MODELCTL, "--server", self.server.address, *words], capture_output=True, text=True,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        self.assertRegex(run("load", MODEL, "--precision", "int8"), r"READY  \(text-classification, int8 \([0-9.e-]+\), ")
        self.assertRegex(run("show", MODEL), r"precision +int8 \([0-9.e-]+\)")
        self.assertRegex(run("models"), r"PRECISION(.|\n)* int8 \([0-9.e-]+\) ")
        self.assertRegex(run("events"), r"precision int8, difference")
        version = json.loads(run("models", "--json"))
        self.assertEqual(version["precision"], "int8")
        self.assertTrue(0 <= version["precision_difference"] <= BOUNDS["int8"])


if __name__ == "__main__":
    unittest.main()
