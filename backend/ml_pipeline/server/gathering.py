"""gunicorn's threads, each taken only by a request that is there: whoever sends a byte now and then waits without one.

    gunicorn ml_pipeline.server.wsgi:application --worker-class ml_pipeline.server.gathering.GatheringWorker --threads 8

gunicorn's own `gthread` reads headers and bodies in its threads, so that as many slow clients as it has threads stop
it. What is gathered here decides when a thread begins; what the request says is for gunicorn's parser alone.
"""

from __future__ import annotations

import contextlib
import errno
import re
import selectors
import socket
import struct
import time
from concurrent.futures import Future
from functools import partial
from typing import Any, Final

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

# Of the doors only what needs no Django, which is not set up when gunicorn loads this.
from ml_pipeline.apps.predictions.doors.heads import MAX_STRANGERS_BYTES
from ml_pipeline.apps.predictions.doors.paces import LEAST_BYTES_PER_S, SILENCE_S
from ml_pipeline.wire import log_lines

# A head of more is refused here, and by our doors a body of more from strangers. So only who has a key holds a thread
# with the rest of a large body, which the doors give up when it is slow.
MAX_HEAD_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = MAX_STRANGERS_BYTES
# A reply of which nothing is taken for so long is given up.
UNREAD_S: Final = 10
# How long a client may take to close after the connection's last reply.
LINGER_S: Final = 2.0
PIECE_BYTES: Final = 65_536
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(?:(\d+)[ \t]*)?\r\n", re.IGNORECASE)
# A length of more digits is more than anybody waits for.
_DIGITS: Final = 18
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_EXPECTS: Final = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_HEX: Final = b"0123456789abcdefABCDEF"


class Gathering:
    """The bytes of one request as they come in; `expects` once its client waits to be told to go on."""

    def __init__(self, now: float) -> None:
        """`now` is monotonic, in seconds."""
        self.heard = bytearray()
        self._begun = self._heard_at = now
        self.expects = False
        self._looked_at = 0
        self._body_at: int | None = None
        self._wanted: int | None = None

    def hear(self, piece: bytes, now: float) -> bool:
        """Whether the request is there, or so much of it that it is not waited for, `piece` included."""
        self.heard += piece
        self._heard_at = now
        if self._body_at is None:
            self._see_head()
        if self._body_at is None:
            return self.is_too_long
        # Of a large body the doors say at its head whether it may come.
        if max(len(self.heard), self._wanted or 0) > self._body_at + MAX_BODY_BYTES:
            return True
        return len(self.heard) >= self._wanted if self._wanted is not None else self._see_chunks()

    def is_late(self, now: float) -> bool:
        """Whether it is silent for too long, or too long on the way for what there can be of it."""
        body = 0
        if self._body_at is not None:
            body = MAX_BODY_BYTES if self._wanted is None else min(self._wanted - self._body_at, MAX_BODY_BYTES)
        return now > self._heard_at + SILENCE_S or now > self._begun + SILENCE_S + body / LEAST_BYTES_PER_S

    @property
    def is_too_long(self) -> bool:
        """Whether there is no end of its head within MAX_HEAD_BYTES."""
        return self._body_at is None and len(self.heard) > MAX_HEAD_BYTES

    @property
    def has_head(self) -> bool:
        """Whether only the body is not there."""
        return self._body_at is not None

    def _see_head(self) -> None:
        end = self.heard.find(b"\r\n\r\n", max(0, self._looked_at - 3))
        self._looked_at = len(self.heard)
        if end < 0:
            return
        self._body_at, head = end + 4, self.heard[: end + 4]
        if _CHUNKED.search(head):
            self._looked_at = self._body_at
        else:
            length = _LENGTH.search(head)
            digits = (length[1] if length else None) or b"0"
            self._wanted = self._body_at + int(digits.lstrip(b"0")[: _DIGITS + 1] or b"0")
        self.expects = _EXPECTS.search(head) is not None

    def _see_chunks(self) -> bool:
        # From chunk to chunk. What is none is for the parser to refuse.
        while (end := self.heard.find(b"\r\n", self._looked_at)) >= 0:
            size = bytes(self.heard[self._looked_at : end]).partition(b";")[0].rstrip(b" \t")
            if not size or size.strip(_HEX):
                return True
            if not size.strip(b"0"):
                return self.heard.find(b"\r\n\r\n", end) >= 0
            after = end + 2 + int(size, 16) + 2
            if after > len(self.heard):
                return False
            self._looked_at = after
        return False


class GatheringWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's `gthread`, whose threads begin with whole requests and whose loop waits for no client.

    Where gunicorn itself speaks TLS, HTTP/2 or the PROXY protocol, requests are read in its threads as ever.
    """

    @classmethod
    def setup(cls) -> None:
        """gunicorn's arbiter calls it before it says anything: its lines of the log are as ours, too."""
        log_lines.take_over()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cfg = self.cfg
        is_plain = cfg.http_protocols == ["h1"] and cfg.protocol == "http" and cfg.proxy_protocol == "off"
        self._gathers = is_plain and not cfg.is_ssl
        self._gatherings: dict[TConn, Gathering] = {}
        self._lingering: dict[TConn, float] = {}
        self._stopping_at: float | None = None
        # It waits for a client in a way of its own, without a limit.
        cfg.set("sendfile", False)

    def enqueue_req(self, conn: TConn) -> None:
        """A thread takes `conn` once its next request is there. Whatever makes a connection readable comes here."""
        if not self._gathers:
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.init()
            with contextlib.suppress(OSError):
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", UNREAD_S, 0))
        gathering = self._gatherings.pop(conn, None) or Gathering(time.monotonic())
        if not self._is_there(conn, gathering):
            self._gatherings[conn] = gathering
            self.pending_conns.append(conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))
        elif gathering.is_too_long:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders(f"more than {MAX_HEAD_BYTES:,} bytes"))
            self._linger(conn)
        else:
            self._hand_over(conn, gathering)

    def _is_there(self, conn: TConn, gathering: Gathering) -> bool:
        conn.sock.setblocking(False)
        # What came with the request before.
        piece = conn.parser.unreader.take_buffered()
        try:
            while not gathering.hear(piece, time.monotonic()):
                if gathering.expects:
                    gathering.expects = False
                    conn.sock.send(_CONTINUE)
                piece = conn.sock.recv(PIECE_BYTES)
                if not piece:
                    break
        except BlockingIOError:
            return False
        except OSError:
            pass
        # If it ended, the parser says how.
        return True

    def _hand_over(self, conn: TConn, gathering: Gathering) -> None:
        conn.parser.unreader.unread(bytes(gathering.heard))
        super().enqueue_req(conn)

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Whether the connection may be kept. A reply that is not taken ends it as one whose client has gone."""
        try:
            return bool(super().handle_request(req, conn))
        except BlockingIOError:
            raise BrokenPipeError(errno.EPIPE, "nothing of the reply was taken") from None

    def murder_pending(self) -> None:
        """Who takes too long is given up: without a head by closing, without a body by a refusal."""
        if not self._gathers:
            super().murder_pending()
            return
        now = time.monotonic()
        if not self.alive and self._stopping_at is None:
            self._stopping_at = now
        for conn, gathering in list(self._gatherings.items()):
            if not (gathering.is_late(now) or self._is_idle_at_the_end(gathering, now)):
                continue
            del self._gatherings[conn]
            self.pending_conns.remove(conn)
            self.poller.unregister(conn.sock)
            if gathering.has_head:
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)
                self._hand_over(conn, gathering)
            else:
                self._close(conn)
        for conn in [conn for conn, until in self._lingering.items() if now >= until]:
            self._let_go(conn)

    def _is_idle_at_the_end(self, gathering: Gathering, now: float) -> bool:
        # As long as a connection that was kept may its request be on the way.
        is_over = self._stopping_at is not None and now >= self._stopping_at + STOP_KEEPALIVE_LINGER
        return is_over and not gathering.heard

    def finish_request(self, conn: TConn, fs: Future[Any]) -> None:
        """After a reply that is the connection's last, its client is waited for by the loop.

        gunicorn waits for it in the loop itself, for two seconds, and for each such client everybody else with it.
        """
        is_last = fs.cancelled() or fs.exception() is not None or not fs.result()
        if self._gathers and is_last:
            self._linger(conn)
        else:
            super().finish_request(conn, fs)

    def _linger(self, conn: TConn) -> None:
        try:
            conn.sock.setblocking(False)
            # RFC 9112, 9.6: what is still on its way in, closed on at once, would take the reply with it.
            conn.sock.shutdown(socket.SHUT_WR)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._throw_away, conn))
        except (OSError, ValueError):
            self._close(conn)
        else:
            self._lingering[conn] = time.monotonic() + LINGER_S

    def _throw_away(self, conn: TConn, client: socket.socket) -> None:
        try:
            is_over = not client.recv(PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            is_over = True
        if is_over:
            self._let_go(conn)

    def _let_go(self, conn: TConn) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()
