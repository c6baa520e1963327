"""Write the tables of docs/results.md from the archives in docs/results: `python scripts/update_results.py`.

A table is between `<!-- table: EXPERIMENT/FOLDER/NAME -->` and `<!-- end -->`; FOLDER/NAME.md is its file in the report
of the experiment.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from monai_seunet.drawing.table import Table
from monai_seunet.experiments.tables import archived_tables
from monai_seunet.utils.errors import InputError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results.md"


def filled(text: str) -> str:
    """Return a text with the tables of the archives between its markers."""

    @cache
    def tables(experiment: str) -> dict[str, Table]:
        return archived_tables(PAGE.with_suffix("") / experiment)

    def table_of(match: re.Match[str]) -> str:
        experiment, name = match.groups()
        if name not in tables(experiment):
            raise InputError(f"{PAGE}: {experiment} has no table {name}; choose one of {', '.join(tables(experiment))}")
        return f"<!-- table: {experiment}/{name} -->\n\n{tables(experiment)[name].to_markdown()}\n<!-- end -->"

    return re.sub(r"<!-- table: ([^/\n]+)/([^\n]+) -->.*?<!-- end -->", table_of, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
