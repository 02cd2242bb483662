"""Graphs computed in one process: rask's lazy calls beside oneTBB's flow graph, dask.threaded and a
ProcessPoolExecutor, one after the other in each round."""
import json
import multiprocessing
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor

from summary import spread

TASKS = 1 << 20
PYTHON_TASKS = 20_000  # dask.threaded and processes take so much longer for each.
SHAPES = ("independent", "tree", "chain")


def native(program, engine, shape):
    done = subprocess.run([str(program), engine, shape, str(TASKS)], capture_output=True, text=True,
                          timeout=120, check=True)
    return json.loads(done.stdout)


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def graph_of(shape, count):
    """A graph as dask.threaded takes it, and what is wanted of it."""
    if shape == "independent":
        return {("x", i): (inc, i) for i in range(count)}, [("x", i) for i in range(count)]
    if shape == "chain":
        graph = {("x", 0): (inc, 0)} | {("x", i): (inc, ("x", i - 1)) for i in range(1, count)}
        return graph, ("x", count - 1)
    graph, width, level = {("x", 0, i): (inc, i) for i in range(count // 2)}, count // 2, 0
    while width > 1:
        graph |= {("x", level + 1, i // 2): (add, ("x", level, i), ("x", level, i + 1))
                  for i in range(0, width - 1, 2)}
        width, level = width // 2, level + 1
    return graph, ("x", level, 0)


def threaded(shape):
    """Nanoseconds a task, building and computing."""
    import dask.threaded

    count = 1 << 14 if shape == "tree" else PYTHON_TASKS
    begin = time.perf_counter()
    graph, wanted = graph_of(shape, count)
    dask.threaded.get(graph, wanted)
    return (time.perf_counter() - begin) / len(graph) * 1e9


def process_pool():
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(inc, range(10)))  # Its processes have started.
        begin = time.perf_counter()
        list(pool.map(inc, range(PYTHON_TASKS)))
        return (time.perf_counter() - begin) / PYTHON_TASKS * 1e9


def run(program, quick):
    rounds = 3 if quick else 7
    results = {}
    for shape in SHAPES:
        answers = {"rask": [], "tbb": []}
        for _ in range(rounds):
            for engine, of_engine in answers.items():
                of_engine.append(native(program, engine, shape))
        results[shape] = {
            engine: {"ns": spread([a["ns"] for a in of_engine]),
                     "bytes": spread([a["bytes"] for a in of_engine])}
            for engine, of_engine in answers.items()}
        results[shape]["threaded"] = {"ns": spread([threaded(shape) for _ in range(2)])}
    results["independent"]["process_pool"] = {"ns": spread([process_pool() for _ in range(2)])}
    return results
