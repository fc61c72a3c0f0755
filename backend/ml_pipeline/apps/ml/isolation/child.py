"""The child: one algorithm in a process forked from the template; it answers frame after frame."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ml_pipeline.apps.ml.isolation import frames, limits
from ml_pipeline.apps.ml.isolation.limits import Limits

if TYPE_CHECKING:
    from ml_pipeline.apps.ml.algorithm import Algorithm
    from ml_pipeline.apps.ml.isolation.frames import Frame

# The call number of the loading itself; predictions count from 1.
LOADING = 0


@dataclass(frozen=True, slots=True)
class Loading:
    """What a child loads: a bundle's folder and digest, the runtime, and the keys that may vouch for a joblib."""

    folder: str
    digest: str
    runtime: str
    trusted_keys: Sequence[str]


def live(owner: socket.socket, parent_pid: int) -> NoReturn:
    """Loads what the first frame on `owner` says, answers the others, and ends this process; never returns."""
    code = 1
    try:
        leave_home(owner)
        first = frames.received(owner).header
        limits.apply(Limits(**first["limits"]))
        # A parent that ended before the line above would never be missed.
        if os.getppid() == parent_pid:
            _serve(owner, Loading(**first["loading"]))
    except (EOFError, ConnectionError):
        code = 0
    finally:
        # Nothing of the template's may run at the end: its handlers, its buffers.
        os._exit(code)


def leave_home(owner: socket.socket) -> None:
    """In a process that was just forked: nothing is left of the template's descriptors but `owner`."""
    # A group of its own, so that what the model starts ends with it; not a session: niceness counts only within one.
    os.setpgid(0, 0)
    # What a model prints is dropped: it could flood a log, or forge it.
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, owner.fileno())
    os.closerange(owner.fileno() + 1, os.sysconf("SC_OPEN_MAX"))


def _serve(owner: socket.socket, loading: Loading) -> None:
    # The model may raise anything, and MemoryError is nothing special: what it wanted is given back by then.
    try:
        algorithm = _loaded(loading)
    except Exception as error:  # noqa: BLE001
        frames.send(owner, frames.of_error(LOADING, error))
        return
    frames.send(owner, frames.encoded({"call": LOADING}))
    while True:
        frames.send(owner, _answer(algorithm, frames.received(owner)))


def _answer(algorithm: Algorithm, request: Frame) -> bytes:
    call = request.header["call"]
    try:
        columns = frames.columns_of(request)
        rows = len(next(iter(columns.values()), ()))
        return frames.of_output(call, algorithm.predict(columns), rows)
    except Exception as error:  # noqa: BLE001
        return frames.of_error(call, error)


def _loaded(loading: Loading) -> Algorithm:
    from ml_pipeline.apps.ml import loader
    from ml_pipeline.apps.ml.bundles import Bundle

    bundle = Bundle(Path(loading.folder), loading.digest)
    return loader.load_native(bundle, loading.runtime, loading.trusted_keys)
