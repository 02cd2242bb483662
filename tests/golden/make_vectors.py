"""Records what stock distributed writes: messages.json, pickles.json and shuffle_specs.json here.

    python tests/golden/make_vectors.py

Each message vector holds the bytes of a TCP stream in hex and, as JSON, what they say ("plain"):

    null, true, 1, 1.5, "text", [..]   as they are; {"real": "inf"} for numbers that JSON lacks
    {"bytes": "00ff"}                  bytes
    {"map": [[key, value], ...]}       a dict, in its order
    {"set": [..]}, {"enum": "m.C.x"}   sets and enums
    {"payload": kind, "frames": [[nbytes, crc32], ...], "pickle": plain or absent}
                                       an object beside the message: its frames when unpacked and
                                       whole, and what its pickle holds when that is plain data
"""

from __future__ import annotations

import enum
import json
import math
import operator
import pathlib
import pickle
import zlib

import dask
import distributed
import msgpack
import numpy
from dask._task_spec import Task
from distributed.comm.tcp import _add_frames_header
from distributed.core import Status, error_message
from distributed.protocol import dumps, pickle as dask_pickle
from distributed.protocol.serialize import Serialize, ToPickle, serialize
from distributed.worker_state_machine import (
    AddKeysMsg,
    LongRunningMsg,
    ReleaseWorkerDataMsg,
    RequestRefreshWhoHasMsg,
    RescheduleMsg,
    StealResponseMsg,
    TaskErredMsg,
    TaskFinishedMsg,
)

HERE = pathlib.Path(__file__).parent
ALICE = "tcp://10.0.0.1:34567"
BOB = "tcp://10.0.0.2:34567"
STIMULUS = "example-1731234567.1234567"


# ---- What a value says, as JSON ------------------------------------------------------------------


