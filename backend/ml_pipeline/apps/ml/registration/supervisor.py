"""The supervisor of registrations: starts the disposable child, watches its steps and its time, takes its result.

It runs in the server and opens nothing that was sent.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ml_pipeline.apps.ml.bundles import Bundle
from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
from ml_pipeline.apps.ml.registration.submission import COMPILING, FileGiven, Registered, Submission, work_files
from ml_pipeline.errors import InvalidArtifact

logger = logging.getLogger(__name__)

MAX_RECORD_BYTES = 50_000_000
MAX_LINE_BYTES = 1_000_000
MAX_TRACE = 20_000
MAX_FILE_BYTES = 2_000_000_000
# Yields to predictions, which run in processes beside it.
NICE = 10
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class StepLimit:
    """How long a step may take: processor time, and time on the clock, both grow with the size of what came."""

    cpu_s: float
    clock_s: float
    s_a_megabyte: float = 0.0


# What only reads, and one single answer, must be quick: here an endless loop and a bomb end.
STEPS = {
    # The first time after an installation every module is compiled: 5 s of processor time, where later it is 2.
    "starting": StepLimit(60, 180),
    "opening the artifact": StepLimit(4, 40, 0.1),
    "reading the rows": StepLimit(4, 40, 0.5),
    "answering a first row": StepLimit(3, 30, 0.02),
}
LATER_STEP = StepLimit(120, 240)
TOTAL_CPU_S = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a registration made: the servable bundle, in the work folder, and what its record says."""

    bundle: Bundle
    registered: Registered


class ExaminationEnded(InvalidArtifact):
    """The process that examined it ended in the middle of `step`, or was ended there."""

    def __init__(self, message: str, step: str) -> None:
        super().__init__(message)
        self.step = step


def examined(submission: Submission, folder: Path, *, memory_bytes: int) -> Outcome:
    """The outcome of the submission, worked out in the empty folder `folder`. Raises InvalidArtifact with the reason.

    The child has no secret in its environment, no network where the system can deny it, and at most `memory_bytes`.
    Where a converter crashes or takes too long, a second child examines the model without compiling it.
    """
    try:
        return _attempt(submission, folder, memory_bytes)
    except ExaminationEnded as ended:
        if ended.step != COMPILING:
            raise
        logger.warning("%s Examined again, to be served as it came.", ended.message)
        again = folder / "again"
        again.mkdir()
        return _attempt(replace(submission, uncompilable=ended.message.rstrip(".")), again, memory_bytes)


def _attempt(submission: Submission, folder: Path, memory_bytes: int) -> Outcome:
    request, bundle_folder, record = work_files(folder)
    request.write_text(submission.to_json(), encoding="utf-8")
    allowed = Limits(memory_bytes=memory_bytes, cpu_s=TOTAL_CPU_S, file_bytes=MAX_FILE_BYTES, nice=NICE)
    with _child(folder, allowed) as (process, pipe):
        _watch(process, pipe, _size_bytes(submission) / 1e6)
    if not record.is_file() or record.stat().st_size > MAX_RECORD_BYTES:
        raise InvalidArtifact("The registration ended without a record.")
    registered = Registered.from_json(record.read_text(encoding="utf-8"))
    bundle = Bundle(bundle_folder)
    bundle.verify()
    return Outcome(bundle, registered)


@contextmanager
def _child(folder: Path, allowed: Limits) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    reading, writing = os.pipe()
    module = "ml_pipeline.apps.ml.registration.child"
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(folder), str(writing), json.dumps(asdict(allowed))],
            pass_fds=(writing,),
            # Its temporary files go with the folder. In a session of its own its niceness would count for nothing.
            env={**limits.environment(), "TMPDIR": str(folder)},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            # What a model prints could flood the server's log, or forge it.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        yield process, reading
    finally:
        os.close(reading)
        _end(process)


def _watch(process: subprocess.Popen[bytes], pipe: int, megabytes: float) -> None:
    step, limit = "starting", STEPS["starting"]
    begun, cpu_before = time.monotonic(), 0.0
    pending = b""
    # Unlike select it takes any descriptor: a busy server has thousands.
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    while True:
        if poller.poll(POLL_S * 1e3):
            piece = os.read(pipe, 65_536)
            if not piece:
                raise ExaminationEnded(_crash(process, step), step)
            *lines, pending = (pending + piece).split(b"\n")
            if len(pending) > MAX_LINE_BYTES:
                raise InvalidArtifact("The registration ended without a record.")
            for line in lines:
                fact = _fact(line)
                if fact.get("done"):
                    return
                if "refused" in fact:
                    _log_unforeseen(fact.get("traceback"))
                    raise InvalidArtifact(str(fact["refused"]), fact.get("details"))
                step = str(fact.get("step"))[:100]
                limit = STEPS.get(step, LATER_STEP)
                begun, cpu_before = time.monotonic(), _cpu_s(process.pid)
        more = limit.s_a_megabyte * megabytes
        if _cpu_s(process.pid) - cpu_before > limit.cpu_s + more:
            raise _too_long(step, f"{limit.cpu_s + more:.0f} seconds of processor time")
        if time.monotonic() - begun > limit.clock_s + 2 * more:
            raise _too_long(step, f"{limit.clock_s + 2 * more:.0f} seconds")


def _log_unforeseen(trace: object) -> None:
    if trace is not None:
        logger.warning("A registration failed as nobody foresaw: %s", str(trace)[:MAX_TRACE])


def _too_long(step: str, allowed: str) -> ExaminationEnded:
    return ExaminationEnded(f"It took too long while {step}: more than {allowed}.", step)


def _fact(line: bytes) -> dict[str, Any]:
    try:
        fact = json.loads(line)
    except ValueError:
        fact = None
    return fact if isinstance(fact, dict) else {"refused": "The registration ended without a record."}


def _crash(process: subprocess.Popen[bytes], step: str) -> str:
    try:
        code = process.wait(5)
    except subprocess.TimeoutExpired:
        return f"The process that examined it fell silent while {step}."
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    return f"The process that examined it {how} while {step}."


def _end(process: subprocess.Popen[bytes]) -> None:
    # The whole group: a model may have started processes of its own.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cpu_s(pid: int) -> float:
    # User and system time of the process; 0 where the system does not tell, and then the clock alone counts.
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def _size_bytes(submission: Submission) -> int:
    given = [one for one in (submission.artifact, submission.sample, submission.reference) if one is not None]
    return sum(_file_bytes(one) for one in given)


def _file_bytes(given: FileGiven) -> int:
    path = Path(given.path)
    return sum(one.stat().st_size for one in path.iterdir()) if path.is_dir() else path.stat().st_size
