"""Stock clients and workers under faults: what comes out is what comes out without them.

Each test runs with rask's scheduler and with the stock one: the proof that it asks for what Dask
does. What is random follows RASK_CHAOS_SEED, 1 unless told.
"""

import contextlib
import itertools
import os
import pathlib
import random
import signal
import sys
import threading
import time

import dask
import pytest
from distributed import Client, Event
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from chaos_tasks import Proxy, die, pass_gate, random_graph, step  # noqa: E402
from stock_cluster import RASK_SCHEDULER, STOCK_SCHEDULER, Cluster, until  # noqa: E402

SCHEDULERS = {"rask": RASK_SCHEDULER, "stock": STOCK_SCHEDULER}
SEED = int(os.environ.get("RASK_CHAOS_SEED", "1"))
ENV = {
    "PYTHONPATH": str(HERE),
    # No worker is given up before ten heartbeats, 5 s; a stock scheduler looks this often.
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1s",
    # How long a worker tries in vain to reach one that is gone.
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s",
}
TIMEOUT = 60
pytestmark = pytest.mark.timeout(180)
numbers = itertools.count()


def seeded(name):
    print(f"RASK_CHAOS_SEED={SEED}")
    return random.Random(f"{name} {SEED}")


@pytest.fixture(scope="module", params=SCHEDULERS)
def cluster(request):
    command = SCHEDULERS[request.param]
    with Cluster(command, workers=0, nthreads=1, env=ENV) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with Client(cluster.address, set_as_default=False) as client:
        yield client


def workers(client, nanny=None):
    """Addresses of workers that have a nanny, that have none, or of all."""
    info = client.scheduler_info(n_workers=-1)["workers"]
    return [address for address, worker in info.items()
            if nanny is None or bool(worker["nanny"]) == nanny]


@pytest.fixture(scope="module")
def started(cluster):
    """The processes of workers without a nanny, and of nannies."""
    return {False: [], True: []}


@pytest.fixture
def three(cluster, client, started):
    """Two workers without a nanny and one with, by address their process ids."""
    for nanny, count in ((False, 2), (True, 1)):
        alive = [process for process in started[nanny] if process.poll() is None]
        new = [cluster.start_worker(nanny=nanny) for _ in range(count - len(alive))]
        started[nanny] = alive + new

    def pids():
        if (len(workers(client, False)), len(workers(client, True))) == (2, 1):
            pids = client.run(os.getpid, on_error="ignore")
            return {process.pid for process in started[False]} < set(pids.values()) and pids

    return until(pids, "three workers")


def works(client):
    number = next(numbers)
    return client.submit(pow, number, 2, pure=False).result(timeout=TIMEOUT) == number**2


@contextlib.contextmanager
def gate_of(client):
    """An event that is set in the end at the latest: tasks that wait for it keep their threads."""
    gate = Event(f"gate-{next(numbers)}", client=client)
    try:
        yield gate
    finally:
        gate.set()


