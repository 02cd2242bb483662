"""Lets stock distributed load what rask wrote, and compares it with what stock itself wrote.

    python tests/golden/check_ours.py <file written by rask_golden_test>
"""

from __future__ import annotations

import json
import pathlib
import pickle
import sys

import distributed  # noqa: F401  (registers its serializers)
import numpy
from dask._task_spec import GraphNode
from distributed.protocol import loads
from distributed.protocol.utils import unpack_frames

HERE = pathlib.Path(__file__).parent


def loaded(wire: bytes) -> object:
    total = int.from_bytes(wire[:8], "little")
    count = int.from_bytes(wire[8:16], "little")
    lengths = [int.from_bytes(wire[16 + 8 * i : 24 + 8 * i], "little") for i in range(count)]
    assert len(wire) == 16 + 8 * count + sum(lengths), "the lengths are wrong"
    assert total <= len(wire) - 8, "the total is wrong"
    frames, missing = unpack_frames(wire[8 : 8 + total], partial=True)
    rest = wire[8 + total :]
    for length in missing:
        frames.append(rest[:length])
        rest = rest[length:]
    return loads(frames)


def comparable(value: object) -> object:
    """Something that == compares, with tuples as lists, as MessagePack has them."""
    if isinstance(value, numpy.ndarray):
        return ("array", value.dtype.str, value.shape, value.tolist())
    if isinstance(value, (list, tuple)):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return [(comparable(key), comparable(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return ("set", sorted(repr(comparable(item)) for item in value))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, (BaseException, GraphNode)):
        return repr(value)
    return value


def main() -> int:
    ours = json.loads(pathlib.Path(sys.argv[1]).read_text())
    messages = json.loads((HERE / "messages.json").read_text())["messages"]
    pickles = json.loads((HERE / "pickles.json").read_text())["plain"]
    wrong = 0

    def check(name: str, got: object, expected: object) -> None:
        nonlocal wrong
        if comparable(got) != comparable(expected):
            wrong += 1
            print(f"{name}\n  got      {got!r:.300}\n  expected {expected!r:.300}")

    stock = {m["name"]: loaded(bytes.fromhex(m["wire"])) for m in messages}
    for message in ours["messages"]:
        name = f"{message['name']}, {message['way']}"
        check(name, loaded(bytes.fromhex(message["wire"])), stock[message["name"]])
    stock = {p["name"]: pickle.loads(bytes.fromhex(p["pickle"])) for p in pickles}
    for ours_one in ours["pickles"]:
        got = pickle.loads(bytes.fromhex(ours_one["pickle"]))
        check(ours_one["name"], got, stock[ours_one["name"]])
    for exception in ours["exceptions"]:
        got = pickle.loads(bytes.fromhex(exception["pickle"]))
        check(exception["type"], [type(got).__name__, *got.args],
              [exception["type"], exception["text"]])
    specs = json.loads((HERE / "shuffle_specs.json").read_text())["specs"]
    stock = {s["name"]: pickle.loads(bytes.fromhex(s["pickle"])) for s in specs}
    for ours_one in ours["shuffles"]:
        run = loaded(bytes.fromhex(ours_one["wire"]))["run_spec"]
        spec = stock[ours_one["name"]]
        check(
            ours_one["name"],
            [type(run).__name__, run.run_id, run.id, repr(run.spec), run.worker_for, run.span_id],
            ["ShuffleRunSpec", 3, spec.id, repr(spec),
             {0: "tcp://a:1", (1, 256): "tcp://b:1", -2: "tcp://a:1"}, None],
        )
    checked = sum(map(len, ours.values()))
    print(f"{checked} checked, {wrong} wrong")
    return 1 if wrong or checked < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
