"""The pipelines of the "Dask User Guide": load, clean, analyze, summarize; what an error does.

    python delayed_pipeline.py SCHEDULER FOLDER

Changed: the CSV files are in FOLDER, the functions that the guide leaves empty have bodies, and all
is in main(), since `scheduler="processes"` starts this file again in each process.
"""

import glob
import logging
import sys

import pandas as pd

from dask import delayed
from dask.distributed import Client

log = logging.getLogger("pipeline")


@delayed
def load_data(path):
    log.info("Loading %s", path)
    return pd.read_csv(path)

@delayed
def clean_data(df):
    return df.dropna()

@delayed
def analyze(df):
    if (df["value"] < 0).any():
        raise ValueError("a negative value")
    return int(df["value"].sum())

@delayed
def summarize(results):
    return {"files": len(results), "total": sum(results)}


def pipeline(paths):
    lazy_results = []
    for p in paths:
        df = load_data(p)
        clean = clean_data(df)
        res = analyze(clean)
        lazy_results.append(res)

    final = summarize(lazy_results)
    return final


def main(scheduler, folder):
    logging.basicConfig(
        filename="pipeline.log",
        level=logging.INFO,
        format="%(asctime)s [%(threadName)s] %(levelname)s %(name)s: %(message)s",
    )
    client = Client(scheduler)
    paths = [f"{folder}/file_{i}.csv" for i in range(10)]

    final = pipeline(paths)
    print("graph", len(final.__dask_graph__()))

    summary = final.compute()  # executes DAG
    print("default", summary)
    print("distributed", final.compute(scheduler="distributed"))
    print("threads", final.compute(scheduler="threads"))
    print("processes", final.compute(scheduler="processes"))

    # 5.1 An unhandled exception
    broken = pipeline([*paths, *glob.glob(folder + "/broken/*.csv")])
    try:
        broken.compute()
    except ValueError as e:
        print("raised", repr(e))

    # Other independent branches can still succeed
    good = analyze(clean_data(load_data(paths[0])))
    bad = analyze(clean_data(load_data(folder + "/broken/negative.csv")))
    futures = client.compute([good, bad, summarize([bad])])
    values = client.gather(futures, errors="skip")
    print("branches", values, [future.status for future in futures])
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
