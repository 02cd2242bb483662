#!/usr/bin/env python3
"""`rask crawl` from the outside: pages, failures, formats, killed workers, Ctrl-C.

    crawl_test.py path/to/rask [names of tests]          or the program's path in RASK
"""

import collections
import csv
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from crawl_site import Site  # noqa: E402

RASK = os.environ.get("RASK", "build/rask")
TIMEOUT = 120
LOCAL = ["--workers", "2", "--threads", "4"]


def command(*args):
    return [RASK, "crawl", *map(str, args)]


def environment():
    return {**os.environ, "no_proxy": "127.0.0.1"}


def run(*args, expect=0):
    done = subprocess.run(command(*args), capture_output=True, text=True, timeout=TIMEOUT,
                          env=environment())
    if done.returncode != expect:
        raise AssertionError(f"exit code {done.returncode}, not {expect}:\n{done.stdout}\n"
                             f"{done.stderr}")
    return done


def read_json(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{**row, "status": int(row["status"]) if row["status"] else None,
                 "tags": json.loads(row["tags"]), "links": row["links"].split(),
                 "depth": int(row["depth"]), "elapsed": float(row["elapsed"]),
                 "error": row["error"] or None} for row in csv.DictReader(file)]


def read_sqlite(path):
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    rows = [dict(row) for row in database.execute("SELECT * FROM pages ORDER BY rowid")]
    database.close()
    return [{**row, "tags": json.loads(row["tags"]), "links": json.loads(row["links"])}
            for row in rows]


def without_times(rows):
    return [{name: value for name, value in row.items() if name != "elapsed"} for row in rows]


def tag_counts(rows):
    return collections.Counter(tag for row in rows for tag in row["tags"])