def is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(is_plain(k) and is_plain(v) for k, v in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return -(2**63) <= value < 2**64
    return value is None or type(value) in (bool, float, str, bytes, bytearray)


def rendered(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else {"real": repr(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, enum.Enum):
        return {"enum": f"{type(value).__module__}.{type(value).__name__}.{value.name}"}
    if isinstance(value, (set, frozenset)):
        return {"set": [rendered(item) for item in value]}
    if isinstance(value, (list, tuple)):
        return [rendered(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[rendered(k), rendered(v)] for k, v in value.items()]}
    if isinstance(value, (Serialize, ToPickle)):
        return payload(value)
    return value


def payload(value: Serialize | ToPickle) -> dict:
    if isinstance(value, ToPickle):
        frames: list = []
        pickled = dask_pickle.dumps(value.data, buffer_callback=lambda b: frames.append(b.raw()))
        out = {"payload": "pickled"}
    else:
        header, frames = serialize(value)
        pickled = frames[0] if header.get("serializer") == "pickle" else None
        out = {"payload": "serialized"}
    out["frames"] = [[memoryview(f).nbytes, zlib.crc32(f)] for f in frames]
    if pickled is not None and is_plain(value.data):
        out["pickle"] = rendered(value.data)
    return out


# ---- Messages ------------------------------------------------------------------------------------


def failure(exception: Exception) -> dict:
    """The error message of a task that raises it, without a trace of where this script lies."""
    code = compile("def task():\n    raise error\n", "example.py", "exec")
    scope = {"__name__": "example", "__file__": "example.py", "error": exception}
    exec(code, scope)
    try:
        scope["task"]()
    except Exception as e:
        distributed.core.get_traceback = lambda: e.__traceback__.tb_next
        return error_message(e.with_traceback(e.__traceback__.tb_next))
    raise AssertionError


def from_worker() -> dict[str, list[dict]]:
    startstops = [{"action": "compute", "start": 1731234567.125, "stop": 1731234567.5}]
    finished = TaskFinishedMsg(
        stimulus_id=STIMULUS,
        key="inc-0123456789abcdef0123456789abcdef",
        run_id=7,
        nbytes=28,
        type=dask_pickle.dumps(int),
        typename="int",
        metadata={},
        thread=140234567890123,
        startstops=startstops,
    )
    transfer = {"action": "transfer", "start": 1.5, "stop": 2.5, "source": BOB}
    erred = failure(ValueError("no such file"))
    large = failure(OSError(2, "No such file or directory", "data.csv"))
    messages = {
        "task-finished": [finished],
        "task-finished with tuple keys": [
            TaskFinishedMsg(
                stimulus_id=STIMULUS, key=("x", 0, 1.5, b"b"), run_id=1 << 40, nbytes=1 << 33,
                type=dask_pickle.dumps(dict), typename="dict", metadata={"rows": 5}, thread=None,
                startstops=[transfer, *startstops],
            )
        ],
        "task-erred": [
            TaskErredMsg(
                stimulus_id=STIMULUS, key="bad", run_id=8, exception=e["exception"],
                traceback=e["traceback"], exception_text=e["exception_text"],
                traceback_text=e["traceback_text"], thread=1, startstops=startstops,
            )
            for e in (erred, large)
        ],
        "releases": [
            ReleaseWorkerDataMsg(stimulus_id=STIMULUS, key="x"),
            RescheduleMsg(stimulus_id=STIMULUS, key="x"),
            LongRunningMsg(stimulus_id=STIMULUS, key="x", run_id=1, compute_duration=0.25),
            LongRunningMsg(stimulus_id=STIMULUS, key="x", run_id=1, compute_duration=None),
            AddKeysMsg(stimulus_id=STIMULUS, keys=["x", ("y", 1)]),
            RequestRefreshWhoHasMsg(stimulus_id=STIMULUS, keys=["x"]),
            StealResponseMsg(stimulus_id=STIMULUS, key="x", state="executing"),
            StealResponseMsg(stimulus_id=STIMULUS, key="x", state=None),
        ],
        "batch of many": [finished] * 20,
    }
    plain = {name: [m.to_dict() for m in batch] for name, batch in messages.items()}
    plain["worker others"] = [
        {"op": "keep-alive"},
        {"op": "log-event", "topic": ["all", ALICE], "msg": {"action": "test", "n": 1}},
        {"op": "worker-status-change", "status": Status.paused.name, "stimulus_id": STIMULUS},
        {"op": "close-stream"},
    ]
    return {f"from worker: {name}": batch for name, batch in plain.items()}


def to_worker() -> dict[str, list[dict]]:
    compute = {
        "op": "compute-task",
        "key": "y",
        "run_id": 3,
        "priority": (0, 1, 5),
        "stimulus_id": STIMULUS,
        "who_has": {"x": (ALICE, BOB), ("z", 0): (BOB,)},
        "nbytes": {"x": 28, ("z", 0): 1 << 35},
        "run_spec": ToPickle(Task("y", operator.neg, 1)),
        "resource_restrictions": {"GPU": 1.5},
        "actor": False,
        "annotations": {"retries": 3, "span": {"name": ("default",)}},
        "span_id": "0b4b1e0e-0000-4000-8000-000000000000",
    }
    others = [
        {"op": "free-keys", "keys": ["x", ("y", 1)], "stimulus_id": STIMULUS},
        {"op": "cancel-compute", "key": "x", "stimulus_id": STIMULUS},
        {"op": "acquire-replicas", "who_has": {"x": [ALICE]}, "nbytes": {"x": 5},
         "stimulus_id": STIMULUS},
        {"op": "remove-replicas", "keys": ["x"], "stimulus_id": STIMULUS},
        {"op": "refresh-who-has", "who_has": {"x": [], "y": [ALICE, BOB]},
         "stimulus_id": STIMULUS},
        {"op": "steal-request", "key": "x", "stimulus_id": STIMULUS},
        {"op": "worker-status-change", "status": "running", "stimulus_id": STIMULUS},
        {"op": "remove-worker", "worker": BOB, "stimulus_id": STIMULUS},
        {"op": "close", "reason": "scheduler-close"},
    ]
    pickled_data = ToPickle({"plain": [1, 2.5, None, b"bytes", ("tuple", {1})]})
    return {
        "to worker: compute-task": [compute],
        "to worker: compute-tasks": [{**compute, "key": f"y-{i}"} for i in range(5)],
        "to worker: run_spec with a buffer": [
            {**compute, "run_spec": ToPickle(numpy.arange(100))}
        ],
        "to worker: plain run_spec": [{**compute, "run_spec": pickled_data}],
        "to worker: others": others,
    }


def from_client() -> dict[str, list[dict]]:
    graph = {
        "op": "update-graph",
        "expr_ser": Serialize({"x": (operator.neg, 1)}),
        "keys": {"x"},
        "internal_priority": None,
        "submitting_task": None,
        "fifo_timeout": 0.1,
        "actors": False,
        "code": ToPickle(()),
        "annotations": ToPickle({"priority": 5, "workers": [ALICE]}),
        "span_metadata": ToPickle({}),
    }
    others = [
        {"op": "client-releases-keys", "keys": ["x"], "client": "Client-1"},
        {"op": "client-desires-keys", "keys": ["x", "y"], "client": "Client-1"},
        {"op": "cancel-keys", "keys": ["x"], "force": True, "reason": "tired", "msg": None},
        {"op": "report-key", "key": ("x", -1)},
        {"op": "heartbeat-client"},
        {"op": "subscribe-topic", "topic": "news", "client": "Client-1"},
        {"op": "unsubscribe-topic", "topic": "news", "client": "Client-1"},
        {"op": "close-client"},
        {"op": "close-stream"},
    ]
    return {"from client: update-graph": [graph], "from client: others": others}


def to_client() -> dict[str, list[dict]]:
    erred = failure(KeyError("missing"))
    return {
        "to client: key-in-memory": [
            {"op": "key-in-memory", "key": "x", "type": dask_pickle.dumps(int)},
            {"op": "key-in-memory", "key": "y", "workers": [ALICE, BOB]},
        ],
        "to client: task-erred": [
            {"op": "task-erred", "key": "x", "exception": erred["exception"],
             "traceback": erred["traceback"]}
        ],
        "to client: others": [
            {"op": "stream-start"},
            {"op": "lost-data", "key": "x"},
            {"op": "task-retried", "key": "x"},
            {"op": "cancelled-keys", "keys": ["x"], "reason": "tired", "msg": None},
            {"op": "event", "topic": "news", "event": [1731234567.5, {"a": 1}]},
            {"op": "adjust-heartbeat-interval", "interval": 0.5},
            {"op": "restart"},
            {"op": "close"},
        ],
    }


def requests() -> dict[str, object]:
    return {
        "handshake": {"compression": None, "python": (3, 11, 2), "pickle-protocol": 5},
        "handshake with compression": {
            "compression": "lz4", "python": (3, 11, 2), "pickle-protocol": 5},
        "register-client": {
            "op": "register-client", "client": "Client-1", "reply": False,
            "versions": {"host": {"python": "3.11"}, "packages": {"dask": None}}},
        "register-worker": {
            "op": "register-worker", "reply": False, "address": ALICE,
            "status": Status.running.name,
            "keys": (), "nbytes": {}, "nthreads": 2, "name": 0, "now": 1731234567.5,
            "resources": {}, "memory_limit": 1 << 34, "services": {}, "nanny": None,
            "metrics": {"cpu": 3.5, "memory": 0, "time": 1.0}, "types": {}, "pid": 1, "extra": {},
            "server_id": "Worker-1", "local_directory": "work", "stimulus_id": STIMULUS},
        "identity": {"op": "identity", "reply": True},
        "reply OK": "OK",
        "reply error": failure(TypeError("bad argument")),
        "gather": {"op": "gather", "keys": ["x", ("y", 1)], "reply": True},
        "get_data": {"op": "get_data", "keys": {"x"}, "who": BOB, "reply": True},
        "who_has": {"x": [ALICE, BOB], ("y", 1): []},
        "enums and sets": {
            "status": Status.running, "set": {5}, "none": set(), "nested": {("a", 1)}},
        "numbers": [0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**63 - 1, 2**63,
                    2**64 - 1, -1, -32, -33, -128, -129, -32768, -32769, -(2**31), -(2**31) - 1,
                    -(2**63), 0.0, -0.5, 1e300, math.inf, -math.inf, True, False, None],
        "texts": ["", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "\u00e9\u20ac\U0001f600", b"",
                  b"b" * 255, b"b" * 256],
        "lists": [list(range(15)), list(range(16)), {str(i): i for i in range(16)}, [[[[[]]]]], {}],
        "nested keys": {("x", ("y", (1, b"z"))): {"deep": ("a", ("b", ()))}},
    }


def data_replies() -> dict[str, tuple[object, dict]]:
    text = b"the same line again and again\n" * 700
    arrays = {
        "small": numpy.arange(8),
        "large": numpy.arange(400, dtype="f8"),  # 3200 bytes: four shards
        "strided": numpy.arange(900, dtype="i4").reshape(30, 30)[::2, ::3],
    }
    values = {"bytes": b"x" * 2500, "text": "plain", "list": [1, "two", {3.5}], "int": 5}

    def reply(data: dict) -> dict:
        return {"status": "OK", "data": {k: Serialize(v) for k, v in data.items()}}

    def packed(name: str) -> dict:
        return {"context": {"compression": name, "pickle-protocol": 5}}

    shards = {"frame_split_size": 1000}
    return {
        "get_data: arrays": (reply(arrays), shards),
        "get_data: plain": (reply(values), shards),
        "get_data: tuple keys": (reply({("x", 0): 1, ("x", 1): b"b"}), {}),
        "get_data: a list of arrays": (reply({"x": [numpy.arange(3), numpy.ones(200)]}), shards),
        **{
            f"get_data: {name}": (
                reply({"x": text, "y": "short", "z": numpy.zeros(2000)}), packed(name))
            for name in ("lz4", "zstd", "zlib")
        },
        "get_data: lz4 shards": (
            reply({"x": text * 2}), {"frame_split_size": 15000, **packed("lz4")}),
        "get_data: lz4 pickled": (
            [{"run_spec": ToPickle(numpy.zeros(2000))}],
            packed("lz4"),
        ),
        "scatter": (
            {"op": "scatter", "data": {"x": Serialize(5)}, "workers": None, "client": "c",
             "broadcast": False, "timeout": 30, "reply": True}, {}),
    }


def message_vectors() -> list[dict]:
    batches = {**from_worker(), **to_worker(), **from_client(), **to_client(), **requests()}
    messages = {name: (message, {}) for name, message in batches.items()} | data_replies()
    vectors = []
    for name, (message, options) in messages.items():
        frames = dumps(message, on_error="raise", **options)
        sent, _, _ = _add_frames_header(frames)
        vectors.append(
            {
                "name": name,
                "wire": b"".join(bytes(part) for part in sent).hex(),
                "frames": [memoryview(frame).nbytes for frame in frames],
                "plain": rendered(message),
            }
        )
    return vectors


# ---- Pickles -------------------------------------------------------------------------------------


def pickle_vectors() -> list[dict]:
    shared = ["shared"]
    values = {
        "constants": [None, True, False],
        "integers": [0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**40, -(2**40),
                     2**63 - 1, -(2**63), 2**63, 2**64 - 1],
        "reals": [0.0, -1.5, 1e300, 5e-324, math.inf, -math.inf],
        "text": ["", "plain", "\u00e9\n\\u\u20ac\U0001f600", "x" * 300],
        "bytes": [b"", b"\x00\xff\x80", b"b" * 300],
        "bytearray": bytearray(b"\x00\xff"),
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "list": list(range(-20, 300)),
        "dict": {"a": 1, ("b", 2): [3], 4: {"c": None}, 5.5: b"d"},
        "sets": [set(), {1}, frozenset({"x"})],
        "shared": [shared, shared, {"again": shared}],
        "empty": [[], {}, ()],
    }
    vectors = []
    for name, value in values.items():
        for protocol in range(6):
            vectors.append(
                {
                    "name": f"{name}, protocol {protocol}",
                    "pickle": pickle.dumps(value, protocol).hex(),
                    "plain": rendered(value),
                }
            )
    return vectors


def exception_vectors() -> list[dict]:
    # distributed installs tblib's way of pickling exceptions; a plain interpreter has its own.
    values = [ValueError("no such file"), KeyError("x", 1), RuntimeError(), OSError(2, "gone")]
    vectors = []
    for value in values:
        for protocol in range(6):
            # Protocols of Python 2 write the class that Python 2 had.
            known = OSError if protocol < 3 and isinstance(value, OSError) else type(value)
            plain = pickle_by_itself(value, protocol)
            tblib = pickle.dumps(value, protocol)
            for way, data in (("plain", plain), ("tblib", tblib)):
                vectors.append(
                    {
                        "name": f"{value!r}, protocol {protocol}, {way}",
                        "pickle": data.hex(),
                        "type": f"builtins.{known.__name__}",
                        "arguments": rendered(value.args),
                    }
                )
    return vectors


def pickle_by_itself(value: Exception, protocol: int) -> bytes:
    import copyreg
    import io

    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol)
    table = dict(copyreg.dispatch_table)
    table.pop(type(value), None)
    pickler.dispatch_table = table
    pickler.dump(value)
    return buffer.getvalue()


REFUSED = {
    "function": (len, "builtins.len"),
    "class": (dict, "builtins.dict"),
    "complex": (1j, "builtins.complex"),
    "range": (range(3), "builtins.range"),
}


def refused_vectors() -> list[dict]:
    return [
        {"name": f"{name}, protocol {p}", "pickle": pickle.dumps(value, p).hex(), "names": asked}
        for name, (value, asked) in REFUSED.items()
        for p in range(2, 6)
        if not (name == "range" and p < 3)  # "xrange" there
    ]


def shuffle_spec_vectors() -> list[dict]:
    import pandas
    from distributed.shuffle._rechunk import ArrayRechunkSpec
    from distributed.shuffle._shuffle import DataFrameShuffleSpec

    meta = pandas.DataFrame({"a": [1], "b": ["x"]}).iloc[:0]
    shuffle = {"npartitions": 3, "column": "a", "meta": meta, "drop_column": True}
    specs = [
        ArrayRechunkSpec(id="rechunk", disk=True, new=((2, 2), (4,)), old=((4,), (2, 2))),
        ArrayRechunkSpec(id="nothing", disk=False, new=((),), old=((),)),
        DataFrameShuffleSpec(id="shuffle", disk=False, parts_out=[0, 2], **shuffle),
        DataFrameShuffleSpec(id="whole", disk=True, parts_out=3, **shuffle),
    ]
    return [
        {
            "name": f"{type(spec).__name__} {spec.id}, protocol {p}",
            "pickle": pickle.dumps(spec, p).hex(),
        }
        for spec in specs
        for p in range(3, 6)
    ]


def write(name: str, content: dict) -> None:
    made = {
        "made_by": f"distributed {distributed.__version__}, dask {dask.__version__}, "
        f"msgpack {'.'.join(map(str, msgpack.version))}, numpy {numpy.__version__}",
        "command": "python tests/golden/make_vectors.py",
    }
    (HERE / name).write_text(json.dumps({**made, **content}, indent=0) + "\n")


def main() -> None:
    write("messages.json", {"messages": message_vectors()})
    write(
        "pickles.json",
        {
            "plain": pickle_vectors(),
            "exceptions": exception_vectors(),
            "refused": refused_vectors(),
        },
    )
    write("shuffle_specs.json", {"specs": shuffle_spec_vectors()})


if __name__ == "__main__":
    main()
