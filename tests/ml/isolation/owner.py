"""A serving process in small, run by tests that end or fork it: python owner.py MODE FOLDER DIGEST KEY."""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from hostile_models import LIMITS, columns

from ml_pipeline.apps.ml.isolation.child import Loading
from ml_pipeline.apps.ml.isolation.nursery import Nursery
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime


def pids(runtime: IsolatedRuntime) -> tuple[int, int]:
    """The pids of the child and of its template."""
    child = int(runtime.predict(columns("pid"))[0, 1])
    with open(f"/proc/{child}/status") as status:  # noqa: PTH123
        return child, int(status.read().split("PPid:")[1].split()[0])


def main() -> None:
    mode, folder, digest, key = sys.argv[1:]
    nursery = Nursery(LIMITS)
    loading = Loading(folder, digest, "sklearn", [key])
    runtime = IsolatedRuntime(nursery, loading, "sklearn", deadline_s=60, load_deadline_s=60)
    runtime.start()
    if mode == "fork":
        forked(runtime, nursery)
        return
    offspring = int(runtime.predict(columns("offspring"))[0, 1])
    family = [*pids(runtime), offspring]
    if mode.startswith("loop"):
        threading.Thread(target=lambda: runtime.predict(columns(mode)), daemon=True).start()
    print(json.dumps(family), flush=True)
    if mode == "close":
        runtime.close()
        nursery.close()
    if mode != "exit":
        time.sleep(60)


def forked(runtime: IsolatedRuntime, nursery: Nursery) -> None:
    """Prints what the forked process and this one saw, each before and after the other."""
    before = pids(runtime)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, json.dumps([pids(runtime), pids(runtime)]).encode())
        runtime.close()
        nursery.close()
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        theirs = json.load(pipe)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"before": before, "theirs": theirs, "after": pids(runtime), "status": status}), flush=True)
    runtime.close()
    nursery.close()


if __name__ == "__main__":
    main()
