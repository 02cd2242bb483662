"""A worker that does nothing: it registers as a stock worker does and says of each task that it is
told to compute that it has finished. What a cluster of them takes is the scheduler's time.

    idle_worker.py SCHEDULER_FILE NAME

Nobody can fetch the results, since there are none."""
import json
import os
import pathlib
import pickle
import sys
import time

from wire import Peer

TYPE = pickle.dumps(int)


def registration(address, name):
    metrics = {"bandwidth": {"total": 1e8, "workers": {}, "types": {}}, "memory": 0, "cpu": 0,
               "digests_total_since_heartbeat": {}, "spilled_bytes": {"memory": 0, "disk": 0}}
    return {"op": "register-worker", "reply": False, "address": address, "status": "running",
            "nthreads": 1, "name": name, "now": time.time(), "resources": {}, "memory_limit": None,
            "local_directory": os.getcwd(), "services": {}, "nanny": None, "pid": os.getpid(),
            "versions": {}, "metrics": metrics, "extra": {}, "server_id": name,
            "stimulus_id": "idle-worker"}


def finished(message):
    return {"op": "task-finished", "key": message["key"], "run_id": message["run_id"],
            "nbytes": 28, "type": TYPE, "typename": "int", "metadata": {}, "thread": 0,
            "startstops": (), "status": "OK", "stimulus_id": "idle-worker"}


def too_late(message):
    """To a request to give a task away."""
    return {"op": "steal-response", "key": message["key"], "state": "memory",
            "stimulus_id": message["stimulus_id"]}


ANSWERS = {"compute-task": finished, "steal-request": too_late}


def main(scheduler_file, name):
    peer = Peer(json.loads(pathlib.Path(scheduler_file).read_text())["address"])
    peer.send(registration(peer.own_address(), name))
    peer.receive()
    while (messages := peer.receive()) is not None:
        answers = [ANSWERS[message["op"]](message) for message in messages
                   if message["op"] in ANSWERS]
        if answers:
            peer.send(answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
