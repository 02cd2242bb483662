"""The order in which the tasks of a graph should run: found natively, or as the client has said."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import dask.order
from dask._task_spec import GraphNode

Key = Any
Graph = Mapping[Key, GraphNode]
Order = Callable[[Graph], "Sequence"]


class Sequence(NamedTuple):
    keys: list[Key]
    priorities: list[int] | range  # Of each of them; the lowest runs first.
    last_use: list[int] | None  # By place: of the last that needs it, 0 if none. None: no order.


def order_of(library: str | None) -> Order:
    """What orders graphs: `rask_order` of the native library, else Dask's own function."""
    try:
        function = ctypes.CDLL(library).rask_order if library else None
    except (OSError, AttributeError):  # There is none, or it is of another release.
        function = None
    return order_by_dask if function is None else lambda tasks: order_natively(function, tasks)


def order_by_dask(tasks: Graph) -> Sequence:
    return as_told(tasks, dask.order.order(tasks))


def order_natively(function: Any, tasks: Graph) -> Sequence:
    count = len(tasks)
    place = {key: number for number, key in enumerate(tasks)}
    offsets = array("I", [0])
    dependencies = array("I")
    for task in tasks.values():
        for dependency in task.dependencies:
            number = place.get(dependency)
            if number is not None:  # Else it is of another graph.
                dependencies.append(number)
        offsets.append(len(dependencies))
    sequence = array("I", bytes(4 * count))
    last_use = array("I", bytes(4 * count))
    numbers = [address(numbers) for numbers in (offsets, dependencies, sequence, last_use)]
    if not function(ctypes.c_size_t(count), *numbers):
        return order_by_dask(tasks)  # They need each other in a circle, which it names.
    keys = list(tasks)
    return Sequence([keys[number] for number in sequence], range(count), last_use.tolist())


def address(numbers: array[int]) -> ctypes.c_void_p:
    return ctypes.c_void_p(numbers.buffer_info()[0])


def as_told(tasks: Graph, order: Mapping[Key, int]) -> Sequence:
    """By priorities that are given."""
    keys = sorted(tasks, key=lambda key: order.get(key, 0))
    priorities = [order.get(key, 0) for key in keys]
    place = {key: number for number, key in enumerate(keys)}
    last_use = [0] * len(keys)
    for number, key in enumerate(keys):
        for dependency in tasks[key].dependencies:
            needed = place.get(dependency)
            if needed is None:
                continue  # Of another graph.
            if needed >= number:
                return Sequence(keys, priorities, None)
            last_use[needed] = number
    return Sequence(keys, priorities, last_use)
