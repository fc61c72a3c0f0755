"""Channels: whole messages over a socket, to and from a process that may stop in the middle of one or send anything.

A message is its length in 8 bytes, then so many bytes. Nothing is taken beyond it, nor set aside for what has not come.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import deque

_LENGTH = struct.Struct("!Q")
_BLOCK_BYTES = 262_144


class BrokenMessage(Exception):
    """What came is no message, or a longer one than may come."""


class Channel:
    """One end of a socket pair; who sends more than `most_bytes` at once is not listened to."""

    def __init__(self, peer: socket.socket, most_bytes: int) -> None:
        peer.setblocking(False)
        self._peer = peer
        self._most_bytes = most_bytes
        self._length: int | None = None
        self._incoming = bytearray()
        self._outgoing: deque[memoryview] = deque()

    def fileno(self) -> int:
        """The socket's, to wait for."""
        return self._peer.fileno()

    @property
    def is_behind(self) -> bool:
        """Whether a message is still to be sent."""
        return bool(self._outgoing)

    def tell(self, content: bytes) -> None:
        """Sends what there is room for; the rest goes with `flush`. Raises OSError where the other end is closed."""
        self._outgoing += (memoryview(_LENGTH.pack(len(content))), memoryview(content))
        self.flush()

    def flush(self) -> None:
        """As `tell`, of what is left."""
        while self._outgoing:
            part = self._outgoing.popleft()
            try:
                sent = self._peer.send(part)
            except BlockingIOError:
                sent = 0
            if sent < len(part):
                self._outgoing.appendleft(part[sent:])
                return

    def heard(self) -> bytearray | None:
        """The message that has come by now, or None where it is not whole yet.

        Raises EOFError where the other end is closed, OSError where the connection broke, and BrokenMessage.
        """
        while True:
            wanted = _LENGTH.size if self._length is None else self._length
            if len(self._incoming) == wanted:
                content, self._incoming = self._incoming, bytearray()
                if self._length is not None:
                    self._length = None
                    return content
                (self._length,) = _LENGTH.unpack(content)
                if self._length > self._most_bytes:
                    raise BrokenMessage(f"a message of {self._length:,} bytes; {self._most_bytes:,} is the most")
                continue
            try:
                part = self._peer.recv(min(wanted - len(self._incoming), _BLOCK_BYTES))
            except BlockingIOError:
                return None
            if not part:
                raise EOFError("the other end is closed")
            self._incoming += part

    def send(self, content: bytes, until: float | None = None) -> None:
        """Returns when all is sent. Raises TimeoutError at `until` (monotonic seconds), and as `tell`."""
        self.tell(content)
        while self._outgoing:
            self._wait(select.POLLOUT, until)
            self.flush()

    def received(self, until: float | None = None) -> bytearray:
        """The next message. Raises TimeoutError if it is not whole by `until` (monotonic seconds), and as `heard`."""
        while (content := self.heard()) is None:
            self._wait(select.POLLIN, until)
        return content

    def _wait(self, event: int, until: float | None) -> None:
        left_s = None if until is None else until - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError("the time is over")
        poll = select.poll()
        poll.register(self._peer, event)
        poll.poll(None if left_s is None else left_s * 1_000)

    def close(self) -> None:
        """The socket is closed."""
        self._peer.close()
