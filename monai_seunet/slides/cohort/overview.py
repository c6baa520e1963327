"""Counts of all slides of an output folder, as a table and a page."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from monai_seunet.drawing.html import render
from monai_seunet.slides.cohort.run import CaseResult
from monai_seunet.slides.outputs.formats import OVERLAY, SUMMARY
from monai_seunet.slides.work_folder import RESULT
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, write_text
from monai_seunet.utils.parsing import count

TABLE, PAGE = "counts.csv", "counts.html"
FAILED = "failed"
BETWEEN = " | "  # between the sentences of `remarks`
MARK = f"The same figures are in {TABLE}."  # by which a page of this command is recognised
LEAD = f"{MARK} The name of an image leads to its page."


class SlideCounts(NamedTuple):
    """One row of the table.

    Attributes:
        name: name of the slide's folder of results.
        slide: file of the slide.
        model: name of the trained model, or file of its weights; the architecture in results of older versions.
        weights: first 12 digits of the SHA-256 of the weights.
        nuclei: number of nuclei; None if the slide failed and has no earlier result.
        tissue_mm2: area of the tissue in mm²; None if the µm per pixel are not known.
        nuclei_per_mm2: nuclei per mm² of tissue; None without tissue.
        mpp_y: µm per pixel down.
        mpp_x: µm per pixel across.
        areas_left_out: number of areas that are too small or too unsure to be nuclei.
        warnings: codes of the warnings, with spaces between them; `failed` if the slide failed in this run.
        remarks: the same in sentences, with the reason of a failure.
    """

    name: str
    slide: str
    model: str = ""
    weights: str = ""
    nuclei: int | None = None
    tissue_mm2: float | None = None
    nuclei_per_mm2: float | None = None
    mpp_y: float | None = None
    mpp_x: float | None = None
    areas_left_out: int | None = None
    warnings: str = ""
    remarks: str = ""


# Columns of the first version, whose tables are replaced, too.
_OLDEST = "name,slide,nuclei,tissue_mm2,nuclei_per_mm2,mpp_y,mpp_x,areas_left_out,warnings"


def check_overview(output: str | Path) -> None:
    """Refuse an output folder whose `counts.csv` or `counts.html` is a file of the user.

    Raises:
        InputError: the file was not written by `write_overview`.
    """
    for name, contents in ((TABLE, (",".join(SlideCounts._fields), _OLDEST)), (PAGE, (MARK,))):
        path = Path(output) / name
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else contents[0]
        if not any(content in text for content in contents):
            raise InputError(f"{path}: would be replaced, but is no file of this command; give another output folder")


def write_overview(output: str | Path, outcomes: Iterable[CaseResult]) -> tuple[Path, Path]:
    """Write `counts.csv` and `counts.html` with a row for each slide in order of names, and return both paths.

    Slides that earlier runs finished in the same folder also have a row; one that was finished again under another name
    has one row. If this run refuses a finished slide, for example because of other options, the row keeps the numbers
    of the earlier result, and `remarks` has the reason.

    Args:
        output: folder that holds the folders of all slides.
        outcomes: results and problems of this run.
    """
    output = Path(output)
    outcomes = list(outcomes)
    rows = {counts.name: counts for counts in _finished(output)}
    # A new neighbour may change the name of a slide. Its earlier result then counts no more, unless this run failed.
    names = {str(outcome.case.path): outcome.case.name for outcome in outcomes if outcome.result is not None}
    rows = {name: counts for name, counts in rows.items() if names.get(counts.slide, name) == name}
    rows |= {outcome.case.name: _of_outcome(outcome, rows.get(outcome.case.name)) for outcome in outcomes}
    ordered = [rows[name] for name in sorted(rows)]
    with atomic_write(output / TABLE) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(SlideCounts._fields)
        writer.writerows(ordered)
    page = render(
        "slides/cohort/overview.jinja", title=_title(ordered), lead=LEAD, rows=[_shown(output, row) for row in ordered]
    )
    return output / TABLE, write_text(output / PAGE, page)


def _finished(output: Path) -> Iterable[SlideCounts]:
    for path in output.glob(f"*/{RESULT}"):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            yield _of_result(path.parent.name, result["plan"]["slide"]["path"], result)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged file, or one of another program; a new run of that slide reports it


def _of_outcome(outcome: CaseResult, finished: SlideCounts | None) -> SlideCounts:
    """Return the row of a slide of this run; `finished` is the row of the result in its folder."""
    if outcome.result is None:
        slide = str(outcome.case.path)
        reason = outcome.problem.removeprefix(f"{slide}: ")
        if finished is None:
            return SlideCounts(outcome.case.name, slide, warnings=FAILED, remarks=reason)
        return finished._replace(
            warnings=f"{finished.warnings} {FAILED}".strip(),
            remarks=_sentences(f"earlier result, since this run failed: {reason}", finished.remarks),
        )
    return _of_result(outcome.case.name, str(outcome.case.path), outcome.result)


def _of_result(name: str, slide: str, result: dict[str, Any]) -> SlideCounts:
    tissue = result.get("tissue_mm2")  # results of older versions have none
    mpp_y, mpp_x = result["mpp"] or (None, None)
    warnings = result.get("warnings", ())
    return SlideCounts(
        name,
        slide,
        model=result.get("model") or result["plan"].get("network", ""),
        weights=result["plan"].get("weights", "")[:12],
        nuclei=result["objects"],
        tissue_mm2=tissue,
        nuclei_per_mm2=round(result["objects"] / tissue, 1) if tissue else None,
        mpp_y=mpp_y,
        mpp_x=mpp_x,
        areas_left_out=result["dropped"],
        warnings=" ".join(warning["code"] for warning in warnings),
        remarks=_sentences(*(warning["text"] for warning in warnings)),
    )


def _sentences(*sentences: str) -> str:
    return BETWEEN.join(filter(None, sentences))


def _title(rows: list[SlideCounts]) -> str:
    counted = [row.nuclei for row in rows if row.nuclei is not None]
    failed = f", {len(rows) - len(counted):,} failed" if len(counted) < len(rows) else ""
    return f"{sum(counted):,} nuclei on {count(len(counted), 'image')}{failed}"


def _shown(output: Path, row: SlideCounts) -> dict[str, Any]:
    """Return the cells of a row of the page; links are relative, so the folder can be moved."""
    links = {
        key: f"{quote(row.name)}/{file}" if row.nuclei is not None and (output / row.name / file).exists() else ""
        for key, file in (("picture", OVERLAY), ("page", SUMMARY))
    }
    numbers = {
        "nuclei": (row.nuclei, ",d"),
        "density": (row.nuclei_per_mm2, ",.0f"),
        "tissue": (row.tissue_mm2, ",.3g"),
        "mpp": (row.mpp_y, ".3g"),
    }
    cells = {key: "–" if value is None else format(value, form) for key, (value, form) in numbers.items()}
    said = {"failed": FAILED in row.warnings.split(), "remarks": row.remarks.split(BETWEEN) if row.remarks else []}
    return {**links, **cells, **said, "name": row.name, "model": row.model}
