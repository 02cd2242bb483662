"""C++ and Python in one graph: the program examples/100_python, its workers, and Python clients."""

import pathlib
import subprocess
import sys

import dask
import pytest
from distributed import Client

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "python")]
from dask_rask import native  # noqa: E402
from stock_cluster import RASK_SCHEDULER, ROOT, STOCK_SCHEDULER, Cluster  # noqa: E402

PROGRAM = ROOT / "build/release/bin/example_100_python"
TIMEOUT = 60
# A stock scheduler does not know by itself what runs where; rask's does.
CPP = {"resources": {"rask-native": 1}}
twice = native("twice")
total = native("sum")


@pytest.fixture(scope="module", params=["rask", "stock"])
def cluster(request):
    command = {"rask": RASK_SCHEDULER, "stock": STOCK_SCHEDULER}[request.param]
    with Cluster(command, workers=1) as started:
        started.run_native_worker(PROGRAM)
        started.kind = request.param
        yield started


@pytest.fixture
def client(cluster):
    with Client(cluster.address) as client:
        client.wait_for_workers(2)
        yield client


@pytest.fixture
def python(cluster, client):
    """Where Python's own tasks go: a stock scheduler might send them to C++."""
    if cluster.kind == "rask":
        return {}
    workers = client.scheduler_info(n_workers=-1)["workers"].items()
    stock = [address for address, one in workers if "rask-native" not in one["resources"]]
    return {"workers": stock}


def test_a_cpp_program_calls_python(cluster, client):
    # On a stock scheduler Python tasks may come to a native worker, which cannot run them.
    if cluster.kind == "stock":
        pytest.skip("needs a scheduler that knows which worker runs Python")
    done = subprocess.run([PROGRAM, cluster.address], capture_output=True, text=True,
                          timeout=TIMEOUT)
    assert done.stdout.splitlines() == [
        "sqrt(2 * 8) = 4", "the sum of 3 roots is 6", "builtins.ValueError: math domain error"
    ], done.stderr
    assert done.returncode == 0


def test_python_calls_cpp(client):
    assert client.submit(twice, 4.0, **CPP).result(TIMEOUT) == 8
    assert client.gather(client.map(twice, [1.0, 2.0], **CPP)) == [2, 4]


def test_results_of_one_feed_the_other(client, python):
    three = client.submit(pow, 3, 1, **python)
    six = client.submit(twice, three, **CPP)
    seven = client.submit(lambda x: x + 1, six, **python)
    assert seven.result(TIMEOUT) == 7
    numbers = [client.submit(float, i, **python) for i in range(10)]
    assert client.submit(total, numbers, **CPP).result(TIMEOUT) == 45


def test_delayed(client, python):
    with dask.annotate(**CPP):
        leaves = [dask.delayed(twice, pure=True)(float(i)) for i in range(5)]
        everything = dask.delayed(total, pure=True)(leaves)
    with dask.config.set({"optimization.fuse.active": False}):
        assert client.compute(everything).result(TIMEOUT) == 20


def test_what_cannot_cross_is_named(cluster, client):
    bad = client.submit(twice, {1, 2}, **CPP)
    if cluster.kind == "rask":
        with pytest.raises(TypeError, match=r"native\('twice'\): set cannot cross"):
            bad.result(TIMEOUT)
    else:
        with pytest.raises(Exception):
            bad.result(TIMEOUT)
    wrong = client.submit(twice, "text", **CPP)
    with pytest.raises(Exception, match="double"):
        wrong.result(TIMEOUT)


def test_results_that_are_no_plain_data_are_named(client, python):
    result = client.submit(complex, 1, 2, **python)
    with pytest.raises(Exception, match="complex"):
        client.submit(twice, result, **CPP).result(TIMEOUT)


def test_an_unknown_function_is_named(client):
    with pytest.raises(Exception, match="no_such_function"):
        client.submit(native("no_such_function"), **CPP).result(TIMEOUT)


def test_a_stock_client_reads_the_logs_of_native_workers(cluster, client):
    native_worker, = [address for address, worker
                      in client.scheduler_info(n_workers=-1)["workers"].items()
                      if worker["resources"].get("rask-native")]
    records = client.get_worker_logs(workers=[native_worker])[native_worker]
    assert all(level in {"INFO", "WARNING"} for level, text in records)
    oldest = [text for _, text in reversed(records)]
    assert any("distributed.worker - INFO - " in text and native_worker in text for text in oldest)
    newest, = client.get_worker_logs(n=1, workers=[native_worker])[native_worker]
    assert newest == records[0]
    assert native_worker in client.get_worker_logs()
