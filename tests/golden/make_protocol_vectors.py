"""Records the stream messages of a stock Dask cluster for src/rask/protocol/golden_test.cc.

Runs a scheduler, two workers and a client of stock distributed in this process over loopback TCP,
makes them say every message of their streams, and writes the frames of the first few batches that
hold each op to protocol_vectors.json. What a small cluster does not say by itself is built with the
stock message classes and encoded by the stock encoder.

    python make_protocol_vectors.py protocol_vectors.json
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys

import dask
import distributed
import distributed.comm.tcp
from distributed import Client, Reschedule, Scheduler, Worker
from distributed import worker_state_machine as wsm
from distributed.protocol.core import dumps

BATCH_BYTES_MAX = 8_000
BATCHES_PER_OP = 2
CLIENT_OPS = {
    "update-graph", "client-releases-keys", "client-desires-keys", "cancel-keys", "update-data",
    "report-key", "heartbeat-client", "close-client", "subscribe-topic", "unsubscribe-topic",
}
TO_CLIENT_OPS = {
    "key-in-memory", "cancelled-keys", "lost-data", "task-retried", "restart", "event", "error",
    "adjust-heartbeat-interval", "stream-start", "stream-closed",
}
TO_WORKER_OPS = {
    "compute-task", "free-keys", "cancel-compute", "acquire-replicas", "remove-replicas",
    "refresh-who-has", "steal-request", "remove-worker", "close",
}

recorded: list[tuple[str, list, list]] = []


def direction_of(batch) -> str | None:
    """Which stream a batch belongs to. Ops with one name in two directions: by their fields."""
    for msg in batch:
        op = msg.get("op") if isinstance(msg, dict) else None
        if op == "task-erred":
            return "from_worker" if "run_id" in msg else "to_client"
        if op == "worker-status-change":
            return "from_worker"
        if op in CLIENT_OPS:
            return "from_client"
        if op in TO_CLIENT_OPS:
            return "to_client"
        if op in TO_WORKER_OPS:
            return "to_worker"
    return "from_worker" if any(isinstance(m, dict) and "op" in m for m in batch) else None


def without_paths(frame) -> bytes:
    """Pickles name source files: the machine's own paths become blanks of the same length."""
    frame = bytes(frame)
    for path in (os.path.dirname(os.path.abspath(__file__)), sys.prefix, sys.base_prefix):
        frame = frame.replace(path.encode(), b"_" * len(path))
    return frame


def record(msg, frames) -> None:
    if isinstance(msg, (list, tuple)) and msg and direction_of(msg):
        recorded.append((direction_of(msg), [without_paths(f) for f in frames],
                         [m["op"] for m in msg]))


def hook_tcp() -> None:
    to_frames = distributed.comm.tcp.to_frames

    async def recording_to_frames(msg, *args, **kwargs):
        frames = await to_frames(msg, *args, **kwargs)
        record(msg, frames)
        return frames

    distributed.comm.tcp.to_frames = recording_to_frames


def inc(x):
    return x + 1


def add(x, y):
    return x + y


def fail(x):
    raise ValueError(f"no luck with {x}")


def slow(x, seconds=0.2):
    import time

    time.sleep(seconds)
    return x


def leave(x):
    distributed.secede()
    return x


def reschedule_once(x):
    if os.environ.pop("RESCHEDULE_ONCE", None):  # The workers live in this process.
        raise Reschedule
    return x


async def live(scheduler, client, first, second) -> None:
    """The life of a few tasks, and the odd things that can happen in it."""
    x = client.submit(inc, 1, key="inc-1")
    y = client.submit(inc, 2, key=("inc-chunk", 0, 1))
    z = client.submit(add, x, y, key="add-1", priority=3, retries=1, pure=False)
    assert await z == 5
    with dask.annotate(resources={"GPU": 1}, note="kept"):
        assert await client.submit(inc, 9, key="on-gpu") == 10
    await client.submit(leave, 1, key="leave-1")
    os.environ["RESCHEDULE_ONCE"] = "yes"
    await client.submit(reschedule_once, 1, key="again-1")
    bad = client.submit(fail, 3, key="fail-1")
    await bad.exception()
    await client.retry([bad])
    await bad.exception()

    client.subscribe_topic("news", lambda event: None)
    first.log_event("news", {"what": "hello", "n": 1})
    first.log_event(["news", "more"], [1, 2.5, None, "x"])
    await asyncio.sleep(0.1)
    client.unsubscribe_topic("news")
    await client.scatter({"scattered": 12}, direct=True)
    data = await client.scatter([1, 2, 3], direct=True, broadcast=True)
    await client.replicate([z], n=2)
    await client.replicate([z], n=1)
    held = client.submit(slow, 1, key="cancel-me")
    await asyncio.sleep(0.05)
    await client.cancel([held], reason="changed-mind", msg="not wanted")
    many = client.map(slow, range(16), key=[f"slow-{i}" for i in range(16)], workers=["first"],
                      allow_other_workers=True)
    await client.gather(many)
    del x, many, data
    scheduler.client_heartbeat(client=client.id)
    client._send_to_scheduler({"op": "heartbeat-client"})
    client._send_to_scheduler({"op": "report-key", "key": "no-such-key"})
    client._send_to_scheduler({"op": "client-desires-keys", "keys": [("inc-chunk", 0, 1)]})
    await asyncio.sleep(0.2)
    second.status = distributed.core.Status.paused
    await asyncio.sleep(0.1)
    second.status = distributed.core.Status.running
    await scheduler.retire_workers(names=["second"], close_workers=False, remove=True)
    await asyncio.sleep(0.2)


