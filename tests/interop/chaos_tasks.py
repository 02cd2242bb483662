"""What tests of faults run on workers; and a proxy that cuts connections."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time

from dask.delayed import Delayed, delayed
from distributed import Event


def step(seconds: float, *values: int) -> int:
    """Takes its time, and tells all of its arguments in one number."""
    time.sleep(seconds)
    return hash(values) % 1_000_003


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pass_gate(name: str, value: int) -> int:
    Event(name).wait()
    return value


def random_graph(rng: random.Random, layers: int = 4, width: int = 20) -> list[Delayed]:
    """Layers of short tasks, each with up to three arguments of the layer above."""
    above: list[Delayed] = []
    nodes: list[Delayed] = []
    for layer in range(layers):
        here = []
        for number in range(width):
            of = rng.sample(above, min(len(above), rng.randint(1, 3)))
            name = f"chaos-{layer}-{number}-{rng.getrandbits(64)}"
            seconds = rng.uniform(0.005, 0.03)
            here.append(delayed(step)(seconds, layer, number, *of, dask_key_name=name))
        nodes += here
        above = here
    return nodes


class Proxy:
    """Passes what comes to `address` on to another address, and back. Use as a context."""

    def __init__(self, to: str) -> None:
        host, port = to.removeprefix("tcp://").rsplit(":", 1)
        self.target = (host, int(port))
        self.links: list[tuple[socket.socket, socket.socket]] = []
        self.held: list[socket.socket] = []

    def __enter__(self) -> Proxy:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        shut(self.listener)
        self.listener.close()
        self.cut()
        self.let_go()

    def cut(self, hold_far: bool = False) -> None:
        """Ends all connections; with `hold_far` who is behind the proxy does not notice yet."""
        links, self.links = self.links, []
        if hold_far:
            self.held += [far for _, far in links]
        for near, far in links:
            shut(near)
            if not hold_far:
                shut(far)

    def let_go(self) -> None:
        held, self.held = self.held, []
        for far in held:
            shut(far)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            self.links.append((near, far))
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass  # Cut in the middle.
        if sink not in self.held:
            shut(sink)


def shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # The other side was faster.
