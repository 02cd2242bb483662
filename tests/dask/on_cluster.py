"""A pytest plugin (-p on_cluster): what the tests compute goes to a cluster.

The scheduler is a process started with --scheduler-command, its workers are stock ones, and a
`distributed.Client` to it is the default scheduler. Tests that name a scheduler keep it; only
the default of dask's own `assert_eq` functions, "sync", becomes "whatever is the default". Tests
with a scheduler's name as a parameter are left out.

Each test's outcome is a line of JSON in --results. A line without outcome is a test that began;
with --results of an earlier session, only what that one had not begun is run.
"""

from __future__ import annotations

import json
import pathlib
import time

import distributed
import pytest
from distributed.client import Client, _set_global_client
from stock_cluster import RASK_SCHEDULER, Cluster

import dask


def pytest_addoption(parser):
    group = parser.getgroup("on_cluster")
    group.addoption("--scheduler-command", default=RASK_SCHEDULER)
    group.addoption("--results", type=pathlib.Path, default=None)
    group.addoption("--runslow", action="store_true", help="also tests marked slow")
    group.addoption("--every", type=int, default=1, metavar="N", help="only each Nth test")
    group.addoption("--only", type=pathlib.Path, default=None,
                    help="file with the tests to run, a line each, as in the results")
    group.addoption("--cluster-log", type=pathlib.Path, default=None,
                    help="folder for the logs of clusters that had to be replaced")


def pytest_configure(config):
    config.pluginmanager.register(OnCluster(config))


def pytest_runtest_setup(item):
    if "slow" in item.keywords and not item.config.getoption("--runslow"):
        pytest.skip("slow")
    if "network" in item.keywords:
        pytest.skip("wants the internet")


def names_its_scheduler(item) -> bool:
    """Whether a parameter of the test takes it away from the cluster."""
    callspec = getattr(item, "callspec", None)
    named = callspec.params.get("scheduler") if callspec is not None else None
    return named in {"sync", "synchronous", "processes", "threads", "threading"}


def use_default_scheduler_in_assert_eq() -> None:
    import dask.array.utils
    import dask.bag.utils
    import dask.dataframe.utils
    from dask.dataframe.dask_expr.tests import _util

    # It forbids pickling expressions for a while, in which some have to be sent to a scheduler.
    _util.assert_eq.__kwdefaults__["serialize_graph"] = False

    for module in (dask.array.utils, dask.bag.utils, dask.dataframe.utils):
        function = module.assert_eq
        function.__defaults__ = tuple(
            None if value == "sync" else value for value in function.__defaults__)


def reason_of(longrepr) -> str:
    """The exception, and the one that caused it."""
    crashes = [crash for _, crash, _ in getattr(longrepr, "chain", []) if crash is not None]
    if not crashes:
        return str(longrepr)[:2000]
    messages = [crash.message.partition("\n")[0][:1000] for crash in reversed(crashes)]
    return ", from ".join(messages)


class OnCluster:
    """One cluster for the session; a new one when a test has spoiled it."""

    def __init__(self, config) -> None:
        self.command = config.getoption("--scheduler-command")
        self.log_folder = config.getoption("--cluster-log")
        self.cluster: Cluster | None = None
        self.client = None
        self.submitted = 0
        self.replaced = 0
        path = config.getoption("--results")
        self.begun = set()
        if path is not None and path.exists():
            self.begun = {json.loads(line)["test"] for line in path.read_text().splitlines()}
        self.results = path.open("a", buffering=1) if path is not None else None

    def pytest_collection_modifyitems(self, config, items) -> None:
        candidates = [item for item in items if not names_its_scheduler(item)]
        candidates = candidates[::config.getoption("--every")]
        if (only := config.getoption("--only")) is not None:
            names = set(only.read_text().splitlines())
            candidates = [item for item in items if item.nodeid.removeprefix("dask/") in names]
        chosen = [item for item in candidates if item.nodeid not in self.begun]
        left_out = set(items) - set(chosen)
        config.hook.pytest_deselected(items=[item for item in items if item in left_out])
        items[:] = chosen

    def pytest_sessionstart(self) -> None:
        use_default_scheduler_in_assert_eq()
        to_futures = distributed.Client._graph_to_futures

        def counted(client, *args, **kwargs):
            self.submitted += 1
            return to_futures(client, *args, **kwargs)

        distributed.Client._graph_to_futures = counted

    def pytest_sessionfinish(self) -> None:
        self.stop()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.ensure()
        self.write(test=item.nodeid)
        before, begin = self.submitted, time.monotonic()
        self.outcome, self.reason = "passed", ""
        result = yield
        self.write(test=item.nodeid, outcome=self.outcome, reason=self.reason,
                   graphs=self.submitted - before, seconds=round(time.monotonic() - begin, 2))
        if "Timeout" in self.reason:
            self.stop(spoiled=True)  # Its tasks may keep the workers' threads.
        return result

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.outcome = "failed"
            self.reason = reason_of(report.longrepr)
        elif report.skipped and self.outcome != "failed":
            self.outcome = "xfailed" if hasattr(report, "wasxfail") else "skipped"

    def ensure(self) -> None:
        if self.client is not None and self.cluster.alive() and self.client.status == "running":
            # A test's own client has taken our place.
            _set_global_client(self.client)
            dask.config.set(scheduler="dask.distributed")
            return
        self.stop(spoiled=self.client is not None)
        self.cluster = Cluster(self.command).start()
        self.client = Client(self.cluster.address, timeout=30)

    def stop(self, spoiled: bool = False) -> None:
        if self.client is None:
            return
        if spoiled and self.log_folder is not None:
            for file in self.cluster.path.glob("*.log"):
                (self.log_folder / f"{self.replaced}-{file.name}").write_text(
                    self.cluster.log(file.stem, tail=100_000))
        self.replaced += spoiled
        client, self.client = self.client, None
        try:
            client.close(timeout=2)
        except Exception as error:  # Of a spoiled cluster anything may come.
            print("closing the client:", error)
        self.cluster.stop()

    def write(self, **fields) -> None:
        if self.results is not None:
            self.results.write(json.dumps(fields) + "\n")
