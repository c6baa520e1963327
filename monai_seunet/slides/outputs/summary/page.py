"""HTML page with the results of a slide, for screen and print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monai_seunet.drawing.html import data_uri, render
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.closeups import choose_places, draw_place
from monai_seunet.slides.outputs.summary.pictures import draw_areas, draw_density, draw_groups, draw_shares, draw_tissue
from monai_seunet.slides.outputs.summary.tally import Tally, tally_objects
from monai_seunet.utils.files import write_text


@dataclass(frozen=True)
class SlideFacts:
    """Content of a summary, except the nuclei.

    Attributes:
        thumbnail: picture (h, w, 3) uint8 of the slide.
        tissue: tissue mask (h', w') bool of the same area.
        resolution: sentence about the µm per pixel and their origin.
        warnings: warnings for the top of the page.
        notes: remarks for the reader.
        settings: names and values of settings.
        times: seconds of every step.
        read: function for close-ups, see `draw_place`; None for no close-ups.
    """

    thumbnail: np.ndarray
    tissue: np.ndarray
    resolution: str
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    times: Mapping[str, float] = field(default_factory=dict)
    read: Callable[[int, int, int, int], np.ndarray] | None = None


def write_summary(path: str | Path, blocks: Sequence[Objects], geometry: SlideGeometry, facts: SlideFacts) -> Path:
    """Write the page with all its pictures in one file.

    Args:
        path: path with the ending .html.
        blocks: nuclei of the slide; each block is loaded once for the counts and once for each close-up.
        geometry: geometry of the slide.
        facts: facts about the slide and the run.
    """
    tally, (height, width) = tally_objects(blocks, geometry), geometry.base_size
    page = render(
        "slides/outputs/summary/page.jinja",
        title=geometry.name,
        size=f"Nuclei on an image of {width:,} x {height:,} pixels",
        facts=facts,
        numbers=_key_figures(tally, geometry, facts),
        pictures=[list(_figures(tally, geometry, facts)), list(_closeups(tally, blocks, geometry, facts))],
        tables={
            "Classes": _class_rows(tally, geometry),
            "Settings": facts.settings,
            "Times": {step: _duration(seconds) for step, seconds in facts.times.items()},
        },
    )
    return write_text(path, page)


def tissue_area(geometry: SlideGeometry, tissue: np.ndarray) -> float | None:
    """Return the area in mm² of the tissue mask (h, w) of the whole slide; None if the µm per pixel are not known."""
    if geometry.working_mpp is None:
        return None
    height, width = (length * mpp / 1000 for length, mpp in zip(geometry.size, geometry.working_mpp, strict=True))
    return float(tissue.mean()) * height * width


def _key_figures(tally: Tally, geometry: SlideGeometry, facts: SlideFacts) -> dict[str, str]:
    """Return the numbers at the top of the page, by their names."""
    tissue = tissue_area(geometry, facts.tissue)
    unit = "µm²" if geometry.mpp is not None else "px of the image"
    numbers = {"nuclei": f"{tally.count:,}"}
    if tissue is not None:
        numbers["nuclei per mm² of tissue"] = f"{tally.count / tissue:,.0f}" if tissue else "–"
        numbers["tissue"] = f"{tissue:,.2f} mm²"
    numbers["share of tissue"] = f"{100 * float(facts.tissue.mean()):.0f} %"
    if tally.count:
        low, median, high = (f"{tally.area_quantile(share):,.0f}" for share in (0.25, 0.5, 0.75))
        numbers[f"median area (middle half: {low} to {high})"] = f"{median} {unit}"
        numbers["mean confidence (0 to 1)"] = f"{tally.confidence:.2f}"
    return numbers


def _figures(tally: Tally, geometry: SlideGeometry, facts: SlideFacts) -> Iterator[tuple[str, str, str]]:
    """Yield title, data URI and caption of each picture of the whole slide."""
    thumbnail, groups = facts.thumbnail, bool(geometry.sigmas)
    caption = "The line encloses the tissue in which nuclei were searched for."
    yield "Slide and tissue", data_uri(draw_tissue(thumbnail, facts.tissue), True), caption
    if not tally.count:
        return
    density = data_uri(draw_density(thumbnail, tally, geometry), True)
    yield "Density of nuclei", density, "Where there are no nuclei, the image shows through."
    if groups:
        caption = "The scale group that won for most nuclei at each place: its prediction counted most."
        yield "Winning scale group", data_uri(draw_groups(thumbnail, tally, geometry), True), caption
    caption = "σ is the width of the filters of a scale group: a small σ finds small nuclei, a large σ large ones."
    yield "Scales" if groups else "Classes", data_uri(draw_shares(tally, geometry), False), caption if groups else ""
    yield "Areas", data_uri(draw_areas(tally, geometry), False), ""


def _closeups(
    tally: Tally, blocks: Sequence[Objects], geometry: SlideGeometry, facts: SlideFacts
) -> Iterator[tuple[str, str, str]]:
    """Yield title, data URI and caption of each close-up."""
    if facts.read is None or not tally.count:
        return
    for title, corner in choose_places(tally, geometry).items():
        left, top = (round(float(value)) for value in geometry.to_base(np.array(corner))[::-1])
        picture = data_uri(draw_place(facts.read, blocks, geometry, corner), True)
        yield title, picture, f"Top left corner: x = {left:,}, y = {top:,}, in pixels of the image."


def _class_rows(tally: Tally, geometry: SlideGeometry) -> dict[str, str]:
    counts = tally.classes.sum(axis=(1, 2)).tolist()
    total = max(1, tally.count)
    return {name: f"{n:,} ({100 * n / total:.1f} %)" for name, n in zip(geometry.classes, counts, strict=True)}


def _duration(seconds: float) -> str:
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
