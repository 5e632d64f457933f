"""What a reader finds on a page: its tables by caption, and its lists and paragraphs by the heading above them."""

from __future__ import annotations

from html.parser import HTMLParser

# Elements whose words are kept; the templates close all of them.
READ = {"caption", "li", "p", "td", "th"}


class ReadPage(HTMLParser):
    """A page as it is read: `tables` hold rows of cells without their heads, `said` lines below each heading's id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.said: dict[str, list[str]] = {}
        self._open: list[tuple[str, str | None, list[str]]] = []
        self._rows: list[list[str]] = []
        self._caption, self._heading = "", ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("h2", "h3") and values.get("id"):
            self._heading = values["id"] or ""
        elif tag in ("table", "tbody"):
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in READ:
            self._open.append((tag, values.get("data-value"), []))

    def handle_data(self, data: str) -> None:
        for _, _, parts in self._open:
            parts.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.tables[self._caption] = self._rows
        if not self._open or self._open[-1][0] != tag:
            return
        _, value, parts = self._open.pop()
        text = " ".join("".join(parts).split())
        if tag == "caption":
            self._caption = text
        elif tag in ("td", "th"):
            self._rows[-1].append(text if value is None else value)
        else:
            self.said.setdefault(self._heading, []).append(text)
