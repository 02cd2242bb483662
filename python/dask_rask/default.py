"""Which cluster `Client()` starts when it is given no address.

Dask has no setting for this: `Client` takes the name `LocalCluster` of `distributed.deploy` at the
moment it needs one. That one name is what is exchanged here, and nothing else.
"""

from __future__ import annotations

import distributed.deploy
from distributed.deploy.local import LocalCluster as DasksOwn

from dask_rask.cluster import LocalCluster


def enable() -> None:
    """Lets `Client()` start a `dask_rask.LocalCluster` from now on, in this process.

    `distributed.LocalCluster` itself, called by name, stays what it is.
    """
    setattr(distributed.deploy, "LocalCluster", LocalCluster)  # noqa: B010


def disable() -> None:
    """Lets `Client()` start Dask's own `LocalCluster` again."""
    setattr(distributed.deploy, "LocalCluster", DasksOwn)  # noqa: B010
