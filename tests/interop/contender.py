"""What contender.cc does, with Python's client."""
import os
import pathlib
import random
import sys
import time

from distributed import Client, Lock, Queue, Semaphore, Variable

SEATS = 3


def is_alive(pid):
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    return True


def pause_a_little():
    time.sleep(random.random() * 0.003)


class Contender:
    def __init__(self, name, folder):
        self.name = name
        self.folder = folder
        self.lock = Lock("contended")
        self.seats = Semaphore(SEATS, "seats")

    def complain(self, what):
        with open(self.folder / "violations", "a") as file:
            file.write(f"{self.name}: {what}\n")

    def hold_lock(self):
        with self.lock:
            held = self.folder / "held"
            try:
                os.close(os.open(held, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pid = held.read_text().strip()
                if is_alive(pid):
                    self.complain(f"the lock is held by {pid}")
            held.write_text(f"{os.getpid()}\n")
            pause_a_little()
            held.unlink()

    def take_seat(self):
        with self.seats:
            own = self.folder / f"seat-{os.getpid()}"
            own.touch()
            taken = sum(name.startswith("seat-") and is_alive(name[5:])
                        for name in os.listdir(self.folder))
            if taken > SEATS:
                self.complain(f"{taken} at a table of {SEATS}")
            pause_a_little()
            own.unlink()


def main():
    address, name, folder, seconds, role = sys.argv[1:]
    end = time.monotonic() + float(seconds)
    folder = pathlib.Path(folder)
    rounds = 0
    with Client(address), open(folder / f"{name}.put", "w") as put, \
            open(folder / f"{name}.got", "w") as got:
        contender = Contender(name, folder)
        queue, variable = Queue("items", maxsize=50), Variable("latest")
        while time.monotonic() < end:
            contender.hold_lock()
            contender.take_seat()
            if role == "trader":
                item = f"{name}-{rounds}"
                queue.put(item)
                print(item, file=put)
                print(queue.get(), file=got)
                variable.set(item)
                if "-" not in variable.get():
                    contender.complain("a strange value")
            rounds += 1
    print(rounds)


if __name__ == "__main__":
    main()
