"""The pieces of the process that lowers graphs, without a scheduler."""

from __future__ import annotations

import functools
import math
import operator
import pickle
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import numpy
import pytest
from dask._task_spec import Task, TaskRef

from dask_rask import order
from dask_rask.lower import SLICE_TASKS, Slices
from dask_rask.missing import Stopgaps
from dask_rask.task_pickler import TaskPickler

PACKAGE = """
import enum

class Plain:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(self) is type(other) and vars(self) == vars(other)
    class Inner(tuple): pass

class Colour(enum.Enum):
    red = 1

class Reduced:
    def __reduce__(self): return make, (1, 2)

def make(*args): return [make, args]
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "users_package.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import users_package

    yield users_package
    sys.modules.pop("users_package", None)


def test_what_is_not_here_is_pickled_as_it_came(
    package: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [
        package.Plain(1),
        package.Plain.Inner((1, 2)),
        package.Colour.red,
        package.make,
        package.Plain,
        {"deep": [package.Plain(package.Plain.Inner())]},
    ]
    written = pickle.dumps(values)
    with monkeypatch.context() as away:
        away.setattr(sys, "path", [])
        del sys.modules["users_package"]
        with pytest.raises(ImportError):
            pickle.loads(written)
        with Stopgaps() as stopgaps:
            again = pickle.dumps(stopgaps.loads(written))
        assert "users_package" not in sys.modules
    sys.modules["users_package"] = package
    assert pickle.loads(again) == values


def slices_of(tasks: dict, wanted: set, told: dict | None = None) -> list[tuple[list, dict]]:
    told = told or {key: place for place, key in enumerate(tasks)}
    return [(keys, said) for keys, _, said in Slices(order.as_told(tasks, told), wanted)]


def test_a_small_graph_is_one_slice() -> None:
    tasks = {"b": Task("b", int, TaskRef("a")), "a": Task("a", int)}
    ((keys, fields),) = slices_of(tasks, {"b"})
    assert (keys, fields) == (["b", "a"], {"wanted": [0]})


def test_a_graph_without_tasks_has_no_slices() -> None:
    assert slices_of({}, {"known"}) == []


def chain(count: int) -> dict:
    tasks: dict = {0: Task(0, int)}
    for i in range(1, count):
        tasks[i] = Task(i, int, TaskRef(i - 1), TaskRef(0))
    return tasks


def test_slices_hold_what_later_ones_need() -> None:
    count = 3 * SLICE_TASKS
    tasks = dict(reversed(chain(count).items()))
    first, second, third = slices_of(tasks, {count - 1}, {key: key for key in tasks})
    assert first[0] == list(range(SLICE_TASKS))
    assert first[1] == {"wanted": [], "held": [0, SLICE_TASKS - 1], "release": []}
    assert second[1] == {"wanted": [], "held": [SLICE_TASKS - 1], "release": [SLICE_TASKS - 1]}
    assert third[1] == {
        "wanted": [SLICE_TASKS - 1],
        "held": [],
        "release": [0, 2 * SLICE_TASKS - 1],
    }


def test_an_order_that_cannot_be_followed_makes_one_slice() -> None:
    tasks = chain(2 * SLICE_TASKS)
    assert len(slices_of(tasks, {0}, {key: -key for key in tasks})) == 1


def closure(y: int) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(lambda *xs: sum(xs) + y))


class Accumulator:
    """A callable with state, which both the function and an argument may be."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, *args: Any) -> list[int]:
        for other in args:
            if isinstance(other, Accumulator):
                other.seen.append(1)
        return self.seen


@pytest.mark.parametrize("function", [max, math.hypot, closure(1), closure(2), operator.add])
def test_tasks_that_share_a_function_are_pickled_like_others(function: Any) -> None:
    pickler = TaskPickler()
    values = {"a": 3, "b": 4}
    for place in range(4):  # The first is pickled by itself.
        task = Task(("t", place), function, TaskRef("a"), TaskRef("b"))
        pickled, buffers = pickler.dumps(task)
        again = pickle.loads(pickled)
        assert not buffers
        assert (again.key, again.dependencies) == (task.key, task.dependencies)
        assert again(values) == task(values)
        plain = Task(("plain", place), function, place, 10)
        assert pickle.loads(pickler.dumps(plain)[0])() == plain()


def test_what_function_and_arguments_share_stays_one_object() -> None:
    function = Accumulator()
    task = Task("t", function, function)
    pickler = TaskPickler()
    for _ in range(3):
        assert pickle.loads(pickler.dumps(task)[0])() == [1]


def test_a_function_that_no_module_has_is_pickled_once() -> None:
    function = closure(1)
    pickler = TaskPickler()
    beginnings = {pickler.dumps(Task(i, function, TaskRef("a")))[0][:400] for i in range(100)}
    assert len(beginnings) == 2


def test_large_buffers_go_beside_the_pickle_of_a_shared_function() -> None:
    pickler = TaskPickler()
    array = numpy.arange(100_000)
    for _ in range(3):
        pickled, buffers = pickler.dumps(Task("t", numpy.sum, array))
        assert len(pickled) < 1_000 and len(buffers) == 1
        assert pickle.loads(pickled, buffers=buffers)() == array.sum()


def test_what_nothing_can_pickle_is_an_error_each_time() -> None:
    pickler = TaskPickler()
    task = Task("t", functools.partial(max, threading.Lock()), 1)
    for _ in range(3):
        with pytest.raises(TypeError, match="lock"):
            pickler.dumps(task)
