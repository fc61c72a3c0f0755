"""Webhooks: one POST to a receiver, on a socket whose own address was checked.

The name is looked up once, each of its addresses is judged, and the connection is made to the judged number itself, so
that no second answer of a name server counts. Proxies of the environment are not asked, redirects not followed, and of
the answer only its head is read. A request takes TOTAL_S at most, whatever the other side does.
"""

from __future__ import annotations

import email.utils
import functools
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import httpcore
import httpx

from ml_pipeline import __version__
from ml_pipeline.apps.events import targets
from ml_pipeline.apps.events.outcomes import Outcome, Verdict
from ml_pipeline.apps.events.targets import Allowed, Target
from ml_pipeline.errors import InvalidInput

CONNECT_S: Final = 3.0
TOTAL_S: Final = 10.0
# What is read of an answer at most: its head.
MAX_ANSWER_BYTES: Final = 16_384
# Addresses of one name that are tried.
MOST_ADDRESSES: Final = 3
USER_AGENT: Final = f"ML_Pipeline/{__version__}"
# Not now; others are final answers to this one event.
_LATER: Final = frozenset({408, 425, 429})
_GONE: Final = 410

# Is given a name and a port, and says its addresses; raises OSError.
Resolve = Callable[[str, int], Iterable[str]]


class NotAllowed(Exception):
    """The name leads to no address that may be connected to."""


@functools.cache
def _authorities() -> ssl.SSLContext:
    # Those that httpx knows, or those of SSL_CERT_FILE. Read once: that takes longer than a delivery.
    return httpx.create_ssl_context()


def looked_up(host: str, port: int) -> list[str]:
    """The addresses that this machine knows `host` by."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(one[4][0]) for one in found]


class Sender:
    """Sends webhooks to what is public or `allowed`."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        resolve: Resolve = looked_up,
        tls: ssl.SSLContext | None = None,
        total_s: float = TOTAL_S,
    ) -> None:
        self._allowed, self._resolve, self._total_s = allowed, resolve, total_s
        self._tls = tls or _authorities()

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """What became of it."""
        try:
            return self._sent(targets.parsed(url), headers, body)
        except (NotAllowed, InvalidInput):
            return Outcome(Verdict.AWAY, error="Its address is not one that may be connected to.")
        except httpcore.ConnectTimeout:
            return Outcome(Verdict.AWAY, error="No connection was made in time.")
        except httpcore.TimeoutException:
            return Outcome(Verdict.AWAY, error=f"It did not answer within {self._total_s:g} s.")
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__ or error.__context__, ssl.SSLError):
                return Outcome(Verdict.AWAY, error="TLS failed: its certificate is not valid for its name, say.")
            return Outcome(Verdict.AWAY, error="No connection was made: nobody listens, or the name is not known.")
        except (httpcore.NetworkError, httpcore.ProtocolError):
            return Outcome(Verdict.AWAY, error="The connection broke, or what came is no answer of HTTP.")

    def _sent(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        until = time.monotonic() + self._total_s
        backend = _CheckedBackend(target, self._allowed, self._resolve, until)
        limits = {"connect": CONNECT_S, "read": self._total_s, "write": self._total_s, "pool": self._total_s}
        every = {
            "Host": target.authority,
            "User-Agent": USER_AGENT,
            "Content-Type": "application/json",
            "Connection": "close",
            **headers,
        }
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path)
        with (
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool,
            pool.stream(
                "POST", url, headers=list(every.items()), content=body, extensions={"timeout": limits}
            ) as response,
        ):
            answered = {name.lower(): value for name, value in response.headers}
            return judged(response.status, answered.get(b"retry-after"))


def judged(status: int, retry_after: bytes | None = None) -> Outcome:
    """What an answer with that status means."""
    if 200 <= status < 300:
        return Outcome(Verdict.DELIVERED, status)
    if status == _GONE:
        return Outcome(Verdict.GONE, status, "It said that it is gone (410).")
    if status in _LATER or status >= 500:
        return Outcome(Verdict.AWAY, status, f"It answered {status}.", _seconds(retry_after))
    if 300 <= status < 400:
        return Outcome(Verdict.REFUSED, status, f"It answered {status}: redirects are not followed.")
    return Outcome(Verdict.REFUSED, status, f"It answered {status}.")


def _seconds(retry_after: bytes | None) -> float | None:
    text = (retry_after or b"")[:100].decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError, IndexError):
        return None


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects to addresses that were judged, and to no others; all of it ends at `until`."""

    def __init__(self, target: Target, allowed: Allowed, resolve: Resolve, until: float) -> None:
        self._target, self._allowed, self._resolve, self._until = target, allowed, resolve, until
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first of the name's addresses that takes one. Raises NotAllowed."""
        addresses = [one for one in self._addresses(host, port) if self._may_reach(one)]
        if not addresses:
            raise NotAllowed
        for place, address in enumerate(addresses[:MOST_ADDRESSES], start=1):
            try:
                stream = self._sockets.connect_tcp(address, port, min(CONNECT_S, self._left_s()))
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == min(len(addresses), MOST_ADDRESSES):
                    raise
                continue
            peer = stream.get_extra_info("server_addr")
            if not peer or not self._may_reach(str(peer[0])):
                stream.close()
                raise NotAllowed
            return _Bounded(stream, self._until, [MAX_ANSWER_BYTES])
        raise NotAllowed

    def _may_reach(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return False
        return targets.may_reach(self._target, address, self._allowed)

    def _addresses(self, host: str, port: int) -> list[str]:
        # A look-up has no time limit of its own. Whoever is given up ends by himself.
        found: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        threading.Thread(target=_look_up, args=(self._resolve, host, port, found), daemon=True).start()
        try:
            addresses = found.get(timeout=min(CONNECT_S, self._left_s()))
        except queue.Empty:
            raise httpcore.ConnectTimeout from None
        if addresses is None:
            raise httpcore.ConnectError
        return addresses

    def _left_s(self) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise httpcore.ConnectTimeout
        return left_s


def _look_up(resolve: Resolve, host: str, port: int, found: queue.SimpleQueue[list[str] | None]) -> None:
    try:
        found.put(list(resolve(host, port)))
    except (OSError, UnicodeError):
        found.put(None)


class _Bounded(httpcore.NetworkStream):
    """A connection that ends at `until`, and gives no more than `left` bytes, the one entry of that list."""

    def __init__(self, stream: httpcore.NetworkStream, until: float, left: list[int]) -> None:
        self._stream, self._until, self._left = stream, until, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes. Raises ReadTimeout, and ReadError for too many."""
        if self._left[0] <= 0:
            raise httpcore.ReadError
        content = self._stream.read(min(max_bytes, self._left[0]), self._time(httpcore.ReadTimeout))
        self._left[0] -= len(content)
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """They are sent. Raises WriteTimeout."""
        self._stream.write(buffer, self._time(httpcore.WriteTimeout))

    def close(self) -> None:
        """The connection is no more."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection under TLS, whose certificate is of the name. Raises ConnectError."""
        within_s = self._time(httpcore.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, within_s), self._until, self._left)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)

    def _time(self, error: type[Exception]) -> float:
        left_s = self._until - time.monotonic()
        if left_s <= 0:
            raise error
        return left_s
