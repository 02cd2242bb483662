"""Runs the scripts beside this file on `rask scheduler` with two stock workers."""

import os
import pathlib
import re
import socket
import sqlite3
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "tests/interop")]
from local_site import QUESTIONS, LocalSite, tags_of, write_site  # noqa: E402
from stock_cluster import RASK_SCHEDULER, Cluster  # noqa: E402

TIMEOUT = 120


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """The folder into which pip has installed the host-ping package."""
    folder = tmp_path_factory.mktemp("installed")
    build = tmp_path_factory.mktemp("build") / "source"
    subprocess.run(["cp", "-r", HERE / "distributed_computation", build], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index",
                    "--disable-pip-version-check", "--no-build-isolation", "--target", folder,
                    build], check=True, timeout=TIMEOUT)
    return folder


@pytest.fixture(scope="session")
def cluster(package):
    command = os.environ.get("SCHEDULER_COMMAND", RASK_SCHEDULER)
    with Cluster(command, env={"PYTHONPATH": str(package)}) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    write_site(folder)
    with LocalSite(folder) as site:
        yield site


@pytest.fixture(scope="session")
def csv(tmp_path_factory):
    """file_0.csv … file_9.csv, of 40 rows each: value 0 … 399, cat a, b, c in turn."""
    folder = tmp_path_factory.mktemp("csv")
    for number in range(10):
        values = range(number * 40, number * 40 + 40)
        rows = "".join(f"{value},{'abc'[value % 3]}\n" for value in values)
        (folder / f"file_{number}.csv").write_text("value,cat\n" + rows)
    (folder / "broken").mkdir()
    (folder / "broken/negative.csv").write_text("value,cat\n-1,a\n")
    return folder


def run(cluster, folder, *args, env=None):
    """What the script prints."""
    done = subprocess.run([sys.executable, *map(str, args)], cwd=folder, text=True, timeout=TIMEOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, **(env or {})})
    log = cluster.log()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n--- scheduler\n{log}"
    return done.stdout


def line(output, words):
    found = re.search(rf"^{re.escape(words)} (.*)$", output, re.MULTILINE)
    assert found, f"no line begins with {words!r} in\n{output}"
    return found.group(1)


def tag_counts():
    counts = {}
    for number in range(QUESTIONS):
        for tag in tags_of(number):
            counts[tag] = counts.get(tag, 0) + 1
    return counts


def test_the_futures_tutorial(cluster, site, tmp_path):
    output = run(cluster, tmp_path, HERE / "futures_tutorial.py", cluster.address, site.url)
    assert line(output, "sequential") == line(output, "future") == "22"
    assert line(output, "loop") == line(output, "gathered") == str([*range(4, 23, 2)])
    assert line(output, "urls") == str(QUESTIONS)
    assert line(output, "serial tags") == line(output, "parallel tags")
    assert dict(eval(line(output, "parallel tags"))) == tag_counts()
    assert line(output, "again") == f"{QUESTIONS} <title>Question 0</title>"
    assert line(output, "sequential crawl") == "10"
    assert line(output, "crawled") == str(QUESTIONS + 1)
    assert dict(eval(line(output, "crawled tags"))) == tag_counts()


def test_the_slides(cluster, csv, tmp_path):
    output = run(cluster, tmp_path, HERE / "slides.py", cluster.address, csv)
    assert "count" in line(output, "profile")
    assert line(output, "nthreads") == line(output, "ncores") == "4"
    assert line(output, "workers") == "2"
    assert line(output, "sum") == f"Series {sum(range(400))}"
    assert line(output, "persisted") == f"{sum(range(400))} 400"
    kept = {cat: [value for value in range(101, 400) if "abc"[value % 3] == cat] for cat in "abc"}
    assert eval(line(output, "sums")) == {cat: sum(values) for cat, values in kept.items()}
    assert eval(line(output, "counts")) == {cat: len(values) for cat, values in kept.items()}
    assert eval(line(output, "means")) == pytest.approx(
        {cat: sum(values) / len(values) for cat, values in kept.items()})
    assert line(output, "status").startswith("error ZeroDivisionError")


def test_pipelines_with_delayed(cluster, csv, tmp_path):
    output = run(cluster, tmp_path, HERE / "delayed_pipeline.py", cluster.address, csv)
    assert line(output, "graph") == "31"
    expected = str({"files": 10, "total": sum(range(400))})
    for scheduler in ("default", "distributed", "threads", "processes"):
        assert line(output, scheduler) == expected
    assert line(output, "raised") == "ValueError('a negative value')"
    assert line(output, "branches") == f"[{sum(range(40))}] ['finished', 'error', 'error']"
    log = (tmp_path / "pipeline.log").read_text().splitlines()
    loading = [each for each in log if "INFO pipeline: Loading " in each]
    assert len(loading) == 10, "the run with scheduler='threads' logs in this process"


def test_safe_tasks(cluster, csv, tmp_path):
    output = run(cluster, tmp_path, HERE / "delayed_safe.py", cluster.address, csv)
    assert line(output, "ok") == str(sum(range(400)))
    assert eval(line(output, "failed")) == {"path": f"{csv}/broken/negative.csv", "ok": False,
                                            "result": None,
                                            "error": "ValueError('a negative value')"}


def test_workers_ping_and_the_master_writes(cluster, site, package, tmp_path):
    with socket.socket() as closed:  # Bound, not listening: nobody answers there.
        closed.bind(("127.0.0.1", 0))
        up = [site.url.removeprefix("http://")]
        down = [f"127.0.0.1:{closed.getsockname()[1]}", *(f"nobody-{n}:x" for n in range(200))]
        (tmp_path / "hosts.txt").write_text("\n".join(up + down))
        output = run(cluster, tmp_path, "-m", "distributed_computation.master.run_master",
                     "--scheduler", cluster.address, "--db", "hosts.db", "--hosts", "hosts.txt",
                     env={"PYTHONPATH": str(package)})
    assert line(output, "wrote 202 hosts in")
    with sqlite3.connect(tmp_path / "hosts.db") as database:
        rows = database.execute("SELECT host, status FROM hosts").fetchall()
    assert dict(rows) == {**dict.fromkeys(up, "up"), **dict.fromkeys(down, "down")}
