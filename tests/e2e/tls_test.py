"""Scheduler, workers and strangers over TLS, with certificates as an administrator makes them."""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

import dask_rpc
from processes import RASK, Process, Scheduler, wait_until

STOCK = pathlib.Path(__file__).with_name("tls_stock.py")


def openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)


class Authority:
    """A CA in a folder of its own, and one certificate that it signed."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        at = self.folder.name
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl(at, "req", "-x509", *new, "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        openssl(at, "req", *new, "-subj", "/CN=cluster", "-keyout", "own.key", "-out", "own.csr")
        openssl(at, "x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", "own.pem")
        self.ca, self.cert, self.key = (f"{at}/{n}" for n in ("ca.pem", "own.pem", "own.key"))
        self.options = ["--tls-ca-file", self.ca, "--tls-cert", self.cert, "--tls-key", self.key]
        self.context = dask_rpc.tls_context(self.ca, self.cert, self.key)

    def variables(self, *roles):
        keys = {"CA_FILE": self.ca}
        for role in roles:
            keys |= {f"{role}__CERT": self.cert, f"{role}__KEY": self.key}
        return {f"DASK_DISTRIBUTED__COMM__TLS__{key}": value for key, value in keys.items()}


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ours, cls.other = Authority(), Authority()

    def scheduler(self):
        return Scheduler("--protocol", "tls", *self.ours.options, "--no-dashboard",
                         env={"DASK_RASK__PYTHON": os.environ.get("RASK_PYTHON", "python3")})

    def workers(self, scheduler):
        return dask_rpc.ask(scheduler.address, "identity", tls=self.ours.context)["workers"]

    def test_scheduler_nanny_and_worker_talk_tls_only(self):
        with self.scheduler() as scheduler, Process(
            "worker", scheduler.address, *self.ours.options, "--name", "alice"
        ):
            self.assertTrue(scheduler.address.startswith("tls://127.0.0.1:"))
            ((address, info),) = wait_until(
                lambda: self.workers(scheduler), what="a worker").items()
            for each in (address, info["nanny"]):
                self.assertTrue(each.startswith("tls://"), each)
                told = dask_rpc.ask(each, "identity", tls=self.ours.context)
                self.assertIn(told["type"], ("Worker", "Nanny"))
            # Asked over TLS, the nanny starts the worker again, which comes back with TLS.
            nanny = info["nanny"]
            told = dask_rpc.ask(nanny, "restart", tls=self.ours.context)
            self.assertEqual(told, "OK")
            wait_until(lambda: self.workers(scheduler).keys() - {address}, what="the new worker")

    def test_certificates_come_from_the_configuration(self):
        env = self.ours.variables("SCHEDULER", "WORKER")
        env["DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION"] = "true"
        with Scheduler(env=env) as scheduler, Process("worker", scheduler.address, env=env):
            self.assertTrue(scheduler.address.startswith("tls://"))
            wait_until(lambda: self.workers(scheduler), what="a worker")

    def test_plain_addresses_are_refused_where_certificates_are_given(self):
        told = subprocess.run(
            [RASK, "scheduler", "--host", "tcp://127.0.0.1", "--port", "0", *self.ours.options],
            capture_output=True, text=True, timeout=20)
        self.assertEqual(told.returncode, 2)
        self.assertIn("encryption required by Dask configuration, refusing communication from/to "
                      "'tcp://127.0.0.1:0'", told.stderr)
        told = subprocess.run([RASK, "worker", "--no-nanny", "tls://127.0.0.1:1"],
                              capture_output=True, text=True, timeout=20)
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("perhaps check your TLS configuration?", told.stderr + told.stdout)

    def test_strangers_get_nowhere_and_disturb_nobody(self):
        with self.scheduler() as scheduler:
            host, port = scheduler.address.removeprefix("tls://").split(":")
            for greeting in (b"\0" * 8, b"GET / HTTP/1.1\r\n\r\n", os.urandom(2000)):
                with socket.create_connection((host, int(port)), 10) as sock:
                    sock.sendall(greeting)
                    try:
                        while sock.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            strangers = (dask_rpc.tls_context(self.ours.ca),
                         dask_rpc.tls_context(self.ours.ca, self.other.cert, self.other.key),
                         self.other.context)
            for stranger in strangers:
                with self.assertRaises((OSError, EOFError)):
                    dask_rpc.ask(scheduler.address, "identity", tls=stranger)
            self.assertEqual(self.workers(scheduler), {})
            for why in ("TLS handshake failed with remote 'tls://127.0.0.1:",
                        "wrong version number", "peer did not return a certificate",
                        "certificate verify failed"):
                self.assertIn(why, scheduler.output)

    @unittest.skipUnless(os.environ.get("RASK_PYTHON"), "RASK_PYTHON names no stock Dask")
    def test_stock_clients_and_workers_come_with_certificates(self):
        with self.scheduler() as scheduler, Process(
            "worker", scheduler.address, *self.ours.options, "--name", "native"
        ):
            wait_until(lambda: self.workers(scheduler), what="a worker")
            told = subprocess.run(
                [os.environ["RASK_PYTHON"], STOCK, scheduler.address, self.ours.ca, self.ours.cert,
                 self.ours.key], capture_output=True, text=True, timeout=120)
            self.assertEqual(told.stdout.split(), ["ok"], told.stderr + scheduler.output)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
