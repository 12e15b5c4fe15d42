"""Servers that must not start: each says why, on one line, and leaves nothing behind."""
import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import unittest

from support import MODELD, MODELS, REFERENCE, Server, modeld


class Startup(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="modeld_it_")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.registry = os.path.join(self.folder, "registry.db")

    def check_refused(self, server, *words):
        code, log = server.refused()
        self.assertNotEqual(code, 0, log)
        self.assertGreater(code, 0, f"ended by a signal: {log}")
        for word in words:
            self.assertRegex(log, word)
        self.assertNotIn("listening on", log)

    def test_a_registry_that_is_not_a_database(self):
        for content in (b"this is not a database\n" * 400, b"SQLite format 3\0" + b"\xff" * 4096):
            with open(self.registry, "wb") as file:
                file.write(content)
            self.check_refused(Server(folder=self.folder), r"registry\.db", "not a|malformed|corrupt")
            with open(self.registry, "rb") as file:
                self.assertEqual(file.read(), content)

    def test_a_database_of_somebody_else(self):
        with sqlite3.connect(self.registry) as database:
            database.execute("CREATE TABLE versions (whatever TEXT)")
        self.check_refused(Server(folder=self.folder), r"registry\.db")

    def test_a_registry_of_a_newer_build(self):
        with Server(folder=self.folder) as server:
            self.assertEqual(server.stop(), 0)
        with sqlite3.connect(self.registry) as database:
            database.execute("PRAGMA user_version=999")
        database.close()
        self.check_refused(Server(folder=self.folder), "999", r"registry\.db")

    def test_a_registry_in_a_folder_that_is_not_there(self):
        self.check_refused(Server(folder=self.folder, registry="/no/such/folder/registry.db"), "/no/such/folder")

    def test_two_servers_on_one_registry(self):
        with Server(folder=self.folder) as first:
            other = tempfile.mkdtemp(prefix="modeld_it_")
            self.addCleanup(shutil.rmtree, other, True)
            self.check_refused(Server(folder=other, registry=self.registry), r"registry\.db", "process|in use|locked")
            first.load(MODELS[0])
            self.assertEqual(first.versions()[MODELS[0], 1].state, modeld.MODEL_STATE_READY)

    def test_a_port_that_is_taken(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.check_refused(Server(folder=self.folder, listen=address), address)
        with Server(folder=self.folder) as first:
            other = tempfile.mkdtemp(prefix="modeld_it_")
            self.addCleanup(shutil.rmtree, other, True)
            self.check_refused(Server(folder=other, listen=first.address), first.address)

    def test_a_repository_that_is_not_there(self):
        server = Server(folder=self.folder, repository="/no/such/folder")
        server.launch()
        try:
            code = server.process.wait(5)
            self.assertGreater(code, 0)
            self.assertIn("/no/such/folder", server.log())
        except subprocess.TimeoutExpired:
            server.kill()
            self.assertIn("/no/such/folder", server.log())  # it may come later, but is spoken of

    def test_wrong_options(self):
        for words in (["--nonsense"], ["--threads", "many"], ["--listen"], ["stray"], ["--drain-seconds", "-1"]):
            done = subprocess.run([MODELD, *words], capture_output=True, text=True, timeout=20, check=False)
            with self.subTest(words=words):
                self.assertGreater(done.returncode, 0)
                self.assertIn(words[0].lstrip("-"), done.stderr)

    def test_help_version_and_print_config(self):
        for words, expected in ((["--help"], "--listen"), (["--version"], "0.1"), (["--print-config"], "max-inflight")):
            done = subprocess.run([MODELD, *words], capture_output=True, text=True, timeout=20, check=False)
            with self.subTest(words=words):
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(expected, done.stdout)

    def test_the_ready_line(self):
        with Server("--load", MODELS[0], folder=self.folder) as server:
            self.assertRegex(server.log(), rf"(?m)^modeld 0\.1\.0 listening on {server.address}\b")

    def test_a_model_that_is_gone_does_not_stop_the_others(self):
        repository = os.path.join(self.folder, "models")
        for model in MODELS[:2]:
            shutil.copytree(os.path.join(REFERENCE, model), os.path.join(repository, model))
        with Server(folder=self.folder, repository=repository) as server:
            server.load(MODELS[0])
            server.load(MODELS[1])
            server.stop()
            shutil.rmtree(os.path.join(repository, MODELS[0]))
            server.start()
            self.assertEqual(len(server.predict(MODELS[1], ["x"]).classifications), 1)
            self.assertEqual(server.versions()[MODELS[0], 1].state, modeld.MODEL_STATE_FAILED)


if __name__ == "__main__":
    unittest.main()
