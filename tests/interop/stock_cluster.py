"""A scheduler started by any command and stock `dask worker` processes, on loopback."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STOCK_SCHEDULER = "{python} -m dask scheduler --no-dashboard"
RASK_SCHEDULER = f"{pathlib.Path(os.environ.get('RASK', ROOT / 'build/rask')).absolute()} scheduler"


def until(condition, what: str, timeout: float = 60):
    """Waits for it, and gives what it gave."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no sign of {what}"
        time.sleep(0.02)
    return found


class Cluster:
    """Use as a context: everything that it started has ended afterwards."""

    def __init__(self, command: str = RASK_SCHEDULER, workers: int = 2, nthreads: int = 2,
                 env: dict[str, str] | None = None, python: str = sys.executable) -> None:
        self.command = command
        self.workers = workers
        self.nthreads = nthreads
        self.python = python  # Of the workers and the scheduler's side that unpickles.
        self.env = {"DASK_RASK__PYTHON": python, **os.environ, **(env or {})}
        self.processes: list[subprocess.Popen] = []
        self.numbers = itertools.count()
        self.address = ""

    def start(self, timeout: float = 60) -> Cluster:
        self.folder = tempfile.TemporaryDirectory(prefix="stock-cluster-",
                                                  ignore_cleanup_errors=True)
        self.path = pathlib.Path(self.folder.name)
        file = self.path / "scheduler.json"
        deadline = time.monotonic() + timeout
        try:
            self._run("scheduler", *shlex.split(self.command.replace("{python}", self.python)),
                      "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
            self._wait(file.exists, deadline, "the scheduler file")
            self.address = json.loads(file.read_text())["address"]
            for _ in range(self.workers):
                self.start_worker()
            self._wait(self._registered, deadline, "the workers' registration")
        except BaseException:
            self.stop()
            raise
        return self

    def start_worker(self, nanny: bool = False, address: str | None = None) -> subprocess.Popen:
        """The process; its worker, stock-0 is the first, has yet to come to the scheduler."""
        number = next(self.numbers)
        return self._run(
            f"worker-{number}", self.python, "-m", "dask", "worker", address or self.address,
            "--host", "127.0.0.1", "--nthreads", str(self.nthreads),
            "--nanny" if nanny else "--no-nanny", "--no-dashboard", "--name", f"stock-{number}",
            "--local-directory", self.folder.name)

    def run_native_worker(self, program: pathlib.Path, timeout: float = 60) -> None:
        """Starts a program that uses rask as a worker."""
        name = f"native-{next(self.numbers)}"
        self._run(name, str(program), "--rask-worker", self.address, "--host", "127.0.0.1",
                  "--nthreads", "2", "--no-nanny", "--name", name,
                  "--local-directory", self.folder.name)
        self._wait(lambda: "Registered to:" in self.log(name), time.monotonic() + timeout,
                   "the worker's registration")

    def stop(self) -> None:
        # A worker takes leave of its scheduler, and looks for it in vain for long when it is gone.
        self._end(self.processes[1:])
        self._end(self.processes[:1])
        self.processes.clear()
        self.folder.cleanup()

    @staticmethod
    def _end(processes: list[subprocess.Popen]) -> None:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def alive(self) -> bool:
        return bool(self.processes) and all(each.poll() is None for each in self.processes)

    def log(self, name: str = "scheduler", tail: int = 4000) -> str:
        """The last of what `scheduler`, `worker-0`, … have written."""
        return (self.path / f"{name}.log").read_text(errors="replace")[-tail:]

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, name: str, *args: str) -> subprocess.Popen:
        with open(self.path / f"{name}.log", "w") as log:
            self.processes.append(subprocess.Popen(
                args, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env))
        return self.processes[-1]

    def _registered(self) -> bool:
        return all("Registered to:" in self.log(f"worker-{number}")
                   for number in range(self.workers))

    def _wait(self, condition, deadline: float, what: str) -> None:
        while not condition():
            if not self.alive() or time.monotonic() > deadline:
                logs = "\n".join(f"--- {file.stem}\n{self.log(file.stem)}"
                                 for file in self.path.glob("*.log"))
                raise RuntimeError(f"no sign of {what}\n{logs}")
            time.sleep(0.02)
