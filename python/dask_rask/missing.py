"""Reads pickles that name modules which are not here, and lets them be written again as they were.

The scheduler's machine need not have the packages of its users: what a graph says of them is for
the workers. While a graph is worked on, a name that cannot be imported is a class of its own, in a
module of its own; pickles refer to it by that name.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections.abc import Iterable
from copyreg import __newobj__, __newobj_ex__  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any


class Missing(type):
    """The class of what could not be imported."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = cls.__new__(cls, *args, **kwargs)
        made.__dict__["by_call"] = True
        return made


class MissingObject(metaclass=Missing):
    """An instance of what could not be imported, or what calling it gives."""

    def __new__(cls, *args: Any, **kwargs: Any) -> MissingObject:
        made = super().__new__(cls)
        made.__dict__.update(given=(args, kwargs), by_call=False, state=None)
        return made

    def __setstate__(self, state: Any) -> None:
        self.__dict__["state"] = state

    def __reduce_ex__(self, protocol: Any) -> Any:
        args, kwargs = self.__dict__["given"]
        if self.__dict__["by_call"]:
            return type(self), args, self.__dict__["state"]
        if kwargs:
            return __newobj_ex__, (type(self), args, kwargs), self.__dict__["state"]
        return __newobj__, (type(self), *args), self.__dict__["state"]


class Stopgaps:
    """Use as a context: at its end nothing is left of what stood in."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.names: list[tuple[Any, str]] = []  # In modules that are there.
        self.of_modules: set[bytes] = set()  # Whose names were not found.

    def __enter__(self) -> Stopgaps:
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name in self.names:
            delattr(owner, name)
        for module in self.modules:
            sys.modules.pop(module, None)

    def loads(self, data: bytes, buffers: Iterable[Any] = ()) -> Any:
        return Unpickler(self, data, buffers).load()

    def are_in(self, pickled: bytes) -> bool:
        """Whether something in this pickle could not be imported."""
        return bool(self.of_modules) and any(module in pickled for module in self.of_modules)

    def make(self, module: str, name: str) -> Any:
        self.of_modules.add(module.encode())
        if module not in sys.modules:
            sys.modules[module] = ModuleType(module)
            self.modules.append(module)
        owner: Any = sys.modules[module]
        path = name.split(".")
        for depth, part in enumerate(path):
            if not hasattr(owner, part):
                place = {"__module__": module, "__qualname__": ".".join(path[: depth + 1])}
                setattr(owner, part, Missing(part, (MissingObject,), place))
                self.names.append((owner, part))
            owner = getattr(owner, part)
        return owner


class Unpickler(pickle.Unpickler):
    def __init__(self, stopgaps: Stopgaps, data: bytes, buffers: Iterable[Any]) -> None:
        super().__init__(io.BytesIO(data), buffers=buffers)
        self.stopgaps = stopgaps

    def find_class(self, module: str, name: str) -> Any:
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return self.stopgaps.make(module, name)
