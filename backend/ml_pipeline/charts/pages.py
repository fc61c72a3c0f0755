"""Pages: what all pages of reports have: their style, exact numbers behind shown ones, commands in sentences."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

_COMMAND = re.compile("`([^`]+)`")


class Cell(NamedTuple):
    """A number as the API has it, and as people read it."""

    value: float | None
    shown: str

    @property
    def exact(self) -> str:
        """The number, to the last bit."""
        return "" if self.value is None else repr(self.value)


@cache
def style() -> SafeString:
    """The style sheet, which is part of the page."""
    return mark_safe((Path(__file__).parent / "report.css").read_text(encoding="utf-8"))  # noqa: S308  (it is ours)


def marked(text: str) -> SafeString:
    """A sentence with its commands, between backticks, as such; all else is escaped."""
    return mark_safe(_COMMAND.sub(r"<code>\1</code>", escape(text)))  # noqa: S308  (it is escaped before)
