"""8 native and 8 Python clients on one lock, semaphore, queue, variable; holders die at random."""

import collections
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
from distributed import Client, Lock, Queue, Semaphore, Variable

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from stock_cluster import RASK_SCHEDULER, ROOT, STOCK_SCHEDULER, Cluster  # noqa: E402

SECONDS = float(os.environ.get("RASK_CONTENTION_SECONDS", 8))
LEASE_SECONDS = 3
SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_TIMEOUT": f"{LEASE_SECONDS}s",
            "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL": "200ms"}
PROGRAMS = {"native": [str(ROOT / "build/release/bin/contender")],
            "python": [sys.executable, str(HERE / "contender.py")]}


class Contenders:
    def __init__(self, address, folder):
        self.address, self.folder = address, folder
        self.running = {}
        self.numbers = collections.Counter()

    def start(self, kind, role, seconds):
        name = f"{kind}_{role}_{self.numbers[kind]}"
        self.numbers[kind] += 1
        self.running[name] = subprocess.Popen(
            [*PROGRAMS[kind], self.address, name, str(self.folder), str(seconds), role],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **SETTINGS})
        return name

    def kill(self, name):
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.communicate()

    def rounds(self):
        """Of each that ends by itself."""
        rounds = {}
        for name, process in self.running.items():
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, f"{name}: {err}"
            rounds[name] = int(out)
        self.running.clear()
        return rounds


def items(folder, ending):
    return [line for path in folder.glob(f"*.{ending}") for line in path.read_text().split()]


@pytest.mark.parametrize("scheduler", [RASK_SCHEDULER, STOCK_SCHEDULER], ids=["rask", "stock"])
def test_nobody_holds_what_another_holds_and_nothing_is_lost(scheduler, tmp_path):
    seed = int(os.environ.get("RASK_CONTENTION_SEED", random.randrange(1 << 32)))
    print(f"RASK_CONTENTION_SEED={seed}")
    draw = random.Random(seed)
    with Cluster(scheduler, workers=1, env=SETTINGS) as cluster:
        contenders = Contenders(cluster.address, tmp_path)
        end = time.monotonic() + SECONDS
        for kind in PROGRAMS:
            for role in ("holder", "trader"):
                for _ in range(4):
                    contenders.start(kind, role, SECONDS)
        while (left := end - time.monotonic()) > 1.5:
            time.sleep(draw.uniform(0.3, 1))  # Faults come when they come.
            victim = draw.choice([name for name in contenders.running if "holder" in name])
            contenders.kill(victim)
            contenders.start(victim.split("_")[0], "holder", max(left - 1, 0.5))
        rounds = contenders.rounds()

        violations = tmp_path / "violations"
        assert not violations.exists(), violations.read_text()
        assert all(count > 0 for name, count in rounds.items() if "trader" in name), rounds
        with Client(cluster.address):
            # Leases of the dead have come back, or do so soon.
            assert Lock("contended").acquire(timeout=4 * LEASE_SECONDS)
            seats = Semaphore(3, "seats")
            assert all(seats.acquire(timeout=4 * LEASE_SECONDS) for _ in range(3))
            rest = Queue("items").get(batch=True)
            put, got = items(tmp_path, "put"), items(tmp_path, "got") + list(rest)
            assert sorted(put) == sorted(got)
            assert Variable("latest").get(timeout=5) in put
