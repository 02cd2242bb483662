"""dask_rask.native: a name for Python, a run_spec for native workers."""

from __future__ import annotations

import enum
import pickle
from collections import OrderedDict
from typing import Any

import cloudpickle
import dask
import msgpack
import pytest
from dask._task_spec import DataNode, Dict, List, Set, Task, TaskRef, Tuple, parse_input
from dask.tokenize import tokenize

from dask_rask import native
from dask_rask.native import lower_native, native_of


def arguments(*values: Any) -> Any:
    """What a native worker would read of them."""
    packed = lower_native(Task("k", native("f"), *values))
    assert packed is not None
    mark, name, found = msgpack.unpackb(packed, strict_map_key=False)
    assert (mark, name) == ("rask", "f")
    return found


def result_of(key: Any) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb(key))


def test_stands_for_a_function() -> None:
    inc = native("app:inc")
    assert repr(inc) == "native('app:inc')"
    assert dask.utils.funcname(inc) == "app:inc"
    for dumps in (pickle.dumps, cloudpickle.dumps):
        assert native_of(pickle.loads(dumps(inc))) == inc
        assert b"dask_rask" not in dumps(inc)
    assert hash(inc) == hash(native("app:inc"))
    assert inc != native("app:dec")
    assert tokenize(inc) == tokenize(native("app:inc")) != tokenize(native("app:dec"))
    with pytest.raises(RuntimeError, match=r"native\('app:inc'\) is a C\+\+ function"):
        inc(1)


@pytest.mark.parametrize("name, error", [("", ValueError), (1, TypeError), (len, TypeError)])
def test_names(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        native(name)


def test_other_tasks_are_left_alone() -> None:
    assert lower_native(Task("k", sum, [1])) is None
    assert lower_native(DataNode("k", 1)) is None


def test_bytes_of_a_run_spec() -> None:
    packed = lower_native(Task("k", native("inc"), 10, TaskRef(("x", 0))))
    assert packed == b"\x93\xa4rask\xa3inc\x92\x0a\xd6\x01\x92\xa1x\x00"


@pytest.mark.parametrize(
    "value",
    [None, True, False, 0, -1, 2**64 - 1, -(2**63), 1.5, float("inf"), "", "ä\U0001f600", b"\x00",
     [], [1, [2, [3]]], {}, {"a": {"b": [1]}}, {1: 2, b"k": None}],
    ids=repr,
)  # fmt: skip
def test_plain_data(value: Any) -> None:
    assert arguments(value) == [value]


def test_kinds_of_plain_data() -> None:
    class Colour(enum.IntEnum):
        red = 1

    assert arguments((1, 2), OrderedDict(a=1), Colour.red) == [[1, 2], {"a": 1}, 1]
    assert arguments(DataNode(None, [1])) == [[1]]


@pytest.mark.parametrize("key", ["x-1", b"x", 1, 1.5, ("x", 0, ("y", 1))])
def test_results_of_tasks(key: Any) -> None:
    assert arguments(TaskRef(key), 1) == [result_of(key), 1]
    assert arguments(List(1, TaskRef(key))) == [[1, result_of(key)]]
    assert arguments(Tuple(TaskRef(key), List(TaskRef(key)))) == [
        [result_of(key), [result_of(key)]]
    ]
    assert arguments(Dict({"a": TaskRef(key), "b": 2})) == [{"a": result_of(key), "b": 2}]
    assert arguments({"a": [TaskRef(key)]}) == [{"a": [result_of(key)]}]


def test_graphs_of_dask() -> None:
    delayed = dask.delayed(native("add"))(dask.delayed(native("inc"), pure=True)(1), [2, {"a": 3}])
    tasks = [task for task in delayed.__dask_graph__().values() if isinstance(task, Task)]
    specs = {msgpack.unpackb(packed)[1] for task in tasks if (packed := lower_native(task))}
    assert specs == {"add", "inc"}
    assert arguments(parse_input([1, {"a": (2,)}])) == [[1, {"a": [2]}]]


@pytest.mark.parametrize(
    "value, name",
    [
        (object(), "object"),
        ({1, 2}, "set"),
        (Set(TaskRef("x")), "set"),
        (1j, "complex"),
        ([{"a": range(3)}], "range"),
        (2**64, "int"),
        ("\ud800", "surrogates"),
        ({frozenset(): 1}, "frozenset"),
        (Task("inner", sum, [1]), "sum"),
        (sum, "builtin_function_or_method"),
    ],
    ids=repr,
)
def test_what_cannot_cross(value: Any, name: str) -> None:
    with pytest.raises(TypeError, match=r"native\('f'\)") as error:
        arguments(value)
    assert name in str(error.value).lower()


def test_numpy_is_no_plain_data() -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(TypeError, match="numpy.ndarray"):
        arguments(numpy.arange(3))
    with pytest.raises(TypeError, match="numpy.int64"):
        arguments(numpy.int64(3))
    assert arguments(numpy.float64(3)) == [3.0]  # It is a float.


def test_no_named_arguments() -> None:
    with pytest.raises(TypeError, match="named arguments, got y"):
        lower_native(Task("k", native("f"), 1, y=2))


def test_tables() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    ((data,),) = [arguments(table)]
    assert pa.ipc.open_stream(data).read_all().equals(table)
