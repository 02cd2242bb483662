"""The client of the benchmark for stock Dask. Answers one line of JSON for each line it reads:

    map N | tree LEAVES | chain N | roundtrip N | transfer NBYTES SALT | hold N | release
    groupby PARTITIONS | chains COUNT LENGTH | wait N

bench/native_bench.cc understands the lines above. `stock_bench.py WORKERS ADDRESS` waits for so
many workers. `stock_bench.py start` is the other question: how long from nothing to the first
result of a local cluster with two worker processes.
"""
import itertools
import json
import sys
import time

import dask
from dask._expr import LLGExpr
from dask._task_spec import Task, TaskRef
from distributed import Client, wait

from stock_tasks import add, blob, inc, part, size

graphs = itertools.count()  # A key that the scheduler still knows would not run again.


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


def run_groupby(client, partitions):
    import dask.dataframe

    first = next(graphs) * partitions
    frame = dask.dataframe.from_map(part, range(first, first + partitions), meta=part(0))
    sums = frame.groupby("key").value.sum()
    tasks = len(sums.optimize(fuse=False).__dask_graph__())  # What reaches the workers.
    begin = time.perf_counter()
    result = client.compute(sums).result()
    seconds = time.perf_counter() - begin
    assert result.sum() == 100 * sum(range(first, first + partitions))
    return {"seconds": seconds, "tasks": tasks}


def wait_for_results(futures):
    wait(futures)
    for future in futures:
        assert future.status == "finished", future.exception()


def chains(count, length):
    """A graph of chains of `length` tasks, and the keys of their ends."""
    name = f"chains-{next(graphs)}"
    graph = {}
    for i in range(count):
        graph[name, i, 0] = Task((name, i, 0), inc, i)
        for j in range(1, length):
            graph[name, i, j] = Task((name, i, j), inc, TaskRef((name, i, j - 1)))
    return graph, [(name, i, length - 1) for i in range(count)]


def run_chains(client, count, length):
    """One submission; the results stay where they are. The expression is given a name: most of the
    client's time would go into finding one from what is in it."""
    graph, ends = chains(count, length)
    expr = LLGExpr(graph, _determ_token=ends[0][0])
    begin = time.monotonic()
    first, *futures = client.get(expr, [next(iter(graph)), *ends], sync=False)
    # Of a graph that goes in at once, tasks run when the whole of it is in; of one that goes in
    # slice by slice, what the client says next waits until then.
    wait([first, client.submit(inc, 0, pure=False, priority=1)])
    is_in = time.monotonic()
    wait_for_results(futures)
    end = time.monotonic()
    return {"seconds": end - begin, "tasks": len(graph), "begin": begin, "is_in": is_in, "end": end}


def run_wait(client, count):
    begin = time.perf_counter()
    wait_for_results(client.map(inc, range(count), pure=False))
    return {"seconds": time.perf_counter() - begin, "tasks": count}


class Held:
    futures = []


def run_hold(client, count):
    Held.futures = client.map(inc, range(count), pure=False)
    wait(Held.futures)
    return {"tasks": count}


def run_release(client):
    Held.futures = []
    return {}


def settle(client, workers):
    """What a question has let go is freed everywhere before the next one begins."""
    for i in range(workers):
        wait(client.submit(inc, 0, workers=[f"bench-{i}"], pure=False))


def serve(workers, address):
    questions = {"map": run_map, "tree": run_tree, "chain": run_chain, "roundtrip": run_roundtrip,
                 "transfer": run_transfer, "hold": run_hold, "release": run_release,
                 "groupby": run_groupby, "chains": run_chains, "wait": run_wait}
    with Client(address) as client:
        client.wait_for_workers(workers)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            name, *numbers = line.split()
            answer = questions[name](client, *map(int, numbers))
            settle(client, workers)
            print(json.dumps(answer), flush=True)


def start():
    begin = time.perf_counter()
    with Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        assert client.submit(inc, 1).result() == 2
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    start() if sys.argv[1] == "start" else serve(int(sys.argv[1]), sys.argv[2])
