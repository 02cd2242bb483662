"""What a client sees when the process that lowers its graphs is killed, hangs, or cannot start."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import dask
import pytest
from distributed import Client, Event

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stock_cluster import Cluster, until  # noqa: E402

TIMEOUT = 60


class Expression:
    """Does `what` in whatever process unpickles it."""

    def __init__(self, *what):
        self.what = what

    def __reduce__(self):
        return self.what


def submit_poison(client, *what):
    """A submission that never gets further than its graph."""
    # The client itself pickles the argument once, and unpickles nothing.
    return client.submit(id, Expression(*what), pure=False)


def lowering_pids(cluster):
    scheduler = cluster.processes[0].pid
    found = subprocess.run(["pgrep", "-P", str(scheduler)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def works(client, number):
    return client.submit(pow, number, 2, pure=False).result(timeout=TIMEOUT) == number**2


def test_killed_it_costs_one_submission():
    with Cluster(workers=1) as cluster, Client(cluster.address) as client:
        assert works(client, 2)
        future = submit_poison(client, os._exit, (9,))
        with pytest.raises(RuntimeError, match="exited with code 9 while it worked on this"):
            future.result(timeout=TIMEOUT)
        assert works(client, 3)
        for pid in lowering_pids(cluster):
            os.kill(pid, signal.SIGKILL)
        assert works(client, 4)  # No fault of the submission: nobody notices.
        assert cluster.alive()


def test_killed_in_the_middle_of_a_graph_it_costs_nothing(tmp_path):
    begun = tmp_path / "begun"
    # At first it waits for the end of the process that unpickles it; then it is 7.
    script = 'mkdir "$0" || exit 7; while kill -0 $PPID; do sleep 0.02; done'
    with Cluster(workers=1) as cluster, Client(cluster.address) as client:
        assert works(client, 2)
        seven = Expression(subprocess.call, (["sh", "-c", script, str(begun)],))
        future = client.submit(abs, seven, pure=False)
        after = client.submit(pow, future, 2)
        deadline = time.monotonic() + TIMEOUT
        while not begun.exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        for pid in lowering_pids(cluster):
            os.kill(pid, signal.SIGKILL)
        assert after.result(timeout=TIMEOUT) == 49


def test_hanging_it_is_ended_and_others_go_on():
    env = {"DASK_RASK__SCHEDULER__LOWERING_TIMEOUT": "3s"}
    with Cluster(workers=1, env=env) as cluster, Client(cluster.address) as client:
        assert works(client, 2)
        future = submit_poison(client, time.sleep, (1000,))
        with Client(cluster.address, set_as_default=False) as other:
            assert works(other, 3)  # In a process of its own.
            assert future.status == "pending"
        with pytest.raises(RuntimeError, match="was ended after 3 s"):
            future.result(timeout=TIMEOUT)
        assert works(client, 4)


def test_what_was_said_behind_a_graph_keeps_its_order():
    with Cluster(workers=1) as cluster, Client(cluster.address) as client:
        event = Event("go", client=client)
        futures = client.map(lambda x, event=event: event.wait() and x, range(20))
        client.cancel(futures[10:])
        event.set()
        assert client.gather(futures[:10]) == list(range(10))
        assert all(future.cancelled() for future in futures[10:])


def test_without_python_the_error_says_what_to_do():
    env = {"DASK_RASK__PYTHON": "/nowhere/python"}
    with Cluster(workers=0, env=env) as cluster, Client(cluster.address) as client:
        with pytest.raises(RuntimeError, match="rask.python"):
            client.submit(pow, 2, 2).result(timeout=TIMEOUT)
        assert client.scheduler_info()["n_workers"] == 0
        assert cluster.alive()


USERS_PACKAGE = """
class Point:
    def __init__(self, x):
        self.x = x

class Frozen(tuple):
    pass

def norm(point, *others):
    return abs(point.x) + sum(map(len, others))

async def late_norm(point):
    return norm(point)
"""


def test_the_scheduler_needs_no_package_of_its_users(tmp_path, monkeypatch):
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "users_package.py").write_text(USERS_PACKAGE)
    monkeypatch.syspath_prepend(str(folder))
    import users_package as theirs

    with Cluster(workers=0) as cluster:
        cluster.env["PYTHONPATH"] = str(folder)  # For the workers.
        cluster.start_worker()
        with Client(cluster.address) as client:
            arguments = theirs.Point(-3), theirs.Frozen((1, 2))
            assert client.submit(theirs.norm, *arguments).result(timeout=TIMEOUT) == 5
            points = client.map(theirs.Point, range(3))
            assert client.gather(client.map(theirs.norm, points)) == [0, 1, 2]
            assert dask.delayed(theirs.norm)(theirs.Point(7)).compute(timeout=TIMEOUT) == 7
            assert client.submit(theirs.late_norm, theirs.Point(-8)).result(timeout=TIMEOUT) == 8


def test_what_no_worker_can_import_fails_its_task_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "nobodys_package.py").write_text(USERS_PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import nobodys_package as theirs

    with Cluster(workers=2) as cluster, Client(cluster.address) as client:
        workers = set(client.scheduler_info(n_workers=-1)["workers"])
        point = client.submit(theirs.Point, 1)
        with pytest.raises(ModuleNotFoundError, match="nobodys_package"):
            point.result(timeout=TIMEOUT)
        with pytest.raises(ModuleNotFoundError, match="nobodys_package"):
            client.submit(len, [theirs.Point(1)]).result(timeout=TIMEOUT)
        assert client.submit(len, [1]).result(timeout=TIMEOUT) == 1
        assert set(client.scheduler_info(n_workers=-1)["workers"]) == workers


def test_a_graph_of_many_slices_keeps_what_later_ones_need():
    """And a slice of many parts, which large specifications make of it."""
    with Cluster(workers=2) as cluster, Client(cluster.address) as client:
        level = [dask.delayed(pow)(x, 1, dask_key_name=f"leaf-{x}") for x in range(5000)]
        while len(level) > 1:
            level = [dask.delayed(sum)(level[i:i + 10]) for i in range(0, len(level), 10)]
        total = client.compute(level[0], optimize_graph=False)
        assert total.result(timeout=TIMEOUT) == sum(range(5000))
        texts = [str(x) * 20_000 for x in range(1000, 1500)]
        assert client.gather(client.map(len, texts)) == [80_000] * 500
        del total
        until(lambda: not client.who_has(), "an empty cluster")
