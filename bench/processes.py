"""Clusters as processes on loopback, and what they cost: CPU time, memory, foreign load."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

START_TIMEOUT_S = 60
SCHEDULER_FILE = "scheduler.json"  # In the folder that is every process' working directory.


def cpu_seconds(pid):
    """User and system time of all threads of a process: utime + stime of /proc/<pid>/stat, read
    from the process' CPU clock because that file counts in steps of 10 ms."""
    with contextlib.suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def lowering_pids(scheduler):
    """The processes in which a native scheduler unpickles what Python clients send."""
    found = []
    for thread in pathlib.Path(f"/proc/{scheduler}/task").iterdir():
        with contextlib.suppress(OSError):  # It has just ended.
            found += [int(pid) for pid in (thread / "children").read_text().split()
                      if b"dask_rask.lower" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def machine_busy_seconds():
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def single_thread_workers(command, count, options=()):
    """Commands for the workers of a cluster."""
    return [[*command, "--scheduler-file", SCHEDULER_FILE, "--nthreads", "1", "--no-nanny",
             "--name", f"bench-{i}", "--local-directory", ".", *options] for i in range(count)]


class Cluster:
    """A scheduler, workers and a client that answers questions, each a process."""

    def __init__(self, name, scheduler, workers, client, environment=None):
        self.name = name
        self.commands = scheduler, workers, client
        self.environment = {**os.environ, **(environment or {})}
        self.processes = {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rask-bench-")
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def start(self):
        scheduler, workers, client = self.commands
        self.spawn("scheduler", [*scheduler, "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                                 "--scheduler-file", SCHEDULER_FILE])
        self.address = self.read_address()
        for i, worker in enumerate(workers):
            self.spawn(f"worker-{i}", worker)
        self.spawn_asked("client", client)
        return self

    def spawn(self, role, command, **options):
        folder = pathlib.Path(self.folder.name)
        with open(folder / f"{role}.log", "w") as log:
            self.processes[role] = subprocess.Popen(command, cwd=folder, env=self.environment,
                                                    stderr=log, **{"stdout": log, **options})

    def spawn_asked(self, role, command):
        """A process that gets the scheduler's address and answers lines with lines of JSON."""
        self.spawn(role, [*command, self.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                   text=True)
        self.read_answer(role)

    def read_address(self):
        info = pathlib.Path(self.folder.name) / SCHEDULER_FILE
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError):
                return json.loads(info.read_text())["address"]
            if self.processes["scheduler"].poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"{self.name}: no scheduler\n" + self.logs())

    def logs(self):
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}"
                         for path in sorted(pathlib.Path(self.folder.name).glob("*.log")))

    def read_answer(self, role):
        line = self.processes[role].stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the {role} ended\n" + self.logs())
        return json.loads(line)

    def talk(self, role, line):
        self.processes[role].stdin.write(line + "\n")
        self.processes[role].stdin.flush()
        return self.read_answer(role)

    def ask(self, question):
        """The client's answer, with the CPU seconds of each process and of everybody else."""
        cpu = self.cpu_seconds()
        busy, own, begin = machine_busy_seconds(), time.process_time(), time.monotonic()
        answer = self.talk("client", question)
        elapsed = time.monotonic() - begin
        answer["cpu"] = {role: seconds - cpu.get(role, 0)
                         for role, seconds in self.cpu_seconds().items()}
        ours = sum(answer["cpu"].values()) + time.process_time() - own
        foreign = machine_busy_seconds() - busy - ours
        answer["foreign_cores"] = max(0.0, foreign / elapsed) if elapsed > 0.05 else 0.0
        return answer

    def pids(self):
        """The processes of each role. A native scheduler with Python clients has "lowering"."""
        found = {role: [process.pid] for role, process in self.processes.items()}
        if lowering := lowering_pids(self.processes["scheduler"].pid):
            found["lowering"] = lowering
        return found

    def cpu_seconds(self):
        return {role: sum(map(cpu_seconds, pids)) for role, pids in self.pids().items()}

    def resident_bytes(self, role):
        return sum(memory_bytes(pid, "VmRSS") for pid in self.pids()[role])

    def peak_bytes(self, role):
        """Of resident memory, since the processes started."""
        return sum(memory_bytes(pid, "VmHWM") for pid in self.pids().get(role, ()))

    def __exit__(self, *_):
        processes = list(reversed(self.processes.values()))
        for process in processes:
            process.send_signal(signal.SIGKILL if process.stdin else signal.SIGTERM)
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.folder.cleanup()
