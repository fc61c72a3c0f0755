"""`runserver`: Django's development server, taught to read chunked bodies.

The stock server hands a chunked body to nobody, and what is left of it in the connection is taken for the next request.
"""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import Any

from django.core.management.commands import runserver
from django.core.servers.basehttp import WSGIRequestHandler, WSGIServer

from ml_pipeline.apps.predictions.doors.exchange import MAX_BODY_BYTES


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
        """The request's environment, without the content type that wsgiref makes up where the client named none."""
        environ: dict[str, Any] = super().get_environ()
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
        while size := int(self.rfile.readline(1026).split(b";")[0], 16):
            if len(body) + size > MAX_BODY_BYTES:
                self.close_connection = True
                return bytes(MAX_BODY_BYTES + 1)
            body += self.rfile.read(size)
            self.rfile.readline(3)
        while self.rfile.readline(65_537).strip():
            pass
        return bytes(body)


class ChunkedServer(WSGIServer):
    """Django's server with the handler above."""

    def __init__(self, address: Any, handler: Any, **kwargs: Any) -> None:
        super().__init__(address, ChunkedRequestHandler, **kwargs)


class Command(runserver.Command):
    """Django's `runserver` with ChunkedServer. Static files come from WhiteNoise."""

    server_cls = ChunkedServer
