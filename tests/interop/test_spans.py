"""distributed.span and computations, as Python code sees them that asks the scheduler for them."""

import pathlib
import sys
import time

import cloudpickle
import dask
import pytest
from distributed import Client, span, wait

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stock_cluster import RASK_SCHEDULER, STOCK_SCHEDULER, Cluster, until  # noqa: E402

TIMEOUT = 60
PAUSE = 0.05
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # No scheduler can import this file.


@pytest.fixture(scope="module", params=["rask", "stock"])
def client(request):
    command = {"rask": RASK_SCHEDULER, "stock": STOCK_SCHEDULER}[request.param]
    with Cluster(command, workers=1) as cluster, Client(cluster.address) as client:
        yield client


def made_here():
    def pause(x):
        time.sleep(PAUSE)
        return x

    return pause


pause = made_here()  # No module has it: it travels with the tasks.


def submit(client, name, x=1):
    """Each with a name of its own: tasks of one name are one group, which is in one span."""
    return client.submit(pause, x, key=f"{name}-{x}")


def describe(one):
    return {
        "name": one.name, "id": one.id, "states": {k: v for k, v in one.states.items() if v},
        "done": one.done, "enqueued": one.enqueued, "start": one.start, "stop": one.stop,
        "duration": one.duration, "nbytes": one.nbytes_total,
        "actions": set(one.all_durations), "code": one.code, "cpu": one.active_cpu_seconds,
        "metrics": one.cumulative_worker_metrics,
        "children": [child.name for child in one.children],
        "collections": one.metadata and one.metadata["collections"],
    }


def spans(client, tag):
    def find(dask_scheduler):
        found = dask_scheduler.extensions["spans"].find_by_tags(tag)
        return [describe(one) for one in found]

    return client.run_on_scheduler(find)


def test_a_span_tells_what_its_tasks_did(client):
    before = time.time()
    with span("outer", "loading") as loading:
        loaded = client.map(pause, range(4), key="load")
        with span("adding"):
            total = client.submit(sum, loaded, pure=False)
    assert total.result(timeout=TIMEOUT) == 6
    (outer,) = spans(client, "outer")
    assert outer["name"] == ("outer",) and outer["children"] == [("outer", "loading")]
    assert outer["states"] == {"memory": 5} and outer["done"]
    (found,) = spans(client, "loading")
    assert (found["id"], found["name"]) == (loading, ("outer", "loading"))
    assert found["children"] == [("outer", "loading", "adding")]
    assert 4 * PAUSE <= found["duration"] < TIMEOUT and found["nbytes"] >= 4 * 28
    assert before - 1 < found["enqueued"] <= found["start"] < found["stop"] < time.time() + 1
    assert "compute" in found["actions"] and found["cpu"] > 0
    assert found["collections"][0] == {"type": "Future"}


def test_what_workers_measure_is_that_of_the_span(client):
    with span("measured"):
        wait(client.map(pause, range(4), key="measure"), timeout=TIMEOUT)

    def seconds():
        (found,) = spans(client, "measured")
        return sum(value for key, value in found["metrics"].items()
                   if key[:2] == ("execute", "measure") and key[-1] == "seconds")

    until(lambda: seconds() >= 4 * PAUSE, "what the workers have measured")
    assert seconds() < 40 * PAUSE


def test_a_span_remembers_tasks_that_are_forgotten(client):
    with span("short"):
        assert submit(client, "forget").result(timeout=TIMEOUT) == 1

    def states():
        (found,) = spans(client, "short")
        return found["states"]

    until(lambda: states() == {"forgotten": 1}, "the end of the task")
    (found,) = spans(client, "short")
    assert found["done"] and found["duration"] >= PAUSE


def test_what_runs_without_a_span_is_in_the_default_one(client):
    known = {found["id"] for found in spans(client, "default")}
    for name in ("first", "second"):
        assert submit(client, name).result(timeout=TIMEOUT) == 1
    found = [one for one in spans(client, "default") if one["id"] not in known]
    assert [one["name"] for one in found] == [("default",)] * 2


def test_a_task_knows_its_span(client):
    with span("known") as known:
        found = client.submit(lambda: dask.get_annotations().get("span"), pure=False)
    found = found.result(timeout=TIMEOUT)
    assert list(found["name"]) == ["known"] and list(found["ids"]) == [known]


def test_spans_and_computations_show_the_source(client):
    with dask.config.set({"distributed.diagnostics.computations.nframes": 1}), span("source"):
        assert submit(client, "shown", 7).result(timeout=TIMEOUT) == 7
    (found,) = spans(client, "source")
    ((source,),) = found["code"]
    assert "client.submit(pause, x" in source.code

    def last(dask_scheduler):
        computation = dask_scheduler.computations[-1]
        return computation.start, list(computation.code), dict(computation.states)

    start, code, states = client.run_on_scheduler(last)
    assert code == [(source,)] and abs(start - found["enqueued"]) < 1
    assert sum(states.values()) == 1
