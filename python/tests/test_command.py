"""The command `rask` of the wheel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from conftest import until
from distributed import Client, LocalCluster

import dask_rask

RASK = str(Path(sys.executable).with_name("rask"))


def test_version() -> None:
    said = subprocess.run([RASK, "--version"], check=True, capture_output=True, text=True).stdout
    assert said.strip() == version("dask-rask")


def test_program_is_the_wheels() -> None:
    package = Path(dask_rask.__file__).parent
    assert Path(dask_rask.program()) == package / "bin/rask"
    said = subprocess.run(["ldd", dask_rask.program()], capture_output=True, text=True).stdout
    assert "not found" not in said
    assert str(package / "lib/librask.so.0") in said.replace("/bin/../", "/")


def test_scheduler_finds_this_python(tmp_path: Path) -> None:
    file = tmp_path / "scheduler.json"
    # Nothing but this environment could have Dask.
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [RASK, "scheduler", "--host=127.0.0.1", "--port=0", f"--scheduler-file={file}"]
    scheduler = subprocess.Popen(command, env=variables)
    try:
        until(lambda: file.exists() and file.read_text())
        address = json.loads(file.read_text())["address"]
        assert os.path.samefile(f"/proc/{scheduler.pid}/exe", dask_rask.program())
        with LocalCluster(n_workers=0, dashboard_address=None), Client(address) as client:
            futures = client.map(lambda x: x + 1, range(3))
            worker = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "distributed.cli.dask_worker",
                    address,
                    "--no-nanny",
                    "--no-dashboard",
                    "--nthreads=1",
                ],
                cwd=tmp_path,
            )
            try:
                assert client.gather(futures) == [1, 2, 3]
            finally:
                worker.terminate()
                worker.wait(timeout=20)
        scheduler.send_signal(signal.SIGINT)
        assert scheduler.wait(timeout=20) == 0
    finally:
        scheduler.kill()
        scheduler.wait()
