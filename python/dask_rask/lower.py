"""Turns the pickled expressions of Python clients into tasks, for a scheduler that runs no Python.

`rask scheduler` starts this program when the first Python client comes, and talks with it over a
socket that it finds at file descriptor 3: messages in Dask's framing, without a handshake.

    first      ["ready", versions]     from here, when it can take requests
    request    [op, fields]            answered in their order
    question   ["question", request]   to the scheduler while a request is worked on: answered by
               ["answer", reply]       as Dask's RPC would answer; requests may come before it
    answer     ["part", rask-tasks]    for "update-graph" only: some tasks; behind some of them
               ["slice", fields]       what was sent since the last slice can be begun; and then
               ["done", fields]        or
               ["failed", fields]      an exception, as Dask's error messages carry it

What is unpickled here runs with this process's rights and dies with this process: the scheduler
answers the one submission with an error and starts another.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import struct
import sys
from collections import defaultdict, deque
from typing import Any, Callable, Iterable, Iterator

import dask
import msgpack
from dask._expr import LLGExpr
from dask._task_spec import Dict, GraphNode, Task, TaskRef, convert_legacy_graph
from dask.utils import parse_timedelta
from distributed import cluster_dump
from distributed.core import error_message
from distributed.protocol import deserialize, dumps as dumps_message, loads as loads_message
from distributed.protocol.pickle import dumps as dumps_object
from distributed.protocol.serialize import Serialized, msgpack_encode_default, to_serialize
from distributed.versions import get_versions

from dask_rask import missing, order, stand_in
from dask_rask.native import lower_native
from dask_rask.task_pickler import TaskPickler

try:
    from distributed.shuffle._core import P2PBarrierTask
except ImportError:  # An environment without what shuffles need.
    P2PBarrierTask = ()

logger = logging.getLogger("rask.lower")

SOCKET_FD = 3
SLICE_TASKS = 2_000  # The scheduler serves nobody else while it takes one.
PART_BYTES = 8 << 20

Frames = list[Any]
Key = Any

order_tasks: order.Order = order.order_by_dask


# ---- The socket ---------------------------------------------------------------------------------


class Channel:
    """Messages in Dask's framing over a blocking socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.input = sock.makefile("rb", buffering=1 << 20)

    def receive(self) -> Frames | None:
        """The frames of the next message; None when the scheduler has gone."""
        prelude = self.input.read(16)
        if len(prelude) < 16:
            return None
        _, count = struct.unpack("<QQ", prelude)
        lengths = struct.unpack(f"<{count}Q", self.input.read(8 * count))
        return [self.input.read(length) for length in lengths]

    def send(self, frames: Frames) -> None:
        lengths = [memoryview(frame).nbytes for frame in frames]
        count = len(frames)
        total = 8 + 8 * count + sum(lengths)
        self.sock.sendall(struct.pack(f"<QQ{count}Q", total, count, *lengths) + b"".join(frames))


# ---- Graphs -------------------------------------------------------------------------------------


def materialize(expr: Any, wanted: set[Key]) -> tuple[dict[Key, GraphNode], dict[str, dict]]:
    """The tasks of an expression, and its annotations by name and key."""
    graph = expr.__dask_graph__()
    annotations: defaultdict[str, dict[Key, Any]] = defaultdict(dict)
    for name, by_key in expr.__dask_annotations__().items():
        annotations[name].update(by_key)
    tasks = convert_legacy_graph(graph)
    # Other expressions leave out by themselves what nobody needs.
    if isinstance(expr, LLGExpr) and not wanted >= tasks.keys():
        tasks = cull(tasks, wanted)
    return tasks, annotations


def cull(tasks: dict[Key, GraphNode], wanted: Iterable[Key]) -> dict[Key, GraphNode]:
    needed = set()
    stack = list(wanted)
    while stack:
        key = stack.pop()
        if key in needed or key not in tasks:
            continue
        needed.add(key)
        stack.extend(tasks[key].dependencies)
    return {key: task for key, task in tasks.items() if key in needed}


def encode_plain(value: Any) -> Any:
    """For msgpack: what it does not know by itself."""
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        return value.item()
    return msgpack_encode_default(value)


pack_one: Callable[[Any], bytes] = msgpack.Packer(default=encode_plain, use_bin_type=True).pack


