"""A Dask RPC peer of the standard library alone: enough to ask a server something."""

import socket
import ssl
import struct


def pack(value):
    """MessagePack of None, bool, int, str, bytes, list, dict."""
    if value is None:
        return b"\xc0"
    if value is True or value is False:
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\xdb" + struct.pack(">I", len(data)) + data
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    if isinstance(value, dict):
        items = b"".join(pack(k) + pack(v) for k, v in value.items())
        return b"\xdf" + struct.pack(">I", len(value)) + items
    raise TypeError(type(value))


class Unpacker:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def items(self, n):
        return [self.value() for _ in range(n)]

    def pairs(self, n):
        return {k if not isinstance(k, list) else tuple(k): self.value()
                for k in (self.value() for _ in range(n))}

    def value(self):
        b = self.take(1)[0]
        if b < 0x80:
            return b
        if b < 0x90:
            return self.pairs(b & 15)
        if b < 0xA0:
            return self.items(b & 15)
        if b < 0xC0:
            return self.take(b & 31).decode()
        if b >= 0xE0:
            return b - 256
        numbers = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q",
                   0xD0: "b", 0xD1: "h", 0xD2: "i", 0xD3: "q"}
        if b in numbers:
            return self.number(numbers[b])
        if b in (0xC0, 0xC2, 0xC3):
            return {0xC0: None, 0xC2: False, 0xC3: True}[b]
        sizes = {0xD9: "B", 0xDA: "H", 0xDB: "I", 0xC4: "B", 0xC5: "H", 0xC6: "I",
                 0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
        n = self.number(sizes[b])
        if b in (0xD9, 0xDA, 0xDB):
            return self.take(n).decode()
        if b in (0xC4, 0xC5, 0xC6):
            return self.take(n)
        return self.items(n) if b in (0xDC, 0xDD) else self.pairs(n)


def write_message(sock, *frames):
    lengths = struct.pack(f"<{len(frames) + 1}Q", len(frames), *map(len, frames))
    body = lengths + b"".join(frames)
    sock.sendall(struct.pack("<Q", len(body)) + body)


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError("closed")
        data += more
    return data


def read_message(sock):
    (total,) = struct.unpack("<Q", read_exactly(sock, 8))
    body = read_exactly(sock, total)
    (count,) = struct.unpack_from("<Q", body)
    lengths = struct.unpack_from(f"<{count}Q", body, 8)
    frames, at = [], 8 * (count + 1)
    for length in lengths:
        frames.append(body[at : at + length])
        at += length
    return Unpacker(frames[0]).value() if frames else None


def tls_context(ca_file, cert=None, key=None):
    """As distributed's Security makes one: the CA decides, not the name in the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(ca_file)
    if cert:
        context.load_cert_chain(cert, key)
    return context


def connect(address, timeout=10, tls=None):
    """A socket to "tcp://host:port" or "tls://host:port" after the handshake."""
    host, port = address.split("://")[1].rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout)
    try:
        if tls:
            sock = tls.wrap_socket(sock)
        write_message(sock, pack({"compression": None, "python": [3, 11, 0], "pickle-protocol": 5}))
        read_message(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def ask(address, op, tls=None, **fields):
    """The reply of one request."""
    with connect(address, tls=tls) as sock:
        write_message(sock, pack({"op": op, "reply": True, **fields}))
        return read_message(sock)
