"""Dask's protocol as far as the stand-ins of the benchmark need it: plain messages over a blocking
socket. Nothing is unpickled, and a message costs next to nothing beside what a scheduler does."""
import socket
import struct
import sys

import msgpack


class Peer:
    """A connection to a scheduler."""

    def __init__(self, address):
        host, port = address.removeprefix("tcp://").rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.sock.makefile("rb", buffering=1 << 20)
        self.send({"compression": None, "python": sys.version_info[:3], "pickle-protocol": 5})
        self.receive()

    def own_address(self):
        return "tcp://{}:{}".format(*self.sock.getsockname())

    def send(self, message):
        frame = msgpack.packb(message)
        self.sock.sendall(struct.pack("<QQQ", 16 + len(frame), 1, len(frame)) + frame)

    def receive(self):
        """The next message, with a number where it holds something pickled; None at the end."""
        prelude = self.input.read(16)
        if len(prelude) < 16:
            return None
        _, count = struct.unpack("<QQ", prelude)
        lengths = struct.unpack(f"<{count}Q", self.input.read(8 * count))
        frames = [self.input.read(length) for length in lengths]
        return msgpack.unpackb(frames[0], use_list=False, strict_map_key=False)
