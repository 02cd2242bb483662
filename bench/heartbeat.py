"""Another client, which does nothing but live: it sends a heartbeat every 5 ms, whether the last
one has been answered or not. Each line that it reads it answers with one line of JSON: of each
heartbeat since the line before, when it was sent (seconds of the monotonic clock), how late, which
is the machine's part, and how long it waited for its answer.

    heartbeat.py ADDRESS"""
import json
import sys
import threading
import time
from collections import deque

from wire import Peer

INTERVAL_S = 0.005


class Heartbeats:
    def __init__(self, address):
        self.peer = Peer(address)
        self.pending = deque()  # (when sent, how late), answered in their order
        self.samples = []  # (when sent, how late, answered after)
        self.peer.send({"op": "register-client", "client": "bench-heartbeat", "reply": False,
                        "versions": {}})
        threading.Thread(target=self.listen, daemon=True).start()
        threading.Thread(target=self.beat, daemon=True).start()

    def beat(self):
        due = time.monotonic()
        while True:
            time.sleep(max(0, due - time.monotonic()))
            now = time.monotonic()
            self.pending.append((now, now - due))
            self.peer.send([{"op": "heartbeat-client"}])
            due = max(due + INTERVAL_S, now)

    def listen(self):
        while (messages := self.peer.receive()) is not None:
            now = time.monotonic()
            for message in messages:
                if message["op"] == "adjust-heartbeat-interval":
                    sent, late = self.pending.popleft()
                    self.samples.append((sent, late, now - sent))

    def take(self):
        """What was sent until now, when it has been answered."""
        until = time.monotonic()
        while self.pending and self.pending[0][0] < until:
            time.sleep(INTERVAL_S)
        samples, self.samples = self.samples, []
        return samples


def main(address):
    heartbeats = Heartbeats(address)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        print(json.dumps({"samples": heartbeats.take()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
