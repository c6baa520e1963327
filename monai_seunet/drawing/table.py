"""Tables as text, Markdown and CSV, with the best of every column marked."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_COLUMNS_PER_BLOCK = 9  # Table 1 of the SEUNet paper breaks its 17 scales and the mean in two


@dataclass(frozen=True)
class Table:
    """Numbers with named rows and columns.

    Attributes:
        corner: what the row names are.
        rows: row names.
        columns: column names.
        values: (len(rows), len(columns)); NaN stays empty.
        best: (len(rows), len(columns)) bool; marked cells.
        digits: digits behind the point, by column; 2 where nothing is said.
    """

    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    best: np.ndarray
    digits: Mapping[str, int] = field(default_factory=dict)

    def with_column(self, name: str, values: Mapping[str, float], digits: int) -> Table:
        """The same table with one more column, of which no cell is marked.

        Args:
            name: of the column.
            values: by the name of the row; where there is none, the cell stays empty.
            digits: behind the point.
        """
        column = np.array([[values.get(row, np.nan)] for row in self.rows])
        return Table(
            corner=self.corner,
            rows=self.rows,
            columns=(*self.columns, name),
            values=np.hstack([self.values, column]),
            best=np.hstack([self.best, np.zeros(column.shape, dtype=bool)]),
            digits={**self.digits, name: digits},
        )

    def cell(self, row: int, column: int) -> str:
        """One number as text, empty for NaN; with a power of ten where its digits would show nothing of it."""
        value, digits = self.values[row, column], self.digits.get(self.columns[column], 2)
        if np.isnan(value):
            return ""
        return f"{value:.0e}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"

    def blocks(self, width: int = _COLUMNS_PER_BLOCK) -> list[range]:
        """Column ranges of at most `width` columns each."""
        return [range(at, min(at + width, len(self.columns))) for at in range(0, len(self.columns), width)]

    def to_text(self) -> str:
        """Aligned text for a terminal; the best of a column has an asterisk."""
        first = max(len(name) for name in (self.corner, *self.rows))
        lines = []
        for block in self.blocks():
            marked = [
                [self.cell(i, j) + ("*" if self.best[i, j] else " ") for j in block] for i in range(len(self.rows))
            ]
            widths = [max(len(self.columns[j]) + 1, *(len(row[n]) for row in marked)) for n, j in enumerate(block)]
            head = [f"{self.columns[j]} ".rjust(w) for j, w in zip(block, widths, strict=True)]
            lines.append("  ".join([self.corner.ljust(first), *head]).rstrip())
            for name, row in zip(self.rows, marked, strict=True):
                cells = [text.rjust(w) for text, w in zip(row, widths, strict=True)]
                lines.append("  ".join([name.ljust(first), *cells]).rstrip())
            lines.append("")
        return "\n".join(lines[:-1])

    def to_markdown(self) -> str:
        """GitHub Markdown; the best of a column is bold."""
        parts = []
        for block in self.blocks():
            lines = [f"| {self.corner} | " + " | ".join(self.columns[j] for j in block) + " |"]
            lines.append("|---" + "|---:" * len(block) + "|")
            for i, name in enumerate(self.rows):
                cells = [f"**{self.cell(i, j)}**" if self.best[i, j] else self.cell(i, j) for j in block]
                lines.append(f"| {name} | " + " | ".join(cells) + " |")
            parts.append("\n".join(lines) + "\n")
        return "\n".join(parts)

    def to_csv(self) -> str:
        """Comma-separated values in one block, without marks."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([self.corner, *self.columns])
        for i, name in enumerate(self.rows):
            writer.writerow([name, *(self.cell(i, j) for j in range(len(self.columns)))])
        return text.getvalue()


def long_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Comma-separated values of rows of the same keys, one line each, under the names of the first."""
    rows, text = list(rows), io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def mark_best(values: np.ndarray, digits: int = 2) -> np.ndarray:
    """Largest value of every column as it is printed, ties included; (rows, columns) bool."""
    shown = np.round(values, digits)
    best = np.max(np.nan_to_num(shown, nan=-np.inf), axis=0)
    return (shown == best) & ~np.isnan(values)
