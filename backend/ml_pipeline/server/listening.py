"""Running the ASGI server in this process until it is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
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


def serve(host: str, port: int) -> None:
    """Answers requests until SIGINT or SIGTERM; returns when what was under way is finished."""
    uvicorn.run(
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
