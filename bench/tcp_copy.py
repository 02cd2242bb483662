"""How fast a plain TCP connection carries one object between two processes of this machine: the limit
for a transfer between workers. The receiver's memory is new each time, as a worker's is."""
import multiprocessing
import socket
import time


def _send(port, nbytes, copies):
    payload = memoryview(bytes(nbytes))
    with socket.create_connection(("127.0.0.1", port)) as peer:
        for _ in range(copies):
            if not peer.recv(1):
                return
            peer.sendall(payload)


def tcp_copy_seconds(nbytes, copies):
    """Seconds of each of `copies` copies, from the request to the last byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = multiprocessing.get_context("fork").Process(
            target=_send, args=(server.getsockname()[1], nbytes, copies), daemon=True)
        sender.start()
        peer, _ = server.accept()
        with peer:
            seconds = [_copy_once(peer, nbytes) for _ in range(copies)]
        sender.join(10)
    return seconds


def _copy_once(peer, nbytes):
    begin = time.perf_counter()
    peer.sendall(b"x")
    view, done = memoryview(bytearray(nbytes)), 0
    while done < nbytes:
        done += peer.recv_into(view[done:])
    return time.perf_counter() - begin
