"""Streams: replies that are sent piece by piece, so that no server ever holds one whole."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from typing import IO, Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request

PIECE_BYTES = 200_000


def attachment(
    request: Request, pieces: Iterator[bytes], file_name: str, media_type: str, size_bytes: int | None = None
) -> HttpResponseBase:
    """The reply that sends `pieces` as a file of that name; to HEAD what it says of them alone.

    `pieces` are closed when they have been sent, or the client has gone. They ask the database for nothing: a client
    takes its time, and holds no connection to it meanwhile.
    """
    underlying: Any = request._request
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    if request.method == "HEAD":
        _close(pieces)
        reply: HttpResponseBase = HttpResponse(content_type=media_type)
    elif isinstance(underlying, ASGIRequest):
        # Django would take all of a plain iterator before it sends the first of it.
        reply = StreamingHttpResponse(_apart(pieces), content_type=media_type)
    else:
        reply = StreamingHttpResponse(pieces, content_type=media_type)
    disposition = content_disposition_header(as_attachment=True, filename=file_name)
    if disposition:
        reply.headers["Content-Disposition"] = disposition
    if size_bytes is not None:
        reply.headers["Content-Length"] = str(size_bytes)
    return reply


def of_file(file: IO[bytes]) -> Iterator[bytes]:
    """The rest of `file`, which is closed at its end."""
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


def gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """`lines` in pieces that are worth sending."""
    held = bytearray()
    try:
        for line in lines:
            held += line
            if len(held) >= PIECE_BYTES:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)
    finally:
        _close(lines)


async def _apart(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """`pieces`, each made in a thread: disks are slow, and the event loop is everybody's."""
    try:
        following = sync_to_async(functools.partial(next, pieces, None), thread_sensitive=False)
        while (piece := await following()) is not None:
            yield piece
    finally:
        _close(pieces)


def _close(pieces: Iterator[bytes]) -> None:
    if hasattr(pieces, "close"):
        # A client that went away may leave a thread that still reads; with that the last who knows of them is gone.
        with contextlib.suppress(ValueError):
            pieces.close()
