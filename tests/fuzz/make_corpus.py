"""Makes the kept inputs of the wire fuzz targets from the golden vectors.

python tests/fuzz/make_corpus.py
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden"
SIZE_MAX = 6000


def write(target: str, data: bytes) -> None:
    if len(data) > SIZE_MAX:
        return
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def root_of(wire: bytes) -> bytes:
    (count,) = struct.unpack_from("<Q", wire, 8)
    (size,) = struct.unpack_from("<Q", wire, 16)
    begin = 16 + 8 * count
    return wire[begin : begin + size]


def main() -> None:
    wires = [
        bytes.fromhex(vector["wire"])
        for vector in json.loads((GOLDEN / "messages.json").read_text())["messages"]
    ]
    for i, wire in enumerate(wires):
        write("wire_message", wire)
        write("wire_msgpack", root_of(wire))
        if len(wire) < 2000:
            write("wire_frames", bytes([7 * i % 256]) + wire + wires[i - 1][:500])
    pickles = json.loads((GOLDEN / "pickles.json").read_text())
    for part in ("plain", "exceptions", "refused"):
        for vector in pickles[part]:
            data = bytes.fromhex(vector["pickle"])
            if len(data) < 1200 and any(f"protocol {n}" in vector["name"] for n in (0, 2, 5)):
                write("wire_pickle", data)


if __name__ == "__main__":
    main()
