#!/usr/bin/env python3
"""rask's ordering of tasks beside dask.order, on the graphs of Dask's own tests of it, of
collections and on shapes drawn from seeds: how many results are held, and how long it took.

    build/venv/bin/python bench/order.py [--library build/release/lib/librask.so]
"""
import argparse
import contextlib
import io
import itertools
import pathlib
import random
import sys
import time

import dask
import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import dask.order
import numpy as np
import pandas as pd
import pytest
from dask._task_spec import DependenciesMapping, Task, TaskRef, convert_legacy_graph
from dask.base import collections_to_expr

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "python"))
from dask_rask.order import order_of  # noqa: E402


def graphs_of_dasks_tests():
    """Every graph that dask/tests/test_order.py orders."""
    from dask.tests import test_order

    found = []
    order = dask.order.order

    def keep(dsk, *args, **kwargs):
        graph = dict(dsk)
        answer = order(dsk, *args, **kwargs)  # Some are refused.
        found.append((current[0], graph))
        return answer

    class Names:
        def pytest_runtest_call(self, item):
            current[0] = item.name

    current = [""]
    before = test_order.order
    dask.order.order = test_order.order = keep
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main(["-q", "-p", "no:cacheprovider", test_order.__file__], plugins=[Names()])
    finally:
        dask.order.order, test_order.order = order, before
    return found


def graphs_of_collections():
    def graph(*collections):
        return collections_to_expr(collections).optimize().__dask_graph__()

    x = da.ones((2000, 2000), chunks=(100, 100))
    tall = da.ones((2000, 50), chunks=(50, 50))
    year = da.ones((365, 200, 200), chunks=(10, 50, 50))
    u, v = (da.ones((100, 60, 60), chunks=(5, 30, 30)) * factor for factor in (1, 2))
    yield "array sum", graph(x.sum())
    yield "array anomaly", graph(x - x.mean(axis=0))
    yield "array x + x.T", graph((x + x.T).sum())
    yield "array dot", graph(x @ x.T)
    yield "array rechunk", graph(x.rechunk((2000, 50)).sum(axis=0))
    yield "array cumsum", graph(x.cumsum(axis=0))
    yield "array normalized", graph(((x - x.mean()) / x.std()).sum(axis=0))
    yield "array svd", graph(*da.linalg.svd(tall))
    yield "array qr", graph(*da.linalg.qr(tall))
    yield "array map_overlap", graph(x.map_overlap(np.sin, depth=1))
    yield "array map_overlap twice", graph(x.map_overlap(np.sin, depth=1)
                                           .map_overlap(np.sin, depth=1).sum())
    yield "array tril", graph(da.tril(x).sum(axis=0))
    yield "array monthly means", graph(*(year[month::12].mean(axis=0) for month in range(12)))
    yield "array moments", graph((u * u).mean(axis=0), (v * v).mean(axis=0), (u * v).mean(axis=0))
    yield "array covariance", graph(((u - u.mean(axis=0)) * (v - v.mean(axis=0))).mean(axis=0))
    yield "array gradient", graph(*da.gradient(x))
    yield "array map_overlap in 3D", graph(u.map_overlap(np.sin, depth=1, boundary="none"))
    yield "array std, var, max", graph(x.std(axis=0), x.var(axis=1), x.max())
    yield "array argmax, argmin", graph(x.argmax(axis=0), x.argmin(axis=1))
    yield "array dot of dot", graph((x[:900, :900] @ x[:900, :900]) @ x[:900, :900])
    yield "array tensordot", graph(da.tensordot(u, u, axes=((0,), (0,))))
    yield "array rechunk twice", graph(x.rechunk((70, 2000)).rechunk((2000, 70)))
    yield "array cumsum blelloch", graph(da.cumsum(x, axis=0, method="blelloch"))
    yield "array fft", graph(da.fft.fft(x.rechunk((100, 2000)), axis=1)
                             .rechunk((2000, 100)).sum(axis=0))
    yield "array blocks", graph(da.block([[x, x], [x.T, x]]).sum(axis=1))
    yield "array take", graph(x[:, np.random.RandomState(1).permutation(2000)])
    yield "array differences", graph(*((year[i] - year[i - 1]).std() for i in range(1, 365, 30)))
    yield "array svd_compressed", graph(*da.linalg.svd_compressed(x, 5, seed=1))

    bag = db.from_sequence(range(1000), npartitions=100)
    yield "bag foldby", graph(bag.foldby(lambda n: n % 10, lambda a, b: a, 0))
    yield "bag groupby", graph(bag.groupby(lambda n: n % 7, shuffle="tasks"))
    yield "bag frequencies", graph(bag.frequencies())
    yield "bag mean and std", graph(bag.mean(), bag.std())
    yield "bag accumulate", graph(bag.accumulate(lambda a, b: a + b))
    yield "bag product", graph(db.from_sequence(range(60), npartitions=6)
                               .product(db.from_sequence(range(70), npartitions=7)))
    yield "bag zip", graph(db.zip(bag, bag.map(str)).count())
    yield "bag reduction", graph(bag.reduction(sum, sum, split_every=3))

    with dask.config.set({"dataframe.shuffle.method": "tasks"}):
        frame = dd.from_pandas(pd.DataFrame({"k": np.arange(2000) % 17, "v": np.arange(2000.0)}),
                               npartitions=64)
        yield "dataframe groupby", graph(frame.groupby("k").v.sum())
        yield "dataframe groupby split", graph(frame.groupby("k").v.sum(split_out=8))
        yield "dataframe merge", graph(frame.merge(frame, on="k"))
        yield "dataframe shuffle", graph(frame.shuffle("v"))
        yield "dataframe rolling", graph(frame.v.rolling(5).mean())
        yield "dataframe cumsum", graph(frame.v.cumsum())
        yield "dataframe describe", graph(frame.describe())
        yield "dataframe cumsum + cumprod", graph(frame.v.cumsum() + frame.k.cumprod())
        yield "dataframe merge, groupby", graph(frame.merge(frame, on="k").groupby("k").v_x.sum())
        yield "dataframe shuffle twice", graph(frame.shuffle("k").shuffle("v"))
        yield "dataframe shuffle in stages", graph(frame.shuffle("v", max_branch=4))
        yield "dataframe normalized", graph((frame - frame.mean()) / frame.std())
        yield "dataframe groupby apply", graph(frame.groupby("k").apply(len, meta=("x", int)))
        yield "dataframe shift", graph(frame.v.shift(3) - frame.v)
        yield "dataframe quantile", graph(frame.v.quantile(0.3))
        yield "dataframe corr", graph(frame.corr())
        yield "dataframe repartition", graph(frame.repartition(npartitions=20).sum())


