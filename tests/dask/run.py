#!/usr/bin/env python3
"""Dask's own tests of its collections, computed by stock workers under our scheduler.

    run.py                 a part of them; what passes with the stock scheduler must pass with ours
    run.py --all           all of them, a matter of hours
    run.py --stock         what does not pass is run with `dask scheduler` too: the record is not
                           looked at
    run.py --record        all is run with `dask scheduler` too, and the record, stock.json, written
    run.py --jobs 2        so many clusters at a time, each with a part of the files
    run.py FILE… -k EXPR   some: files by their path below the dask package

Run it with a Python that has what tools/requirements.txt names. Last come a table per file
and every test that passes with the stock scheduler only; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECORD = HERE / "stock.json"
sys.path.insert(0, str(HERE.parent / "interop"))
from stock_cluster import RASK_SCHEDULER, STOCK_SCHEDULER  # noqa: E402

DASK = pathlib.Path(importlib.util.find_spec("dask").origin).parent

# What computes, says most, and takes minutes.
REPRESENTATIVE = [
    "tests/test_delayed.py",
    "bag/tests/test_bag.py",
    "bag/tests/test_random.py",
    "dataframe/dask_expr/tests/test_groupby.py",
    "dataframe/dask_expr/tests/test_merge.py",
    "dataframe/dask_expr/tests/test_shuffle.py",
    "dataframe/tests/test_shuffle.py",
]

# Start schedulers and clients of their own, or are of no use to a scheduler.
LEFT_OUT = {
    "tests/test_distributed.py",
    "dataframe/dask_expr/tests/test_distributed.py",
    "tests/test_multiprocessing.py",
    "tests/test_spark_compat.py",
}

PASSED = {"passed", "xpassed"}
NOT_RUN = {"skipped", "xfailed"}
stopping = threading.Event()


def all_files() -> list[str]:
    found = (str(path.relative_to(DASK)) for path in DASK.rglob("tests/test_*.py"))
    return sorted(name for name in found if name not in LEFT_OUT and "cupy" not in name)


def run(name: str, command: str, options: argparse.Namespace,
        tests: set[str] | None = None) -> dict[str, dict]:
    """The results of the chosen files, or of `tests` alone, with one kind of scheduler."""
    begin = time.monotonic()
    print(f"==> {name}: {command}", flush=True)
    files = options.files if tests is None else sorted(set(map(file_of, tests)))
    shards = [shard for shard in parts(files, options.jobs) if shard]
    results: dict[str, dict] = {}
    with concurrent.futures.ThreadPoolExecutor(max(1, len(shards))) as pool:
        runs = [Run(f"{name}-{i}" if i else name, command, options, shard, tests)
                for i, shard in enumerate(shards)]
        try:
            for one in pool.map(Run.__call__, runs):
                results |= one
        except BaseException:
            stopping.set()  # The threads end what they have started.
            raise
    print(f"{name}: {time.monotonic() - begin:.0f} s", flush=True)
    return results


def parts(files: list[str], count: int) -> list[list[str]]:
    """About as much text in each."""
    shards: list[tuple[int, list[str]]] = [(0, []) for _ in range(count)]
    for file in sorted(files, key=lambda name: -(DASK / name).stat().st_size):
        least = min(range(count), key=lambda i: shards[i][0])
        shards[least] = (shards[least][0] + (DASK / file).stat().st_size,
                         [*shards[least][1], file])
    return [sorted(names) for _, names in shards]


class Run:
    """Some files with one scheduler; pytest is started anew when it gets stuck."""

    def __init__(self, name: str, command: str, options: argparse.Namespace, files: list[str],
                 tests: set[str] | None) -> None:
        self.name = name
        self.command = command
        self.options = options
        self.files = files
        self.folder = options.output / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.results = self.folder / "results.jsonl"
        self.only = None
        if tests is not None:
            self.only = self.folder / "only.txt"
            self.only.write_text("".join(f"{test}\n" for test in sorted(tests)))

    def __call__(self) -> dict[str, dict]:
        for attempt in range(20):
            if self._pytest(attempt) or not self._go_on():
                break
        return read_results(self.results)

    def _pytest(self, attempt: int) -> bool:
        command = [sys.executable, "-m", "pytest", "-q", "-c", str(HERE / "pytest.ini"),
                   "--rootdir", str(DASK.parent), "-p", "on_cluster", "--tb", "short",
                   "--timeout", str(self.options.timeout), "--results", str(self.results),
                   "--scheduler-command", self.command, "--cluster-log", str(self.folder)]
        command += ["--every", str(self.options.every)]
        if self.only is not None:
            command += ["--only", str(self.only)]
        if self.options.k:
            command += ["-k", self.options.k]
        command += [str(DASK / name) for name in self.files]
        path = os.pathsep.join([str(HERE), str(HERE.parent / "interop")])
        with (tempfile.TemporaryDirectory() as scratch,
              open(self.folder / f"pytest-{attempt}.log", "w") as log):
            process = subprocess.Popen(command, cwd=scratch, stdout=log, stderr=log,
                                       start_new_session=True,
                                       env={**os.environ, "PYTHONPATH": path})
            try:
                return self._watch(process)
            finally:
                end_group(process)

    def _watch(self, process: subprocess.Popen) -> bool:
        patience = self.options.timeout + 60
        size, since = -1, time.monotonic()
        while process.poll() is None:
            if stopping.wait(0.2):
                return True
            now = self.results.stat().st_size if self.results.exists() else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > patience:
                return False
        return process.returncode in (0, 1, 5)

    def _go_on(self) -> bool:
        """Whether another pytest would get further than this one."""
        before = getattr(self, "begun", 0)
        self.begun = len(read_results(self.results))
        if self.begun == before:
            print(f"{self.name}: pytest does not start, see {self.folder}", flush=True)
        return self.begun > before


def end_group(process: subprocess.Popen) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
        time.sleep(0.2)


def read_results(path: pathlib.Path) -> dict[str, dict]:
    results: dict[str, dict] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            fields = json.loads(line)
            name = fields.pop("test").removeprefix("dask/")
            results[name] = fields if "outcome" in fields else {"outcome": "hung", "graphs": 0}
    return results


def passed(results: dict[str, dict]) -> set[str]:
    return {name for name, fields in results.items() if fields["outcome"] in PASSED}


def file_of(test: str) -> str:
    return test.partition("::")[0]


# ---- The record: what passes with the stock scheduler, without running it ------------------------


def write_record(results: dict[str, dict]) -> None:
    """Per file how many pass, and by name those that do not: the shorter list."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    counts = collections.Counter(map(file_of, passed(results)))
    for file in sorted({file_of(test) for test in results}):
        others = {test.partition("::")[2]: fields["outcome"] for test, fields in results.items()
                  if file_of(test) == file and fields["outcome"] not in PASSED}
        record[file] = {"passed": counts[file], "others": others}
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


