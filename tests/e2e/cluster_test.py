"""The commands `rask scheduler` and `rask worker` as a person and a stranger use them."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

import dask_rpc
from processes import RASK, Process, Scheduler, wait_until


def workers_of(address):
    return dask_rpc.ask(address, "identity")["workers"]


def run(*args, **kwargs):
    return subprocess.run([RASK, *map(str, args)], capture_output=True, text=True, timeout=60,
                          **kwargs)


class Commands(unittest.TestCase):
    def test_workers_register_with_what_they_were_given(self):
        with Scheduler() as scheduler, Process(
            "worker", scheduler.address, "--nthreads", 3, "--name", "alice", "--memory-limit",
            "1GB", "--resources", "GPU=2 MEM=10e9",
        ):
            worker = wait_until(lambda: workers_of(scheduler.address), what="a worker")
            ((address, info),) = worker.items()
            self.assertTrue(address.startswith("tcp://127.0.0.1:"))
            self.assertEqual(info["name"], "alice")
            self.assertEqual(info["nthreads"], 3)
            self.assertEqual(info["memory_limit"], 10**9)
            self.assertEqual(info["resources"], {"GPU": 2.0, "MEM": 10e9, "rask-native": 1e9})
            self.assertTrue(info["nanny"].startswith("tcp://"))

    def test_a_scheduler_file_leads_workers_to_it(self):
        with Scheduler() as scheduler, Process(
            "worker", "--scheduler-file", scheduler.file, "--nworkers", 2
        ):
            wait_until(lambda: len(workers_of(scheduler.address)) == 2, what="two workers")

    def test_http_tells_how_the_scheduler_is(self):
        with Scheduler("--dashboard-address", "127.0.0.1:0") as scheduler:
            port = dask_rpc.ask(scheduler.address, "identity")["services"]["dashboard"]

            def get(path):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                    return answer.read().decode()

            self.assertEqual(get("/health"), "ok")
            identity = json.loads(get("/json/identity.json"))
            self.assertEqual(identity["address"], scheduler.address)
            with Process("worker", scheduler.address, "--no-nanny", "--nthreads", 3):
                wait_until(lambda: json.loads(get("/json/counts.json"))["cores"] == 3,
                           what="a worker")
            with self.assertRaisesRegex(urllib.error.HTTPError, "404"):
                get("/nothing")
            taken = run("scheduler", "--port", 0, "--dashboard-address", "nowhere:at:all")
            self.assertEqual(taken.returncode, 2)
            self.assertIn("is no address: write host:port, :port or port", taken.stderr)

    def test_what_a_scheduler_is_told_besides_is_for_preloads(self):
        told = run("scheduler", "--port", 0, "--passthrough", "x")
        self.assertNotEqual(told.returncode, 0)
        self.assertIn("--passthrough", told.stderr)

    def test_an_unknown_command_is_named(self):
        told = run("crwl", "x")
        self.assertEqual(told.returncode, 2)
        self.assertIn("there is no command 'crwl'; use scheduler, worker or crawl", told.stderr)

    def test_a_worker_near_its_memory_limit_pauses_until_there_is_room(self):
        with Scheduler() as scheduler, Process(
            "worker", scheduler.address, "--no-nanny", "--memory-limit", "100MB"
        ) as worker:
            ((address, _),) = wait_until(
                lambda: workers_of(scheduler.address), what="a worker").items()

            def status():
                return workers_of(scheduler.address)[address]["status"]

            self.assertEqual(status(), "running")
            large = {"large": b"x" * 90_000_000}
            self.assertEqual(dask_rpc.ask(address, "update_data", data=large)["status"], "OK")
            wait_until(lambda: status() == "paused", what="a pause")
            self.assertIn("memory usage. Pausing worker.", worker.output)
            dask_rpc.ask(address, "free_keys", keys=["large"], stimulus_id="test")
            wait_until(lambda: status() == "running", what="the end of the pause")

    def test_a_killed_worker_process_is_started_again_by_its_nanny(self):
        with Scheduler() as scheduler, Process("worker", scheduler.address) as worker:
            first = wait_until(lambda: workers_of(scheduler.address), what="a worker")
            ps = subprocess.run(["ps", "--ppid", str(worker.popen.pid), "-o", "pid="],
                                capture_output=True, text=True)
            os.kill(int(ps.stdout.split()[0]), signal.SIGKILL)

            def other():
                now = workers_of(scheduler.address)
                return now and now.keys() != first.keys()

            wait_until(other, what="another worker process")
            self.assertIn("was killed by signal 9", worker.output)

    def test_ctrl_c_ends_cleanly(self):
        with Scheduler() as scheduler, Process("worker", scheduler.address) as worker:
            wait_until(lambda: workers_of(scheduler.address), what="a worker")
            self.assertEqual(worker.interrupt(), 0, worker.output)
            wait_until(lambda: not workers_of(scheduler.address), what="no worker")
            self.assertEqual(scheduler.interrupt(), 0, scheduler.output)
            self.assertIn("End scheduler", scheduler.output)
            self.assertFalse(scheduler.file.exists())

    def test_workers_end_with_the_scheduler_that_is_terminated(self):
        with Scheduler() as scheduler, Process("worker", scheduler.address) as worker:
            wait_until(lambda: workers_of(scheduler.address), what="a worker")
            self.assertEqual(dask_rpc.ask(scheduler.address, "terminate"), "OK")
            self.assertEqual(scheduler.wait(), 0)
            self.assertEqual(worker.wait(), 0, worker.output)


class Refusals(unittest.TestCase):
    """A clear error, exit code 2, nothing started."""

    def check(self, words, *args, code=2, **kwargs):
        result = run(*args, **kwargs)
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertIn(words, result.stderr)

    def test_bad_arguments(self):
        self.check("which scheduler?", "worker")
        self.check("--nonsense", "worker", "tcp://127.0.0.1:1", "--nonsense")
        self.check("--nonsense", "scheduler", "--nonsense")
        self.check("'lots' is no size", "worker", "tcp://127.0.0.1:1", "--memory-limit", "lots")
        self.check("NAME=NUMBER", "worker", "tcp://127.0.0.1:1", "--resources", "GPU")
        self.check("cannot preload ./absent.so", "worker", "tcp://127.0.0.1:1", "--preload",
                   "./absent.so")
        self.check("--nworkers", "worker", "tcp://127.0.0.1:1", "--nworkers", "0")
        self.check("is no length of time", "scheduler", "--idle-timeout", "soon")

    def test_a_bad_configuration_names_its_key(self):
        env = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "soon"}
        self.check("distributed.scheduler.worker-ttl", "scheduler", "--port", 0, env=env)

    def test_a_port_in_use(self):
        with Scheduler() as scheduler:
            port = scheduler.address.rsplit(":", 1)[1]
            self.check("in use", "scheduler", "--host", "127.0.0.1", "--port", port)

    def test_a_scheduler_that_is_not_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.check("No scheduler at", "worker", address, "--death-timeout", "0.5s", "--no-nanny",
                   code=1)

    def test_a_duplicate_name_is_turned_away(self):
        with Scheduler() as scheduler, Process("worker", scheduler.address, "--name", "alice"):
            wait_until(lambda: workers_of(scheduler.address), what="a worker")
            self.check("alice", "worker", scheduler.address, "--name", "alice", "--no-nanny",
                       code=1)


class Strangers(unittest.TestCase):
    """Whatever comes to a port, the server stays up and serves the others."""

    def attack(self, address):
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        target = (host, int(port))

        def send(data, wait=False):
            with socket.create_connection(target, 5) as sock:
                sock.sendall(data)
                if wait:
                    sock.settimeout(5)
                    try:
                        while sock.recv(65536):
                            pass
                    except OSError:
                        pass

        random = bytes((i * 7919 + 13) % 256 for i in range(100_000))
        send(random, wait=True)
        send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", wait=True)
        send(b"")
        send(b"\0" * 3)
        send(struct.pack("<Q", 1 << 60) + b"x" * 1000)  # An exabyte is announced.
        send(struct.pack("<QQQ", (1 << 30) + 16, 1, 1 << 30) + b"x" * 1000)  # A gigabyte.
        send(struct.pack("<QQ", 24, 1 << 50), wait=True)  # More frames than bytes.
        with dask_rpc.connect(address) as sock:  # Good manners first, then not.
            sock.sendall(random)
        for request in (b"\xc1", dask_rpc.pack([1, 2]), dask_rpc.pack({"op": 5}),
                        dask_rpc.pack({"op": "no-such-operation", "reply": True}),
                        dask_rpc.pack({"op": "gather", "keys": 7, "reply": True}),
                        dask_rpc.pack({"op": "heartbeat_worker", "reply": True}),
                        dask_rpc.pack({"op": "get_data", "keys": {"a": 1}, "reply": True}),
                        b"\x91" * 100_000):
            with dask_rpc.connect(address) as sock:
                dask_rpc.write_message(sock, request)
                sock.settimeout(2)
                try:
                    sock.recv(1000)
                except OSError:
                    pass
        with dask_rpc.connect(address) as sock:  # Cut in the middle of a message.
            sock.sendall(struct.pack("<QQQ", 1016, 1, 1000) + b"x" * 10)

    def test_random_bytes_and_lies_do_not_disturb_anybody(self):
        with Scheduler() as scheduler, Process("worker", scheduler.address) as worker:
            ((address, info),) = wait_until(lambda: workers_of(scheduler.address),
                                            what="a worker").items()
            for target in (scheduler.address, address, info["nanny"]):
                with self.subTest(target=target):
                    self.attack(target)
                    self.assertIn("type", dask_rpc.ask(target, "identity"))
            self.assertEqual(list(workers_of(scheduler.address)), [address])
            self.assertIsNone(scheduler.popen.poll())
            self.assertIsNone(worker.popen.poll())

    def test_bad_stream_messages_end_only_that_stream(self):
        with Scheduler() as scheduler:
            address = scheduler.address
            for message in ([{"op": "update-graph", "rask-tasks": 5}], [{"op": 3}], [[77, 1]],
                            {"op": "client-releases-keys", "keys": 5}, [[]], 7):
                with dask_rpc.connect(address) as sock:
                    request = {"op": "register-client", "client": "c", "reply": False,
                               "versions": {}}
                    dask_rpc.write_message(sock, dask_rpc.pack(request))
                    dask_rpc.read_message(sock)
                    dask_rpc.write_message(sock, dask_rpc.pack(message))
            self.assertEqual(dask_rpc.ask(address, "identity")["type"], "Scheduler")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
