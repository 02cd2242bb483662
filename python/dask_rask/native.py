"""C++ functions in Python's graphs, by name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import msgpack
from dask._task_spec import Alias, DataNode, Dict, GraphNode, List, Set, Task, TaskRef, Tuple
from dask.utils import methodcaller

NOTE = "(a C++ function: it runs on native workers of rask only)"
KEY_OF_DEPENDENCY = 1  # MessagePack extension type; docs/protocol.md, section 6.


class native:
    """The C++ function `name`, as a callable that Dask can submit.

    It runs on native workers that know the function: workers of the same program, or ones that
    have loaded its library (`rask worker --preload libapp.so`). A stock scheduler must be told
    that: `resources={"rask-native": 1}`, which does no harm elsewhere. The name may leave out the
    parameters of the function: "app::inc", "app:inc".

    Arguments are positional; they are None, bool, int, float, str, bytes, lists, tuples and dicts
    of these, pyarrow Tables, and futures of any task whose result is such.

    Examples
    --------
    >>> client.submit(native("inc"), 10).result()  # doctest: +SKIP
    11
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a function is str, not {type_name(name)}")
        if not name:
            raise ValueError("the name of a function is not empty")
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises RuntimeError: there is no such function in Python."""
        raise RuntimeError(
            f"{self!r} is a C++ function: it runs as a task, on a native worker of a rask "
            "scheduler (client.submit; rask worker --preload libapp.so), and not in Python"
        )

    def __repr__(self) -> str:
        return f"native({self.__name__!r})"

    def __reduce__(self) -> tuple[type[methodcaller], tuple[str]]:
        # Nobody else needs this package. In Python it raises an AttributeError with that text.
        return methodcaller, (f"{self.__name__} {NOTE}",)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, native) and other.__name__ == self.__name__

    def __hash__(self) -> int:
        return hash((native, self.__name__))

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "dask_rask.native", self.__name__


def lower_native(task: GraphNode) -> bytes | None:
    """The run_spec of a task whose function is a `native`; None for any other task.

    Returns
    -------
    bytes
        MessagePack of ["rask", name, [argument…]]; extension type 1 stands for the result of a
        dependency and holds the MessagePack of its key.

    Raises
    ------
    TypeError
        An argument is no plain data; the message names its type.
    """
    function = native_of(getattr(task, "func", None))
    if function is None:
        return None
    name = function.__name__
    if task.kwargs:
        raise TypeError(f"{function!r} takes no named arguments, got {', '.join(task.kwargs)}")
    try:
        packed: bytes = msgpack.packb(["rask", name, [plain(value) for value in task.args]])
    except TypeError as error:
        raise TypeError(f"argument of {function!r}: {error}") from None
    except (OverflowError, UnicodeEncodeError, ValueError) as error:
        raise TypeError(f"argument of {function!r} cannot cross to C++: {error}") from error
    return packed


def native_of(function: object) -> native | None:
    """The C++ function that a task calls: itself, or what was pickled in its place."""
    if isinstance(function, native):
        return function
    if type(function) is methodcaller and function.method.endswith(f" {NOTE}"):
        return native(function.method.removesuffix(f" {NOTE}"))
    return None


def plain(value: Any) -> Any:
    """The value as msgpack takes it."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, (TaskRef, Alias)):
        key = value.key if isinstance(value, TaskRef) else value.target
        return msgpack.ExtType(KEY_OF_DEPENDENCY, msgpack.packb(key))
    if isinstance(value, DataNode):
        return plain(value.value)
    if isinstance(value, Dict):
        return plain_map(pairs(value.args))
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (List, Tuple)):
        return [plain(item) for item in value.args]
    if isinstance(value, dict):
        return plain_map(value.items())
    if is_table(value):
        return table_bytes(value)
    if isinstance(value, Task) and not isinstance(value, Set):
        raise TypeError(
            f"a task inside of a task's arguments ({value.func!r}) cannot cross to C++; "
            "submit it by itself and give its future"
        )
    kind = "set" if isinstance(value, Set) else type_name(value)
    raise TypeError(
        f"{kind} cannot cross to C++; what can is None, bool, int, float, str, bytes, "
        "list, tuple and dict of these, and pyarrow.Table"
    )


def plain_map(items: Iterable[tuple[Any, Any]]) -> Mapping[Any, Any]:
    return {plain_key(key): plain(value) for key, value in items}


def plain_key(key: Any) -> Any:
    if key is None or isinstance(key, (bool, int, float, str, bytes)):
        return key
    if isinstance(key, tuple):
        return tuple(map(plain_key, key))
    raise TypeError(f"{type_name(key)} as the key of a dict cannot cross to C++")


def pairs(flat: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    items = iter(flat)
    return zip(items, items, strict=True)


def is_table(value: Any) -> bool:
    pyarrow = sys.modules.get("pyarrow")  # Not imported: no Table.
    return pyarrow is not None and isinstance(value, pyarrow.Table)


def table_bytes(table: Any) -> bytes:
    """The table as a stream of Arrow's IPC format."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def type_name(value: object) -> str:
    kind = type(value)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"
