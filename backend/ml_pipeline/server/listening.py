"""Running the ASGI server in this process until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

GRACEFUL_SHUTDOWN_S = 10


class PortInUse(Exception):
    """Something else listens on the address already."""


def refuse_used_port(host: str, port: int) -> None:
    """Raises PortInUse when nothing can listen on `host`:`port`; told now, before anything is made."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUse(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with PORT=…") from None


def address(host: str, port: int) -> str:
    """Where a person on this machine reaches a server that listens on `host`:`port`."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def serve(host: str, port: int, ready: Callable[[], None]) -> None:
    """Answers requests until SIGINT or SIGTERM, and calls `ready` once it does; returns when all is finished."""
    config = uvicorn.Config(
        "ml_pipeline.server.asgi:application",
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
    _Server(config, ready).run()


@contextlib.contextmanager
def until_stopped() -> Iterator[None]:
    """SIGTERM stops the block like Ctrl-C, and either ends it quietly."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
