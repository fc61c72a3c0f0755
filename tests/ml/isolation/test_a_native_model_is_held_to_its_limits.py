"""A child may use so much memory and file space and no more, keeps its niceness, and inherits nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_models import LIMITS, columns

from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.runtime import IsolatedRuntime, RaisedInChild
from ml_pipeline.errors import AlgorithmFailed

Make = Callable[..., IsolatedRuntime]


def cause_of(runtime: IsolatedRuntime, order: str) -> str:
    with pytest.raises(AlgorithmFailed) as caught:
        runtime.predict(columns(order))
    assert isinstance(caught.value.__cause__, RaisedInChild)
    return str(caught.value.__cause__)


def test_one_that_hoards_memory_fails_and_goes_on(isolated: Make) -> None:
    runtime = isolated()
    pid = runtime.predict(columns("pid"))[0, 1]
    for _ in range(3):
        assert "MemoryError" in cause_of(runtime, "hog")
        assert runtime.predict(columns("pid"))[0, 1] == pid
    assert runtime.memory_bytes() < LIMITS.memory_bytes


def test_one_that_writes_too_large_a_file_fails_and_goes_on(isolated: Make, tmp_path: Path) -> None:
    runtime = isolated()
    assert "File too large" in cause_of(runtime, f"overwrite {tmp_path / 'large'}")
    assert (tmp_path / "large").stat().st_size <= LIMITS.file_bytes
    assert runtime.predict(columns("fine"))[0, 1] == 0.5


def test_it_leaves_no_core_gains_no_privileges_and_is_nice(isolated: Make) -> None:
    runtime = isolated()
    assert runtime.predict(columns("core"))[0, 1] == 0
    assert runtime.predict(columns("privileges"))[0, 1] == 1
    # Within one session: the scheduler weighs niceness only among a session's processes.
    assert runtime.predict(columns("nice"))[0, 1] == os.getpriority(os.PRIO_PROCESS, 0) + LIMITS.nice
    assert runtime.predict(columns("session"))[0, 1] == os.getsid(0)


def test_it_holds_its_own_socket_and_nothing_else(isolated: Make) -> None:
    with Path(__file__).open() as handle:
        os.set_inheritable(handle.fileno(), True)
        runtimes = [isolated() for _ in range(3)]
        for runtime in runtimes:
            assert runtime.predict(columns("descriptors"))[0, 1] == 4


def test_what_it_prints_goes_nowhere(isolated: Make, capfd: pytest.CaptureFixture[str]) -> None:
    assert isolated().predict(columns("chatter"))[0, 1] == 1.0
    assert "chatter" not in "".join(capfd.readouterr())


def test_template_and_child_have_no_secret_in_their_environment(isolated: Make) -> None:
    pid = int(isolated().predict(columns("pid"))[0, 1])
    parent = int(Path(f"/proc/{pid}/status").read_text().split("PPid:")[1].split()[0])
    assert "a-secret-that-no-child-may-see" in os.environ["ML_PIPELINE_SECRET_KEY"]
    for one in (pid, parent):
        environment = Path(f"/proc/{one}/environ").read_bytes()
        assert b"PATH=" in environment
        assert b"OPENBLAS_NUM_THREADS=1" in environment
        assert b"a-secret" not in environment
        assert b"ML_PIPELINE_" not in environment


def test_the_environment_is_an_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "LD_PRELOAD", "PYTHONSTARTUP", "LC_ALL"):
        monkeypatch.setenv(name, "some value")
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    environment = limits.environment()
    prefixed = {name for name in os.environ if name.startswith(limits.ALLOWED_PREFIXES)}
    assert set(environment) <= limits.ALLOWED | set(limits.FIXED) | prefixed
    assert (environment["LC_ALL"], environment["OMP_NUM_THREADS"]) == ("some value", "1")


LIMITED = """
import sys
from ml_pipeline.apps.ml.isolation import limits
from ml_pipeline.apps.ml.isolation.limits import Limits
limits.apply(Limits(memory_bytes=100_000_000, cpu_s=1, file_bytes=1000, nice=0))
{}
"""


@pytest.mark.parametrize(
    ("code", "ending"),
    [("print(len(bytes(50_000_000)))", 0), ("bytes(200_000_000)", 1), ("while True: pass", -24)],
    ids=["within", "memory", "processor time"],
)
def test_any_process_can_be_held_to_them(code: str, ending: int) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED.format(code)], check=False, capture_output=True, timeout=60)
    assert done.returncode == ending, done.stderr


CONNECTED = """
import socket
from ml_pipeline.apps.ml.isolation import limits
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname()).close()
denied = limits.deny_network()
try:
    socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5)
except OSError:
    print(denied, "cut off")
else:
    print(denied, "connected")
"""


def test_the_network_can_be_denied_and_it_says_whether_it_was() -> None:
    done = subprocess.run([sys.executable, "-c", CONNECTED], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in {"True cut off", "False connected"}
