"""HTML page with the results of a slide, for screen and print."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from monai_seunet.drawing.html import data_uri, facts_table, figure, page
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.summary.closeups import choose_places, draw_place
from monai_seunet.slides.outputs.summary.pictures import (
    draw_areas,
    draw_density,
    draw_groups,
    draw_shares,
    draw_tissue,
)
from monai_seunet.slides.outputs.summary.tally import Tally, tally_objects
from monai_seunet.utils.files import write_text


@dataclass(frozen=True)
class SlideFacts:
    """Content of a summary beside the nuclei.

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
        blocks: nuclei of the slide; each block is loaded once, and once more for each close-up.
        geometry: geometry of the slide.
        facts: facts about the slide and the run.
    """
    tally = tally_objects(blocks, geometry)
    parts = [
        f"<h1>{escape(geometry.name)}</h1>",
        f'<p class="lead">{escape(_size(geometry))} · {escape(facts.resolution)}</p>',
        _remarks("Warnings", "warnings", facts.warnings),
        _numbers(tally, geometry, facts),
        _remarks("To be aware of", "notes", facts.notes),
        '<div class="grid">' + "".join(_figures(tally, geometry, facts)) + "</div>",
        '<div class="grid">' + "".join(_closeups(tally, blocks, geometry, facts)) + "</div>",
        facts_table("Classes", _class_rows(tally, geometry)),
        facts_table("Settings", facts.settings),
        facts_table("Times", {step: _duration(seconds) for step, seconds in facts.times.items()}),
        '<p class="lead">For research use only; not a diagnosis.</p>',
    ]
    return write_text(path, page(geometry.name, parts))


def tissue_area(geometry: SlideGeometry, tissue: np.ndarray) -> float | None:
    """Return the area of the tissue in mm²; None if the µm per pixel are not known.

    Args:
        geometry: geometry of the slide.
        tissue: tissue mask (h, w) bool of the whole slide.
    """
    if geometry.working_mpp is None:
        return None
    height, width = (length * mpp / 1000 for length, mpp in zip(geometry.size, geometry.working_mpp, strict=True))
    return float(tissue.mean()) * height * width


def _size(geometry: SlideGeometry) -> str:
    height, width = geometry.base_size
    return f"Nuclei on a slide of {width:,} x {height:,} pixels"


def _numbers(tally: Tally, geometry: SlideGeometry, facts: SlideFacts) -> str:
    tissue = tissue_area(geometry, facts.tissue)
    unit = "µm²" if geometry.mpp is not None else "px of the slide"
    entries = [(f"{tally.count:,}", "nuclei")]
    if tissue is not None:
        entries.append((f"{tally.count / tissue:,.0f}" if tissue else "–", "nuclei per mm² of tissue"))
        entries.append((f"{tissue:,.2f} mm²", "tissue"))
    entries.append((f"{100 * float(facts.tissue.mean()):.0f} %", "of the slide is tissue"))
    if tally.count:
        quartiles = [tally.area_quantile(share) for share in (0.25, 0.5, 0.75)]
        low, median, high = (f"{value:,.0f}" for value in quartiles)
        entries.append((f"{median} {unit}", f"median area (half: {low} to {high})"))
        entries.append((f"{tally.confidence:.2f}", "mean confidence (0 to 1)"))
    boxes = "".join(f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>" for value, name in entries)
    return f'<div class="numbers">{boxes}</div>'


def _figures(tally: Tally, geometry: SlideGeometry, facts: SlideFacts) -> list[str]:
    thumbnail, groups = facts.thumbnail, bool(geometry.sigmas)
    caption = "The outline is the tissue in which nuclei were looked for."
    figures = [figure("Slide and tissue", data_uri(draw_tissue(thumbnail, facts.tissue), True), caption)]
    if not tally.count:
        return figures
    density = data_uri(draw_density(thumbnail, tally, geometry), True)
    figures.append(figure("Density of nuclei", density, "Places without nuclei show the slide."))
    if groups:
        caption = "The scale group that decided most nuclei of a place. Groups with a large σ find large structures."
        figures.append(figure("Deciding scale", data_uri(draw_groups(thumbnail, tally, geometry), True), caption))
    figures.append(figure("Scales" if groups else "Classes", data_uri(draw_shares(tally, geometry), False)))
    figures.append(figure("Areas", data_uri(draw_areas(tally, geometry), False)))
    return figures


def _closeups(tally: Tally, blocks: Sequence[Objects], geometry: SlideGeometry, facts: SlideFacts) -> list[str]:
    if facts.read is None or not tally.count:
        return []
    figures = []
    for title, corner in choose_places(tally, geometry).items():
        left, top = (round(float(value)) for value in geometry.to_base(np.array(corner))[::-1])
        picture = data_uri(draw_place(facts.read, blocks, geometry, corner), True)
        figures.append(figure(title, picture, f"From x {left:,}, y {top:,} in pixels of the slide."))
    return figures


def _remarks(title: str, css_class: str, remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    lines = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    return f'<div class="{css_class}"><h2>{title}</h2><ul>{lines}</ul></div>'


def _class_rows(tally: Tally, geometry: SlideGeometry) -> dict[str, str]:
    counts = tally.classes.sum(axis=(1, 2)).tolist()
    total = max(1, tally.count)
    return {name: f"{n:,} ({100 * n / total:.1f} %)" for name, n in zip(geometry.classes, counts, strict=True)}


def _duration(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)} min {rest:.0f} s" if minutes else f"{rest:.1f} s"
