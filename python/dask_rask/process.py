"""The native programs as parts of a `SpecCluster`: a scheduler, and workers without Python."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import dask.config
import psutil
from dask.utils import parse_timedelta
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface
from distributed.security import Security

logger = logging.getLogger(__name__)

END_PATIENCE = 5.0  # Seconds from SIGTERM to SIGKILL.
POLL_INTERVAL = 0.01

# Becomes the program, which the kernel ends when the thread that started it does. Between fork and
# exec of a process with threads no Python may run, so it is a program of its own.
TIED_TO_PARENT = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {int(signal.SIGTERM)})  # PR_SET_PDEATHSIG
if os.getppid() != int(sys.argv[1]):
    sys.exit("the process that wanted this one has gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


def program() -> str:
    """The path of the native program `rask`.

    The setting `rask.program` (DASK_RASK__PROGRAM) names it; else it is the one in this package, in
    the prefix that this package was installed to by CMake, or in the source tree around it.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    if given := dask.config.get("rask.program", None):
        places = [Path(given)]
    else:
        package = Path(__file__).resolve().parent
        places = [
            package / "bin/rask",
            package.parents[3] / "bin/rask" if len(package.parents) > 3 else package / "none",
            package.parents[1] / "build/rask",
        ]
    for place in places:
        if os.access(place, os.X_OK) and place.is_file():
            return str(place)
    raise FileNotFoundError(
        f"the native program rask is not at {' or '.join(map(str, places))}; install the wheel of "
        "dask-rask, or let the setting rask.program (DASK_RASK__PROGRAM) name it"
    )


# ---- What a program is told by its environment --------------------------------------------------


