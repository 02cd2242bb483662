"""dask_rask.LocalCluster where a program would have distributed.LocalCluster."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap

import dask
import distributed
import psutil
import pytest
from conftest import our_processes, until
from distributed import Client

from dask_rask import LocalCluster

SMALL = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}


def inc(x: int) -> int:
    return x + 1


def names(cluster: LocalCluster) -> set[object]:
    return {worker["name"] for worker in cluster.scheduler_info["workers"].values()}


def test_tasks_of_a_stock_client() -> None:
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        assert isinstance(cluster, distributed.LocalCluster)
        assert client.submit(inc, 1).result() == 2
        assert client.gather(client.map(inc, range(100))) == list(range(1, 101))
        assert dask.delayed(inc)(dask.delayed(inc)(1)).compute() == 3
        with pytest.raises(ZeroDivisionError):
            client.submit(lambda: 1 / 0).result()
        assert "rask" in " ".join(psutil.Process(cluster.scheduler.process.pid).cmdline())
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert repr(cluster).startswith("LocalCluster(")
        assert "workers=2" in repr(cluster) and "threads=2" in repr(cluster)
        assert isinstance(cluster.dashboard_link, str)
        assert "LocalCluster" in cluster._repr_html_()


def test_dataframe() -> None:
    pd = pytest.importorskip("pandas")
    dd = pytest.importorskip("dask.dataframe")
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, cluster.get_client():
        frame = pd.DataFrame({"k": [i % 5 for i in range(1000)], "v": range(1000)})
        parts = dd.from_pandas(frame, npartitions=8)
        sums = parts.groupby("k").v.sum().compute()
        pd.testing.assert_series_equal(sums.sort_index(), frame.groupby("k").v.sum())
        with dask.config.set({"dataframe.shuffle.method": "tasks"}):
            assert len(parts.merge(parts, on="k").compute()) == 5 * 200 * 200


def test_threads_of_this_process() -> None:
    with LocalCluster(processes=False, **SMALL) as cluster, Client(cluster) as client:
        assert client.submit(os.getpid).result() == os.getpid()


def test_modules_beside_the_program(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(f"{tmp_path}/module_of_the_user.py", "w") as file:
        file.write("def double(x):\n    return 2 * x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import module_of_the_user

    with LocalCluster(**SMALL) as cluster, Client(cluster) as client:
        assert client.submit(module_of_the_user.double, 21).result() == 42


def test_scale() -> None:
    with LocalCluster(**SMALL) as cluster:
        cluster.scale(3)
        until(lambda: names(cluster) == {"0", "1", "2"} and len(cluster.workers) == 3)
        cluster.scale(1)
        until(lambda: len(names(cluster)) == 1 and len(cluster.workers) == 1)
        cluster.scale(0)
        until(lambda: not names(cluster) and not cluster.workers)


def test_adapt() -> None:
    with LocalCluster(n_workers=0, threads_per_worker=1) as cluster, Client(cluster) as client:
        cluster.adapt(minimum=0, maximum=2, interval="50ms", wait_count=2)
        assert client.gather(client.map(inc, range(10))) == list(range(1, 11))
        assert 1 <= len(cluster.workers) <= 2
        until(lambda: not cluster.workers, 30)


def test_tls() -> None:
    pytest.importorskip("cryptography")
    with LocalCluster(security=True, **SMALL) as cluster, Client(cluster) as client:
        assert cluster.scheduler_address.startswith("tls://")
        assert client.submit(inc, 1).result() == 2


def test_tls_of_native_workers() -> None:
    pytest.importorskip("cryptography")
    with LocalCluster(security=True, workers="native", **SMALL) as cluster:
        cluster.wait_for_workers(1, timeout=30)


def test_asynchronous() -> None:
    async def run() -> None:
        async with LocalCluster(asynchronous=True, **SMALL) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                assert await client.submit(inc, 1) == 2

    asyncio.run(run())


def test_native_workers() -> None:
    with LocalCluster(workers="native", n_workers=2, resources={"GPU": 1}) as cluster:
        cluster.wait_for_workers(2, timeout=30)
        until(lambda: names(cluster) == {"0", "1"})
        for worker in cluster.scheduler_info["workers"].values():
            assert worker["resources"] == {"GPU": 1, "rask-native": 1e9}
        cluster.scale(1)
        until(lambda: len(names(cluster)) == 1 and len(cluster.workers) == 1)
        cluster.scale(2)
        until(lambda: len(names(cluster)) == 2)


def test_settings_reach_the_scheduler() -> None:
    with (
        dask.config.set({"distributed.scheduler.validate": "perhaps"}),
        pytest.raises(RuntimeError, match="ended with code 2"),
    ):
        LocalCluster(**SMALL)


def test_port_in_use_is_an_error() -> None:
    with LocalCluster(n_workers=0) as first:
        port = int(first.scheduler_address.rpartition(":")[2])
        with pytest.raises(RuntimeError, match=f"--port={port}.*ended with code"):
            LocalCluster(scheduler_port=port, n_workers=0)


def test_what_is_not_there_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="ucx"):
        LocalCluster(protocol="ucx", **SMALL)
    with pytest.raises(ValueError, match="native"):
        LocalCluster(workers="java", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="no option 'transition_counter_max'"):
        LocalCluster(scheduler_kwargs={"transition_counter_max": 1}, **SMALL)


def test_scheduler_that_dies() -> None:
    with LocalCluster(processes=False, **SMALL) as cluster:
        cluster.scheduler.process.kill()
        until(lambda: cluster.scheduler.status == distributed.core.Status.closed)


def test_close_twice() -> None:
    cluster = LocalCluster(**SMALL)
    assert our_processes()
    cluster.close()
    cluster.close()
    assert cluster.status == distributed.core.Status.closed


# ---- The end of the program ---------------------------------------------------------------------

PROGRAM = textwrap.dedent("""
    import os, sys, time
    import psutil
    from dask.distributed import Client
    from dask_rask import LocalCluster

    if __name__ == "__main__":
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, **eval(sys.argv[2]))
        client = Client(cluster)
        if "workers" not in sys.argv[2]:
            client.submit(sum, [1, 2]).result()
        else:
            client.wait_for_workers(1)
        children = psutil.Process().children(recursive=True)
        try:
            print(*(child.pid for child in children), flush=True)
            if sys.argv[1] == "wait":
                time.sleep(60)
        except KeyboardInterrupt:
            # It is for this program alone: the cluster works on.
            assert client.ncores()
            print("interrupted", flush=True)
""")


@pytest.mark.parametrize("options", [{}, {"workers": "native"}], ids=["python", "native"])
@pytest.mark.parametrize("how", ["killed", "interrupted", "exit"])
def test_end_of_the_program(tmp_path: object, how: str, options: dict[str, str]) -> None:
    path = f"{tmp_path}/program.py"
    with open(path, "w") as file:
        file.write(PROGRAM)
    command = [sys.executable, path, "exit" if how == "exit" else "wait", repr(options)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as program:
        assert program.stdout is not None
        children = [psutil.Process(int(pid)) for pid in program.stdout.readline().split()]
        assert any("scheduler" in child.cmdline() for child in children)
        if how == "killed":
            program.kill()
        elif how == "interrupted":
            os.killpg(program.pid, signal.SIGINT)
            assert program.stdout.readline() == "interrupted\n"
        code = program.wait(timeout=30)
    assert code == (-signal.SIGKILL if how == "killed" else 0)
    until(lambda: not any(child.is_running() for child in children) or None)
