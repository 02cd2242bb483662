"""The tables of the benchmark: ratios to stock Dask, and floors that must hold."""
import operator

ROWS = [
    ("map_10k", "map of 10,000 tiny tasks, gathered"),
    ("map_100k", "map of 100,000 tiny tasks, gathered"),
    ("tree_4095", "tree reduction of 4,095 tasks"),
    ("chain_1000", "chain of 1,000 tasks"),
    ("round_trip", "one submit and its result"),
    ("transfer_64MiB", "64 MiB from worker to worker"),
    ("graph_1M", "1,000,000 tasks in one graph"),
]

# What is asked of stock's client and workers, and how many times as fast as stock's scheduler ours
# must be at it.
PEER_ROWS = [
    ("map_10k", "map of 10,000", 1),
    ("tree_4095", "delayed tree of 4,095", 1),
    ("groupby", "dataframe groupby", 1),
    ("graph_100k", "graph of 100,000", 1),
    ("map_5k_8_workers", "8 workers, map of 5,000", 1.5),
    ("map_10k_idle", "8 idle workers, map of 10,000", 1.5),
]
# Of these, the scheduler's CPU time has floors too: with the lowering process, and its own.
CPU_ROWS = ("map_10k", "tree_4095", "groupby", "graph_100k")
CPU_RATIO_MIN, OWN_CPU_RATIO_MIN = 8, 40
HEARTBEAT_MS_MAX = 20


def human(seconds):
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def per_run(result):
    """Seconds of one answer; for round trips, of one of them."""
    if result is None:
        return None
    return result["median_us"] / 1e6 if "median_us" in result else result["seconds"]["median"]


def ratio(stock, native):
    return f"{stock / native:,.0f}x" if stock and native else "-"


def print_ratios(results):
    native, stock = results.get("rask", {}), results.get("stock", {})
    without_queue = results.get("stock_inf", {})
    line = "{:38} {:>12} {:>24} {:>12} {:>8} {:>12} {:>8}"
    print("\n" + line.format("question (median)", "rask", "min - max", "stock", "ratio",
                             "stock inf", "ratio"))
    for key, text in ROWS:
        ours = native.get(key)
        times = [per_run(side.get(key)) for side in (native, stock, without_queue)]
        shown = [human(t) if t else "-" for t in times]
        limits = (f"{human(ours['seconds']['min'])} - {human(ours['seconds']['max'])}"
                  if ours and key != "round_trip" else "")
        print(line.format(text, shown[0], limits, shown[1], ratio(times[1], times[0]), shown[2],
                          ratio(times[2], times[0])))
    print_extra(line, "start of a local cluster, 2 processes", native, stock,
                lambda side: side["start"]["median"], human)
    print_extra(line, "memory of the scheduler per held task", native, stock,
                lambda side: side["memory"], lambda nbytes: f"{nbytes:,.0f} B")
    print_cpu(results)


def print_extra(line, text, native, stock, get, show):
    ours = get(native) if native else None
    theirs = get(stock) if stock else None
    print(line.format(text, show(ours) if ours else "-", "", show(theirs) if theirs else "-",
                      ratio(theirs, ours), "", ""))


def print_cpu(results):
    print("\nCPU us per task, median        scheduler  worker-0  worker-1    client       all"
          "   foreign load")
    for side in ("rask", "stock", "stock_inf"):
        for key, _ in ROWS:
            result = results.get(side, {}).get(key)
            if result is None or key == "transfer_64MiB":
                continue
            cpu = result["cpu_us_per_task"]
            numbers = "".join(f"{cpu[role]['median']:10.1f}" for role in
                              ("scheduler", "worker-0", "worker-1", "client", "all"))
            print(f"  {side:10} {key:17}{numbers}   {result['foreign_cores']['max']:.2f} cores")


def us_per_task(result):
    return result["seconds"]["median"] / result["tasks"] * 1e6


def scheduler_cpu(result):
    """Its own us per task, and with the lowering process'."""
    cpu = result["cpu_us_per_task"]
    own = cpu["scheduler"]["median"]
    return own, own + (cpu["lowering"]["median"] if "lowering" in cpu else 0)


def print_peers(sides):
    native, stock = sides["rask"], sides["stock"]
    line = "{:30} {:>8} {:>9} {:>20} {:>8} {:>9} {:>6} | {:>6} {:>8} {:>7} {:>6} {:>5}"
    print("\nstock's client and workers       wall time of a run, median" + " " * 37 +
          "| CPU of the scheduler, us/task")
    print(line.format("on either scheduler", "tasks", "rask", "min - max", "tasks", "stock",
                      "ratio", "own", "lowering", "stock", "ratio", "own"))
    for key, text, _ in PEER_ROWS:
        ours, theirs = native[key], stock[key]
        own, both = scheduler_cpu(ours)
        cpu, _ = scheduler_cpu(theirs)
        limits = f"{human(ours['seconds']['min'])} - {human(ours['seconds']['max'])}"
        print(line.format(text, ours["tasks"], human(ours["seconds"]["median"]), limits,
                          theirs["tasks"], human(theirs["seconds"]["median"]),
                          f"{us_per_task(theirs) / us_per_task(ours):.1f}x", f"{own:.1f}",
                          f"{both - own:.1f}", f"{cpu:.0f}", f"{cpu / both:.1f}x",
                          f"{cpu / own:.0f}x"))
    print_heartbeats(sides)


