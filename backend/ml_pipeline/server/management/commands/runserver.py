"""`runserver`: Django's development server, taught to read chunked bodies.

The stock server hands a chunked body to nobody, and what is left of it in the connection is taken for the next request.
"""

from __future__ import annotations

import io
import re
from http import HTTPStatus
from typing import Any

from django.core.management.commands import runserver
from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer

from ml_pipeline.apps.predictions.doors.heads import MAX_BODY_BYTES

MAX_TRAILERS = 100


class ChunkedRequestHandler(WSGIRequestHandler):
    """Decodes a chunked body and hands it on with its length."""

    def parse_request(self) -> bool:
        """Whether the head is good; a chunked body is then read already."""
        if not super().parse_request():
            return False
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            try:
                body = self._dechunked()
            except ValueError:
                self.close_connection = True
                self.send_error(HTTPStatus.BAD_REQUEST)
                return False
            del self.headers["Transfer-Encoding"], self.headers["Content-Length"]
            self.headers["Content-Length"] = str(len(body))
            self.rfile = io.BytesIO(body)
        return True

    def get_environ(self) -> dict[str, Any]:
        """The request's environment with its socket, and without the content type that wsgiref makes up."""
        environ: dict[str, Any] = super().get_environ()
        environ["ml_pipeline.socket"] = self.connection
        if self.headers.get("Content-Type") is None:
            environ["CONTENT_TYPE"] = ""
        return environ

    def handle_one_request(self) -> None:
        """One request; the connection's own stream is back afterwards."""
        stream = self.rfile
        try:
            super().handle_one_request()
        finally:
            self.rfile = stream

    def _dechunked(self) -> bytes:
        # One byte over the limit is enough for the door to refuse it; the rest stays unread and the connection ends.
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_BODY_BYTES:
                self.close_connection = True
                return bytes(MAX_BODY_BYTES + 1)
            body += self.rfile.read(size)
            self.rfile.readline(3)
        for _ in range(MAX_TRAILERS):
            if not self.rfile.readline(65_537).strip():
                return bytes(body)
        raise ValueError("too many trailers")

    def _chunk_size(self) -> int:
        digits = self.rfile.readline(1026).split(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
            raise ValueError("not a chunk's size")
        return int(digits, 16)


class ChunkedServer(WSGIServer):
    """Django's server with the handler above."""

    def __init__(self, address: Any, handler: Any, **kwargs: Any) -> None:
        super().__init__(address, ChunkedRequestHandler, **kwargs)


class Command(runserver.Command):
    """Django's `runserver` with ChunkedServer. Static files come from WhiteNoise."""

    server_cls = ChunkedServer
