"""The code of the slides "Distributed Dask", slide by slide.

    python slides.py SCHEDULER FOLDER

Changed: the remote cluster's address is SCHEDULER, `df` is read from the CSV files in FOLDER, and
what a slide only names is printed. `Client(n_workers=4)` is stock Dask's own cluster in this very
process and has nothing to do with a scheduler elsewhere, so it is left out.
"""

import sys

SCHEDULER, FOLDER = sys.argv[1:]

# Slides 5 and 19
from dask.distributed import Client

# Remote cluster (multiple machines)
client = Client(SCHEDULER)

# Slide 11: Get performance info
print("profile", sorted(client.profile()))      # Detailed profiling
print("nthreads", sum(client.nthreads().values()))     # Total threads
print("ncores", sum(client.ncores().values()))       # Total cores
print(client.scheduler_info) # Scheduler details
print("workers", len(client.scheduler_info()["workers"]))

import dask.dataframe as dd

df = dd.read_csv(FOLDER + "/*.csv")

# Slide 12: Compute: execute and return result
result = df.sum().compute()
# Result is a pandas Series (small)
# DataFrame is discarded
print("sum", type(result).__name__, result["value"])

# Persist: execute and keep in memory
df_persisted = df.persist()
# DataFrame stays in memory
# Can reuse without recomputation
print("persisted", df_persisted["value"].sum().compute(), len(df_persisted))

# Slide 15: Cache intermediate results
df_filtered = df[df['value'] > 100].persist()

# Reuse cached data
result1 = df_filtered.groupby('cat').sum()
result2 = df_filtered.groupby('cat').mean()
result3 = df_filtered.groupby('cat').count()

print("sums", result1.compute()["value"].sort_index().to_dict())
print("means", result2.compute()["value"].sort_index().to_dict())
print("counts", result3.compute()["value"].sort_index().to_dict())

# Slide 20: use try/except blocks, check task status
future = client.submit(lambda: 1 / 0)
try:
    future.result()
except ZeroDivisionError as error:
    print("status", future.status, repr(error))

client.close()
