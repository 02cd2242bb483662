"""A little of everything a client does, on the cluster at argv[1]: prints what it did, a line each.

Runs with any release of dask and distributed, and demands that all peers have its own.
"""

from __future__ import annotations

import operator
import sys
import time

import dask
import dask.bag
import dask.dataframe
import distributed
import pandas
from distributed import Actor, Client, Lock, Queue

TIMEOUT = 60


class Counter:
    count = 0

    def add(self, amount: int) -> int:
        self.count += amount
        return self.count


def versions(client: Client) -> None:
    found = client.get_versions(check=True)
    peers = [found["scheduler"], found["client"], *found["workers"].values()]
    releases = {(peer["packages"]["dask"], peer["packages"]["distributed"]) for peer in peers}
    assert releases == {(distributed.__version__, dask.__version__)}, releases


def futures(client: Client) -> None:
    assert client.submit(pow, 3, 4).result(timeout=TIMEOUT) == 81
    squares = client.map(lambda x: x**2, range(50))
    assert client.submit(sum, squares).result(timeout=TIMEOUT) == sum(x**2 for x in range(50))
    bad = client.submit(operator.truediv, 1, 0)
    assert isinstance(bad.exception(timeout=TIMEOUT), ZeroDivisionError)
    (scattered,) = client.scatter([{"a": 1}])
    assert client.submit(operator.getitem, scattered, "a").result(timeout=TIMEOUT) == 1


def delayed_tree(client: Client) -> None:
    level = [dask.delayed(x) for x in range(16)]
    while len(level) > 1:
        level = [dask.delayed(operator.add)(*pair) for pair in zip(level[::2], level[1::2])]
    assert level[0].compute() == sum(range(16))


def bag(client: Client) -> None:
    numbers = dask.bag.from_sequence(range(100), npartitions=5)
    counts = numbers.filter(lambda x: x % 2).map(lambda x: x % 10).frequencies().compute()
    assert dict(counts) == dict.fromkeys((1, 3, 5, 7, 9), 10)


def dataframe(client: Client) -> None:
    frame = pandas.DataFrame({"k": [x % 7 for x in range(700)], "v": range(700)})
    parts = dask.dataframe.from_pandas(frame, npartitions=6)
    pandas.testing.assert_series_equal(parts.groupby("k").v.sum().compute().sort_index(),
                                       frame.groupby("k").v.sum())
    with dask.config.set({"dataframe.shuffle.method": "p2p"}):
        shuffled = parts.shuffle("k", npartitions=4)
        assert "p2p" in str(list(shuffled.optimize(fuse=False).__dask_graph__()))
        where = shuffled.map_partitions(lambda part: part.groupby("k").v.agg(["sum", "count"]))
        found = where.compute().sort_index()
    # Each key in one partition only.
    pandas.testing.assert_frame_equal(found, frame.groupby("k").v.agg(["sum", "count"]))


def actor(client: Client) -> None:
    counter = client.submit(Counter, actor=True).result(timeout=TIMEOUT)
    assert isinstance(counter, Actor)
    assert [counter.add(2).result(timeout=TIMEOUT) for _ in range(3)] == [2, 4, 6]
    assert counter.count == 6


def coordination(client: Client) -> None:
    def locked(number: int) -> int:
        with Lock("the-lock"):
            Queue("the-queue").put(number)
        return number

    assert sum(client.gather(client.map(locked, range(8), pure=False))) == 28
    queue = Queue("the-queue", client=client)
    assert sorted(queue.get(timeout=TIMEOUT) for _ in range(8)) == list(range(8))
    assert not Lock("the-lock").locked()


def published(client: Client) -> None:
    client.publish_dataset(numbers=client.map(operator.neg, range(5)))
    with Client(client.scheduler.address, set_as_default=False) as other:
        assert other.list_datasets() == ("numbers",)
        assert other.gather(other.get_dataset("numbers")) == [0, -1, -2, -3, -4]
    client.unpublish_dataset("numbers")
    assert client.list_datasets() == ()


def run_everywhere(client: Client) -> None:
    addresses = set(client.scheduler_info(n_workers=-1)["workers"])
    found = client.run(lambda dask_worker: (dask_worker.address, distributed.__version__))
    assert found == {address: (address, distributed.__version__) for address in addresses}
    # In the order of the addresses, whoever answers first.
    late = client.run(lambda last, dask_worker: time.sleep(0.3 * (dask_worker.address == last)),
                      min(addresses))
    assert list(late) == sorted(addresses)


def retire(client: Client) -> None:
    data = client.map(operator.neg, range(10, 30))
    distributed.wait(data, timeout=TIMEOUT)
    first, *others = client.scheduler_info(n_workers=-1)["workers"]
    assert first in client.retire_workers([first])
    assert list(client.scheduler_info(n_workers=-1)["workers"]) == others
    assert client.gather(data) == [-x for x in range(10, 30)]


def main() -> None:
    with Client(sys.argv[1], timeout=TIMEOUT) as client:
        for part in (versions, futures, delayed_tree, bag, dataframe, actor, coordination,
                     published, run_everywhere, retire):
            part(client)
            print(part.__name__, flush=True)
    print(f"all of {distributed.__version__}")


if __name__ == "__main__":
    main()
