"""Older releases of Dask on rask's scheduler: clients, workers, and its own Python side."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from stock_cluster import RASK_SCHEDULER, ROOT, Cluster  # noqa: E402

RELEASES = [line for line in (ROOT / "tools/releases.txt").read_text().split("\n")
            if line and not line.startswith("#")]
TIMEOUT = 120
pytestmark = pytest.mark.timeout(TIMEOUT + 60)


@pytest.mark.parametrize("release", RELEASES)
def test_peers_of_a_release(release):
    python = str(ROOT / f"build/venv-{release}/bin/python")
    command = os.environ.get("SCHEDULER_COMMAND", RASK_SCHEDULER)
    with Cluster(command, python=python, env={"DASK_RASK__PYTHON": python}) as cluster:
        done = subprocess.run([python, HERE / "release_scenario.py", cluster.address], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT)
        logs = "\n".join(cluster.log(name) for name in ("scheduler", "worker-0", "worker-1"))
    assert done.returncode == 0, f"{done.stdout}\n{logs}"
    assert done.stdout.endswith(f"all of {release}\n")
