"""A folder of HTML in the shape of a question site, served on loopback.

    python local_site.py FOLDER PORT     writes the pages to FOLDER and serves them until Ctrl-C
"""

import functools
import http.server
import pathlib
import sys
import threading

QUESTIONS = 50
TAGS = ["dask", "python", "pandas", "parallel-processing", "dataframe", "xarray", "numpy"]


def question_path(number: int) -> str:
    return f"/questions/{70000 + number}/question-{number}"


def tags_of(number: int) -> list[str]:
    return [tag for place, tag in enumerate(TAGS) if number % (place + 1) == 0]


def page(title: str, tags: list[str], links: list[str]) -> str:
    tag_links = "".join(f'<a class="post-tag" href="/questions/tagged/{t}">{t}</a>' for t in tags)
    others = "".join(f'<li><a href="{link}?noredirect=1">{link}</a></li>' for link in links)
    return (f"<html><head><title>{title}</title></head><body>{tag_links}<ul>{others}</ul>"
            '<a href="/help">Help</a><a>no address</a></body></html>')


def write_site(folder: pathlib.Path) -> None:
    """One page lists all questions; each question names two others."""
    for number in range(QUESTIONS):
        related = [question_path((number * 7 + step) % QUESTIONS) for step in (1, 2)]
        file = folder / question_path(number)[1:]
        file.parent.mkdir(parents=True)
        file.write_text(page(f"Question {number}", tags_of(number), related))
    tagged = folder / "questions/tagged/dask"
    tagged.parent.mkdir(parents=True)
    tagged.write_text(page("Questions tagged dask", [], [*map(question_path, range(QUESTIONS))]))


class Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = {"": "text/html; charset=utf-8"}

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # With the usual 5, one of many connections at once waits a second.


class LocalSite:
    def __init__(self, folder: pathlib.Path, port: int = 0) -> None:
        handler = functools.partial(Handler, directory=str(folder))
        self.server = Server(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


if __name__ == "__main__":
    write_site(pathlib.Path(sys.argv[1]))
    site = LocalSite(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
    print("Serving", site.url, flush=True)
    try:
        site.server.serve_forever()
    except KeyboardInterrupt:
        pass
