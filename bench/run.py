#!/usr/bin/env python3
"""rask beside stock Dask in one run: `make bench`, or `make bench BENCH="--quick"`.

Both are a scheduler and two single-thread workers as processes on loopback, and a client in a
process of its own; stock runs once as it comes and once without its queue (worker-saturation:
inf). peers.py then puts stock's client and workers on either scheduler. Tables say each question's
ratio and whether the floors hold; build/bench/results.json keeps everything, with the load that
others put on the machine meanwhile. docs/performance.md explains.
"""
import argparse
import json
import pathlib
import platform
import subprocess
import sys
import time

import local
import peers
from processes import Cluster, single_thread_workers
from report import print_floors, print_local, print_peers, print_ratios
from summary import say, spread, summarize
from tcp_copy import TcpCopy

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIB = 1 << 20


def questions(quick):
    """name: (question, runs of native, runs of stock). Stock needs minutes for the large ones."""
    small = {
        "map_10k": ("map 10000", 9, 3),
        "tree_4095": ("tree 2048", 9, 3),
        "chain_1000": ("chain 1000", 9, 3),
        "round_trip": ("roundtrip 1000", 5, 1),
    }
    if quick:
        return {name: (text, 3, 1) for name, (text, _, _) in small.items()} | {
            "map_100k": ("map 100000", 3, 0)}
    return small | {"map_100k": ("map 100000", 7, 1)}


def native_cluster(build):
    rask, tasks = str(build / "bin/rask"), str(build / "bin/libbench_tasks.so")
    workers = single_thread_workers([rask, "worker"], 2, ["--preload", tasks])
    return Cluster("rask", [rask, "scheduler"], workers, [str(build / "bin/native_bench")])


def stock_cluster(name, environment):
    return Cluster(name, peers.STOCK_SCHEDULER, peers.stock_workers(2), peers.stock_client(2),
                   {**peers.ENVIRONMENT, **environment})


def measure(cluster, plan, native, nbytes, transfers):
    """Asks every question of `plan` so often as it says. The first answers warm up."""
    results = {}
    with cluster:
        for warm in ("map 1000", "chain 20", "roundtrip 20"):
            cluster.ask(warm)
        for name, (text, native_runs, stock_runs) in plan.items():
            runs = native_runs if native else stock_runs
            if runs:
                answers = [cluster.ask(text) for _ in range(runs)]
                results[name] = summarize(answers)
                say(cluster.name, name, results[name])
        results["transfer_64MiB"] = measure_transfer(cluster, nbytes, transfers)
        say(cluster.name, "transfer_64MiB", results["transfer_64MiB"])
    return results


def measure_transfer(cluster, nbytes, runs):
    """Transfers and plain copies in turn, so that both meet the same machine."""
    answers, copies, reused = [], [], []
    with TcpCopy(nbytes) as copy:
        memory = bytearray(nbytes)
        for i in range(runs + 2):
            answers.append(cluster.ask(f"transfer {nbytes} {i}"))
            copies.append(copy.seconds())
            reused.append(copy.seconds(memory))
    return summarize(answers[2:]) | {"tcp_copy_seconds": spread(copies[2:]),
                                     "tcp_copy_into_reused_memory_seconds": spread(reused[2:])}


def measure_memory(cluster, count):
    """Bytes of the scheduler for each finished task that a client holds, in a fresh scheduler."""
    with cluster:
        cluster.ask("map 1000")
        before = cluster.resident_bytes("scheduler")
        cluster.ask(f"hold {count}")
        return (cluster.resident_bytes("scheduler") - before) / count


def measure_million(cluster):
    with cluster:
        cluster.ask("map 1000")
        answer = cluster.ask("graph 1000000")
        peak = {role: cluster.resident_bytes(role) for role in cluster.processes}
        return summarize([answer]) | {"resident_bytes_after": peak}


def measure_start(command, runs):
    """Seconds from the constructor of a local cluster to its first result, in new processes."""
    seconds = []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True,
                              cwd=ROOT / "bench")
        seconds.append(json.loads(done.stdout.splitlines()[-1])["seconds"])
    return spread(seconds) | {"runs": runs}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                            text=True).stdout.strip()
    return {"cpu": model, "cores": len(open("/proc/stat").read().split("\ncpu")) - 1,
            "kernel": platform.release(), "python": platform.python_version(), "commit": commit,
            "date": time.strftime("%Y-%m-%d")}


def run_native(options, plan, nbytes):
    build = options.build.resolve()
    results = measure(native_cluster(build), plan, True, nbytes, 15)
    results["memory"] = measure_memory(native_cluster(build), 500_000)
    results["start"] = measure_start([str(build / "bin/native_bench"), "start"], 9)
    if not options.quick:
        results["graph_1M"] = measure_million(native_cluster(build))
        say("rask", "graph_1M", results["graph_1M"])
    return results


def run_stock(name, environment, options, plan, nbytes):
    results = measure(stock_cluster(name, environment), plan, False, nbytes, 5)
    if not environment:
        results["memory"] = measure_memory(stock_cluster(name, environment),
                                           2_000 if options.quick else 20_000)
        results["start"] = measure_start([sys.executable, "stock_bench.py", "start"],
                                         1 if options.quick else 3)
    return results


def main():
    parser = argparse.ArgumentParser(description="rask beside stock Dask")
    parser.add_argument("--quick", action="store_true", help="fewer runs, smaller counts")
    parser.add_argument("--native-only", action="store_true", help="without stock Dask")
    parser.add_argument("--stock-only", action="store_true", help="without rask")
    parser.add_argument("--peers-only", action="store_true",
                        help="only stock's client and workers on rask's scheduler and on stock's")
    parser.add_argument("--local-only", action="store_true",
                        help="only graphs that are computed in one process")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/results.json")
    options = parser.parse_args()

    plan, nbytes = questions(options.quick), 64 * MIB
    results = {"machine": machine(), "transfer_bytes": nbytes, "quick": options.quick}
    if not options.stock_only and not options.peers_only:
        results["local"] = local.run(options.build.resolve() / "bin/local_bench", options.quick)
    if options.local_only:
        print_local(results["local"])
        return 0 if print_floors(results) else 1
    if not options.stock_only and not options.peers_only:
        results["rask"] = run_native(options, plan, nbytes)
    if not options.native_only and not options.peers_only:
        results["stock"] = run_stock("stock", {}, options, plan, nbytes)
        results["stock_inf"] = run_stock(
            "stock inf", {"DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf"}, options, plan,
            nbytes)
    if not options.stock_only and not options.native_only:
        results["peers"] = peers.run(options.build.resolve() / "bin/rask", options.quick)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1) + "\n")
    if not options.peers_only:
        print_ratios(results)
    if "local" in results:
        print_local(results["local"])
    if "peers" in results:
        print_peers(results["peers"])
    return 0 if print_floors(results) else 1


if __name__ == "__main__":
    sys.exit(main())
