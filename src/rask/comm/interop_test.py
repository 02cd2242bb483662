"""The stock side of interop_test.cc: `client FOLDER ADDRESS` or `server FOLDER ADDRESS`."""

import asyncio
import sys

import numpy
from distributed.comm import connect
from distributed.core import Server
from distributed.protocol import Serialize, to_serialize
from distributed.security import Security


def security(folder, address):
    if not address.startswith("tls"):
        return Security()
    pem = {"cert": f"{folder}/cert.pem", "key": f"{folder}/key.pem"}
    roles = {f"tls_{role}_{part}": pem[part] for role in ("client", "scheduler") for part in pem}
    return Security(tls_ca_file=pem["cert"], require_encryption=True, **roles)


def messages():
    yield {"op": "identity", "reply": True}
    yield "OK"
    yield {"nothing": None, "numbers": [1, -1, 2**40, 1.5], "bytes": b"\0\xff"}
    yield {"nested": {"a": {"b": [True, {}, []]}}}
    yield {"text": "ä" * 100_000}
    yield [{"op": "task-finished", "key": f"inc-{i}"} for i in range(10_000)]
    for size in (1, 10_000, 40_000_000, 90_000_000):
        yield {"data": to_serialize(numpy.arange(size, dtype="u1"))}
    yield {"data": [to_serialize(numpy.ones(1_000_000)) for _ in range(20)]}


def same(sent, got):
    if isinstance(sent, Serialize):
        return (sent.data == got).all()
    if isinstance(sent, dict):
        return sent.keys() == got.keys() and all(same(sent[k], got[k]) for k in sent)
    if isinstance(sent, list):
        return len(sent) == len(got) and all(map(same, sent, got))
    return sent == got


async def client(folder, address):
    args = security(folder, address).get_connection_args("client")
    comm = await connect(address, timeout=10, **args)
    for message in messages():
        await comm.write(message)
        got = await comm.read()
        assert same(message, got), message
    await comm.close()
    print("ok", flush=True)


async def echo(**fields):
    return fields


async def fail(**fields):
    raise ValueError("as you wished")


async def large(**fields):
    return {"data": to_serialize(numpy.zeros(200_000_001, dtype="u1"))}


async def server(folder, address):
    stock = Server({"echo": echo, "fail": fail, "large": large})
    await stock.listen(address, **security(folder, address).get_listen_args("scheduler"))
    print(stock.address, flush=True)
    await asyncio.sleep(50)


if __name__ == "__main__":
    asyncio.run({"client": client, "server": server}[sys.argv[1]](*sys.argv[2:]))
