"""Tables as text, Markdown and CSV, with the best cell of every column marked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

_COLUMNS_PER_BLOCK = 9  # Table 1 of the SEUNet paper divides its 17 scales and the mean into two blocks


@dataclass(frozen=True)
class Table:
    """Numbers with named rows and columns.

    Attributes:
        corner: heading of the row names.
        frame: numbers; NaN is an empty cell.
        marks: boolean marks of the cells of some columns.
        digits: digits after the point by column; the default is 2.
    """

    corner: str
    frame: pd.DataFrame
    marks: pd.DataFrame = field(default_factory=pd.DataFrame)
    digits: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows."""
        return tuple(self.frame.index)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.frame.columns)

    @property
    def values(self) -> np.ndarray:
        """Numbers (rows, columns)."""
        return self.frame.to_numpy(float)

    @property
    def best(self) -> np.ndarray:
        """Boolean marks (rows, columns)."""
        return np.column_stack([self.marks.get(name, np.zeros(len(self.frame), bool)) for name in self.columns])

    def with_column(self, name: str, values: Mapping[str, float], digits: int) -> Table:
        """Return a copy with one more column without marks.

        Args:
            name: name of the column.
            values: numbers by row name; a row without a number has an empty cell.
            digits: digits after the point.
        """
        frame = self.frame.assign(**{name: [values.get(row, np.nan) for row in self.rows]})
        return replace(self, frame=frame, digits={**self.digits, name: digits})

    def cell(self, row: int, column: int) -> str:
        """Return one number as text, empty for NaN, and with a power of ten if its digits would be zero."""
        value, digits = self.frame.iat[row, column], self.digits.get(self.columns[column], 2)
        if np.isnan(value):
            return ""
        return f"{value:.0e}" if 0 < abs(value) < 0.5 * 10**-digits else f"{value:.{digits}f}"

    def grid(self, marked: str = "{}", plain: str = "{}") -> list[list[str]]:
        """Return all cells by format strings for marked and plain ones, with the headings and the names of the rows."""
        best = self.best
        rows = [
            [name, *((marked if best[i, j] else plain).format(self.cell(i, j)) for j in range(len(self.columns)))]
            for i, name in enumerate(self.rows)
        ]
        return [[self.corner, *self.columns], *rows]

    def blocks(self) -> list[range]:
        """Return the indices of the columns in the grid, in blocks that fit a page."""
        end = len(self.columns) + 1
        return [range(at, min(at + _COLUMNS_PER_BLOCK, end)) for at in range(1, end, _COLUMNS_PER_BLOCK)]

    def to_text(self) -> str:
        """Return aligned text for a terminal, with an asterisk at marked cells."""
        head, *rows = self.grid("{}*", "{} ")
        grid = [[head[0], *(f"{name} " for name in head[1:])], *rows]
        first, *widths = (max(map(len, column)) for column in zip(*grid, strict=True))
        blocks = [
            ["  ".join([row[0].ljust(first), *(row[j].rjust(widths[j - 1]) for j in block)]).rstrip() for row in grid]
            for block in self.blocks()
        ]
        return "\n\n".join(map("\n".join, blocks))

    def to_markdown(self) -> str:
        """Return GitHub Markdown, with marked cells in bold."""
        parts = []
        for block in self.blocks():
            head, *rows = (" | ".join([row[0], *(row[j] for j in block)]) for row in self.grid("**{}**"))
            lines = [f"| {head} |", "|---" + "|---:" * len(block) + "|", *(f"| {row} |" for row in rows)]
            parts.append("\n".join(lines) + "\n")
        return "\n".join(parts)

    def to_csv(self) -> str:
        """Return comma-separated values in one block, without marks."""
        head, *rows = self.grid()
        return pd.DataFrame(rows, columns=head).to_csv(index=False, lineterminator="\n")


def long_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return comma-separated values of rows with the same keys, below a line of the keys."""
    return pd.DataFrame(list(rows)).to_csv(index=False, lineterminator="\n")


def mark_best(frame: pd.DataFrame, digits: int = 2) -> pd.DataFrame:
    """Mark the largest printed value of every column, including ties; return a boolean table of the same shape."""
    shown = frame.round(digits)
    return shown == shown.max()