def graph_of(dependencies):
    return {key: Task(key, max, *map(TaskRef, sorted(needs)))
            for key, needs in dependencies.items()}


def shapes():
    graph = graph_of
    yield "chains 100 x 100", graph({
        (i, j): [(i, j - 1)] if j else [] for i in range(100) for j in range(100)})
    yield "tree 1,024", graph({
        (level, i): [(level - 1, 2 * i), (level - 1, 2 * i + 1)] if level else []
        for level in range(11) for i in range(1024 >> level)})
    yield "fan 500", graph({
        (0, 0): [], (3, 0): [(2, i) for i in range(500)],
        **{(level, i): [(level - 1, i if level > 1 else 0)]
           for level in (1, 2) for i in range(500)}})
    yield "grid 40 x 40", graph({
        (i, j): [near for near in ((i - 1, j), (i, j - 1)) if min(near) >= 0]
        for i in range(40) for j in range(40)})
    yield "butterfly 128", graph({
        (level, i): [(level - 1, i), (level - 1, i ^ (1 << (level - 1)))] if level else []
        for level in range(8) for i in range(128)})
    yield "all pairs of 30", graph({
        **{(i, i): [] for i in range(30)},
        **{(i, j): [(i, i), (j, j)] for i, j in itertools.combinations(range(30), 2)}})


