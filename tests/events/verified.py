"""The code that docs/webhooks.md gives to whoever receives webhooks, as a module."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from homes import REPOSITORY

PAGE = REPOSITORY / "docs" / "webhooks.md"
_names: dict[str, Callable[..., None]] = {}
_section = PAGE.read_text(encoding="utf-8").partition("\n## Verify a signature\n")[2]
_code = re.search(r"^```python\n(.*?)^```$", _section, re.MULTILINE | re.DOTALL)
assert _code is not None
exec(_code[1], _names)


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
    """Raises ValueError where the signature is not valid at that time."""
    _names["verify"](secret, headers, body, now_s)
