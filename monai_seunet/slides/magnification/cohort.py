"""Stated and estimated µm per pixel of the slides of a cohort, as a table and a page."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from monai_seunet.drawing.html import data_uri, render
from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.tissue import overview, read_thumbnail
from monai_seunet.slides.magnification.calibration import MppCalibration, MppEstimate
from monai_seunet.slides.magnification.check_resolution import estimate_slide
from monai_seunet.slides.magnification.common_factor import common_factor
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, write_text
from monai_seunet.utils.parsing import count
from monai_seunet.utils.progress import progress_bar, write_line

SHOWN = 220  # longest side of a thumbnail on the page, in pixels


class Magnification(NamedTuple):
    """Stated and estimated µm per pixel of a slide.

    Attributes:
        slide: file of the slide.
        stated: µm per pixel by the file; None if it states nothing.
        origin: where the file states it, see `Resolution`.
        other: another value in the same file that contradicts `stated`; None for none.
        estimated: µm per pixel by the nuclei; None if no nuclei were found, or the slide cannot be used.
        low: lower end of the 95 % interval of the estimate.
        high: upper end.
        objective: most likely objective, such as 40 for 40x.
        probability: probability of this objective.
        divided_by: common factor of the cohort by which the estimate was divided; None for none.
        flag: what is wrong, in a few words; empty if nothing is.
        seconds: time for this slide.
    """

    slide: str
    stated: float | None = None
    origin: str = ""
    other: float | None = None
    estimated: float | None = None
    low: float | None = None
    high: float | None = None
    objective: float | None = None
    probability: float | None = None
    divided_by: float | None = None
    flag: str = ""
    seconds: float = 0.0

    def describe(self) -> str:
        """Return one line for the log."""
        stated = "nothing stated" if self.stated is None else f"{self.stated:.3g} µm per pixel stated ({self.origin})"
        parts = [stated]
        if self.estimated is not None:
            parts.append(f"{self.estimated:.2g} ({self.low:.2g} to {self.high:.2g}) by its nuclei")
        return ", ".join(parts) + (f": {self.flag}" if self.flag else "")


Measured = tuple[Magnification, np.ndarray | None]  # with a picture (h, w, 3) uint8 of the slide


def measure_cohort(model: SlideModel, calibration: MppCalibration, paths: Sequence[Path]) -> list[Measured]:
    """Measure slides one after the other; a slide that cannot be used gets the reason as its flag, and no picture.

    The estimates of a cohort are divided by their `common_factor`, if there is one. The log has a line for each slide
    after that, as in the table.
    """
    model.network.to(model.used_device)
    found: list[Measured] = []
    for path in progress_bar(paths, desc="images", unit="image"):
        try:
            found.append(measure_magnification(model, calibration, path))
        except InputError as error:
            found.append((Magnification(str(path), flag=str(error).removeprefix(f"{path}: ")), None))
    found = divide_by_common_factor(found)
    for each, _ in found:
        write_line(f"{Path(each.slide).name}: {each.describe()}")
    return found


def divide_by_common_factor(found: list[Measured]) -> list[Measured]:
    """Divide the estimates of a cohort by their `common_factor`, if there is one, and flag the slides again."""
    factor = common_factor([(each.stated, each.estimated) for each, _ in found])
    if factor is None:
        return found
    write_line(_division(factor))
    return [(_divided(each, factor), picture) for each, picture in found]


def _division(factor: float) -> str:
    return (
        f"All estimates are divided by {factor:.2f}, the median of estimated over stated µm per pixel, because the "
        "nuclei of all images together can be larger or smaller than those of the calibration."
    )


def _divided(found: Magnification, factor: float) -> Magnification:
    """Return a magnification whose estimate was divided by a factor."""
    if found.estimated is None or found.low is None or found.high is None:
        return found
    estimate = MppEstimate.of_interval(found.low / factor, found.high / factor)
    return _with_estimate(found._replace(divided_by=factor), estimate)


def _with_estimate(found: Magnification, estimate: MppEstimate) -> Magnification:
    low, high = estimate.interval
    found = found._replace(estimated=estimate.mpp, low=low, high=high, objective=estimate.objective)
    found = found._replace(probability=estimate.probability)
    return found._replace(flag=flag_of(found))


def measure_magnification(
    model: SlideModel, calibration: MppCalibration, path: str | Path
) -> tuple[Magnification, np.ndarray]:
    """Return the magnification of a slide, and a picture (h, w, 3) uint8 of it.

    The interval follows from the error of the calibration on patients that were left out, and is wider for few nuclei.

    Raises:
        InputError: the slide cannot be used.
    """
    start = time.perf_counter()
    with open_slide(path) as slide:
        model.check_slide(slide)
        resolution = resolve(slide)
        estimate = estimate_slide(model, slide, calibration)
        picture = read_thumbnail(overview(slide, resolution.mpp))
    found = Magnification(str(path), resolution.mpp, resolution.origin, resolution.other)
    if estimate is not None:
        found = _with_estimate(found, estimate)
    found = found._replace(flag=flag_of(found), seconds=time.perf_counter() - start)
    return found, picture[:: max(1, max(picture.shape) // SHOWN), :: max(1, max(picture.shape) // SHOWN)]


def flag_of(found: Magnification) -> str:
    """Return what is wrong with stated and estimated µm per pixel, in a few words; empty if nothing is."""
    if found.estimated is None or found.low is None or found.high is None:
        return "no nuclei to estimate from"
    if found.stated is None:
        return f"the file states nothing; {found.objective:g}x with a probability of {found.probability:.0%}"
    if not found.low <= found.stated <= found.high:
        return f"contradicts the nuclei, which look like {found.objective:g}x"
    return f"the file also states {found.other:.3g}" if found.other is not None else ""


def write_magnifications(path: str | Path, found: Iterable[Magnification]) -> Path:
    """Write a CSV table with a row for each slide; unknown values are empty."""
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([f"{name}_mpp" if name in _MPP else name for name in Magnification._fields])
        for each in found:
            writer.writerow([f"{value:.4g}" if isinstance(value, float) else value for value in each])
    return Path(path)


_MPP = ("stated", "other", "estimated", "low", "high")


def needs_a_look(found: Sequence[Measured]) -> str:
    """Return how many slides of a cohort have a flag.

    >>> needs_a_look([(Magnification("a.svs"), None), (Magnification("b.svs", flag="no nuclei"), None)])
    '1 of 2 images needs a look'
    >>> needs_a_look([(Magnification("a.svs"), None)])
    'none of 1 image needs a look'
    """
    flagged = sum(bool(each.flag) for each, _ in found)
    return f"{flagged or 'none'} of {count(len(found), 'image')} need{'' if flagged > 1 else 's'} a look"


def write_magnification_page(path: str | Path, found: Sequence[Measured], accuracy: str) -> Path:
    """Write an HTML page with thumbnails, the flagged slides first.

    Args:
        path: path with the ending .html.
        found: magnification and picture of each slide; None for a slide that cannot be read.
        accuracy: sentence about the errors of the estimate.
    """
    rows = [
        {
            "picture": None if picture is None else data_uri(np.ascontiguousarray(picture), True),
            "name": Path(each.slide).name,
            "stated": "–" if each.stated is None else f"{each.stated:.3g} ({each.origin})",
            "estimated": "–" if each.estimated is None else f"{each.estimated:.2g} ({each.low:.2g} to {each.high:.2g})",
            "flag": each.flag,
        }
        for each, picture in sorted(found, key=lambda pair: (not pair[0].flag, pair[0].slide))
    ]
    flagged = sum(bool(each.flag) for each, _ in found)
    first = {0: "", 1: "; it comes first"}.get(flagged, "; they come first")
    factor = next((each.divided_by for each, _ in found if each.divided_by is not None), None)
    sentences = [f"{needs_a_look(found).capitalize()}{first}.", accuracy, "" if factor is None else _division(factor)]
    title = f"µm per pixel of {count(len(rows), 'image')}"
    page = render("slides/magnification/cohort.jinja", title=title, rows=rows, lead=" ".join(sentences).strip())
    return write_text(path, page)