class Annotations:
    """Annotations in the shape of rask-tasks: written out once, then named by their number."""

    def __init__(self, everywhere: dict[str, Any] | None, by_name: dict[str, dict]) -> None:
        self.everywhere = dict(everywhere or {})
        self.by_name = {name: by_key for name, by_key in by_name.items() if by_key}
        self.same_for_all = not self.by_name and not any(map(callable, self.everywhere.values()))
        self.numbers: dict[bytes, int] = {}

    def start_part(self) -> None:
        self.numbers.clear()

    def of(self, key: Key) -> list[Any] | int | None:
        if self.same_for_all:
            if not self.everywhere:
                return None
            return self.number(self.everywhere)
        found = {
            name: value(key) if callable(value) else value
            for name, value in self.everywhere.items()
        }
        for name, by_key in self.by_name.items():
            if (value := by_key.get(key)) is not None:
                found[name] = value
        return self.number(found) if found else None

    def number(self, found: dict[str, Any]) -> list[Any] | int:
        written = self.written(found)
        packed = pack_one(written)
        if packed in self.numbers:
            return self.numbers[packed]
        self.numbers[packed] = len(self.numbers)
        return written

    @staticmethod
    def written(found: dict[str, Any]) -> list[Any]:
        workers = found.get("workers", found.get("restrictions")) or ()
        if not isinstance(workers, (list, tuple, set, frozenset)):
            workers = [workers]
        return [
            int(found.get("priority") or 0),
            int(found.get("retries") or 0),
            [str(worker) for worker in workers],
            bool(found.get("allow_other_workers", found.get("loose_restrictions"))),
            {name: float(amount) for name, amount in (found.get("resources") or {}).items()},
            plain_map(found),
        ]


def plain_map(found: dict[str, Any]) -> dict[str, Any]:
    """What of it can stand in a message."""
    plain = {}
    for name, value in found.items():
        try:
            pack_one(value)
        except (TypeError, ValueError, OverflowError):
            logger.warning("annotation %r is not passed on: %r is no plain data", name, value)
            continue
        plain[name] = value
    return plain


# A stock worker reads a run_spec as a part of the message that brings it: one that it cannot import
# would cost its connection, and soon every worker its life. Inside of this it costs the task. A
# coroutine function gets a loop of its own: nobody here can tell it from others.
RUN_LATE = """
(lambda result: __import__("asyncio").run(result)
 if __import__("inspect").iscoroutine(result) else result)(
    __import__("pickle").loads(pickled)(values))
"""


def late(task: GraphNode) -> Task:
    """A task that is the same, but unpickles what it runs when it runs."""
    values = Dict({key: TaskRef(key) for key in task.dependencies})
    return Task(task.key, eval, RUN_LATE, Dict({"pickled": dumps_object(task), "values": values}))


NATIVE_HEADER = pack_one({"num-sub-frames": 1, "compression": [None], "serializer": "rask-task"})


class PartWriter:
    """Some tasks of a graph as one message."""

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self.tasks: list[Any] = []
        self.frames: Frames = [b""]
        self.nbytes = 0

    def add(self, key: Key, entry: list[Any]) -> None:
        self.keys.append(key)
        self.tasks.append(entry)

    def run_spec(self, pickled: bytes, buffers: list[memoryview]) -> dict[str, int]:
        count = len(buffers)
        # The number first: who looks for it need not walk over the pickle.
        header = pack_one(
            {"num-sub-frames": count, "compression": [None] * count, "pickled-obj": pickled}
        )
        mark = len(self.frames)
        self.frames.append(header)
        self.nbytes += len(header)
        if buffers:
            self.frames.extend(buffers)
            self.nbytes += sum(buffer.nbytes for buffer in buffers)
        return {"__Pickled__": mark}

    def native_run_spec(self, packed: bytes) -> dict[str, int]:
        mark = len(self.frames)
        self.frames += [NATIVE_HEADER, packed]
        self.nbytes += len(packed)
        return {"__Serialized__": mark}

    def full(self) -> bool:
        return self.nbytes >= PART_BYTES

    def take(self) -> Frames:
        self.frames[0] = pack_one(["part", [self.keys, self.tasks]])
        return self.frames


def shuffle_spec(task: GraphNode) -> list[Any] | None:
    """What the scheduler's side of a P2P shuffle needs to know of its barrier task."""
    if not isinstance(task, P2PBarrierTask):
        return None
    spec = task.spec
    partitions = list(spec.output_partitions)
    count = len(partitions)
    places = range(count)
    flat: list[Any] = []
    for partition in partitions:
        # The place among as many workers as partitions tells the place among any number.
        flat += [partition, spec.pick_worker(partition, places)]
    return [dumps_object(spec), count, flat]


