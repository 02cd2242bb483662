"""Python's client.profile() and client.call_stack() of native workers: examples/150_profile."""

import pathlib
import sys

import pytest
from distributed import Client, Event
from distributed.profile import plot_data

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "python")]
from dask_rask import native  # noqa: E402
from stock_cluster import (  # noqa: E402
    RASK_SCHEDULER,
    ROOT,
    STOCK_SCHEDULER,
    Cluster,
    until,
)

PROGRAM = ROOT / "build/release/bin/example_150_profile"
TIMEOUT = 60
# A stock scheduler does not know by itself what runs where; rask's does.
CPP = {"resources": {"rask-native": 1}}
analyze = native("analyze")
wait_and_go = native("wait_and_go")


@pytest.fixture(scope="module", params=["rask", "stock"])
def client(request):
    command = {"rask": RASK_SCHEDULER, "stock": STOCK_SCHEDULER}[request.param]
    with Cluster(command, workers=1) as cluster:
        cluster.run_native_worker(PROGRAM)
        with Client(cluster.address) as client:
            client.wait_for_workers(2)
            yield client


def functions(tree):
    """{name: samples} of the whole tree; of a function that calls itself the outermost."""
    found = {}
    for child in tree["children"].values():
        for name, count in functions(child).items():
            found[name] = found.get(name, 0) + count
        found[child["description"]["name"]] = child["count"]
    return found


def test_profile(client):
    client.gather(client.map(analyze, range(30), pure=False, **CPP))
    tree = client.profile(key="analyze")
    assert tree["identifier"] == "root"
    (task,) = tree["children"].values()
    assert task["description"]["name"] == "analyze(int)"
    assert set(task["description"]) == {"filename", "name", "line_number", "line"}
    assert task["identifier"] in tree["children"]
    assert task["count"] == tree["count"] > 10
    counts = functions(tree)
    parse = counts["(anonymous namespace)::parse(int)"]
    smooth = counts["(anonymous namespace)::smooth(double)"]
    assert parse > 0.5 * tree["count"]
    assert 0.05 * tree["count"] < smooth < parse
    assert "analyze(int)" in plot_data(tree)["name"]  # Dask's own drawing takes it.


def test_profile_of_all_workers_and_of_a_time(client):
    client.gather(client.map(analyze, range(4), pure=False, **CPP))
    trees = client.profile(merge_workers=False)
    assert len(trees) == 2
    of_a_time = client.profile(start=1, stop=2)
    whole = client.profile()  # The last: workers go on taking samples.
    assert whole["count"] >= sum(tree["count"] for tree in trees.values()) > 0
    assert of_a_time["count"] <= whole["count"]
    assert client.profile(key="no-such-prefix")["count"] == 0


def test_call_stack(client):
    waiting = client.submit(wait_and_go, pure=False, **CPP)
    until(client.call_stack, "a task", TIMEOUT)  # Dask's scheduler knows its key from here on.

    def stacks():
        answer = client.call_stack([waiting])
        return [lines for tasks in answer.values() for lines in tasks.values() if len(lines) > 2]

    (lines,) = until(stacks, "the waiting task's stack", TIMEOUT)
    assert lines[0].endswith("in wait_and_go()")
    assert lines[1].endswith("in (anonymous namespace)::wait_for_go()")
    (tasks,) = client.call_stack().values()
    assert list(tasks) == [waiting.key]
    Event("go", client=client).set()
    assert waiting.result(TIMEOUT) == 1
    until(lambda: not client.call_stack(), "the end of all tasks", TIMEOUT)
