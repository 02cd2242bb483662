"""A cluster on this machine: rask's scheduler, and stock or native workers."""

from __future__ import annotations

from typing import Any, Literal

import distributed.deploy.local
from distributed.core import Status
from distributed.deploy.spec import SpecCluster

from dask_rask.process import SchedulerProcess, WorkerProcess


class NativeServers(SpecCluster):
    """Stands behind Dask's `LocalCluster`, and starts our programs where that names its servers."""

    processes: bool
    native_workers = False

    def __init__(
        self,
        *,
        scheduler: dict[str, Any],
        worker: dict[str, Any],
        workers: dict[Any, Any],
        silence_logs: Any = None,
        **options: Any,
    ) -> None:
        shared = self.addresses(scheduler["options"])
        ours = {"silence_logs": silence_logs}
        if shared["protocol"] == "tcp://":
            ours["security"] = None  # A program that is given certificates speaks TLS.
        scheduler = {
            "cls": SchedulerProcess,
            "options": {**scheduler["options"], **shared, **ours},
        }
        worker = {"cls": worker["cls"], "options": {**worker["options"], **shared}}
        if self.native_workers:
            worker["cls"] = WorkerProcess
            worker["options"].update(ours, nanny=self.processes)
        names = map(self._new_worker_name, range(len(workers)))
        super().__init__(
            scheduler=scheduler,
            worker=worker,
            workers=dict.fromkeys(names, worker),
            silence_logs=silence_logs,
            **options,
        )

    async def _close(self) -> None:
        if self.scheduler is not None and self.scheduler.status != Status.running:
            self.shutdown_scheduler = False  # Nobody is there to ask.
        await super()._close()

    @staticmethod
    def addresses(options: dict[str, Any]) -> dict[str, Any]:
        """Protocol and host for all: another process cannot be reached by inproc."""
        protocol, host = options["protocol"], options["host"]
        if protocol == "inproc://":
            protocol = "tcp://"
            host = host or (None if options["interface"] else "127.0.0.1")
        if protocol not in ("tcp://", "tls://"):
            raise NotImplementedError(f"rask has no protocol {protocol}; use tcp:// or tls://")
        return {"protocol": protocol, "host": host}

    def _new_worker_name(self, worker_number: int) -> str:
        return str(worker_number)  # As the scheduler has it.


class LocalCluster(distributed.deploy.local.LocalCluster, NativeServers):
    """A native scheduler and workers on this machine, in place of `distributed.LocalCluster`.

    It takes the arguments of `distributed.LocalCluster` and can what that can: `with` and
    `async with`, `scale`, `adapt`, `get_client`, `Client(cluster)`. The scheduler is a process of
    its own, `rask scheduler`, with this process's Dask configuration. It ends with the cluster,
    and with the thread that runs the cluster's event loop, so with this process in any case.

    Parameters
    ----------
    workers: "python" or "native"
        Stock workers, or `rask worker`s, which run native tasks only and take
        `preload=["libapp.so"]` for the libraries that hold the functions. The names of both are
        text, "0", "1" and so on.
    processes: bool
        False: stock workers are threads of this process. Native workers are processes without a
        nanny then.
    scheduler_kwargs: dict
        Of Dask's, `idle_timeout` can be given.
    name, n_workers, threads_per_worker, **kwargs
        As in `distributed.LocalCluster`; `scheduler_port`, `host`, `memory_limit`, `silence_logs`,
        `asynchronous`, `worker_class` and so on.

    Raises
    ------
    NotImplementedError
        `protocol` is neither TCP nor TLS.
    RuntimeError
        The scheduler did not start.

    Examples
    --------
    >>> with LocalCluster(n_workers=2) as cluster, cluster.get_client() as client:
    ...     client.submit(sum, [1, 2, 3]).result()  # doctest: +SKIP
    6
    """

    def __init__(
        self,
        name: str | None = None,
        n_workers: int | None = None,
        threads_per_worker: int | None = None,
        processes: bool | None = None,
        *,
        workers: Literal["python", "native"] = "python",
        **kwargs: Any,
    ) -> None:
        if workers not in ("python", "native"):
            raise ValueError(f'workers is "python" or "native", not {workers!r}')
        if workers == "native" and kwargs.get("worker_class") is not None:
            raise ValueError('worker_class is for workers="python"')
        self.native_workers = workers == "native"
        super().__init__(
            name=name,
            n_workers=n_workers,
            threads_per_worker=threads_per_worker,
            processes=processes,
            **kwargs,
        )
