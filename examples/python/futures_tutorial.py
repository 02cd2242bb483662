"""The futures tutorial "Parallelize your Python code", cell by cell.

    python futures_tutorial.py SCHEDULER SITE

Changed: the client goes to SCHEDULER, https://stackoverflow.com is SITE, a cell's last line is
printed, `%%time` and the exercises that the solutions repeat are left out. The scale-out to a
cluster of Coiled's is a second client to the same cluster.
"""

import sys

SCHEDULER, SITE = sys.argv[1:]

# ---- Set up a Dask cluster locally

from dask.distributed import Client

client = Client(SCHEDULER)
print(client)

# ---- Dask Futures introduction

import time
import random

def inc(x):
    time.sleep(random.random())
    return x + 1

def double(x):
    time.sleep(random.random())
    return 2 * x

def add(x, y):
    time.sleep(random.random())
    return 2 * x


y = inc(10)
z = double(y)
print("sequential", z)

y = client.submit(inc, 10)
z = client.submit(double, y)
print(z)
print("future", z.result())

# ---- Submit many tasks in a loop: sequential code

data = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
results = []

for x in data:
    y = inc(x)
    z = double(y)
    results.append(z)

print("loop", results)

# ---- Parallel code

data = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
results = []

for x in data:
    y = client.submit(inc, x)
    z = client.submit(double, y)
    results.append(z)

results = client.gather(results)
print("gathered", results)

# ---- Use futures to download and parse webpages: define useful functions

import re
import requests
from bs4 import BeautifulSoup
import time

def download(url: str, delay=0) -> str:
    time.sleep(delay)
    response = requests.get(url)
    if response.status_code == 200:
        return response.text
    else:
        response.raise_for_status()


def scrape_title(body: str) -> str:
    html = BeautifulSoup(body, "html.parser")
    return str(html.html.title)


def scrape_links(body: str, base_url="") -> list[str]:
    html = BeautifulSoup(body, "html.parser")

    return [
        str(base_url + link.attrs["href"]).split("?")[0]
        for link in html.find_all("a")
        if re.match("/questions/\d{5}", link.attrs.get("href", ""))
    ]


def scrape_tags(body: str) -> list[str]:
    html = BeautifulSoup(body, "html.parser")

    return sorted({
        str(list(link.children)[0])
        for link in html.find_all("a", class_="post-tag")
    })

# ---- Serial for-loopy code: get list of pages to download and scrape

url = SITE + "/questions/tagged/dask"
body = download(url)
urls = scrape_links(body, base_url=SITE)
print(urls[:5])
print("urls", len(urls))

# ---- Download and scrape

all_tags = []
titles = []

for url in urls:
    page = download(url)
    print(".", end="")
    tags = scrape_tags(page)
    title = scrape_title(page)

    all_tags.append(tags)
    titles.append(title)
print()

# ---- Analyze results

import collections

tag_counter = collections.defaultdict(int)

for tags in all_tags:
    for tag in tags:
        tag_counter[tag] += 1

print("serial tags", sorted(tag_counter.items(), key=lambda kv: kv[1], reverse=True)[:10])

# ---- Parallelize this code: solution

all_tags = []
titles = []

for url in urls:
    page = client.submit(download, url)
    tags = client.submit(scrape_tags, page)
    title = client.submit(scrape_title, page)

    all_tags.append(tags)
    titles.append(title)

all_tags = client.gather(all_tags)
titles = client.gather(titles)

import collections

tag_counter = collections.defaultdict(int)

for tags in all_tags:
    for tag in tags:
        tag_counter[tag] += 1

print("parallel tags", sorted(tag_counter.items(), key=lambda kv: kv[1], reverse=True)[:10])

# ---- Scale out

client.close()

client = Client(SCHEDULER)
print(client)

# Rerun your computation and see.

all_tags = []
titles = []

for url in urls:
    page = client.submit(download, url)
    tags = client.submit(scrape_tags, page)
    title = client.submit(scrape_title, page)

    all_tags.append(tags)
    titles.append(title)

all_tags = client.gather(all_tags)
titles = client.gather(titles)
print("again", len(titles), titles[0])

# ---- Evolving computations: sequential code to crawl

from collections import deque

urls = deque()
urls.append(SITE + "/questions/tagged/dask")  # seed with a single page

all_tags = []
titles = []
seen = set()
i = 0

while urls and i < 10:
    url = urls.popleft()

    # Don't scrape the same page twice
    if url in seen:
        continue
    else:
        seen.add(url)

    print(".", end="")
    i += 1

    # This is like before
    page = download(url)
    tags = scrape_tags(page)
    title = scrape_title(page)
    all_tags.append(tags)
    titles.append(title)

    # This is new!
    # We scrape links on this page, and add them to the list of URLs
    new_urls = scrape_links(page, base_url=SITE)
    urls.extend(new_urls)
print()
print("sequential crawl", len(titles))

# ---- Parallelize code to crawl: solution

from collections import deque
from dask.distributed import as_completed

urls = deque()
urls.append(SITE + "/questions/tagged/dask")  # seed with a single page

all_tags = []
titles = []
url_futures = as_completed()
seen = set()
i = 0

while urls or not url_futures.is_empty() and i < 1000:

    # If urls is empty,
    #   get the next future from url_futures
    #   collect those new url results to the local notebook
    #   and add those new urls to urls
    if not urls:
        future = url_futures.next()
        new_urls = future.result()
        urls.extend(new_urls)
        continue

    url = urls.popleft()

    if url in seen:
        continue
    else:
        seen.add(url)

    print(".", end="")
    i += 1

    # This is like before
    page = client.submit(download, url, delay=0.25)
    tags = client.submit(scrape_tags, page)
    title = client.submit(scrape_title, page)

    all_tags.append(tags)
    titles.append(title)

    # We scrape links on this page, and add them to the list of URLs
    new_urls = client.submit(scrape_links, page, base_url=SITE)
    url_futures.add(new_urls)
print()

# ---- Analyze results

titles = client.gather(titles)
print("crawled", len(titles))
print(titles[:20])

all_tags = client.gather(all_tags)

import collections

tag_counter = collections.defaultdict(int)

for tags in all_tags:
    for tag in tags:
        tag_counter[tag] += 1

print("crawled tags", sorted(tag_counter.items(), key=lambda kv: kv[1], reverse=True)[:20])

# ---- Clean up

client.close()