def print_heartbeats(sides):
    print("\nanother client's heartbeat, ms           tasks  seconds      p50       p99       max"
          "   sent late by")
    for side in ("rask", "stock"):
        result = sides[side]["heartbeat"]
        for phase, text in (("going_in", "a graph goes in"), ("running", "it runs")):
            waits, latency = result[phase], result[phase]["latency_ms"]
            print(f"  {side + ', while ' + text:32} {result['tasks']:11,} {waits['seconds']:8.1f}"
                  f"{latency['p50']:9.2f}{latency['p99']:10.2f}{latency['max']:10.2f}"
                  f"   at most {waits['late_ms_max']:4.1f}")
        peak = result["peak_bytes"]
        print(f"    peak memory: scheduler {peak['scheduler'] / 1e6:,.0f} MB, "
              f"lowering process {peak['lowering'] / 1e6:,.0f} MB")


def peer_floors(sides):
    """As floors(), of stock's client and workers on both schedulers."""
    native, stock = sides["rask"], sides["stock"]
    for key, text, limit in PEER_ROWS:
        yield (f"{text}, stock's time to ours", us_per_task(stock[key]) / us_per_task(native[key]),
               ">=", limit)
    for key, text, _ in PEER_ROWS:
        if key in CPU_ROWS:
            own, both = scheduler_cpu(native[key])
            cpu, _ = scheduler_cpu(stock[key])
            yield f"{text}, stock's CPU to ours", cpu / both, ">=", CPU_RATIO_MIN
            yield f"{text}, without lowering", cpu / own, ">=", OWN_CPU_RATIO_MIN
    waits = native["heartbeat"]["going_in"]["latency_ms"]
    yield "heartbeat while a graph goes in, ms", waits["max"], "<", HEARTBEAT_MS_MAX


def floors(results):
    """(text, measured, limit, whether it holds) of each floor that this run can answer."""
    native, stock = results["rask"], results.get("stock")
    large = native["map_100k"]
    rate = large["tasks"] / large["seconds"]["median"]
    cpu = large["cpu_us_per_task"]
    transfer = native["transfer_64MiB"]["seconds"]["median"]
    copy = native["transfer_64MiB"]["tcp_copy_seconds"]["median"]
    speed = results["transfer_bytes"] / transfer / 1e9
    chain = native["chain_1000"]
    link = chain["seconds"]["median"] / chain["tasks"] * 1e6
    yield "map 100k, tasks/s", rate, ">=", 150_000
    yield "map 100k, CPU us/task, all processes", cpu["all"]["median"], "<=", 12
    yield "map 100k, CPU us/task, scheduler", cpu["scheduler"]["median"], "<=", 5
    if stock:
        yield ("tree, times as fast as stock", stock["tree_4095"]["seconds"]["median"] /
               native["tree_4095"]["seconds"]["median"], ">=", 200)
    yield "chain, us per link", link, "<=", 80
    yield "round trip, us, median", native["round_trip"]["median_us"], "<=", 150
    yield "64 MiB, part of a plain TCP copy", copy / transfer, ">=", 0.9
    yield "64 MiB, GB/s", speed, ">", 4
    yield "start of a local cluster, ms", native["start"]["median"] * 1e3, "<=", 150
    yield "bytes of the scheduler per held task", native["memory"], "<=", 500
    if "graph_1M" in native:
        yield "1,000,000 tasks gathered", native["graph_1M"]["tasks"], ">=", 1_000_000


HOLDS = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}


LOCAL_NS_MAX, LOCAL_BYTES_MAX, THREADED_RATIO_MIN = 400, 300, 100


def print_local(results):
    """Graphs in one process, about a million tasks: nanoseconds a task, building and computing."""
    line = "  {:12} {:>24} {:>8} {:>24} {:>8} {:>12} {:>8} {:>12}"
    print("\nin one process, ns a task   (1,048,576 tasks; median, min - max)")
    print(line.format("", "rask", "bytes", "oneTBB", "ratio", "threaded", "ratio", "processes"))
    for shape, of in results.items():
        def times(engine):
            ns = of[engine]["ns"]
            return f"{ns['median']:,.0f}  {ns['min']:,.0f} - {ns['max']:,.0f}"
        ours = of["rask"]["ns"]["median"]
        pool = of.get("process_pool")
        print(line.format(shape, times("rask"), f"{of['rask']['bytes']['median']:.0f}",
                          times("tbb"), f"{of['tbb']['ns']['median'] / ours:.1f}x",
                          f"{of['threaded']['ns']['median']:,.0f}",
                          f"{of['threaded']['ns']['median'] / ours:,.0f}x",
                          f"{pool['ns']['median']:,.0f}" if pool else "-"))


def local_floors(results):
    for shape, of in results.items():
        ns = of["rask"]["ns"]["median"]
        yield f"{shape}: ns a task", ns, "<=", LOCAL_NS_MAX
        yield f"{shape}: bytes a task", of["rask"]["bytes"]["median"], "<=", LOCAL_BYTES_MAX
        yield f"{shape}: TBB's time to ours", of["tbb"]["ns"]["median"] / ns, ">=", 1
        yield (f"{shape}: dask.threaded's time to ours", of["threaded"]["ns"]["median"] / ns, ">=",
               THREADED_RATIO_MIN)


def print_floors(results):
    """Whether all floors hold."""
    asked = list(floors(results)) if "rask" in results else []
    asked += local_floors(results["local"]) if "local" in results else []
    asked += peer_floors(results["peers"]) if "peers" in results else []
    if asked:
        print("\nfloor                                                     measured        limit")
    holds = True
    for text, measured, sign, limit in asked:
        good = HOLDS[sign](measured, limit)
        holds = holds and good
        print(f"  {text:51} {measured:12,.2f}  {sign:2} {limit:10,.2f}  "
              f"{'pass' if good else 'FAIL'}")
    return holds
