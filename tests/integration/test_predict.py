"""Predict on the three reference models against the goldens, and what its arguments do."""
import struct
import unittest

from support import MODELS, Code, Server, goldens, modeld, refuses

TOLERANCE = 1e-5


def int64_tensor(name, rows):
    flat = [value for row in rows for value in row]
    return modeld.Tensor(name=name, datatype="INT64", shape=[len(rows), len(rows[0])],
                         contents=struct.pack(f"<{len(flat)}q", *flat))


def padded(case):
    """Rows of one length, as a tensor needs them."""
    width = max(len(row) for row in case["input_ids"])
    return tuple([row + [0] * (width - len(row)) for row in case[name]] for name in ("input_ids", "attention_mask"))


class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server("--load", ",".join(MODELS)))

    def check_texts(self, model, case):
        answer = self.server.predict(model, case["texts"])
        self.assertEqual((answer.model, answer.version), (model, 1))
        self.assertEqual(len(answer.classifications), len(case["texts"]))
        for got, label, scores, mask in zip(answer.classifications, case["labels"], case["scores"],
                                            case["attention_mask"]):
            self.assertEqual(got.classes[0].label, label)
            self.assertEqual(got.token_count, sum(mask))
            by_index = {one.index: one.score for one in got.classes}
            for index, score in enumerate(scores):
                self.assertLessEqual(abs(by_index[index] - score), TOLERANCE, case["texts"])
            self.assertEqual([c.score for c in got.classes], sorted((c.score for c in got.classes), reverse=True))

    def check_tensors(self, model, case):
        ids, mask = padded(case)
        request = modeld.PredictRequest(model=model, inputs=[int64_tensor("input_ids", ids),
                                                             int64_tensor("attention_mask", mask)])
        answer = self.server.modeld.Predict(request, timeout=60)
        self.assertEqual([output.name for output in answer.outputs], ["logits"])
        output = answer.outputs[0]
        self.assertEqual((output.datatype, list(output.shape)),
                         ("FP32", [len(case["logits"]), len(case["logits"][0])]))
        got = struct.unpack(f"<{len(output.contents) // 4}f", output.contents)
        expected = [value for row in case["logits"] for value in row]
        self.assertLessEqual(max(abs(a - b) for a, b in zip(got, expected)), TOLERANCE, case["texts"])

    def test_texts_give_the_golden_scores(self):
        for model in MODELS:
            for number, case in enumerate(goldens(model)):
                with self.subTest(model=model, case=number):
                    self.check_texts(model, case)

    def test_tensors_give_the_golden_logits(self):
        for model in MODELS:
            for number, case in enumerate(goldens(model)):
                with self.subTest(model=model, case=number):
                    self.check_tensors(model, case)

    def test_id_timings_and_counts_come_back(self):
        request = modeld.PredictRequest(model=MODELS[0], texts=["This is great."], id="abc-1")
        answer = self.server.modeld.Predict(request, timeout=60)
        self.assertEqual(answer.id, "abc-1")
        self.assertGreater(answer.timings.compute_us, 0)
        self.assertGreaterEqual(answer.timings.total_us, answer.timings.compute_us)
        self.assertEqual(answer.token_count, answer.classifications[0].token_count)

    def test_top_k_cuts_the_classes(self):
        answer = self.server.predict(MODELS[0], ["This is great."], top_k=1)
        self.assertEqual(len(answer.classifications[0].classes), 1)
        answer = self.server.predict(MODELS[0], ["This is great."], top_k=1000)
        self.assertEqual(len(answer.classifications[0].classes), 2)

    def test_a_version_may_be_named(self):
        self.assertEqual(self.server.predict(MODELS[0], ["ok"], version="1").version, 1)

    def test_the_answer_does_not_depend_on_the_batch(self):
        texts = ["This is great.", "Terrible", "a much longer text than the other two, with many more words in it"]
        for model in MODELS:
            together = self.server.predict(model, texts)
            for text, got in zip(texts, together.classifications):
                alone = self.server.predict(model, [text]).classifications[0]
                self.assertEqual([c.score for c in alone.classes], [c.score for c in got.classes])

    def test_a_long_text_is_cut_or_refused(self):
        long_text = "word " * 5000
        answer = self.server.predict(MODELS[0], [long_text]).classifications[0]
        self.assertTrue(answer.truncated)
        self.assertEqual(answer.token_count, 128)
        self.assertFalse(self.server.predict(MODELS[0], ["short"]).classifications[0].truncated)
        with refuses(self, Code.INVALID_ARGUMENT, "text 0", "128"):
            self.server.predict(MODELS[0], [long_text], refuse_long_texts=True)

    def test_a_megabyte_of_text_is_cut(self):
        self.assertTrue(self.server.predict(MODELS[0], ["x" * 1000000]).classifications)
        self.assertTrue(self.server.predict(MODELS[0], ["good " * 200000]).classifications[0].truncated)


if __name__ == "__main__":
    unittest.main()
