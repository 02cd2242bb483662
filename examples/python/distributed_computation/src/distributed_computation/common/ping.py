"""Shared ping logic: whether something accepts connections at `host:port`."""

import socket


def ping(host: str, timeout: float = 2.0) -> str:
    name, _, port = host.rpartition(":")
    try:
        with socket.create_connection((name, int(port)), timeout):
            return "up"
    except (OSError, ValueError):
        return "down"
