"""The client of the benchmark for stock Dask. Answers one line of JSON for each line it reads:

    map N | tree LEAVES | chain N | roundtrip N | transfer NBYTES SALT | hold N | release

bench/native_bench.cc understands the same lines. `stock_bench.py start` is the other question: how
long from nothing to the first result of a local cluster with two worker processes.
"""
import json
import sys
import time

import dask
from distributed import Client, wait

from stock_tasks import add, blob, inc, size


def run_map(client, count):
    begin = time.perf_counter()
    values = client.gather(client.map(inc, range(count), pure=False))
    seconds = time.perf_counter() - begin
    assert values[-1] == count and len(values) == count
    return {"seconds": seconds, "tasks": count}


def run_tree(client, leaves):
    """A pairwise sum, built as one delayed graph."""
    begin = time.perf_counter()
    level = [dask.delayed(inc)(i) for i in range(leaves)]
    tasks = leaves
    while len(level) > 1:
        level = [dask.delayed(add)(*level[i:i + 2]) for i in range(0, len(level), 2)]
        tasks += len(level)
    total = client.compute(level[0]).result()
    seconds = time.perf_counter() - begin
    assert total == leaves * (leaves + 1) // 2
    return {"seconds": seconds, "tasks": tasks}


def run_chain(client, count):
    begin = time.perf_counter()
    future = client.submit(inc, 0, pure=False)
    for _ in range(count - 1):
        future = client.submit(inc, future, pure=False)
    value = future.result()
    seconds = time.perf_counter() - begin
    assert value == count
    return {"seconds": seconds, "tasks": count}


def run_roundtrip(client, count):
    samples = []
    for i in range(count):
        begin = time.perf_counter()
        value = client.submit(inc, i, pure=False).result()
        samples.append(time.perf_counter() - begin)
        assert value == i + 1
    return {"seconds": sum(samples), "tasks": count, "samples": samples}


def run_transfer(client, nbytes, salt):
    here, there = list(client.scheduler_info(n_workers=-1)["workers"])[:2]
    value = client.submit(blob, nbytes, salt, workers=[here], pure=False)
    wait(value)
    begin = time.perf_counter()
    got = client.submit(size, value, workers=[there], pure=False).result()
    seconds = time.perf_counter() - begin
    assert got == nbytes
    return {"seconds": seconds, "tasks": 1}


class Held:
    futures = []


def run_hold(client, count):
    Held.futures = client.map(inc, range(count), pure=False)
    wait(Held.futures)
    return {"tasks": count}


def run_release(client):
    Held.futures = []
    return {}


def settle(client):
    """What a question has let go is freed everywhere before the next one begins."""
    for worker in ("bench-0", "bench-1"):
        client.submit(inc, 0, workers=[worker], pure=False).result()


def serve(address):
    questions = {"map": run_map, "tree": run_tree, "chain": run_chain, "roundtrip": run_roundtrip,
                 "transfer": run_transfer, "hold": run_hold, "release": run_release}
    with Client(address) as client:
        client.wait_for_workers(2)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            name, *numbers = line.split()
            answer = questions[name](client, *map(int, numbers))
            settle(client)
            print(json.dumps(answer), flush=True)


def start():
    begin = time.perf_counter()
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        assert client.submit(inc, 1).result() == 2
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    start() if sys.argv[1] == "start" else serve(sys.argv[1])
