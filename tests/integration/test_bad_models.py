"""Loads that must fail: the reason is named, it is on record, and what was serving serves on."""
import os
import shutil
import subprocess
import tempfile
import unittest

import grpc
from support import MODELS, Code, Server, copy_repository, modeld, one_node_model, refuses, write_model

GOOD = MODELS[0]


class BadModels(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="modeld_it_")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.repository = copy_repository(self.folder, GOOD)
        self.server = self.enterContext(Server("--load", GOOD, repository=self.repository))
        self.before = self.server.predict(GOOD, ["This is great."]).classifications[0]
        with open(os.path.join(self.repository, GOOD, "1", "model.onnx"), "rb") as file:
            self.good_bytes = file.read()

    def check_untouched(self):
        after = self.server.predict(GOOD, ["This is great."])
        self.assertEqual(after.version, 1)
        self.assertEqual(after.classifications[0], self.before)

    def check_fails(self, name, code, *patterns, version=0):
        with refuses(self, code, *patterns):
            self.server.load(name, version)
        event = self.server.events(name)[0]
        self.assertEqual((event.action, event.code, event.actor), ("load", code.name, "test"))
        self.assertTrue(event.message)
        self.check_untouched()

    def check_bytes(self, data, code, *patterns):
        write_model(self.repository, "bad", data)
        self.check_fails("bad", code, *patterns)
        record = self.server.versions()["bad", 1]
        self.assertEqual(record.state, modeld.MODEL_STATE_FAILED)
        self.assertTrue(record.reason)
        with refuses(self, Code.UNAVAILABLE, "bad", "FAILED"):
            self.server.predict("bad", ["x"])

    def test_no_such_folder(self):
        self.check_fails("missing", Code.NOT_FOUND, "missing")

    def test_a_version_without_a_model_file(self):
        os.makedirs(os.path.join(self.repository, "hollow", "1"))
        with self.assertRaises(grpc.RpcError) as caught:
            self.server.load("hollow")
        self.assertIn(caught.exception.code(), (Code.NOT_FOUND, Code.INVALID_ARGUMENT, Code.FAILED_PRECONDITION))
        self.assertIn("hollow", caught.exception.details())
        self.check_untouched()

    def test_truncated_model(self):
        for share in (0.999, 0.5, 0.01):
            with self.subTest(share=share):
                self.check_bytes(self.good_bytes[:int(len(self.good_bytes) * share)], Code.INVALID_ARGUMENT,
                                 r"model\.onnx")

    def test_empty_model(self):
        self.check_bytes(b"", Code.INVALID_ARGUMENT, r"model\.onnx")

    def test_garbage(self):
        self.check_bytes(bytes(range(256)) * 4096, Code.INVALID_ARGUMENT, r"model\.onnx")
        self.check_bytes(b"PK\x03\x04" + b"\0" * 1000, Code.INVALID_ARGUMENT, r"model\.onnx")

    def test_damaged_bytes_never_end_the_server(self):
        for step in range(1, 24):
            data = bytearray(self.good_bytes)
            for at in range(step * 37, min(len(data), 60000), 4099):
                data[at] ^= 1 << (step % 8)
            write_model(self.repository, "damaged", bytes(data), version=step)
            try:
                self.server.load("damaged", step)
            except grpc.RpcError as error:
                self.assertNotIn(error.code(), (Code.UNAVAILABLE, Code.UNKNOWN, Code.DEADLINE_EXCEEDED), error.details())
        self.check_untouched()

    def test_unknown_operator(self):
        self.check_bytes(one_node_model("Frobnicate", "layer/7"), Code.UNIMPLEMENTED, "Frobnicate", "layer/7")

    def test_unknown_operator_domain(self):
        self.check_bytes(one_node_model("Relu", "layer/8", domain="com.example"), Code.UNIMPLEMENTED, "com.example",
                         "layer/8")

    def test_opset_of_the_future(self):
        self.check_bytes(one_node_model("Relu", opset=999), Code.UNIMPLEMENTED, "999")

    def test_bad_tokenizer(self):
        shutil.copytree(os.path.join(self.repository, GOOD), os.path.join(self.repository, "tok"))
        for content in (b"", b"{", b"[]", b'{"model": {"type": "Telepathy"}}'):
            with open(os.path.join(self.repository, "tok", "1", "tokenizer.json"), "wb") as file:
                file.write(content)
            with self.subTest(content=content), self.assertRaises(grpc.RpcError) as caught:
                self.server.load("tok")
            self.assertIn(caught.exception.code(), (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED))
            self.assertIn("tokenizer.json", caught.exception.details())
        self.check_untouched()

    def test_a_failed_reload_keeps_the_loaded_version(self):
        write_model(self.repository, GOOD, self.good_bytes[:1000])
        with refuses(self, Code.INVALID_ARGUMENT):
            self.server.load(GOOD, 1)
        self.check_untouched()

    def test_a_failed_newer_version_keeps_the_older_one(self):
        write_model(self.repository, GOOD, b"junk", version=2)
        with refuses(self, Code.INVALID_ARGUMENT):
            self.server.load(GOOD)
        self.check_untouched()

    def test_a_failed_model_can_be_repaired(self):
        self.check_bytes(b"junk", Code.INVALID_ARGUMENT)
        write_model(self.repository, "bad", one_node_model("Relu"))
        self.assertEqual(self.server.load("bad").version.state, modeld.MODEL_STATE_READY)


class FullDisk(unittest.TestCase):
    """The registry on a file system without room: a load is refused, and works again when there is room."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="modeld_it_")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.disk = os.path.join(self.folder, "disk")
        os.mkdir(self.disk)
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "modeld_it", self.disk],
                               stderr=subprocess.DEVNULL, check=False)
        if mount.returncode != 0:
            self.skipTest("this user may not mount a file system")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=False)

    def fill(self, path):
        with open(path, "wb", buffering=0) as file:
            with self.assertRaises(OSError):
                while True:
                    file.write(b"\0" * 4096)

    def test_a_load_on_a_full_disk_fails_and_nothing_else(self):
        server = Server("--load", GOOD, registry=os.path.join(self.disk, "registry.db"))
        self.enterContext(server)
        filler = os.path.join(self.disk, "filler")
        self.fill(filler)
        with refuses(self, Code.RESOURCE_EXHAUSTED, "disk|full|space"):
            for _ in range(200):  # the log of the database may have room left in its last pages
                server.load(MODELS[1])
                server.unload(MODELS[1])
        self.assertEqual(len(server.predict(GOOD, ["still here"]).classifications), 1)
        os.remove(filler)
        self.assertEqual(server.load(MODELS[1]).version.state, modeld.MODEL_STATE_READY)
        self.assertEqual(server.stop(), 0)


class FileLimit(unittest.TestCase):
    """The same without a mount: the system refuses every write of the registry (RLIMIT_FSIZE)."""

    def test_a_load_whose_record_cannot_be_written_fails(self):
        import resource
        server = self.enterContext(Server("--load", GOOD, restore_signals=False))  # SIGXFSZ stays ignored
        pid = server.process.pid
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        with self.assertRaises(grpc.RpcError) as caught:
            server.load(MODELS[1])
        self.assertIn(caught.exception.code(), (Code.RESOURCE_EXHAUSTED, Code.INTERNAL))
        self.assertEqual(len(server.predict(GOOD, ["still here"]).classifications), 1)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
        self.assertEqual(server.load(MODELS[1]).version.state, modeld.MODEL_STATE_READY)


if __name__ == "__main__":
    unittest.main()
