"""Actors of C++ and Python, called from both: the program examples/180_shared_actors."""

import pathlib
import subprocess
import sys

import pytest
from distributed import Client

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "python")]
from dask_rask import native  # noqa: E402
from stock_cluster import RASK_SCHEDULER, ROOT, STOCK_SCHEDULER, Cluster  # noqa: E402

PROGRAM = ROOT / "build/release/bin/example_180_shared_actors"
TIMEOUT = 60
# A stock scheduler does not know by itself what runs where; rask's does.
CPP = {"resources": {"rask-native": 1}}


@pytest.fixture(scope="module", params=["rask", "stock"])
def cluster(request):
    command = {"rask": RASK_SCHEDULER, "stock": STOCK_SCHEDULER}[request.param]
    # Workers import the functions of this file.
    with Cluster(command, workers=1, env={"PYTHONPATH": str(HERE.parent)}) as started:
        started.run_native_worker(PROGRAM)
        yield started


@pytest.fixture(params=["by the scheduler", "directly"])
def client(cluster, request):
    with Client(cluster.address, direct_to_workers=request.param == "directly") as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def python_worker(client):
    workers = client.scheduler_info(n_workers=-1)["workers"].items()
    address, = (address for address, one in workers if "rask-native" not in one["resources"])
    return address


def run_program(cluster, python_worker):
    done = subprocess.run([PROGRAM, cluster.address, python_worker], capture_output=True,
                          text=True, timeout=TIMEOUT)
    assert done.stdout.splitlines() == ['Python counted 6 words, "be" 2 times',
                                        "a task has told both: 7 words, sum 15",
                                        "builtins.TypeError: 'int' object is not iterable"
                                        ], done.stderr
    assert done.returncode == 0


def tally(client, first):
    return client.submit(native("Tally"), first, actor=True, **CPP).result(TIMEOUT)


def test_python_makes_and_calls_one_of_cpp(client):
    actor = tally(client, 100)
    assert repr(actor).startswith("<Actor: Tally, key=Tally-")
    assert "add" in dir(actor) and "sum" in dir(actor)
    assert actor.add(5).result(TIMEOUT) == 105
    # Stock's client may send these by many connections.
    assert sorted(call.result(TIMEOUT) for call in [actor.add(1) for _ in range(50)]) == list(
        range(106, 156))
    assert actor.sum == 155
    assert tally(client, 1).sum == 1


def add_to(actor, more):
    return actor.add(more).result(TIMEOUT)


def test_a_python_task_takes_one_of_cpp(client, python_worker):
    future = client.submit(native("Tally"), 10, actor=True, **CPP)
    # As what the future gives, and as a handle that was read before.
    assert client.submit(add_to, future, 1, workers=[python_worker]).result(TIMEOUT) == 11
    actor = future.result(TIMEOUT)
    assert client.submit(add_to, actor, 2, workers=[python_worker]).result(TIMEOUT) == 13


def test_what_cannot_be_called_is_named(client):
    actor = tally(client, 0)
    with pytest.raises(AttributeError, match="no attribute 'subtract'"):
        actor.subtract(1)
    with pytest.raises(TypeError, match="Tally.add is a C.. function, which takes no named"):
        actor.add(more=1).result(TIMEOUT)
    with pytest.raises(TypeError, match="must be int"):
        actor.add("much").result(TIMEOUT)
    with pytest.raises(TypeError, match="an argument of Tally.add: .*builtins.complex"):
        actor.add(1j).result(TIMEOUT)
    assert actor.sum == 0


def test_cpp_makes_and_calls_one_of_python_and_leaves_both(cluster, client, python_worker):
    run_program(cluster, python_worker)
    try:
        words = client.get_dataset("words").result(TIMEOUT)
        assert words.most_common(1).result(TIMEOUT) == [("to", 2)]
        left = client.get_dataset("tally").result(TIMEOUT)
        assert left.sum == 15
        assert left.add(1).result(TIMEOUT) == 16
    finally:
        client.unpublish_dataset("words")
        client.unpublish_dataset("tally")


def test_a_cpp_task_takes_one_of_python(client, python_worker):
    class Words:
        """Which nobody can import: it travels by value, and so do its handles."""

        def __init__(self):
            self.seen = []

        def update(self, words):
            self.seen += words

        def total(self):
            return len(self.seen)

    words = client.submit(Words, actor=True, workers=[python_worker])
    sums = client.submit(native("Tally"), 40, actor=True, **CPP)
    assert client.submit(native("tell"), words, sums, **CPP).result(TIMEOUT) == 41
    assert words.result(TIMEOUT).total().result(TIMEOUT) == 1

