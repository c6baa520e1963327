"""Compare what a file says of its magnification with what the network sees, which stands in where it says nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from monai_seunet.errors import InputError
from monai_seunet.slides.estimate_mpp import TILES, estimate_mpp
from monai_seunet.slides.preparation import stain_of
from monai_seunet.slides.resolution import Resolution
from monai_seunet.slides.slide_stain import TILE, choose_tiles
from monai_seunet.slides.source import Slide
from monai_seunet.slides.tissue import find_tissue
from monai_seunet.slides.view import SlideView
from monai_seunet.slides.winning_profile import MppCalibration

if TYPE_CHECKING:
    from monai_seunet.slides.segmenter import SlideSegmenter

# Estimates are off by less than half of this as a rule: nuclei themselves differ.
DISAGREEMENT = 2.0


def check_resolution(segmenter: SlideSegmenter, slide: Slide, resolution: Resolution) -> Resolution:
    """Estimate the µm per pixel, and use it where the file says nothing or contradicts itself; else only compare.

    Args:
        segmenter: with the calibration of its network.
        slide: open.
        resolution: what the file says.

    Raises:
        InputError: where there is no calibration of these weights.
    """
    if segmenter.calibration is None:
        raise InputError("µm per pixel are to be estimated (auto), which needs the file of 'monai-seunet calibrate'")
    calibration = MppCalibration.load(segmenter.calibration)
    if calibration.weights != segmenter.weights:
        raise InputError(f"{segmenter.calibration}: made for other weights; make it again by 'monai-seunet calibrate'")
    found = _estimate(segmenter, slide, calibration)
    if found is None:
        return replace(resolution, warning="; ".join(filter(None, (resolution.warning, "no nuclei to estimate from"))))
    if resolution.pixel_size is None or resolution.warning:
        return Resolution((found, found), "estimated", resolution.warning)
    assert resolution.mpp is not None
    if max(found / resolution.mpp, resolution.mpp / found) > DISAGREEMENT:
        text = f"{resolution.mpp:.3g} µm per pixel are used, but nuclei look like {found:.2g}"
        return replace(resolution, warning=text)
    return resolution


def _estimate(segmenter: SlideSegmenter, slide: Slide, calibration: MppCalibration) -> float | None:
    view = SlideView(slide, 1.0, int(segmenter.network.in_channels))  # type: ignore[arg-type]
    places = choose_tiles(view, find_tissue(slide))
    places = places[:: max(1, len(places) // TILES)][:TILES]

    def samples() -> list:
        return [view.read(y, x, min(TILE, view.height - y), min(TILE, view.width - x)) for y, x in places]

    stained = segmenter.preparation.stain_target is not None
    prepare = segmenter.preparation.for_slide(stain_of(samples()) if stained else None, samples)

    def read(y: int, x: int, height: int, width: int) -> torch.Tensor:
        top, left = (
            min(max(0, at), end - side) for at, end, side in ((y, view.height, height), (x, view.width, width))
        )
        return prepare(view.read(top, left, height, width))

    limit = min(view.height, view.width)
    tiles = [(y + TILE // 2, x + TILE // 2, limit) for y, x in places]
    return estimate_mpp(segmenter.network, segmenter.fusion, calibration, read, tiles)
