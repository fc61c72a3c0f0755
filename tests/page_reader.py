"""A real browser that reads the pages of reports, for tests that have one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = (400, 1_200)


class Reader:
    """A browser that opens pages and keeps what it complained of."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.complaints: list[str] = []

    def read(self, address: str, cookies: Any = (), **look: Any) -> str:
        """What is read at `address` at each width. Fails where something is wider than the window, or ran."""
        text = ""
        for width in WIDTHS:
            context = self._browser.new_context(viewport={"width": width, "height": 800}, **look)
            context.add_cookies(list(cookies))
            page = context.new_page()
            page.on("console", lambda message: self.complaints.append(message.text))
            page.goto(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
            assert page.evaluate("window.ran") is None
            # Of a chart something is seen.
            assert all(box.bounding_box()["height"] > 50 for box in page.locator("svg").all())
            text = page.inner_text("body")
            context.close()
        return text
