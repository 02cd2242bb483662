"""What stock clients ask about a run, of a cluster with workers of both kinds."""

import html.parser
import os
import pathlib
import sys
import time

import pytest
from distributed import Client, get_task_stream, performance_report, progress
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

HERE = pathlib.Path(__file__).resolve()
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "python")]
from dask_rask import native  # noqa: E402
from stock_cluster import RASK_SCHEDULER, ROOT, Cluster, until  # noqa: E402

PROGRAM = ROOT / "build/release/bin/example_100_python"
TIMEOUT = 60
VOID = {"meta", "link", "br", "img"}


class Page(html.parser.HTMLParser):
    """Its elements, and the text of each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def count(self, tag):
        return sum(1 for found, _ in self.elements if found == tag)


def inc(x):
    return x + 1


def fail(x):
    raise ValueError(f"<b>{x}</b>")


def spin(seconds):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        pass


def work(seconds):  # Dask counts a sample for whom a function was called by.
    spin(seconds)


def block(size):
    return os.urandom(size)


@pytest.fixture(scope="module")
def cluster():
    # Workers import the functions of this file.
    with Cluster(RASK_SCHEDULER, workers=2, env={"PYTHONPATH": str(HERE.parent)}) as started:
        started.run_native_worker(PROGRAM)
        yield started


@pytest.fixture
def client(cluster):
    with Client(cluster.address) as client:
        client.wait_for_workers(3)
        yield client


def bandwidth_is_known(client):
    """Comes with the next heartbeat."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return any(worker["metrics"]["bandwidth"]["workers"] for worker in workers)


def test_performance_report(client, tmp_path):
    path = tmp_path / "report.html"
    stock = [address for address, one in client.scheduler_info(n_workers=-1)["workers"].items()
             if str(one["name"]).startswith("stock")]
    with performance_report(filename=str(path)):
        client.gather(client.map(inc, range(100)))
        assert client.gather(client.map(native("twice"), [float(i) for i in range(20)]))
        bad = client.submit(fail, 1, key="<script>alert(1)</script>")
        assert isinstance(bad.exception(timeout=TIMEOUT), ValueError)
        data = client.submit(block, 3_000_000, workers=stock[:1], pure=False)
        assert client.submit(len, data, workers=stock[1:]).result(TIMEOUT) == 3_000_000
        until(lambda: bandwidth_is_known(client), "a measured transfer")
    page = Page(path.read_text())
    texts = page.texts
    assert texts["title"][0] == "Dask Performance Report"
    summary = texts["li"]
    assert "number of tasks: 123" in summary
    assert "failed tasks: 1" in summary
    assert "Workers: 3" in summary
    for action in ("compute", "transfer"):
        assert any(line.startswith(f"{action} time: ") for line in summary)
    # The calling code, which names what it must not become.
    assert any('key="<script>alert(1)</script>"' in text for text in texts["pre"])
    assert page.count("script") == 1
    assert page.count("b") == 0
    assert "ValueError('<b>1</b>')" in "".join(texts["summary"])
    # The bars: each computed task, and the transfers.
    titles = texts["title"][1:]
    for prefix, count in {"inc: ": 100, "twice": 20, "erred: ": 1, "transfer-len: ": 1}.items():
        assert sum(1 for title in titles if title.startswith(prefix)) == count, prefix
    assert any(attributes.get("fill") == "black" for _, attributes in page.elements)
    # Between which workers and of which type: one row each.
    assert stock[0] in texts["td"] and "bytes" in texts["td"]
    assert page.count("polyline") == 4
    # Nothing is loaded from anywhere.
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe"}
        assert not {"src", "href", "xlink:href"} & set(attributes)


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                 "disable-background-networking", "disable-component-update", "disable-sync",
                 "no-first-run", "window-size=1400,900"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def shown(browser, selector):
    return [one for one in browser.find_elements("css selector", selector) if one.is_displayed()]


def shown_tabs(browser):
    return [one.get_attribute("data-title") for one in shown(browser, "section")]


def test_a_browser_shows_the_report(client, browser, tmp_path):
    path = tmp_path / "report.html"
    with performance_report(filename=str(path)):
        client.gather(client.map(inc, range(100)))
        bad = client.submit(fail, 1, key="<script>document.title = 'taken'</script>")
        bad.exception(timeout=TIMEOUT)
        client.submit(work, 1.5).result(TIMEOUT)
    browser.get(path.as_uri())
    assert browser.title == "Dask Performance Report"
    tabs = browser.find_elements("css selector", "nav button")
    assert [tab.text for tab in tabs][:3] == ["Summary", "Task Stream", "Failures"]
    # One tab at a time.
    assert shown_tabs(browser) == ["Summary"]
    for tab in tabs:
        tab.click()
        assert shown_tabs(browser) == [tab.text]
    tabs[1].click()
    bars = shown(browser, "svg.stream .bars rect")
    assert len(bars) >= 101
    assert all(bar.rect["height"] > 0 for bar in bars)
    # The wheel looks closer, two clicks bring all back.
    area = browser.find_element("css selector", "svg.stream .bars")
    whole = area.get_dom_attribute("viewBox")
    ActionChains(browser).scroll_from_origin(ScrollOrigin.from_element(area), 0, -100).perform()
    until(lambda: area.get_dom_attribute("viewBox") != whole, "a closer look")
    ActionChains(browser).double_click(area).perform()
    until(lambda: area.get_dom_attribute("viewBox") == whole, "the whole again")
    # The flame graph of the workers.
    profile, = (tab for tab in tabs if tab.text == "Worker Profile (compute)")
    profile.click()
    assert [one.text for one in shown(browser, "section.on svg text") if one.text == "work"]
    assert browser.get_log("browser") == []


def test_get_task_stream(client):
    with get_task_stream() as stream:
        futures = client.map(inc, range(1000, 1010))
        client.gather(futures)
        client.gather(client.map(native("twice"), [0.5, 1.5]))
    assert len(stream.data) == 12
    by_key = {record["key"]: record for record in stream.data}
    for future in futures:
        record = by_key[future.key]
        assert record["status"] == "OK"
        assert record["worker"] in client.scheduler_info(n_workers=-1)["workers"]
        assert record["startstops"][-1]["action"] == "compute"
        assert record["typename"] == "int"
    assert len(client.get_task_stream(count=2)) == 2
    assert not client.get_task_stream(start="0s")


def test_progress(client, capsys):
    progress(client.map(inc, range(2000, 2010)), notebook=False)
    assert "100% Completed" in capsys.readouterr().out