def environment(silence_logs: Any = None) -> dict[str, str]:
    """This process's environment, with its Dask configuration in it.

    Python for the graphs of Python clients is the one that runs now, and finds its modules where
    this process does.
    """
    variables = dict(os.environ)
    variables.update(changed_settings())
    if level := level_name(silence_logs):
        variables["DASK_LOGGING__DISTRIBUTED"] = level
    variables["DASK_RASK__PYTHON"] = dask.config.get("rask.python", None) or sys.executable
    variables["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return variables


def changed_settings() -> dict[str, str]:
    """What is set other than Dask's own defaults, as DASK_* variables.

    Only the sections that the native program reads: other ones may hold secrets.
    """
    defaults = dict(flatten(dask.config.merge(*dask.config.defaults)))
    return {
        "DASK_" + key.replace(".", "__").replace("-", "_").upper(): str(value)
        for key, value in flatten(dask.config.config)
        if key.split(".")[0] in ("distributed", "logging", "rask")
        and not (key in defaults and defaults[key] == value)
    }


def flatten(section: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        elif value is None or isinstance(value, (bool, int, float, str, list)):
            yield f"{prefix}{name}", value


def level_name(level: Any) -> str | None:
    """The log level in words; None when there is nothing to silence."""
    if not level:
        return None
    number = logging.getLevelName(level) if isinstance(level, str) else int(level)
    if not isinstance(number, int):
        raise ValueError(f"silence_logs: {level!r} is no log level")
    names = ("debug", "info", "warning", "error", "critical")
    return names[min(max(-(-number // 10) - 1, 0), 4)]


# ---- Processes ----------------------------------------------------------------------------------


class RaskProcess(ProcessInterface):
    """A process of the native program, which does not outlive this one."""

    role: Literal["scheduler", "worker"]

    def __init__(self, silence_logs: Any = None, security: Security | None = None) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.watcher: asyncio.Task[None] | None = None
        self.silence_logs = silence_logs
        self.security = security
        # For this user's eyes only; gone when the process is.
        self.folder = tempfile.TemporaryDirectory(prefix="rask-", ignore_cleanup_errors=True)
        super().__init__()

    async def start_program(self, arguments: Iterable[str]) -> asyncio.subprocess.Process:
        command = [program(), *arguments, *self.tls_arguments()]
        logger.info("%s", " ".join(command))
        if sys.executable:
            isolated = [sys.executable, "-I", "-S", "-c", TIED_TO_PARENT, str(os.getpid())]
            command = isolated + command
        self.process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            env=environment(self.silence_logs),
            start_new_session=True,  # Ctrl-C is for the person's own program, which may go on.
        )
        self.watcher = asyncio.ensure_future(self.watch(self.process))
        return self.process

    def tls_arguments(self) -> Iterator[str]:
        if self.security is None:
            return
        for name, value in self.security.get_tls_config_for_role(self.role).items():
            option = {"ca_file": "ca-file", "cert": "cert", "key": "key"}.get(name)
            if option is None or not value:
                continue
            if "\n" in value:  # What the file would hold.
                path = Path(self.folder.name, f"{option}.pem")
                path.write_text(value)
                value = str(path)
            yield f"--tls-{option}={value}"

    async def watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self.status == Status.running:
            logger.warning("%s (pid %d) ended with code %d", type(self).__name__, process.pid, code)
            self.status = Status.closed
        self._event_finished.set()

    async def close(self) -> None:
        """Ends the process and what it has started; gently at first."""
        if self.status == Status.running:
            self.status = Status.closing
        if self.process and self.process.returncode is None:
            await end(self.process)
        if self.watcher:
            await self.watcher
        self.folder.cleanup()
        await super().close()


async def end(process: asyncio.subprocess.Process) -> None:
    children: list[psutil.Process] = []
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_PATIENCE)
    except asyncio.TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    for child in children:
        with suppress(psutil.Error):
            child.kill()


class SchedulerProcess(RaskProcess):
    """`rask scheduler`, by the keywords of `distributed.Scheduler`.

    Raises
    ------
    TypeError
        A keyword that the native scheduler has no option for.
    RuntimeError
        When awaited: it did not start; why is on stderr.
    """

    role = "scheduler"
    OPTIONS = ("protocol", "interface", "idle_timeout", "dashboard_address")

    def __init__(
        self, *, silence_logs: Any = None, security: Security | None = None, **options: Any
    ) -> None:
        self.arguments = list(self.command_line(**options))
        super().__init__(silence_logs, security)

    @classmethod
    def command_line(
        cls, host: str | None = None, port: int = 0, dashboard: bool = True, **options: Any
    ) -> Iterator[str]:
        yield from ("scheduler", f"--port={port or 0}")
        if host:
            yield f"--host={host.rpartition('://')[2]}"
        if not dashboard:
            yield "--no-dashboard"
        for name, value in options.items():
            if not value:
                continue
            if name not in cls.OPTIONS:
                raise TypeError(f"the native scheduler has no option {name!r}")
            yield f"--{name.replace('_', '-')}={value}"

    async def start(self) -> None:
        file = Path(self.folder.name, "scheduler.json")
        process = await self.start_program([*self.arguments, f"--scheduler-file={file}"])
        self.address = await self.wait_for_address(process, file)
        await super().start()

    async def wait_for_address(self, process: asyncio.subprocess.Process, file: Path) -> str:
        patience = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while process.returncode is None and loop.time() < deadline:
            with suppress(OSError, json.JSONDecodeError):  # Not there yet, or not all of it.
                return str(json.loads(file.read_text())["address"])
            await asyncio.sleep(POLL_INTERVAL)
        command = f"{program()} {' '.join(self.arguments)}"
        if process.returncode is not None:
            raise RuntimeError(
                f"`{command}` ended with code {process.returncode}; why is on its stderr, above"
            )
        await end(process)
        raise RuntimeError(f"`{command}` did not start within {patience} s")


class WorkerProcess(RaskProcess):
    """`rask worker`, by the keywords of `distributed.Nanny`: runs native tasks only.

    `preload` is one path or a list of them, libraries with task functions.

    Raises
    ------
    TypeError
        A keyword that the native worker has no option for.
    """

    role = "worker"
    OPTIONS = (
        "nthreads host protocol interface local_directory death_timeout lifetime "
        "lifetime_stagger listen_address contact_address nanny_port worker_port "
        "dashboard_address preload preload_nanny"
    ).split()
    # Stock workers have them; they say nothing to a native one.
    IGNORED = ("services", "dashboard", "loop")

    def __init__(
        self,
        scheduler: str,
        *,
        silence_logs: Any = None,
        security: Security | None = None,
        **options: Any,
    ) -> None:
        self.arguments = ["worker", scheduler, *self.command_line(**options)]
        super().__init__(silence_logs, security)

    @classmethod
    def command_line(
        cls,
        name: object = None,
        memory_limit: Any = "auto",
        resources: Mapping[str, float] | None = None,
        lifetime_restart: bool = False,
        nanny: bool = True,
        port: Any = None,
        **options: Any,
    ) -> Iterator[str]:
        if name is not None:
            yield f"--name={name}"
        yield f"--memory-limit={memory_limit or 0}"
        if resources:
            yield "--resources=" + " ".join(f"{kind}={n}" for kind, n in resources.items())
        if lifetime_restart:
            yield "--lifetime-restart"
        if not nanny:
            yield "--no-nanny"
        if port:
            yield f"--worker-port={port}"
        for option, value in options.items():
            if not value or option in cls.IGNORED:
                continue
            if option not in cls.OPTIONS:
                raise TypeError(f"the native worker has no option {option!r}")
            for one in value if isinstance(value, (list, tuple)) else [value]:
                yield f"--{option.replace('_', '-')}={one}"

    async def start(self) -> None:
        await self.start_program(self.arguments)
        await super().start()