def children(pid):
    """The processes that `pid` has started: the workers."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name_and_rest = stat.read_text().rsplit(")", 1)
        except OSError:  # It has just ended.
            continue
        state, parent = name_and_rest[1].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(stat.parent.name))
    return sorted(found)


class CrawlTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def rows_of(self, *args, expect=0):
        out = self.path("rows.jsonl")
        run(*args, *LOCAL, "--output", out, expect=expect)
        return read_json(out)


class Pages(CrawlTest):
    def test_every_page_of_a_site_is_one_row(self):
        with Site(pages=60) as site:
            rows = self.rows_of(site.url(), "--count", "a.tag")
            self.assertEqual({row["url"] for row in rows},
                             {site.url("/")} | {site.url(f"/p/{n}") for n in range(60)})
            self.assertEqual(len(rows), 61)
            self.assertEqual(max(site.requests.values()), 1, "no page is fetched twice")
            by_url = {row["url"]: row for row in rows}
            page = by_url[site.url("/p/4")]
            self.assertEqual(page["title"], 'Page 4, of "many"')
            self.assertEqual(page["tags"], ["two words", "beta"])
            self.assertEqual(page["links"], [site.url("/p/4"), site.url("/p/9"), site.url("/p/10"),
                                             site.url("/"), site.url("/p/0")])
            self.assertEqual((page["depth"], page["status"], page["error"]), (3, 200, None))
            self.assertGreater(page["elapsed"], 0)
            self.assertEqual(tag_counts(rows)["alpha"], 12 + 20)

    def test_limit_depth_and_connections_are_kept(self):
        with Site(pages=100, delay=0.01) as site:
            rows = self.rows_of(site.url("/p/0"), "--limit", 10)
            self.assertEqual([row["url"] for row in rows[:3]],
                             [site.url("/p/0"), site.url("/p/1"), site.url("/p/2")])
            self.assertEqual(len(rows), 10)
        with Site(pages=100, delay=0.01) as site:
            rows = self.rows_of(site.url("/p/0"), "--depth", 2, "--connections-per-host", 3)
            # The home page too: every page leads to it.
            self.assertEqual(sorted(row["depth"] for row in rows), [0, 1, 1, 1, 2, 2, 2, 2])
            self.assertLessEqual(site.at_once_max, 3)

    def test_many_pages_are_read_at_once(self):
        with Site(pages=60, delay=0.05) as site:
            self.rows_of(site.url(), "--connections-per-host", 8)
            self.assertGreater(site.at_once_max, 4)
            self.assertLessEqual(site.at_once_max, 8)

    def test_robots_txt_is_obeyed(self):
        robots = "User-agent: *\nDisallow: /\n\nUser-agent: rask\nDisallow: /private/\n"
        with Site(pages=3, robots=robots, extra=["/private/1"]) as site:
            rows = self.rows_of(site.url())
            self.assertEqual(len(rows), 4)
            self.assertEqual(site.requests["/private/1"], 0)
            self.assertEqual(site.requests["/robots.txt"], 1)
            self.assertTrue(all(agent.startswith("rask/") for agent in site.agents))
            rows = self.rows_of(site.url(), "--user-agent", "other/1", expect=1)
            self.assertEqual(rows[0]["error"], "disallowed by robots.txt")

    def test_table_and_summary_are_printed(self):
        with Site(pages=10) as site:
            done = run(site.url(), *LOCAL, "--count", "a.tag")
            self.assertIn("Page 9, of", done.stdout)
            self.assertIn("11 pages, 0 failed", done.stdout)
            self.assertRegex(done.stdout, r"count +pages tag\n +\d+ +\d+ alpha")
            self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
            self.assertNotIn("\x1b", done.stdout + done.stderr)
            done = run(site.url(), *LOCAL, "--quiet")
            self.assertEqual(len(done.stdout.splitlines()), 1)
            self.assertEqual(done.stderr, "")


class Failures(CrawlTest):
    def test_what_fails_is_a_row_and_the_rest_goes_on(self):
        with Site(pages=1, extra=["/secret-of-the-other-site"]) as other:
            port = other.server.server_address[1]
            extra = ["/gone", "/500", "/loop1", "/moved", "/home", f"/away/{port}", "/silent",
                     "/image.png", "/huge", "/gzip", "/latin1", "/cut", "/reset"]
            with Site(pages=5, extra=extra) as site:
                rows = self.rows_of(site.url(), "--timeout", "700ms", "--max-bytes", "1MB",
                                    "--count", ".tag")
                self.check_failures(site, other, rows)

    def check_failures(self, site, other, rows):
        port = other.server.server_address[1]
        by_path = {row["url"][len(site.url("")):]: row for row in rows}
        errors = {path: row["error"] for path, row in by_path.items() if row["error"]}
        self.assertEqual(errors["/gone"], "HTTP 404")
        self.assertEqual(errors["/500"], "HTTP 500")
        self.assertEqual(errors["/loop1"], "redirect loop")
        self.assertEqual(errors["/home"], "redirects to a page already seen")
        self.assertIn("timed out", errors["/silent"])
        self.assertEqual(errors["/image.png"], "not HTML: image/png")
        self.assertIn("larger than", errors["/huge"])
        self.assertIn("remaining", errors["/cut"])
        self.assertTrue(errors["/reset"])
        self.assertEqual(len(errors), 9, errors)
        self.assertEqual(by_path["/gone"]["status"], 404)
        self.assertEqual(by_path["/moved"]["final_url"], site.url("/new"))
        self.assertEqual(by_path["/moved"]["tags"], ["moved"])
        self.assertEqual(by_path["/gzip"]["title"], "Packed")
        self.assertEqual(by_path["/latin1"]["title"], "Gr\u00fc\u00dfe")
        self.assertEqual(by_path[f"/away/{port}"]["final_url"], other.url("/elsewhere"))
        self.assertEqual(by_path[f"/away/{port}"]["title"], "Elsewhere")
        self.assertEqual(other.requests["/secret"], 0, "links of another site are not followed")
        self.assertEqual(len(rows), 1 + 5 + 13)

    def test_first_page_that_is_not_there_is_a_row_and_exit_code_1(self):
        with Site() as site:
            gone = site.url("/")
        rows = self.rows_of(gone, expect=1)
        self.assertEqual(len(rows), 1)
        self.assertIn("connect", rows[0]["error"])
        self.assertIsNone(rows[0]["status"])
        done = run(gone, *LOCAL, expect=1)
        self.assertIn(f"rask crawl: {gone}: ", done.stderr)

    def test_bad_arguments_are_refused_before_any_work(self):
        for args, word in [
                (["example.com"], "http://"),
                (["ftp://example.com/"], "http"),
                (["http://a/", "--output", self.path("x.xml")], ".sqlite"),
                (["http://a/", "--output", self.path("no/such/x.csv")], "--output"),
                (["http://a/", "--count", "a["], "selector"),
                (["http://a/", "--limit", "0"], "--limit"),
                (["http://a/", "--limit", "many"], "--limit"),
                (["http://a/", "--depth", "-1"], "--depth"),
                (["http://a/", "--timeout", "soon"], "--timeout"),
                (["http://a/", "--max-bytes", "much"], "--max-bytes"),
                (["http://a/", "--scheduler", "tcp://x:1", "--workers", "2"], "--scheduler"),
                (["http://a/", "--nonsense"], "--nonsense"),
                ([], "URL")]:
            with self.subTest(args=args):
                done = run(*args, expect=2)
                self.assertIn(word, done.stderr)
                self.assertEqual(done.stdout, "")


class Scheduler(CrawlTest):
    def start(self, *args):
        process = subprocess.Popen([RASK, *map(str, args)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env=environment())

        def stop():
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(15)

        self.addCleanup(stop)
        return process

    def wait_for(self, path):
        deadline = time.monotonic() + 30
        while not path.exists():
            self.assertLess(time.monotonic(), deadline, "the scheduler did not start")
            time.sleep(0.02)
        return json.loads(path.read_text())["address"]

    def test_crawl_runs_on_a_cluster_that_is_there(self):
        file = pathlib.Path(self.path("scheduler.json"))
        self.start("scheduler", "--host", "127.0.0.1", "--port", 0, "--scheduler-file", file)
        address = self.wait_for(file)
        self.start("worker", address, "--nthreads", 4, "--no-nanny")
        out = self.path("rows.jsonl")
        with Site(pages=30) as site:
            done = run(site.url(), "--scheduler", address, "--count", "a.tag", "--output", out)
            self.assertIn(address, done.stderr)
            rows = read_json(out)
            self.assertEqual(len(rows), 31)
            self.assertEqual([row["error"] for row in rows], [None] * 31)

    def test_scheduler_that_is_not_there_is_exit_code_1(self):
        with Site(pages=1) as site:
            gone = site.server.server_address[1]
        done = run("http://127.0.0.1:1/", "--scheduler", f"tcp://127.0.0.1:{gone}", expect=1)
        self.assertIn("rask crawl:", done.stderr)


class Outputs(CrawlTest):
    def test_all_formats_hold_the_same(self):
        results = []
        with Site(pages=20, extra=["/gone", "/gzip", "/latin1"]) as site:
            for name, read in [("a.jsonl", read_json), ("a.csv", read_csv),
                               ("a.sqlite", read_sqlite)]:
                run(site.url(), *LOCAL, "--count", "a.tag", "--output", self.path(name))
                results.append(without_times(read(self.path(name))))
        self.assertEqual(len(results[0]), 24)
        self.assertEqual(list(results[0][0]), ["url", "final_url", "status", "title", "tags",
                                               "links", "depth", "error"])
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    def test_file_that_was_there_is_replaced(self):
        out = pathlib.Path(self.path("a.csv"))
        out.write_text("old")
        with Site(pages=1) as site:
            run(site.url(), *LOCAL, "--output", out)
        self.assertEqual(len(read_csv(out)), 2)
        self.assertEqual([entry.name for entry in out.parent.iterdir()], ["a.csv"])


class Killed(CrawlTest):
    def crawl(self, site, name):
        out = self.path(name)
        process = subprocess.Popen(
            command(site.url(), "--workers", 4, "--threads", 2, "--count", "a.tag",
                    "--output", out),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment(),
            start_new_session=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process, out

    def finish(self, process, out, expect=0):
        output, _ = process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, expect, output)
        return read_json(out)

    def test_killing_workers_loses_nothing(self):
        with Site(pages=300, delay=0.02) as site:
            expected = self.finish(*self.crawl(site, "calm.jsonl"))
        self.assertEqual(len(expected), 301)
        killed = []

        # The site itself sees how far the crawl is, and strikes then.
        def kill_at(count):
            if count in (60, 150):
                victim = next(pid for pid in children(process.pid) if pid not in killed)
                killed.append(victim)
                os.kill(victim, signal.SIGKILL)

        with Site(pages=300, delay=0.02) as site:
            process, out = self.crawl(site, "struck.jsonl")
            site.on_request = kill_at
            rows = self.finish(process, out)
            port = site.url("")
        self.assertEqual(len(killed), 2)
        self.assertEqual(len(set(killed)), 2)

        def comparable(rows):
            base = rows[0]["url"]
            return json.loads(json.dumps(without_times(rows)).replace(base, "/"))

        self.assertTrue(rows[0]["url"].startswith(port))
        self.assertEqual(comparable(rows), comparable(expected))
        self.assertEqual(tag_counts(rows), tag_counts(expected))

    def test_ctrl_c_writes_what_there_is(self):
        # A terminal sends the signal to the workers too; `kill` sends it to the program alone.
        for to_all in (False, True):
            with self.subTest(to_all=to_all):
                self.check_interrupt(to_all)

    def check_interrupt(self, to_all):
        seen = []

        def interrupt_at(count):
            if count == 40:
                seen.append(count)
                (os.killpg if to_all else os.kill)(process.pid, signal.SIGINT)

        with Site(pages=2000, delay=0.05) as site:
            process, out = self.crawl(site, "part.jsonl")
            site.on_request = interrupt_at
            rows = self.finish(process, out, expect=130)
        self.assertEqual(seen, [40])
        self.assertGreater(len(rows), 10)
        self.assertLess(len(rows), 200)
        self.assertTrue(all(row["status"] == 200 for row in rows), rows)

    def test_no_process_is_left_behind(self):
        with Site(pages=30, delay=0.02) as site:
            process, out = self.crawl(site, "a.jsonl")
            started = set()
            site.on_request = lambda _: started.update(children(process.pid))
            self.finish(process, out)
        self.assertEqual(len(started), 4)
        deadline = time.monotonic() + 10
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in started):
            self.assertLess(time.monotonic(), deadline, "workers outlive the crawl")
            time.sleep(0.05)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        RASK = sys.argv.pop(1)
    unittest.main(verbosity=1)
