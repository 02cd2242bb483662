"""A made-up web site on the loopback for tests of `rask crawl`, with everything that fails."""

import collections
import gzip
import http.server
import socket
import struct
import sys
import threading
import time

TAGS = ["alpha", "beta", "gamma", "delta", "two words"]


class Site:
    """Pages /p/0 … /p/<pages-1> form a tree; `extra` maps more paths to links from the first page.

    Counts the requests for each path and the most that ran at once; calls `on_request(count)`.
    """

    def __init__(self, pages=40, delay=0.0, robots=None, extra=(), on_request=None):
        self.pages, self.delay, self.robots, self.extra = pages, delay, robots, list(extra)
        self.on_request = on_request
        self.requests = collections.Counter()
        self.agents = set()
        self.at_once = self.at_once_max = 0
        self.lock = threading.Lock()
        self.released = threading.Event()  # Ends the requests that hang.
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = 1 << 16

            def log_message(self, *_):
                pass

            def do_GET(self):
                site.handle(self)

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 128  # A connection beyond it waits for a second: a timeout.

            def handle_error(self, request, client_address):
                # Crawlers that are killed or refuse a page cut connections, and so does /reset.
                if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError)):
                    super().handle_error(request, client_address)

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"

    def handle(self, request):
        with self.lock:
            self.requests[request.path] += 1
            self.agents.add(request.headers.get("User-Agent"))
            count = sum(self.requests.values())
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            if self.on_request:
                self.on_request(count)
            if self.delay:
                time.sleep(self.delay)  # A server takes its time: this is the site, not the test.
            self.answer(request)
        finally:
            with self.lock:
                self.at_once -= 1

    def answer(self, request):
        path = request.path
        if path == "/robots.txt":
            if self.robots is None:
                return self.send(request, 404, "no", "text/plain")
            return self.send(request, 200, self.robots, "text/plain")
        if path == "/":
            links = (["/p/0"] if self.pages else []) + self.extra
            return self.page(request, "Start", links, [])
        if path.startswith("/p/") and path[3:].isdigit() and int(path[3:]) < self.pages:
            number = int(path[3:])
            links = [f"/p/{n}#part" for n in (2 * number + 1, 2 * number + 2) if n < self.pages]
            tags = [TAGS[number % 5], TAGS[number % 3]]
            return self.page(request, f"Page {number}, of \"many\"", links + ["/", "../p/0"], tags)
        return self.special(request, path)

    def special(self, request, path):
        if path == "/500":
            return self.send(request, 500, "oops", "text/html")
        if path in ("/loop1", "/loop2"):
            return self.redirect(request, "/loop2" if path == "/loop1" else "/loop1")
        if path == "/moved":
            return self.redirect(request, "/new")
        if path == "/new":
            return self.page(request, "New", [], ["moved"])
        if path == "/home":
            return self.redirect(request, "/")
        if path.startswith("/away/"):
            return self.redirect(request, "http://127.0.0.1:" + path[len("/away/"):] + "/elsewhere")
        if path == "/elsewhere":
            return self.page(request, "Elsewhere", ["/secret"], [])
        if path == "/silent":
            return self.released.wait(30)
        if path == "/image.png":
            return self.send(request, 200, "PNG", "image/png")
        if path == "/huge":
            return self.send(request, 200, "x" * 3_000_000, "text/html")
        if path == "/gzip":
            return self.page(request, "Packed", [], ["packed"], packed=True)
        if path == "/latin1":
            body = "<title>Gr\u00fc\u00dfe</title>".encode("latin-1")
            return self.send(request, 200, body, "text/html; charset=iso-8859-1")
        if path == "/cut":
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                                b"Content-Length: 1000\r\n\r\n<title>Half")
            request.wfile.flush()
            request.close_connection = True
            return None
        if path == "/reset":
            request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                          struct.pack("ii", 1, 0))
            request.close_connection = True
            return request.connection.close()
        if path in ("/private/1", "/secret"):
            return self.page(request, "Private", [], [])
        return self.send(request, 404, "<title>gone</title>", "text/html")

    def page(self, request, title, links, tags, packed=False):
        body = "".join([f"<!doctype html><title>{title}</title><ul>",
                        *(f"<li><a class='tag' href='#{tag}'>{tag}</a>" for tag in tags),
                        "</ul>", *(f"<p><a href='{link}'>link</a>" for link in links)])
        self.send(request, 200, body, "text/html; charset=utf-8", packed)

    def redirect(self, request, location):
        self.send(request, 302, "moved", "text/html", location=location)

    def send(self, request, status, body, content_type, packed=False, location=None):
        body = body if isinstance(body, bytes) else body.encode()
        if packed:
            body = gzip.compress(body)
        request.send_response(status)
        request.send_header("Content-Type", content_type)
        if packed:
            request.send_header("Content-Encoding", "gzip")
        if location:
            request.send_header("Location", location)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        try:
            request.wfile.write(body)
        except ConnectionError:  # Too large for the crawler, or the crawler was killed.
            request.close_connection = True
