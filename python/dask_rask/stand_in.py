"""What runs Python inside a Dask scheduler, for one that runs none: functions, plugins, preloads.

They find a stand-in in place of the scheduler. It asks the real one, over the socket of
`dask_rask.lower`, and says of what it does not have that this scheduler is native.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import dask
from distributed.preloading import process_preloads
from distributed.protocol.serialize import Serialized, deserialize
from distributed.scheduler import Computation
from distributed.spans import Span, SpansSchedulerExtension
from distributed.utils import has_arg

Key = Any
Ask = Callable[..., Any]
UNFINISHED = frozenset(["released", "waiting", "no-worker", "queued", "processing"])


class TaskStandIn:
    """A task, as it was when somebody asked for it."""

    def __init__(self, tasks: Tasks, key: Key, found: list[Any]) -> None:
        self.key = key
        self.state, dependencies, dependents, who_has, self.nbytes, self.type, exception = found
        self.who_has = {WorkerStandIn(address=address) for address in who_has or ()}
        self.exception = exception
        self._tasks = tasks
        self._dependencies = dependencies
        self._dependents = dependents

    @property
    def dependencies(self) -> set[TaskStandIn]:
        return {self._tasks[key] for key in self._dependencies}

    @property
    def dependents(self) -> set[TaskStandIn]:
        return {self._tasks[key] for key in self._dependents}

    def __repr__(self) -> str:
        return f"<TaskState {self.key!r} {self.state}>"


class WorkerStandIn(SimpleNamespace):
    """What the scheduler says of a worker."""

    def __hash__(self) -> int:
        return hash(self.address)


class Tasks(Mapping[Key, TaskStandIn]):
    """The scheduler's tasks. One that was looked at comes with all that it depends on."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.seen: dict[Key, TaskStandIn] = {}

    def __getitem__(self, key: Key) -> TaskStandIn:
        if key not in self.seen:
            found = self.ask("task-states", keys=[key], recursive=True)
            for name, fields in found.items():
                self.seen[name] = TaskStandIn(self, name, fields)
        return self.seen[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self.ask("who_has", keys=None))

    def __len__(self) -> int:
        return len(self.ask("who_has", keys=None))

    def __contains__(self, key: object) -> bool:
        status: dict[Key, str | None] = self.ask("get_task_status", keys=[key])
        return status[key] is not None

    def changes(self) -> Iterator[tuple[Key, str, str, Any]]:
        """What has become of tasks that were looked at: key, start, finish, exception."""
        open_keys = [key for key, task in self.seen.items() if task.state in UNFINISHED]
        if not open_keys:
            return
        now = self.ask("get_task_status", keys=open_keys)
        for key in open_keys:
            task, state = self.seen[key], now[key] or "forgotten"
            if state == task.state:
                continue
            start = task.state
            if state in ("memory", "erred"):
                start = "processing"  # It was there, if for a moment.
            task.state = state
            if state == "erred":
                task.exception = self.ask("task-states", keys=[key], recursive=False)[key][-1]
            yield key, start, state, task.exception


