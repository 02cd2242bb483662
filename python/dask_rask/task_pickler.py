"""Pickles run_specs as distributed does, but small buffers stay inside, and faster.

Most of the time of pickling a Task goes into its __getstate__, which is Python; here the same state
is fetched by C. And what the tasks of a graph share, a function above all, is pickled once: its
pickle is the beginning of theirs, and what comes behind refers to it.
"""

from __future__ import annotations

import copyreg
import io
import operator
import pickle
from typing import Any, NamedTuple

import cloudpickle
from dask._task_spec import GraphNode, Task, TaskRef
from distributed.protocol.pickle import dumps as dumps_object

IN_BAND_MAX = 1 << 16  # Larger buffers travel beside the pickle, and are not copied.
PROTOCOL = 5
HEADER_NBYTES = 2  # Of a pickle: the number of the protocol.
state_of = operator.attrgetter(*Task.get_all_slots())


def reduce_task(task: Task) -> tuple[Any, ...]:
    return copyreg.__newobj__, (Task,), state_of(task)


def reduce_reference(reference: TaskRef) -> tuple[Any, ...]:
    return TaskRef, (reference.key,)


class Beginning(NamedTuple):
    pickled: bytes
    memo: Any  # Of what is in it, for a pickler that goes on.


class TaskPickler:
    """For the tasks of one graph, which must live as long as it does."""

    def __init__(self) -> None:
        self.file = io.BytesIO()
        self.buffers: list[memoryview] = []
        self.pickler = pickle.Pickler(
            self.file, protocol=PROTOCOL, buffer_callback=self.keep_inside
        )
        self.pickler.dispatch_table = {
            **copyreg.dispatch_table,
            Task: reduce_task,
            TaskRef: reduce_reference,
        }
        self.met: set[tuple[int, bool]] = set()
        self.beginnings: dict[tuple[int, bool], Beginning | None] = {}

    def keep_inside(self, buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= IN_BAND_MAX:
            return True
        self.buffers.append(raw)
        return False

    def dumps(self, task: GraphNode) -> tuple[bytes, list[memoryview]]:
        """The pickle, and the large buffers that go beside it."""
        beginning = self.beginning_of(task) if type(task) is Task else None
        self.file.seek(0)
        self.file.truncate()
        self.buffers = []
        try:
            if beginning is None:
                self.pickler.clear_memo()
            else:
                self.pickler.memo = beginning.memo
            self.pickler.dump(task)
            pickled = self.file.getvalue()
            if b"__main__" not in pickled:
                if beginning is not None:
                    pickled = beginning.pickled + pickled[HEADER_NBYTES:]
                return pickled, self.buffers
        except Exception:
            pass  # What pickle cannot do, cloudpickle can.
        return dumps_object(task), []

    def beginning_of(self, task: Task) -> Beginning | None:
        """What its pickle has in common with others; None for the first that has this function."""
        which = id(task.func), bool(task.dependencies)
        if which in self.beginnings:
            return self.beginnings[which]
        if which not in self.met:
            self.met.add(which)
            return None
        shared = (Task, TaskRef, task.func) if task.dependencies else (Task, task.func)
        return self.beginnings.setdefault(which, begin(shared))


def begin(shared: tuple[Any, ...]) -> Beginning | None:
    for kind in (pickle.Pickler, cloudpickle.Pickler):
        file = io.BytesIO()
        pickler = kind(file, protocol=PROTOCOL)
        try:
            pickler.dump(shared)
        except Exception:
            continue
        pickled = file.getvalue()
        if kind is cloudpickle.Pickler or b"__main__" not in pickled:
            # In place of its end: the tuple is dropped, what was in it is remembered.
            return Beginning(pickled[: -len(pickle.STOP)] + pickle.POP, pickler.memo)
    return None