def recorded(ours: dict[str, dict]) -> set[str]:
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    unknown = sorted({file_of(test) for test in ours} - record.keys())
    if unknown:
        print("not in the record, run with --stock:", *unknown)
    return {test for test in ours if (file := file_of(test)) in record
            and test.partition("::")[2] not in record[file]["others"]}


# ---- Side by side -------------------------------------------------------------------------------


def report(stock: set[str], ours: dict[str, dict]) -> int:
    mine = passed(ours)
    used = {test for test in mine if ours[test]["graphs"]}
    per_file = [collections.Counter(map(file_of, tests))
                for tests in (stock, mine, used, stock - mine)]
    print(f"\n{'file':<52} {'stock':>6} {'rask':>6} {'used*':>6} {'lost':>5}")
    for file in sorted(per_file[0] | per_file[1]):
        print(f"{file:<52} {per_file[0][file]:>6} {per_file[1][file]:>6} {per_file[2][file]:>6} "
              f"{per_file[3][file]:>5}")
    print("* passed, and sent at least one graph to the scheduler")
    lost = sorted(stock - mine)
    for test in lost:
        fields = ours.get(test, {"outcome": "not run"})
        reason = fields.get("reason", "").partition("\n")[0][:300]
        print(f"\nstock only: {test}\n  {fields['outcome']}: {reason}")
    known = {file_of(test) for test in stock}
    gained = sorted(test for test in mine - stock if file_of(test) in known)
    if gained:
        print(f"\nrask only: {len(gained)}", *gained, sep="\n  ")
    print(f"\ndask-tests: stock {len(stock)} passed, rask {len(mine)} passed "
          f"({len(used)} by the scheduler), {len(lost)} lost")
    return 1 if lost or not used else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="*", help="below the dask package; default: a part")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--stock", action="store_true",
                        help="run what does not pass with the stock scheduler too")
    parser.add_argument("--record", action="store_true",
                        help=f"run all with the stock scheduler too, write {RECORD.name}")
    parser.add_argument("--jobs", type=int, default=1, help="clusters at a time")
    parser.add_argument("--scheduler-command", default=RASK_SCHEDULER)
    parser.add_argument("--timeout", type=int, default=60, help="seconds for one test")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/dask-tests")
    parser.add_argument("-k", help="as pytest's")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth test")
    options = parser.parse_args()
    options.files = options.files or (all_files() if options.all else REPRESENTATIVE)
    return options


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Ends what was started, too.
    options = parse()
    ours = run("rask", options.scheduler_command, options)
    if options.record:
        results = run("stock", STOCK_SCHEDULER, options)
        write_record(results)
        return report(passed(results), ours)
    if options.stock:
        mine = passed(ours)
        others = {test for test, fields in ours.items()
                  if fields["outcome"] not in PASSED | NOT_RUN}
        print(f"\nrask: {len(mine)} passed, {len(others)} did not")
        return report(mine | passed(run("stock", STOCK_SCHEDULER, options, others)), ours)
    return report(recorded(ours), ours)


if __name__ == "__main__":
    sys.exit(main())
