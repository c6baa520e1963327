"""The summary of a slide from what its run knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.results import SUMMARY
from monai_seunet.slides.outputs.summary.page import SlideFacts, write_summary
from monai_seunet.slides.outputs.warnings import Found, ResultWarning

if TYPE_CHECKING:
    from monai_seunet.slides.run import SlideRun


def summarise(
    run: SlideRun,
    nuclei: Sequence[Objects],
    found: Found,
    warnings: Sequence[ResultWarning],
    notes: Sequence[str],
    seconds: Mapping[str, float],
) -> None:
    """Write the page of a slide into the folder of its results.

    Args:
        run: whose nuclei were found.
        nuclei: of the slide.
        found: what is known of them.
        warnings: for the top of the page.
        notes: what the reader should know besides.
        seconds: of every step.
    """
    segmenter, options, groups, view = run.segmenter, run.options, run.choice.groups, run.view
    settings = {
        "network": type(segmenter.network).__name__,
        "weights (sha256)": segmenter.weights[:12],
        "fusion": segmenter.fusion,
        "µm per pixel of the network": options.mpp,
        "windows": f"{run.grid.window[1]} x {run.grid.window[0]} px and {options.context} px of context",
        "scale groups": "all" if groups is None else ", ".join(map(str, groups)),
        "tissue": options.tissue,
        "least probability": options.nuclei.threshold,
        "least area": found.least_area,
        "areas left out": ", ".join(f"{count} {reason}" for reason, count in found.left_out.counts.items()),
    }
    facts = SlideFacts(
        _seen(run, run.thumbnail),
        _seen(run, run.tissue.mask),
        run.resolution.describe(),
        [warning.text for warning in warnings],
        notes,
        settings,
        seconds,
        SlideView(run.slide, view.scale).part(*view.corner, view.height, view.width).read,
    )
    write_summary(run.work.output / SUMMARY, nuclei, run.geometry, facts)


def _seen(run: SlideRun, picture: np.ndarray) -> np.ndarray:
    """What the view shows of a picture of the whole slide."""
    ends = run.view.to_base(np.array([[0, 0], [run.view.height, run.view.width]]))
    share = ends / (run.slide.height, run.slide.width) * picture.shape[:2]
    (top, left), (bottom, right) = np.floor(share[0]).astype(int), np.ceil(share[1]).astype(int)
    return picture[top:bottom, left:right]
