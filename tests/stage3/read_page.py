"""A page as tests read it."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

#: A name as a stranger may give it.
EVIL = "<img src=x onerror=alert(1)>"

_VOID = frozenset(("img", "meta", "link", "source", "br", "input"))


class Page(HTMLParser):
    """A written page: its tags, table rows, text, preformatted text; fails where tags don't match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.pre = ""
        self.raw = path.read_text(encoding="utf-8")
        self.feed(self.raw)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data
        self.pre += data if "pre" in self.open else ""
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data.strip()

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def row(self, name: str) -> list[str]:
        return next(row[1:] for row in self.rows if row[0] == name)