def synthesize() -> None:
    """Messages that only a cluster in trouble sends, by the stock classes and encoder."""
    built = {
        "from_worker": [
            wsm.RequestRefreshWhoHasMsg(keys=["a", ("b", 1)], stimulus_id="find-1").to_dict(),
            wsm.ReleaseWorkerDataMsg(key=("b", 1), stimulus_id="s-1").to_dict(),
            wsm.StealResponseMsg(key="a", state=None, stimulus_id="steal-0").to_dict(),
            wsm.StealResponseMsg(key="a", state="executing", stimulus_id="steal-1").to_dict(),
            wsm.LongRunningMsg(key="a", run_id=4, compute_duration=None, stimulus_id="s").to_dict(),
            wsm.AddKeysMsg(keys={"a"}, stimulus_id="s-2").to_dict(),
            {"op": "keep-alive"},
        ],
        "to_worker": [
            {"op": "refresh-who-has", "who_has": {("b", 1): ["tcp://h:1", "tcp://h:2"], "c": []},
             "stimulus_id": "s-3"},
            {"op": "acquire-replicas", "nbytes": {"a": 28, ("b", 1): 1 << 40},
             "who_has": {"a": ["tcp://h:1"], ("b", 1): ["tcp://h:2", "tcp://h:1"]},
             "stimulus_id": "s-3"},
            {"op": "cancel-compute", "key": "a", "stimulus_id": "s-4"},
            {"op": "steal-request", "key": ("b", 1), "stimulus_id": "steal-2"},
            {"op": "worker-status-change", "status": "closing_gracefully", "stimulus_id": "s-5"},
            {"op": "close", "reason": "scheduler-close"},
        ],
        "to_client": [
            {"op": "lost-data", "key": "a"},
            {"op": "restart"},
            {"op": "error", "exception": distributed.protocol.to_serialize(b"pickle")},
            {"op": "event", "topic": "t", "event": (1.5, {"a": [1]})},
            {"op": "adjust-heartbeat-interval", "interval": 5.0},
        ],
        "from_client": [
            {"op": "update-data", "who_has": {"s": ["tcp://h:1"]}, "nbytes": {"s": 28},
             "client": "c"},
            {"op": "close-client"},
        ],
    }
    for direction, batch in built.items():
        recorded.append((direction, [bytes(f) for f in dumps(batch)], [m["op"] for m in batch]))


def chosen() -> list[dict]:
    seen: dict[tuple[str, str], int] = {}
    out = []
    for direction, frames, ops in recorded:
        is_new = any(seen.get((direction, op), 0) < BATCHES_PER_OP for op in ops)
        if not is_new or sum(map(len, frames)) > BATCH_BYTES_MAX:
            continue
        for op in set(ops):
            seen[direction, op] = seen.get((direction, op), 0) + 1
        encoded = [base64.b16encode(f).decode().lower() for f in frames]
        out.append({"direction": direction, "ops": ops, "frames": encoded})
    return out


async def main(path: str) -> None:
    hook_tcp()
    with dask.config.set({"distributed.scheduler.work-stealing-interval": "20ms"}):
        async with (
            Scheduler(host="127.0.0.1", port=0, dashboard=False, validate=True) as scheduler,
            Worker(scheduler.address, name="first", nthreads=1, resources={"GPU": 2}) as first,
            Worker(scheduler.address, name="second", nthreads=1) as second,
            Client(scheduler.address, asynchronous=True) as client,
        ):
            await live(scheduler, client, first, second)
    synthesize()
    vectors = chosen()
    with open(path, "w") as file:
        file.write('{"distributed": "%s", "batches": [\n' % distributed.__version__)
        file.write(",\n".join(json.dumps(v) for v in vectors))
        file.write("\n]}\n")
    for direction in ("from_client", "to_client", "from_worker", "to_worker"):
        ops = {op for v in vectors if v["direction"] == direction for op in v["ops"]}
        print(direction, sorted(ops))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 60))
