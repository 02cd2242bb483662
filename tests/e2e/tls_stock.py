"""Stock Dask at a TLS scheduler of rask: `tls_stock.py ADDRESS CA CERT KEY` prints ok."""

import os
import subprocess
import sys
import time

from distributed import Client, Security

address, ca, cert, key = sys.argv[1:]
security = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key,
                    require_encryption=True)
worker = subprocess.Popen(
    [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny", "--name", "stock",
     "--no-dashboard", "--tls-ca-file", ca, "--tls-cert", cert, "--tls-key", key],
    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
try:
    with Client(address, security=security, timeout=20) as client:
        deadline = time.monotonic() + 60
        while len(workers := client.scheduler_info(n_workers=-1)["workers"]) < 2:
            assert worker.poll() is None and time.monotonic() < deadline, "no stock worker"
            time.sleep(0.05)
            client.sync(client._update_scheduler_info, n_workers=-1)
        assert all(each.startswith("tls://") for each in workers), workers
        (stock,) = (each for each, info in workers.items() if info["name"] == "stock")
        (native,) = (each for each, info in workers.items() if info["name"] == "native")
        for holder in (stock, native):
            value = os.urandom(2_000_000)
            future = client.scatter(value, workers=[holder], direct=True, hash=False)
            assert client.gather(future) == value
            assert client.gather(future, direct=True) == value
            # From its holder to the worker that runs Python, in one case over the network.
            assert client.submit(len, future, workers=[stock]).result(timeout=30) == 2_000_000
    print("ok")
finally:
    worker.terminate()
    worker.wait(10)
