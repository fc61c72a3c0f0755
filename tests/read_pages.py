"""Pages of reports as they are read: texts, elements, tables; and whether one needs nothing but itself."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """A page that is read: its texts, elements in their order, tables by id or class, and what is not balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.problems: list[str] = []
        self.texts: list[str] = []
        # Exact values of the cells, a list for each row, by the table's id or class.
        self.tables: dict[str, list[list[str]]] = {}
        # What its columns are called, and how many cells each row has, the head's first.
        self.columns: dict[str, list[str]] = {}
        self.widths: dict[str, list[int]] = {}
        self._open: list[str] = []
        self._table = ""
        self.feed(html)
        self.close()
        self.problems += [f"{one} is not closed" for one in self._open]

    @property
    def text(self) -> str:
        """All that is read on it, but not its style."""
        return " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._table = given.get("id") or given.get("class") or ""
        elif tag == "tr":
            self.tables.setdefault(self._table, []).append([])
            self.widths.setdefault(self._table, []).append(0)
        elif tag in ("td", "th"):
            self.widths[self._table][-1] += int(given.get("colspan") or 1)
            if given.get("scope") == "col":
                self.columns.setdefault(self._table, []).append("")
        elif tag == "data":
            self.tables[self._table][-1].append(given["value"] or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"{tag} is closed out of turn")

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.texts.append(data)
        if "thead" in self._open and "th" in self._open:
            self.columns[self._table][-1] += data


def is_whole(html: str) -> None:
    """It is balanced, needs nothing but itself, runs nothing, and says of each chart what it shows."""
    page = Page(html)
    assert page.problems == []
    tags = [tag for tag, _ in page.elements]
    assert {name for name, widths in page.widths.items() if len(set(widths)) > 1} == set()
    assert not {"script", "link", "img", "iframe", "object", "embed", "form", "a", "use", "image"} & set(tags)
    assert "//" not in html
    assert not re.search(r"@import|url\(|expression", html)
    for tag, given in page.elements:
        assert not [
            name for name in given if name.startswith("on") or name in ("href", "src", "style", "xlink:href")
        ], tag
        if tag == "svg":
            ids = {one.get("id") for _, one in page.elements}
            assert set((given["aria-labelledby"] or "").split()) <= ids
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = [given["id"] for _, given in page.elements if "id" in given]
    assert len(ids) == len(set(ids))
