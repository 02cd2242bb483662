"""Makes the kept inputs of the protocol fuzz targets (recorded batches and hand-made dense ones)
and of scheduler_lowering.

python tests/fuzz/make_protocol_corpus.py      (needs msgpack)
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import struct

import msgpack

HERE = pathlib.Path(__file__).parent
VECTORS = HERE.parent / "golden" / "protocol_vectors.json"
SIZE_MAX = 3000

PAYLOAD = {"__Serialized__": 1}
HEADER = msgpack.dumps({"serializer": "x", "num-sub-frames": 1})
ANNOTATIONS = [1, 2, ["w"], True, {"GPU": 1.5}, {"retries": 2}]
GRAPH_TASKS = [[[], 1], [[0, ["x"]], 2, ANNOTATIONS, 7], [[1], PAYLOAD, 0, 1]]
RUN_SPEC = ["rask", "inc", [1]]
TWO_DEPENDENCIES = ["b", "tcp://h:1", 28, ("c", 1), [0, "tcp://h:2"], 1]
STARTSTOPS = [["compute", 1.0, 2.0], ["transfer", 0.5, 1.0, "w"]]
DENSE = {
    "from_client": [
        [1, [["a", ("b", 1), "c"], GRAPH_TASKS], [0, 2, ["y"]], "parent", 0.5, True, "s"],
        [2, ["a", 5], "s"],
        [3, ["a"]],
        [4, ["a"], True, "why", "msg"],
        [5, ["a", ["tcp://h:1"]], ["a", 28]],
        [6, "a"],
        [7],
        [8],
        [9, "t"],
        [10, "t"],
        [11, ["t", "u"], {"n": PAYLOAD}],
    ],
    "to_client": [
        [32, "a", PAYLOAD, ["tcp://h:1", 0]],
        [33, "a", PAYLOAD, None],
        [34, ["a"], "why"],
        [35, "a"],
        [36, ("a", 1)],
        [37],
        [38, "t", [1.5, {"a": 1}]],
        [39, "text"],
        [40, 5.0],
        [41, {"warning": "w"}],
    ],
    "to_worker": [
        [64, "a", 7, [0, 1, 2], "s", TWO_DEPENDENCIES, RUN_SPEC, {"GPU": 1.0}, True, ANNOTATIONS]
        + ["span", 1e-6],
        [64, "b", 8, [0, 1, 3], None, [], PAYLOAD, None, False, 0],
        [65, ["a"], "s"],
        [66, "a"],
        [67, ["a", 0, 28]],
        [68, ["a"]],
        [69, ["a", ["tcp://h:1", 0]], "t"],
        [70, "a", "s"],
        [71, 5, "s"],
        [72, "tcp://h:1", "s"],
        [73, "why"],
    ],
    "from_worker": [
        [96, "a", 7, "s", 28, None, "int", {"k": 1}, 12345, STARTSTOPS],
        [97, "a", 7, None, PAYLOAD, None, "ValueError()", "tb", 1, []],
        [98, "a"],
        [99, "a", "s"],
        [100, "a", 1, 0.5, "s"],
        [101, ["a"], "s"],
        [102, ["a"]],
        [103, "a", "executing", "s"],
        [104, 4, "s"],
        [105],
        [11, ["t"], PAYLOAD],
    ],
}

PICKLED = msgpack.dumps({"pickled-obj": b"x", "num-sub-frames": 0, "compression": []})
RUN = {"__Pickled__": 1}
BARRIER = [b"spec", 2, [0, 0, [1, 2], 1]]
IN_SPAN = [0, 0, [], False, {}, {"span": {"name": ["a", "b"], "ids": ["1", "2"]}}]
FIELDS = {"submitting_task": None, "fifo_timeout": 60.0, "actors": []}
CONVERSATIONS = [
    [
        ["ready", {"packages": {"dask": "2026.8.0"}}],
        ["part", [["a", ("b", 0), 3], [[[], RUN, None, 0], [[["a"]], 7, ANNOTATIONS, 1]]]],
        ["part", [["c"], [[[["a"], [("b", 0)]], RUN, ANNOTATIONS, 2]]]],
    ],
    [
        ["part", [["a", ("b", 0)], [[[], RUN, None, 0], [[["a"]], 7, ANNOTATIONS, 1]]]],
        ["part", [["c"], [[[["a"], [("b", 0)]], RUN, ANNOTATIONS, 2]]]],
        ["slice", FIELDS | {"wanted": [2], "known": ["x"], "held": [0, 1], "release": []}],
        ["part", [["d"], [[[["a"], ["c"]], RUN, IN_SPAN, 3]]]],
        ["slice", FIELDS | {"wanted": [0], "known": [], "held": [], "release": ["a", ("b", 0)]}],
        ["done", {}],
    ],
    [
        ["part", [["a", "b"], [[[["b"]], RUN, IN_SPAN, 0], [[["a"]], 7, 0, 1]]]],
        ["slice", FIELDS | {"wanted": [0, 1], "known": ["a"], "actors": ["a"]}],
        ["part", [["a", "a"], [[[["a"]], RUN, None, 0], [[0], 7, None, -1]]]],
        ["slice", FIELDS | {"wanted": [0], "submitting_task": "b", "fifo_timeout": -1}],
    ],
    [
        ["part", [["t", "s"], [[[], RUN, None, 0], [[["t"]], 7, None, 1, BARRIER]]]],
        ["slice", FIELDS | {"wanted": [1]}],
        ["question", {"op": "who_has", "keys": ["t"]}],
        ["failed", {"status": "uncaught-error", "exception_text": "x"}],
    ],
]


def packed(root: bytes, others: list[bytes]) -> bytes:
    sizes = b"".join(struct.pack("<H", len(frame)) for frame in others)
    return bytes([len(others)]) + sizes + b"".join(others) + root


def keep(target: str, data: bytes) -> None:
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def write(direction: str, root: bytes, others: list[bytes]) -> None:
    data = packed(root, others)
    if len(others) <= 15 and len(data) <= SIZE_MAX:
        keep(f"protocol_{direction}", data)


def write_conversation(messages: list) -> None:
    parts = [packed(msgpack.dumps(message), [PICKLED]) for message in messages]
    said = [struct.pack("<H", len(part)) + part for part in parts]
    for end in range(1, len(said) + 1):
        keep("scheduler_lowering", b"".join(said[:end]))


def main() -> None:
    for batch in json.loads(VECTORS.read_text())["batches"]:
        frames = [bytes.fromhex(frame) for frame in batch["frames"]]
        write(batch["direction"], frames[0], frames[1:])
    for direction, messages in DENSE.items():
        for message in messages:
            write(direction, msgpack.dumps([message]), [HEADER, b"frame"])
        without_frames = [m for m in messages if "__Serialized__" not in repr(m)]
        write(direction, msgpack.dumps(without_frames), [])
    for messages in CONVERSATIONS:
        write_conversation(messages)


if __name__ == "__main__":
    main()
