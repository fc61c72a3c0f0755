"""Running the ASGI server in this process until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from django.conf import settings

from ml_pipeline.apps.predictions import assembly
from ml_pipeline.server import readers

# Between the signal and the end of listening: a load balancer that asks /readyz every other second has seen it twice.
DRAIN_S = 5.0
GRACEFUL_SHUTDOWN_S = 10

logger = logging.getLogger(__name__)


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
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None], drain_s: float) -> None:
        super().__init__(config)
        self._ready = ready
        self._drain_s = drain_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Whoever says it twice does not wait, whichever signal he takes.
        self.force_exit = self.should_exit
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # ASGI's own shutdown comes only when nobody listens any more, so nobody would see that we are not ready.
        assembly.exchange().service.resign()
        if self._drain_s:
            logger.info("Not ready any more; the end comes in %g s, or with a second signal.", self._drain_s)
        until = time.monotonic() + self._drain_s
        while time.monotonic() < until and not self.force_exit:
            await asyncio.sleep(0.1)
            await self.on_tick(0)
        await super().shutdown(sockets)


def serve(host: str, port: int, ready: Callable[[], None], *, drain_s: float = DRAIN_S) -> None:
    """Answers requests until SIGINT or SIGTERM, and calls `ready` once it does; returns when all is finished.

    After the signal it is not ready any more and answers for `drain_s` all the same, so that a load balancer sees it
    before nobody listens. A second signal stops it at once.
    """
    if not (readers.is_loopback(host) or settings.TLS):
        logger.warning("Passwords and keys come to %s in plain text. Put TLS in front and set ML_PIPELINE_TLS=1.", host)
    config = uvicorn.Config(
        "ml_pipeline.server.asgi:application",
        host=host,
        port=port,
        log_config=None,
        log_level="warning",
        access_log=False,
        lifespan="on",
        server_header=False,
        # By default it believes what anybody on this machine says about whom he speaks for; see `rest.addresses`.
        proxy_headers=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )
    _Server(config, ready, drain_s).run()


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
