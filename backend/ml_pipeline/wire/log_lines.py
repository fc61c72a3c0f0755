"""Lines of the log: one JSON object each, whatever came in. Every process that writes to the log writes them.

Nobody can forge a line, nor send a terminal an order: all but printable ASCII is escaped. An API key that found its way
into a message is left out. Imports no Django.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

# Of a message, or of an exception with its traceback: what is longer loses its middle.
MAX_TEXT = 20_000
# As `accounts.keys` makes them.
_KEY = re.compile(r"mlp_[A-Za-z0-9_-]{43}")
# What was there before us and keeps a form of its own, where a server was started by its own command.
_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "gunicorn.access")
# What a line is about, where it is about one thing: in `extra`, as in `logger.error(…, extra={ABOUT: {…}})`.
ABOUT = "about"
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039  (never changed)


@contextlib.contextmanager
def about(**fields: str) -> Iterator[None]:
    """Lines that are written in the block, by this thread or task, have `fields`: `request_id`, or `job_kind` and such.

    A field must not be one that all lines have.
    """
    token = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def known(field: str) -> str | None:
    """What lines of this thread or task say in `field` now (see `about`)."""
    return _about.get().get(field)


def formatter() -> logging.Formatter:
    """What turns a record of Python's logging into a line: `time`, `level`, `logger`, `message`, also `exception`.

    A line that is about a request has its `request_id`, one of a background job `job_kind` and `job_subject`.
    """
    return structlog.stdlib.ProcessorFormatter(
        processors=[structlog.processors.format_exc_info, _fields, structlog.processors.JSONRenderer(), _printable]
    )


def take_over() -> None:
    """What servers, warnings and threads that fail write to the log is in lines of ours too, in this process."""
    ours = formatter()
    for name in _SERVERS:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(ours)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable


def _fields(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    fields = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _shown(str(event["event"])),
        **{name: _shown(str(value)) for name, value in {**_about.get(), **getattr(record, ABOUT, {})}.items()},
    }
    return fields if "exception" not in event else {**fields, "exception": _shown(event["exception"])}


def _shown(text: str) -> str:
    text = _KEY.sub("mlp_…", text)
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    return f"{text[:half]} … {len(text) - 2 * half:,} characters … {text[-half:]}"


def _printable(logger: WrappedLogger, method: str, line: Any) -> str:
    # The one control character that JSON leaves as it is.
    return str(line).replace("\x7f", "\\u007f")


def _log_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread else "unknown"
        error = failed.exc_value
        logging.getLogger(__name__).critical("the thread %s ended in a way nobody foresaw", name, exc_info=error)


def _log_unraisable(failed: Any) -> None:
    message = failed.err_msg or "an exception that nobody could catch"
    logging.getLogger(__name__).error("%s: %r", message, failed.object, exc_info=failed.exc_value)
