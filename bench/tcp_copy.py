"""How fast a plain TCP connection carries one object between two processes of this machine: the
limit for a transfer between workers. The receiver's memory is new each time, as a worker's is, and
in huge pages where the system has them: the best a copy can do. Reused memory is measured too."""
import mmap
import multiprocessing
import socket
import time


def _send(port, nbytes):
    payload = memoryview(b"\1" * nbytes)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        while peer.recv(1):
            peer.sendall(payload)


def new_memory(nbytes):
    memory = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class TcpCopy:
    """A process that sends `nbytes` for each byte that it is sent."""

    def __init__(self, nbytes):
        self.nbytes = nbytes

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.sender = multiprocessing.get_context("fork").Process(
                target=_send, args=(server.getsockname()[1], self.nbytes), daemon=True)
            self.sender.start()
            self.peer, _ = server.accept()
        return self

    def seconds(self, memory=None):
        """Of one copy, from the request to the last byte, into `memory` or into new memory."""
        begin = time.perf_counter()
        self.peer.sendall(b"x")
        memory = memory or new_memory(self.nbytes)
        view, done = memoryview(memory), 0
        while done < self.nbytes:
            done += self.peer.recv_into(view[done:])
        return time.perf_counter() - begin

    def __exit__(self, *_):
        self.peer.close()
        self.sender.join(10)
