"""The master: loads hosts, submits tasks to workers, batches results, writes to SQLite."""

import argparse

from dask.distributed import Client, as_completed

from distributed_computation.master.db_writer import DbWriter
from distributed_computation.worker.tasks import ping_task


def load_hosts(path: str) -> list[str]:
    with open(path) as file:
        return [line.strip() for line in file if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scheduler", required=True)
    parser.add_argument("--db", default="hosts.db")
    parser.add_argument("--hosts", default="hosts.txt")
    args = parser.parse_args()

    hosts = load_hosts(args.hosts)
    writer = DbWriter(args.db)
    batches = rows = 0
    with Client(args.scheduler) as client:
        futures = client.map(ping_task, hosts)
        for batch in as_completed(futures, with_results=True).batches():
            writer.write_batch([result for _, result in batch])
            batches += 1
            rows += len(batch)
    writer.close()
    print(f"wrote {rows} hosts in {batches} batches")


if __name__ == "__main__":
    main()
