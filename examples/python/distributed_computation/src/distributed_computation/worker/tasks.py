"""What Dask workers run. They compute; they never touch the database."""

from distributed_computation.common.ping import ping


def ping_task(host: str) -> tuple[str, str]:
    return host, ping(host)