class Slices:
    """How a large graph is cut: each slice needs nothing but what came before it.

    What later slices need of a task stays in memory until the last of them has come.
    """

    def __init__(self, sequence: order.Sequence, wanted: set[Key], whole: bool = False) -> None:
        self.keys, self.priorities, last_use = sequence
        self.wanted = wanted
        self.last_use: list[int] = []
        self.release: defaultdict[int, list[Key]] = defaultdict(list)  # By slice.
        self.size = max(1, len(self.keys))  # There may be none: of what is known already.
        # The client's order may be none that could be followed.
        if self.size > SLICE_TASKS and not whole and last_use is not None:
            self.size, self.last_use = SLICE_TASKS, last_use

    def __iter__(self) -> Iterator[tuple[list[Key], list[int] | range, dict[str, Any]]]:
        """Keys, their priorities, and what to say behind them."""
        for first in range(0, len(self.keys), self.size):
            keys = self.keys[first : first + self.size]
            slice_fields: dict[str, Any] = {
                "wanted": [place for place, key in enumerate(keys) if key in self.wanted]
            }
            if self.last_use:
                slice_fields |= self.kept(keys, first)
            yield keys, self.priorities[first : first + self.size], slice_fields

    def kept(self, keys: list[Key], first: int) -> dict[str, Any]:
        held = []
        for place, last in enumerate(self.last_use[first : first + self.size]):
            if last >= first + self.size and keys[place] not in self.wanted:
                held.append(place)
                self.release[last // self.size].append(keys[place])
        return {"held": held, "release": self.release.pop(first // self.size, [])}


def write_parts(
    keys: list[Key],
    priorities: list[int] | range,
    tasks: dict[Key, GraphNode],
    annotations: Annotations,
    stopgaps: missing.Stopgaps,
    pickler: TaskPickler,
) -> Iterator[Frames]:
    part = PartWriter()
    annotations.start_part()
    for key, priority in zip(keys, priorities):
        task = tasks[key]
        if (native := lower_native(task)) is not None:
            run_spec = part.native_run_spec(native)
        else:
            pickled, buffers = pickler.dumps(task)
            if stopgaps.are_in(pickled):
                pickled, buffers = pickler.dumps(late(task))
            run_spec = part.run_spec(pickled, buffers)
        entry: list[Any] = [
            [[dependency] for dependency in task.dependencies],
            run_spec,
            annotations.of(key),
            priority,
        ]
        if (spec := shuffle_spec(task)) is not None:
            entry.append(spec)
        part.add(key, entry)
        if part.full():
            yield part.take()
            part = PartWriter()
            annotations.start_part()
    if part.keys:
        yield part.take()


def read_expression(serialized: Serialized, stopgaps: missing.Stopgaps) -> Any:
    header, frames = serialized.header, serialized.frames
    try:
        return deserialize(header, frames)
    except (ImportError, AttributeError) as error:
        if header.get("serializer") != "pickle" or not frames:
            raise
        try:
            return stopgaps.loads(frames[0], frames[1:])
        except Exception:
            raise error from None  # The graph itself is made by what is missing.


def update_graph(fields: dict[str, Any]) -> Iterator[Frames]:
    with missing.Stopgaps() as stopgaps:
        yield from lowered(fields, stopgaps)


def lowered(fields: dict[str, Any], stopgaps: missing.Stopgaps) -> Iterator[Frames]:
    expr_ser = fields["expr_ser"]
    try:
        expr = read_expression(expr_ser, stopgaps)
    except Exception as error:
        raise RuntimeError(
            "Error during deserialization of the task graph. The scheduler's Python environment "
            f"({sys.executable}) may differ from the client's. See "
            "https://docs.dask.org/en/stable/deployment-considerations.html"
            "#consistent-software-environments"
        ) from error
    wanted = set(fields["keys"])
    tasks, by_name = materialize(expr, wanted)
    told = fields.get("internal_priority")
    sequence = order.as_told(tasks, told) if told else order_tasks(tasks)
    annotations = Annotations(fields.get("annotations"), by_name)
    actors = fields.get("actors") or []
    whole = {
        "submitting_task": fields.get("submitting_task"),
        "fifo_timeout": parse_timedelta(fields.get("fifo_timeout") or 0),
        "actors": list(wanted) if actors is True else list(actors),
    }
    pickler = TaskPickler()
    known = [key for key in wanted if key not in tasks]  # To the scheduler, it is hoped.
    is_shuffle = any(isinstance(task, P2PBarrierTask) for task in tasks.values())
    for keys, priorities, slice_fields in Slices(sequence, wanted, whole=is_shuffle):
        yield from write_parts(keys, priorities, tasks, annotations, stopgaps, pickler)
        yield answer("slice", {**whole, **slice_fields, "known": known})
        known = []
    if known:
        yield answer("slice", {**whole, "known": known})
    yield answer("done", {})


# ---- What else runs Python in a scheduler -------------------------------------------------------


class Scheduler:
    """The other end of the socket, for who has questions while a request is worked on."""

    def __init__(self) -> None:
        self.channel: Channel | None = None
        self.waiting: deque[Frames] = deque()  # Requests that came meanwhile.

    def ask(self, op: str, **fields: Any) -> Any:
        assert self.channel is not None
        self.channel.send(answer("question", {"op": op, **fields}))
        while (frames := self.channel.receive()) is not None:
            kind, reply = loads_message(frames, deserialize=False)
            if kind != "answer":
                self.waiting.append(frames)
                continue
            if isinstance(reply, dict) and reply.get("status") == "uncaught-error":
                raise RuntimeError(f"the scheduler answers {op}: {reply['exception_text']}")
            return stand_in.plain(reply)
        raise ConnectionResetError

    def next_request(self) -> Frames | None:
        assert self.channel is not None
        return self.waiting.popleft() if self.waiting else self.channel.receive()


scheduler = Scheduler()
for_functions = stand_in.SchedulerStandIn(scheduler.ask)
feeds: dict[int, stand_in.Feed] = {}


def register_scheduler_plugin(fields: dict[str, Any]) -> Iterator[Frames]:
    stand_in.register_scheduler_plugin(for_functions, fields)
    yield answer("done", {"then": for_functions.then})


def run_function(fields: dict[str, Any]) -> Iterator[Frames]:
    result = to_serialize(stand_in.run_function(for_functions, fields))
    yield dumps_message(
        ["done", {"status": "OK", "result": result}], serializers=fields.get("serializers")
    )


def preload(fields: dict[str, Any]) -> Iterator[Frames]:
    stand_in.preload(for_functions, fields)
    yield answer("done", {})


def feed_start(fields: dict[str, Any]) -> Iterator[Frames]:
    feeds[fields["id"]] = stand_in.Feed(scheduler.ask, fields)
    yield from feed_next(fields)


def feed_next(fields: dict[str, Any]) -> Iterator[Frames]:
    yield answer("done", {"response": feeds[fields["id"]].next()})


def feed_stop(fields: dict[str, Any]) -> Iterator[Frames]:
    if (feed := feeds.pop(fields["id"], None)) is not None:
        feed.stop()
    yield answer("done", {})


def versions(fields: dict[str, Any]) -> Iterator[Frames]:
    yield answer("done", get_versions(packages=fields.get("packages")))


def write_state(fields: dict[str, Any]) -> Iterator[Frames]:
    """Writes a cluster dump where only fsspec can."""

    async def state() -> dict[str, Any]:
        return fields["state"]

    asyncio.run(
        cluster_dump.write_state(
            state, fields["url"], fields["format"], **fields.get("storage_options", {})
        )
    )
    yield answer("done", {})


OPERATIONS = {
    "feed_next": feed_next,
    "feed_start": feed_start,
    "feed_stop": feed_stop,
    "preload": preload,
    "versions": versions,
    "write_state": write_state,
    "update-graph": update_graph,
    "register_scheduler_plugin": register_scheduler_plugin,
    "run_function": run_function,
}


# ---- The loop -----------------------------------------------------------------------------------


def answer(kind: str, fields: dict[str, Any] | None) -> Frames:
    return dumps_message([kind, fields])


def handle(channel: Channel, frames: Frames) -> None:
    try:
        op, fields = loads_message(frames, deserialize=False)
        for message in OPERATIONS[op](fields):
            channel.send(message)
    except Exception as error:
        channel.send(answer("failed", error_message(error)))


def main() -> None:
    global order_tasks
    logging.basicConfig(format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    sock = socket.socket(fileno=SOCKET_FD)
    sock.setblocking(True)
    channel = Channel(sock)
    channel.send(answer("ready", get_versions()))
    gc.freeze()  # What is here now stays.
    scheduler.channel = channel
    order_tasks = order.order_of(sys.argv[2] if len(sys.argv) > 2 else None)
    try:
        while (frames := scheduler.next_request()) is not None:
            gc.disable()  # A graph is millions of objects and no garbage.
            handle(channel, frames)
            del frames
            gc.enable()
    except (BrokenPipeError, ConnectionResetError):
        pass  # The scheduler has gone.
    # Threads that user code has started must not keep this process.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
