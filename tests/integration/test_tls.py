"""TLS on the gRPC port: server certificates, client certificates, and plain text only where it is allowed."""
import contextlib
import os
import shutil
import subprocess
import tempfile
import unittest

import grpc
from support import MODELS, Server, health, health_pb2_grpc, wait_for


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="modeld_it_")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=test ca", "-keyout", cls.path("ca.key"), "-out", cls.path("ca.pem"))
        for name in ("server", "client"):
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", cls.path(name + ".key"), "-out", cls.path(name + ".csr"))
            with open(cls.path("extensions"), "w", encoding="ascii") as file:
                file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
            openssl("x509", "-req", "-in", cls.path(name + ".csr"), "-CA", cls.path("ca.pem"), "-CAkey",
                    cls.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", cls.path("extensions"), "-out",
                    cls.path(name + ".pem"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def pem(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def launch(self, *options):
        server = Server("--tls-certificate", self.path("server.pem"), "--tls-key", self.path("server.key"), *options)
        self.addCleanup(shutil.rmtree, server.folder, True)
        self.addCleanup(server.kill)
        server.launch()
        port_file = os.path.join(server.folder, "port")
        wait_for("port", lambda: os.path.exists(port_file))
        with open(port_file, encoding="ascii") as file:
            server.address = "127.0.0.1:" + file.read().strip()
        return server

    def check(self, server, credentials):
        channel = (grpc.insecure_channel(server.address) if credentials is None
                   else grpc.secure_channel(server.address, credentials))
        with contextlib.closing(channel):
            return health_pb2_grpc.HealthStub(channel).Check(health.HealthCheckRequest(), timeout=10).status

    def test_a_client_that_trusts_the_certificate_is_served_and_others_are_not(self):
        server = self.launch("--load", MODELS[0])
        self.assertGreater(self.check(server, grpc.ssl_channel_credentials(self.pem("ca.pem"))), 0)
        for wrong in (None, grpc.ssl_channel_credentials()):
            with self.assertRaises(grpc.RpcError):
                self.check(server, wrong)
        self.assertEqual(server.stop(), 0)

    def test_client_certificates_can_be_asked_for(self):
        server = self.launch("--tls-client-ca", self.path("ca.pem"))
        good = grpc.ssl_channel_credentials(self.pem("ca.pem"), self.pem("client.key"), self.pem("client.pem"))
        self.assertGreater(self.check(server, good), 0)
        with self.assertRaises(grpc.RpcError):
            self.check(server, grpc.ssl_channel_credentials(self.pem("ca.pem")))

    def check_refused(self, *options, said, listen="127.0.0.1:0"):
        server = Server(*options, listen=listen)
        self.addCleanup(shutil.rmtree, server.folder, True)
        code, log = server.refused()
        self.assertEqual(code, 1)
        self.assertRegex(log, said)

    def test_servers_that_must_not_start(self):
        self.check_refused("--tls-key", self.path("server.key"), said="go together")
        self.check_refused("--tls-client-ca", self.path("ca.pem"), said="goes with")
        self.check_refused("--tls-certificate", "/nope", "--tls-key", self.path("server.key"), said="/nope")
        self.check_refused("--tls-certificate", self.path("server.pem"), "--tls-key", self.path("client.key"),
                           said="do not belong together")
        self.check_refused(said="--insecure", listen="0.0.0.0:0")
        self.check_refused("--http", "0.0.0.0:0", said="--insecure")

    def test_plain_text_beyond_loopback_can_be_allowed(self):
        server = self.enterContext(Server("--insecure", "true", listen="0.0.0.0:0"))
        self.assertEqual(server.status(), 1)


if __name__ == "__main__":
    unittest.main()
