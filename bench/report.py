"""The two tables of the benchmark: ratios to stock Dask, and floors that must hold."""

ROWS = [
    ("map_10k", "map of 10,000 tiny tasks, gathered"),
    ("map_100k", "map of 100,000 tiny tasks, gathered"),
    ("tree_4095", "tree reduction of 4,095 tasks"),
    ("chain_1000", "chain of 1,000 tasks"),
    ("round_trip", "one submit and its result"),
    ("transfer_64MiB", "64 MiB from worker to worker"),
    ("graph_1M", "1,000,000 tasks in one graph"),
]


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


def print_floors(results):
    """Whether all floors hold."""
    if "rask" not in results:
        return True
    holds = True
    print("\nfloor                                        measured        limit")
    for text, measured, sign, limit in floors(results):
        good = measured >= limit if sign in (">=", ">") else measured <= limit
        holds = holds and good
        print(f"  {text:38} {measured:12,.2f}  {sign:2} {limit:10,.2f}  "
              f"{'pass' if good else 'FAIL'}")
    return holds
