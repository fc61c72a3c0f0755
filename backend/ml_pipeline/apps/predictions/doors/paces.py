"""Paces: how long a body is waited for, so that a client who sends a byte now and then is given up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from ml_pipeline.errors import MalformedInput

# A client may be silent for so long, and has to send so much a second on the whole.
SILENCE_S = 10.0
LEAST_BYTES_PER_S = 1_000
# How often waits in threads are looked at.
LOOK_S = 0.5


def given_up() -> MalformedInput:
    """The refusal of a body that came too slowly."""
    return MalformedInput("The body did not come in time.")


class Wait:
    """A thread's wait for a piece of a body; `is_over` once it has lasted too long."""

    def __init__(self, connection: socket.socket, size_bytes: int) -> None:
        self.connection = connection
        self.until = time.monotonic() + SILENCE_S + size_bytes / LEAST_BYTES_PER_S
        self.is_over = False


class Watch:
    """Ends the waits of threads. A time-out of the socket would not do: every byte begins it anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: set[Wait] = set()
        self._thread: threading.Thread | None = None

    def begin(self, connection: socket.socket, size_bytes: int) -> Wait:
        """A wait for a piece of `size_bytes`. Who began it ends it."""
        wait = Wait(connection, size_bytes)
        with self._lock:
            self._waits.add(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="paces", daemon=True)
                self._thread.start()
        return wait

    def end(self, wait: Wait) -> None:
        """Its connection is left alone from now on."""
        with self._lock:
            self._waits.discard(wait)

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_S)
            now = time.monotonic()
            with self._lock:
                for wait in self._waits:
                    if now > wait.until and not wait.is_over:
                        wait.is_over = True
                        # The thread that reads finds the end of the stream; the reply can still go out. Past TLS,
                        # whose own `shutdown` would drop it.
                        with contextlib.suppress(OSError):
                            socket.socket.shutdown(wait.connection, socket.SHUT_RD)
