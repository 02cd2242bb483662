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


def cpu_seconds(pid):
    """User and system time of all threads of a process: utime + stime of /proc/<pid>/stat, read
    from the process' CPU clock because that file counts in steps of 10 ms."""
    with contextlib.suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def machine_busy_seconds():
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


class Cluster:
    """One scheduler, two single-thread workers and a client that answers questions."""

    def __init__(self, name, scheduler, worker, client, worker_options=(), environment=None):
        self.name = name
        self.commands = scheduler, worker, client
        self.worker_options = worker_options
        self.environment = {**os.environ, **(environment or {})}
        self.processes = {}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="rask-bench-")
        try:
            return self.start(pathlib.Path(self.folder.name))
        except BaseException:
            self.__exit__()
            raise

    def start(self, folder):
        scheduler, worker, client = self.commands
        info = folder / "scheduler.json"
        self.spawn("scheduler", [*scheduler, "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
                                 "--scheduler-file", str(info)], folder)
        address = self.read_address(info)
        for i in range(2):
            self.spawn(f"worker-{i}", [*worker, address, "--nthreads", "1", "--no-nanny",
                                       "--name", f"bench-{i}", "--local-directory", str(folder),
                                       *self.worker_options], folder)
        self.spawn("client", [*client, address], folder,
                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read_answer()
        return self

    def spawn(self, role, command, folder, **options):
        log = open(folder / f"{role}.log", "w")
        options.setdefault("stdout", log)
        self.processes[role] = subprocess.Popen(command, stderr=log, cwd=folder,
                                                env=self.environment, **options)

    def read_address(self, info):
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

    def read_answer(self):
        line = self.processes["client"].stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name}: the client ended\n" + self.logs())
        return json.loads(line)

    def ask(self, question):
        """The client's answer, with the CPU seconds of each process and of everybody else."""
        cpu = {role: cpu_seconds(process.pid) for role, process in self.processes.items()}
        busy, own, begin = machine_busy_seconds(), time.process_time(), time.monotonic()
        client = self.processes["client"]
        client.stdin.write(question + "\n")
        client.stdin.flush()
        answer = self.read_answer()
        elapsed = time.monotonic() - begin
        answer["cpu"] = {role: cpu_seconds(process.pid) - cpu[role]
                         for role, process in self.processes.items()}
        ours = sum(answer["cpu"].values()) + time.process_time() - own
        foreign = machine_busy_seconds() - busy - ours
        answer["foreign_cores"] = max(0.0, foreign / elapsed) if elapsed > 0.05 else 0.0
        return answer

    def resident_bytes(self, role):
        return resident_bytes(self.processes[role].pid)

    def __exit__(self, *_):
        for role in ("client", "worker-0", "worker-1", "scheduler"):
            process = self.processes.get(role)
            if process is None:
                continue
            process.send_signal(signal.SIGKILL if role == "client" else signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.folder.cleanup()
