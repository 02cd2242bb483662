"""The Python side of rask, a native Dask scheduler, worker and client."""
