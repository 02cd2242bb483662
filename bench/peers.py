"""Stock Dask's client and workers on the native scheduler, and the same on stock's, in turn.

Three kinds of clusters: two single-thread workers; eight of them, more than the machine has cores;
and eight that do nothing (idle_worker.py), so that the scheduler is the limit. On the last, another
client sends heartbeats while a large graph goes in.
"""
import pathlib
import sys
from typing import NamedTuple

from processes import Cluster, single_thread_workers
from summary import say, spread, summarize

FOLDER = pathlib.Path(__file__).resolve().parent
STOCK_SCHEDULER = [sys.executable, "-m", "dask", "scheduler"]
# The tasks travel by name, to the process that lowers graphs for the native scheduler too.
ENVIRONMENT = {"PYTHONPATH": str(FOLDER), "PYTHONHASHSEED": "0",
               "DASK_RASK__PYTHON": sys.executable}
WARM = ("wait 1000", "chains 10 10")


def stock_workers(count):
    return single_thread_workers([sys.executable, "-m", "dask", "worker"], count,
                                 ["--no-dashboard"])


def idle_workers(count):
    command = [sys.executable, str(FOLDER / "idle_worker.py"), "scheduler.json"]
    return [[*command, f"bench-{i}"] for i in range(count)]


def stock_client(workers):
    return [sys.executable, str(FOLDER / "stock_bench.py"), str(workers)]


class Question(NamedTuple):
    """What to ask of the client, in how many rounds; of stock's scheduler less where it is slow."""
    text: str
    rounds: int
    stock_text: str = ""


class Setting(NamedTuple):
    """Workers, and what to ask when they are there."""
    workers: list
    warm: tuple
    questions: dict


def settings(quick):
    rounds = 1 if quick else 2
    return [
        Setting(stock_workers(2), ("map 1000", "chains 10 10", "groupby 20"), {
            "map_10k": Question("map 10000", rounds),
            "tree_4095": Question("tree 2048", rounds),
            "groupby": Question("groupby 200", rounds),
            "graph_100k": Question("chains 200 100", 1, "chains 100 100") if quick else
                          Question("chains 1000 100", 1)}),
        Setting(stock_workers(8), ("map 1000",), {
            "map_5k_8_workers": Question("map 5000", 1)}),
        Setting(idle_workers(8), WARM, {
            "map_10k_idle": Question("wait 10000", rounds)}),
    ]


def clusters(rask, workers):
    """Stock's scheduler and ours, each with new processes for all the rest."""
    client = stock_client(len(workers))
    return [Cluster("stock", STOCK_SCHEDULER, workers, client, ENVIRONMENT),
            Cluster("rask", [str(rask), "scheduler"], workers, client, ENVIRONMENT)]


def measure_setting(rask, setting):
    """{"stock": {name: summary}, "rask": {name: summary}}, from rounds in which both take part."""
    answers = {"stock": {}, "rask": {}}
    for turn in range(max(question.rounds for question in setting.questions.values())):
        for cluster in clusters(rask, setting.workers):
            with cluster:
                for text in setting.warm:
                    cluster.ask(text)
                for name, question in setting.questions.items():
                    if turn < question.rounds:
                        is_less = cluster.name == "stock" and question.stock_text
                        answer = cluster.ask(question.stock_text if is_less else question.text)
                        answers[cluster.name].setdefault(name, []).append(answer)
                        say(cluster.name, name, summarize([answer]))
    return {side: {name: summarize(each) for name, each in named.items()}
            for side, named in answers.items()}


def measure_heartbeat(cluster, count):
    """How long another client waits for answers while `count` tasks go in, and while they run."""
    with cluster:
        for text in WARM:
            cluster.ask(text)
        cluster.spawn_asked("heartbeat", [sys.executable, str(FOLDER / "heartbeat.py")])
        answer = cluster.ask(f"chains {count // 100} 100")
        samples = cluster.talk("heartbeat", "")["samples"]
        result = summarize([answer]) | {
            "going_in": waits(samples, answer["begin"], answer["is_in"]),
            "running": waits(samples, answer["is_in"], answer["end"]),
            "peak_bytes": {role: cluster.peak_bytes(role) for role in ("scheduler", "lowering")}}
        say(cluster.name, f"heartbeat {count}", result)
        return result


def waits(samples, begin, end):
    """Of the heartbeats that were sent between these times."""
    taken = [(late, latency) for sent, late, latency in samples if begin <= sent <= end]
    latencies = sorted(1e3 * latency for _, latency in taken)
    return {"seconds": end - begin, "heartbeats": len(taken),
            "late_ms_max": max((1e3 * late for late, _ in taken), default=0),
            "latency_ms": {"p50": percentile(latencies, 50), "p99": percentile(latencies, 99),
                           "max": percentile(latencies, 100)}}


def percentile(ordered, percent):
    return ordered[(len(ordered) - 1) * percent // 100] if ordered else 0


def run(rask, quick):
    results = {"stock": {}, "rask": {}}
    for setting in settings(quick):
        for side, measured in measure_setting(rask, setting).items():
            results[side].update(measured)
    # Stock would take a quarter of an hour for a million tasks; it freezes for fewer as well.
    counts = {"stock": 10_000, "rask": 200_000 if quick else 1_000_000}
    for cluster in clusters(rask, idle_workers(8)):
        results[cluster.name]["heartbeat"] = measure_heartbeat(cluster, counts[cluster.name])
    return results