def drawn(seed):
    """Graphs of five kinds."""
    draw = random.Random(seed)
    count, window, most = draw.choice([30, 100, 400]), draw.choice([3, 10, 50]), seed % 3 + 1
    dependencies = {}
    for i in range(count):
        near = range(max(0, i - window), i)
        dependencies[i,] = [(n,) for n in draw.sample(near, min(len(near), draw.randint(0, most)))]
    yield "near", dependencies

    height, width, most = draw.randint(2, 12), draw.randint(2, 40), draw.randint(1, 5)
    yield "layers", {
        (level, i): [(level - 1, n) for n in draw.sample(
            range(width), min(width, draw.randint(1, most)))] if level else []
        for level in range(height) for i in range(width)}

    dependencies = {}

    def series_parallel(size, *sources):
        task = len(dependencies),
        dependencies[task] = sources
        if size <= 1:
            return task
        if draw.random() < 0.5:
            return series_parallel(size // 2, series_parallel(size // 2, task))
        branches = draw.randint(2, 5)
        ends = [series_parallel(size // branches, task) for _ in range(branches)]
        return series_parallel(1, *ends)

    series_parallel(draw.choice([20, 100, 500]))
    yield "series and parallel", dependencies

    count = draw.choice([50, 300])
    yield "recent", {(i,): {(int(i * (1 - draw.random() ** 2)),) for _ in range(draw.randint(1, 4))}
                     - {(i,)} if i >= count // 5 else [] for i in range(count)}

    count, edges = draw.choice([20, 60, 150]), draw.choice([1.5, 3, 6])
    yield "any", {(i,): [(n,) for n in range(i) if draw.random() < edges / count]
                  for i in range(count)}


def drawn_graphs(seeds):
    for seed in seeds:
        for kind, dependencies in drawn(seed):
            yield f"{kind}, seed {seed}", graph_of(dependencies)


def peak_held(dependencies, sequence):
    """Results are held until the last task that needs them has run; what none needs is not."""
    users = dict.fromkeys(dependencies, 0)
    for needs in dependencies.values():
        for key in needs & users.keys():
            users[key] += 1
    held = peak = 0
    for key in sequence:
        held += users[key] > 0
        peak = max(peak, held)
        for needed in dependencies[key] & users.keys():
            users[needed] -= 1
            held -= users[needed] == 0
    return peak


def compare(name, graph, order):
    """(name, tasks, peak by rask, by Dask, seconds by rask, by Dask)"""
    tasks = convert_legacy_graph(graph)
    dependencies = {key: set(needs) for key, needs in DependenciesMapping(tasks).items()}
    begin = time.perf_counter()
    ours = order(tasks).keys
    middle = time.perf_counter()
    places = dask.order.order(tasks)
    end = time.perf_counter()
    assert len(ours) == len(tasks) and set(ours) == tasks.keys()
    theirs = sorted(tasks, key=places.__getitem__)
    return (name, len(tasks), peak_held(dependencies, ours), peak_held(dependencies, theirs),
            middle - begin, end - middle)


def all_comparisons(library):
    order = order_of(str(library))
    for name, graph in itertools.chain(graphs_of_dasks_tests(), graphs_of_collections(), shapes(),
                                       drawn_graphs(range(60))):
        if graph:
            yield compare(name, graph, order)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--library", default=ROOT / "build/release/lib/librask.so")
    rows = list(all_comparisons(parser.parse_args().library))
    print(f"{'graph':50} {'tasks':>6} {'held at most: rask':>18} {'dask':>6} "
          f"{'µs a task: rask':>17} {'dask':>6}")
    for name, count, ours, theirs, our_time, their_time in rows:
        mark = "worse" if ours > theirs else "better" if ours < theirs else ""
        print(f"{name[:50]:50} {count:6} {ours:18} {theirs:6} {1e6 * our_time / count:18.1f}"
              f" {1e6 * their_time / count:6.1f}  {mark}")
    better = sum(ours < theirs for _, _, ours, theirs, _, _ in rows)
    worse = sum(ours > theirs for _, _, ours, theirs, _, _ in rows)
    tasks = sum(row[1] for row in rows)
    print(f"{len(rows)} graphs: fewer results held in {better}, more in {worse}; "
          f"{1e6 * sum(row[4] for row in rows) / tasks:.1f} and "
          f"{1e6 * sum(row[5] for row in rows) / tasks:.1f} µs a task")


if __name__ == "__main__":
    main()
