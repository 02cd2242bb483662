"""Starts the program `rask` for tests, waits for what it says, and ends it whatever happens."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

RASK = os.environ.get("RASK", "build/rask")


class Process:
    """A running command whose output goes to a file."""

    def __init__(self, *args, env=None):
        self.log = tempfile.NamedTemporaryFile("w+", suffix=".log", delete=False)
        self.popen = subprocess.Popen([RASK, *map(str, args)], stdout=self.log, stderr=self.log,
                                      env={**os.environ, **(env or {})})

    @property
    def output(self):
        return pathlib.Path(self.log.name).read_text()

    def wait(self, timeout=20):
        return self.popen.wait(timeout)

    def interrupt(self):
        self.popen.send_signal(signal.SIGINT)
        return self.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(10)
        self.log.close()
        os.unlink(self.log.name)


def wait_until(condition, timeout=30, what="the condition"):
    """Asks again and again, with a deadline: processes have no other way to tell a test."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {timeout} s")


class Scheduler(Process):
    """`rask scheduler` on a free port."""

    def __init__(self, *args, env=None):
        self.folder = tempfile.TemporaryDirectory()
        self.file = pathlib.Path(self.folder.name) / "scheduler.json"
        super().__init__("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file",
                         self.file, *args, env=env)

    @property
    def address(self):
        def read():
            if self.popen.poll() is not None:
                raise AssertionError("the scheduler ended: " + self.output)
            return json.loads(self.file.read_text())["address"] if self.file.exists() else None

        return wait_until(read, what="the scheduler file")

    def __exit__(self, *args):
        super().__exit__(*args)
        self.folder.cleanup()
