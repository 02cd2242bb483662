"""The Python side of rask, a native Dask scheduler, worker and client.

    from dask.distributed import Client
    from dask_rask import LocalCluster

    with LocalCluster() as cluster, Client(cluster) as client:
        client.submit(sum, [1, 2, 3]).result()

`enable()`, or the setting `rask.local-cluster: true`, makes `Client()` do the same by itself.
`native("name")` stands for a C++ function.
"""

import dask.config

from dask_rask.cluster import LocalCluster
from dask_rask.default import disable, enable
from dask_rask.native import native
from dask_rask.process import program

__all__ = ["LocalCluster", "disable", "enable", "native", "program"]

if dask.config.get("rask.local-cluster", False) is True:  # Not a section of that name.
    enable()