@contextlib.contextmanager
def stopped(*pids):
    """The processes stand still, and in the end go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def finished(futures):
    return sum(future.status == "finished" for future in futures)


class Run:
    """A random graph on the cluster. Only some results are kept: others must be made again."""

    def __init__(self, client, rng):
        nodes = random_graph(rng)
        wanted = rng.sample(nodes, len(nodes) // 2)
        self.expected = dask.compute(*wanted, scheduler="sync")
        self.client = client
        self.futures = client.compute(wanted)

    def until_part(self, part):
        until(lambda: finished(self.futures) >= part * len(self.futures), "progress")

    def check(self):
        assert tuple(self.client.gather(self.futures)) == self.expected


def test_killed_workers_cost_no_result(client, three):
    rng = seeded("killed")
    victims = workers(client, nanny=False)
    rng.shuffle(victims)
    run = Run(client, rng)
    for number, victim in enumerate(victims):
        run.until_part(rng.uniform(0.1, 0.3) + 0.4 * number)
        os.kill(three[victim], signal.SIGKILL)
    run.check()
    assert workers(client) == workers(client, nanny=True)


def test_all_workers_are_killed_and_one_comes_back(client, three):
    rng = seeded("all killed")
    run = Run(client, rng)
    run.until_part(rng.uniform(0.2, 0.8))
    for pid in three.values():
        os.kill(pid, signal.SIGKILL)
    run.check()
    assert not set(workers(client)) & set(three)


def test_a_task_that_kills_its_workers_is_given_up(client, three):
    kept = client.submit(step, 0, 1)
    poison = client.submit(die, key=f"poison-{next(numbers)}")
    after = client.submit(step, 0, poison)
    with pytest.raises(KilledWorker) as caught:
        after.result(timeout=TIMEOUT)
    error = caught.value
    assert (error.task, error.allowed_failures) == (poison.key, 3)
    assert error.last_worker.address.startswith("tcp://127.0.0.1:")
    assert str(error).startswith(f"Attempted to run task '{poison.key}' on 4 different workers")
    assert [poison.status, after.status] == ["error", "error"]
    assert works(client)
    assert kept.result(timeout=TIMEOUT) == step(0, 1)


def test_a_slowed_worker_changes_nothing(client, three):
    rng = seeded("slowed")
    run = Run(client, rng)
    over = threading.Event()

    def slow():
        while not over.is_set():
            with stopped(*rng.sample(list(three.values()), 2)):
                over.wait(rng.uniform(0.05, 0.2))
            over.wait(rng.uniform(0.01, 0.05))

    thread = threading.Thread(target=slow)
    thread.start()
    try:
        run.check()
    finally:
        over.set()
        thread.join()
    assert set(workers(client)) == set(three)


def test_a_silent_worker_is_given_up_and_may_come_back(cluster, client, three):
    (nannied,) = workers(client, nanny=True)
    plain, other = workers(client, nanny=False)
    hint = {"workers": [plain, nannied], "allow_other_workers": True}
    data = client.map(step, [0] * 20, range(20), pure=False, **hint)
    expected = step(0, *(step(0, number) for number in range(20)))
    until(lambda: finished(data) == 20, "data")
    with gate_of(client) as gate, stopped(three[plain], three[nannied]):
        held = client.map(pass_gate, [gate.name] * 2, range(2), pure=False, **hint)
        until(lambda: all(client.processing([plain, nannied]).values()), "tasks for both")
        gate.set()
        # Its arguments are where nobody answers.
        together = client.submit(step, 0, *data, workers=[other])
        assert together.result(timeout=TIMEOUT) == expected
        assert client.gather(held) == [0, 1]
        assert not {plain, nannied} & set(workers(client))
        until(lambda: workers(client, nanny=True), "what the nanny has started instead")
    (process,) = [each for each in cluster.processes if each.pid == three[plain]]
    until(lambda: process.poll() is not None, "the end of the worker that was given up")
    assert together.result(timeout=TIMEOUT) == expected
    assert works(client)


def test_a_client_whose_connection_was_cut_begins_anew(cluster, client, three):
    with (gate_of(client) as gate, Proxy(cluster.address) as proxy,
          Client(proxy.address, set_as_default=False) as cut):
        heard = []
        cut.subscribe_topic("chaos", lambda event: heard.append(event[1]))
        done = cut.submit(step, 0, 1, pure=False)
        assert done.result(timeout=TIMEOUT) == step(0, 1)
        waiting = cut.submit(pass_gate, gate.name, 1, pure=False)
        until(lambda: any(client.processing().values()), "a task that runs")
        proxy.cut()
        until(lambda: done.status == waiting.status == "cancelled", "cancelled futures")
        with pytest.raises(FutureCancelledError, match="scheduler-connection-lost"):
            waiting.result(timeout=TIMEOUT)
        assert works(cut)
        until(lambda: not {done.key, waiting.key} & set(client.who_has()), "released results")
        client.log_event("chaos", "after the cut")
        until(lambda: "after the cut" in heard, "the topic that was subscribed to before")


def test_a_client_comes_back_before_the_scheduler_knows_it_was_away(cluster, client, three):
    with Proxy(cluster.address) as proxy, Client(proxy.address, set_as_default=False) as cut:
        heard = []
        cut.subscribe_topic("chaos", lambda event: heard.append(event[1]))
        before = cut.submit(step, 0, 1, pure=False)
        assert before.result(timeout=TIMEOUT) == step(0, 1)
        proxy.cut(hold_far=True)
        until(lambda: before.status == "cancelled", "a cancelled future")
        kept = cut.submit(step, 0, 2, pure=False)
        assert kept.result(timeout=TIMEOUT) == step(0, 2)
        proxy.let_go()
        if cluster.command == STOCK_SCHEDULER:  # It takes the end of the old for that of the new.
            until(lambda: kept.status == "cancelled", "another cancelled future")
        else:
            until(lambda: before.key not in client.who_has(), "the end of the old connection")
            assert kept.result(timeout=TIMEOUT) == step(0, 2)
        assert works(cut)
        client.log_event("chaos", "after the cut")
        until(lambda: "after the cut" in heard, "the topic that was subscribed to before")


def test_a_worker_whose_connection_was_cut_ends(cluster, client, three):
    rng = seeded("worker cut")
    with Proxy(cluster.address) as proxy:
        process = cluster.start_worker(address=proxy.address)
        until(lambda: len(workers(client)) == 4, "the fourth worker")
        (behind,) = set(workers(client)) - set(three)
        run = Run(client, rng)
        run.until_part(rng.uniform(0.2, 0.8))
        assert client.has_what([behind])[behind]
        proxy.cut()
        run.check()
        until(lambda: process.poll() is not None, "the end of the worker")
    assert set(workers(client)) == set(three)
