"""No regular expression of the package takes long for a long text made to mislead it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import time
from collections.abc import Iterator

import pytest

import ml_pipeline
from ml_pipeline.apps.endpoints import names
from ml_pipeline.rest import lists

LENGTH = 100_000
MOST_S = 0.05
PIECES = (
    "a",
    "0",
    " ",
    "-",
    "_",
    ".",
    "%",
    '"',
    "\\",
    "\n",
    "\x00",
    "é",
    "a0",
    "a-",
    "0.",
    "[a",
    "a=",
    "mlp_a",
    "[0m ",
)


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Every compiled pattern that a module of the package holds, under the module's name and its own."""
    for module in pkgutil.walk_packages(ml_pipeline.__path__, "ml_pipeline."):
        # The ways in start a server's threads, and hold no pattern.
        if ".migrations" in module.name or module.name.endswith((".__main__", ".asgi", ".wsgi")):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                yield f"{module.name}.{name}", value
    for name, text in {"name": names.PATTERN, "tag": names.TAG_PATTERN, "id": lists.ID_PATTERN}.items():
        yield name, re.compile(text)


FOUND = dict(patterns())


def test_the_patterns_are_found() -> None:
    assert {"ml_pipeline.wire.forms._BAD_ESCAPE", "ml_pipeline.apps.endpoints.api.waiting._NUMBER"} <= set(FOUND)


@pytest.mark.parametrize("pattern", FOUND.values(), ids=FOUND)
def test_a_long_text_is_searched_at_once(pattern: re.Pattern[str] | re.Pattern[bytes]) -> None:
    slow = {}
    for piece in PIECES:
        for end in ("", "!", "\n"):
            text = (piece * LENGTH)[:LENGTH] + end
            given = text.encode() if isinstance(pattern.pattern, bytes) else text
            for way in (pattern.search, pattern.fullmatch):
                begun = time.process_time()
                way(given)  # type: ignore[arg-type]  # of the pattern's own kind
                if (took_s := time.process_time() - begun) > MOST_S:
                    slow[piece, end, way.__name__] = took_s
    assert slow == {}