class SchedulerStandIn:
    """What scheduler plugins and functions find in place of the scheduler."""

    def __init__(self, ask: Ask) -> None:
        self.local_directory = tempfile.mkdtemp(prefix="rask-lower-")
        self.then: list[dict[str, Any]] = []  # What the scheduler itself is to do next.
        self.plugins: dict[str, Any] = {}
        self.ask = ask

    @property
    def address(self) -> str:
        address: str = self.identity()["address"]
        return address

    @property
    def id(self) -> str:
        name: str = self.identity()["id"]
        return name

    @property
    def tasks(self) -> Tasks:
        return Tasks(self.ask)

    @property
    def workers(self) -> dict[str, WorkerStandIn]:
        return {
            address: WorkerStandIn(address=address, **fields)
            for address, fields in self.identity()["workers"].items()
        }

    @property
    def extensions(self) -> dict[str, Any]:
        return {"spans": spans_extension(self, self.ask("spans"))}

    @property
    def computations(self) -> list[Computation]:
        return [computation(fields) for fields in self.ask("spans")["computations"]]

    @property
    def monitor(self) -> SimpleNamespace:
        """Of it only how often it has measured: where a performance report begins."""
        return SimpleNamespace(count=self.ask("monitor-count"))

    def identity(self, n_workers: int = -1) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("identity", n_workers=n_workers)
        return found

    def get_events(self, topic: str | None = None) -> Any:
        return self.ask("events", topic=topic)

    def log_event(self, topic: str | list[str], msg: Any) -> None:
        self.ask("log_event", topic=topic, msg=msg)

    def add_plugin(self, plugin: Any, *, name: str | None = None, **_: Any) -> None:
        self.plugins[name or getattr(plugin, "name", None) or type(plugin).__name__] = plugin

    def remove_plugin(self, name: str | None = None, **_: Any) -> None:
        self.plugins.pop(name or "", None)

    async def upload_file(self, filename: str, data: bytes | str, load: bool = True) -> dict:
        path = os.path.join(self.local_directory, os.path.basename(filename))
        with open(path, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        if load:
            if self.local_directory not in sys.path:
                sys.path.insert(0, self.local_directory)
            name, extension = os.path.splitext(os.path.basename(filename))
            importlib.invalidate_caches()
            if extension in (".egg", ".zip", ".pyz"):
                sys.path.insert(0, path)
            elif name in sys.modules:
                importlib.reload(sys.modules[name])
            elif extension == ".py":
                importlib.import_module(name)
        return {"status": "OK", "nbytes": len(data)}

    async def register_nanny_plugin(self, comm: Any, plugin: bytes, name: str, **kw: Any) -> dict:
        return self.later("register_nanny_plugin", plugin=plugin, name=name, **kw)

    async def register_worker_plugin(self, comm: Any, plugin: bytes, name: str, **kw: Any) -> dict:
        return self.later("register_worker_plugin", plugin=plugin, name=name, **kw)

    def later(self, op: str, **fields: Any) -> dict:
        self.then.append({"op": op, **fields})
        return {}

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(
            f"this scheduler is native: Python code for it cannot use its attribute {name!r}"
        )


class GroupStandIn(SimpleNamespace):
    """What a group of tasks has done until now (Dask's TaskGroup)."""

    def __hash__(self) -> int:
        return id(self)

    @property
    def duration(self) -> float:
        return float(sum(self.all_durations.values()))

    @property
    def done(self) -> bool:
        return not any(self.states.get(state) for state in UNFINISHED - {"released"})


def groups(fields: dict[str, Any]) -> set[GroupStandIn]:
    return {GroupStandIn(**{**group, "prefix": SimpleNamespace(name=group["prefix"])})
            for group in fields["groups"]}


def computation(fields: dict[str, Any]) -> Computation:
    made = Computation()
    made.start = fields["start"]
    made.groups = groups(fields)
    made.code.update(code for code in fields["code"] if code)
    return made


def spans_extension(scheduler: SchedulerStandIn, found: dict[str, Any]) -> SpansSchedulerExtension:
    """Dask's own objects, made of what the scheduler has counted."""
    made = SpansSchedulerExtension(scheduler)
    nthreads = [tuple(change) for change in found["nthreads"]] or [(0.0, 0)]
    for fields in found["spans"]:
        parent = made.spans.get(fields["parent"])
        span = Span(tuple(fields["name"]), fields["id"], parent, nthreads)
        span.enqueued = fields["enqueued"]
        span.groups = groups(fields)
        span._code = dict.fromkeys(code for code in fields["code"] if code)
        for metadata in filter(None, fields["metadata"]):
            span.add_metadata(metadata)
        span._cumulative_worker_metrics.update(
            (tuple(key), value) for key, value in fields["metrics"]
        )
        span._total_nthreads_offset = fields["nthreads_offset"]
        (made.root_spans if parent is None else parent.children).append(span)
        made.spans[span.id] = span
        made.spans_search_by_name[span.name].append(span)
        for tag in span.name:
            made.spans_search_by_tag[tag].append(span)
    return made


class Feed:
    """A function that a client wants to have called again and again (Dask's op `feed`)."""

    def __init__(self, ask: Ask, fields: dict[str, Any]) -> None:
        self.scheduler = FeedStandIn(ask)
        self.function = pickle.loads(fields["function"])
        self.teardown = pickle.loads(fields["teardown"]) if fields.get("teardown") else None
        self.state = None
        if fields.get("setup"):
            setup = pickle.loads(fields["setup"])
            self.state = asyncio.run(run_maybe(setup, self.scheduler))

    def next(self) -> Any:
        self.scheduler.notice()
        if self.state is None:
            return self.function(self.scheduler)
        return self.function(self.scheduler, self.state)

    def stop(self) -> None:
        if self.teardown is not None:
            self.teardown(self.scheduler, self.state)


class FeedStandIn(SchedulerStandIn):
    """One whose tasks are remembered: its plugins are told what becomes of them."""

    def __init__(self, ask: Ask) -> None:
        super().__init__(ask)
        self._tasks = Tasks(ask)

    @property
    def tasks(self) -> Tasks:
        return self._tasks

    def notice(self) -> None:
        if not self.plugins:
            return
        for key, start, finish, exception in self._tasks.changes():
            for plugin in list(self.plugins.values()):
                plugin.transition(key, start, finish, stimulus_id="feed", exception=exception)


HOOKS = frozenset(
    "update_graph restart transition add_worker remove_worker add_client remove_client "
    "valid_workers_downscaling log_event before_close".split()
)


async def run_maybe(function: Callable, *args: Any, **kwargs: Any) -> Any:
    result = function(*args, **kwargs)
    return await result if asyncio.iscoroutine(result) else result


def register_scheduler_plugin(scheduler: SchedulerStandIn, fields: dict[str, Any]) -> None:
    """What it asks of the scheduler is in `scheduler.then`."""
    from distributed.diagnostics.plugin import SchedulerPlugin

    plugin = fields["plugin"]
    if isinstance(plugin, bytes):
        plugin = pickle.loads(plugin)
    hooks = sorted(
        name
        for name in HOOKS
        if getattr(type(plugin), name, None) is not getattr(SchedulerPlugin, name, None)
    )
    if hooks:
        raise NotImplementedError(
            f"this scheduler is native: it cannot call the plugin's {', '.join(hooks)}"
        )
    scheduler.then = []
    asyncio.run(run_maybe(plugin.start, scheduler))


def run_function(scheduler: SchedulerStandIn, fields: dict[str, Any]) -> Any:
    function = pickle.loads(fields["function"])
    args = pickle.loads(fields["args"]) if fields.get("args") else ()
    kwargs = pickle.loads(fields["kwargs"]) if fields.get("kwargs") else {}
    if has_arg(function, "dask_scheduler"):
        kwargs["dask_scheduler"] = scheduler
    return asyncio.run(run_maybe(function, *args, **kwargs))


def preload(scheduler: SchedulerStandIn, fields: dict[str, Any]) -> None:
    names, argv = list(fields["preload"]), list(fields["preload_argv"])
    if not names:
        names = dask.config.get("distributed.scheduler.preload")
        argv = dask.config.get("distributed.scheduler.preload-argv")
    manager = process_preloads(scheduler, names, argv, file_dir=scheduler.local_directory)
    asyncio.run(manager.start())


def plain(value: Any) -> Any:
    """With the objects that came serialized."""
    if isinstance(value, Serialized):
        return deserialize(value.header, value.frames)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if type(value) in (list, tuple):  # No other is of a message's own.
        return type(value)(map(plain, value))
    return value
