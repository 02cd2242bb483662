"""`Client()` without an address."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import distributed
import pytest
from distributed import Client

import dask_rask

SMALL = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}


@pytest.fixture
def afterwards_disabled() -> Iterator[None]:
    yield
    dask_rask.disable()


def test_enable(afterwards_disabled: None) -> None:
    dask_rask.enable()
    dask_rask.enable()
    with Client(**SMALL) as client:
        assert isinstance(client.cluster, dask_rask.LocalCluster)
        assert client.submit(sum, [1, 2]).result() == 3
    dask_rask.disable()
    with Client(**SMALL) as client:
        assert type(client.cluster) is distributed.LocalCluster


@pytest.mark.parametrize(
    "variables, first_line, expected",
    [
        ({}, "import dask_rask", "distributed"),
        ({"DASK_RASK__LOCAL_CLUSTER": "true"}, "import dask_rask", "dask_rask"),
        (
            {
                "DASK_RASK__LOCAL_CLUSTER": "true",
                "DASK_DISTRIBUTED__CLIENT__PRELOAD": "dask_rask",
            },
            "pass",
            "dask_rask",
        ),
    ],
    ids=["off", "imported", "preloaded"],
)
def test_setting(variables: dict[str, str], first_line: str, expected: str) -> None:
    code = f"""
        {first_line}
        from dask.distributed import Client
        with Client(**{SMALL!r}) as client:
            print(type(client.cluster).__module__.split(".")[0])
    """
    said = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    assert said.split()[-1] == expected
