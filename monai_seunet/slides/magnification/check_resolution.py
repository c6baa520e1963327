"""Compare what a file says of its magnification with what the network sees, which stands in where it says nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.preprocessing import TILE, choose_tiles, stain_of
from monai_seunet.slides.inference.tissue import find_tissue
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.calibration import MppCalibration, load_calibration
from monai_seunet.slides.magnification.estimate_mpp import TILES, estimate_mpp
from monai_seunet.slides.magnification.resolution import MPP_TIMES_POWER, Resolution, nearest_objective
from monai_seunet.slides.model import SlideModel, SlideOptions
from monai_seunet.utils.errors import InputError

# Estimates are off by less than half of this as a rule: nuclei themselves differ.
DISAGREEMENT = 2.0


def check_resolution(model: SlideModel, options: SlideOptions, slide: Slide, resolution: Resolution) -> Resolution:
    """Estimate the µm per pixel, and use it where the file says nothing or contradicts itself; else only compare.

    What is used is the objective next to the estimate, or the statement of the file that is nearer to it: nuclei differ
    more from organ to organ than scanners do from what their objectives mean.

    Args:
        model: the network with its calibration.
        options: of the segmentation; says where tissue is looked for.
        slide: the open slide.
        resolution: what the file says.

    Raises:
        InputError: where there is no calibration of these weights.
    """
    if model.num_scales < 2:
        raise InputError(
            f"µm per pixel are estimated (auto) from scale groups, and {model.name} has none; give a number"
        )
    calibration = load_calibration(model, "µm per pixel are to be estimated (auto)")
    found = _estimate(model, options, slide, calibration)
    if found is None:
        return replace(resolution, warning="; ".join(filter(None, (resolution.warning, "no nuclei to estimate from"))))
    if resolution.mpp is None:
        power = nearest_objective(found)
        mpp = MPP_TIMES_POWER / power
        text = f"the file says nothing; nuclei look like {found:.2g} µm per pixel, next to an objective of {power:g}x"
        return Resolution((mpp, mpp), "estimated", text)
    if resolution.other is not None:
        return _nearer(resolution, resolution.other, found)
    if max(found / resolution.mpp, resolution.mpp / found) > DISAGREEMENT:
        text = f"{resolution.mpp:.3g} µm per pixel are used, but nuclei look like {found:.2g}"
        return replace(resolution, warning=text)
    return resolution


def _nearer(resolution: Resolution, other: float, found: float) -> Resolution:
    """Of two statements that contradict each other, the one that is nearer to what nuclei look like."""
    assert resolution.mpp is not None
    both = f"the file says {resolution.mpp:.3g} µm per pixel, and {other:.3g} by its objective"
    said = f"{both}; nuclei look like {found:.2g}"
    if abs(math.log(found / other)) < abs(math.log(found / resolution.mpp)):
        return Resolution((other, other), "objective power", f"{said}: {other:.3g} is used")
    return replace(resolution, warning=f"{said}: {resolution.mpp:.3g} is used", other=None)


def _estimate(model: SlideModel, options: SlideOptions, slide: Slide, calibration: MppCalibration) -> float | None:
    view = SlideView(slide, 1.0, model.channels)
    limit = min(view.height, view.width)
    side = min(TILE, max(1, limit // 4))
    tissue = find_tissue(slide, method=options.tissue_method(view.channels))
    places = choose_tiles(view, tissue, side, TILES)

    def samples() -> list:
        return [view.read(y, x, min(side, view.height - y), min(side, view.width - x)) for y, x in places]

    stained = model.preprocessing.stain_target is not None
    prepare = model.preprocessing.for_slide(stain_of(samples()) if stained else None, samples)

    def read(y: int, x: int, height: int, width: int) -> torch.Tensor:
        top, left = (
            min(max(0, at), end - length) for at, end, length in ((y, view.height, height), (x, view.width, width))
        )
        return prepare(view.read(top, left, height, width))

    tiles = [(y + side // 2, x + side // 2, limit) for y, x in places]
    return estimate_mpp(model.network, calibration, read, tiles)
