"""How results show themselves: as one short line, as text, and as a table in a notebook."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# A line of a terminal or two, and what one name or sentence may take of it.
_LONGEST, _LONGEST_PART = 240, 80
_MOST_NAMES = 8


@dataclass(frozen=True, repr=False)
class Table:
    """Rows under a head. Numbers stay numbers until they are shown.

    Attributes:
        head: names of the columns.
        rows: one cell for each column: text, a number, or None for an empty one.
        title: what it is a table of.

    Example:

    >>> print(Table(("layer", "MAdds"), [("stem", 1296), ("head", None)]))
    layer  MAdds
    stem   1,296
    head
    """

    head: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    title: str = ""

    def __str__(self) -> str:
        texts = [self.head, *([_text(cell) for cell in row] for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        numeric = self._numeric()
        lines = [
            "  ".join(
                text.rjust(width) if right else text.ljust(width)
                for text, width, right in zip(row, widths, numeric, strict=True)
            ).rstrip()
            for row in texts
        ]
        return "\n".join([self.title, *lines] if self.title else lines)

    def __repr__(self) -> str:
        return f"Table({shorten(', '.join(self.head))}: {len(self.rows)} rows)"

    def _repr_html_(self) -> str:
        sides = ["right" if right else "left" for right in self._numeric()]

        def row(kind: str, cells: Iterable[str]) -> str:
            parts = zip(cells, sides, strict=True)
            return "".join(
                f"<{kind} style='text-align:{side}'>{html.escape(text)}</{kind}>"
                for text, side in parts
            )

        caption = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        body = "".join(f"<tr>{row('td', map(_text, cells))}</tr>" for cells in self.rows)
        head = f"<thead><tr>{row('th', self.head)}</tr></thead>" if any(self.head) else ""
        return f"<table>{caption}{head}<tbody>{body}</tbody></table>"

    def csv(self) -> str:
        """As text with commas, numbers as they are."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.head)
        writer.writerows(self.rows)
        return text.getvalue()

    def _numeric(self) -> list[bool]:
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.head)
        return [
            all(cell is None or isinstance(cell, int | float) for cell in column)
            for column in columns
        ]


class Shown:
    """What a notebook shows as tables, `print` as text and a list of results as one short line.

    A subclass says `facts`, and `tables` where it has more than them.
    """

    def facts(self) -> list[tuple[str, str]]:
        """What it says in pairs of a name and a text; no name goes on with the line above."""
        raise NotImplementedError

    def tables(self) -> list[Table]:
        """What it holds of many of a kind."""
        return []

    def __repr__(self) -> str:
        parts = [
            f"{name}: {shorten(text)}" if name else shorten(text) for name, text in self.facts()
        ]
        return f"{type(self).__name__}({shorten(', '.join(parts), _LONGEST)})"

    def __str__(self) -> str:
        facts = self.facts()
        width = max((len(name) for name, _ in facts), default=0)
        lines = "\n".join(f"{name:{width}}  {text}".rstrip() for name, text in facts)
        return "\n\n".join([lines, *map(str, self.tables())] if facts else map(str, self.tables()))

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in self.facts()
        )
        tables = "".join(table._repr_html_() for table in self.tables())
        return (f"<table>{cells}</table>" if cells else "") + tables


def shorten(text: str, most: int = _LONGEST_PART) -> str:
    """A text of at most so many characters.

    Example:

    >>> shorten("one two three", 10)
    'one two...'
    """
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def some_of(names: Sequence[Any]) -> str:
    """The first of many names, and how many there are.

    Example:

    >>> some_of(["a", "b"]), some_of(range(1000))
    ('a, b', '0, 1, 2, 3, 4, 5, 6, 7, ... (1,000)')
    """
    shown = ", ".join(shorten(str(name), 30) for name in names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown}, ... ({len(names):,})"


def size_text(shape: Iterable[Any]) -> str:
    """A shape as people write it: "96 x 96 x 3"."""
    return " x ".join(map(str, shape))


def bytes_text(count: int) -> str:
    """A number of bytes for people: "29,712 bytes"."""
    return f"{count:,} bytes"


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool | str):
        return str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.1f}" if isinstance(cell, float) else str(cell)
