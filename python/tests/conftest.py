from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psutil
import pytest


def until(condition: Callable[[], object], timeout: float = 20) -> None:
    """Waits for the condition; fails with its last value when it does not come."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still {value!r} after {timeout} s"
        time.sleep(0.02)


def our_processes() -> list[psutil.Process]:
    """Those below this one, zombies too, but for multiprocessing's helpers."""
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            command = " ".join(child.cmdline())
        except psutil.NoSuchProcess:
            continue
        except psutil.ZombieProcess:
            command = "zombie"
        if "resource_tracker" not in command and "forkserver" not in command:
            found.append(child)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    until(lambda: not our_processes() or None)
