"""Partial success, as the "Dask User Guide" has it in 5.2: a safe task returns its error.

    python delayed_safe.py SCHEDULER FOLDER

Changed: the CSV files are in FOLDER, and the functions that the guide leaves empty have bodies.
"""

import sys

import pandas as pd
from dask.distributed import Client

client = Client(sys.argv[1])
FOLDER = sys.argv[2]

from dask import delayed

@delayed
def load_data(path):
    return pd.read_csv(path)

@delayed
def clean_data(df):
    return df.dropna()

def analyze(df):
    if (df["value"] < 0).any():
        raise ValueError("a negative value")
    return int(df["value"].sum())

@delayed
def safe_analyze(df, path):
    try:
        result = analyze(df)
        return {"path": path, "ok": True, "result": result, "error": None}
    except Exception as e:
        return {"path": path, "ok": False, "result": None, "error": repr(e)}

@delayed
def summarize(results):
    return {
        "ok": sum(each["result"] for each in results if each["ok"]),
        "failed": [each for each in results if not each["ok"]],
    }

paths = [f"{FOLDER}/file_{i}.csv" for i in range(10)] + [f"{FOLDER}/broken/negative.csv"]

lazy_results = []
for p in paths:
    df = load_data(p)
    clean = clean_data(df)
    res = safe_analyze(clean, p)
    lazy_results.append(res)

final = summarize(lazy_results)  # summarize handles ok/failed entries
summary = final.compute()
print("ok", summary["ok"])
for failed in summary["failed"]:
    print("failed", failed)
client.close()
