"""Check of the µm per pixel of a file against the estimate of the network, which replaces missing values."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.preprocessing import choose_tiles, stain_of
from monai_seunet.slides.inference.tissue import find_tissue
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.calibration import MppCalibration, MppEstimate, load_calibration
from monai_seunet.slides.magnification.estimate_mpp import SIDE, TILES, estimate_mpp
from monai_seunet.slides.magnification.resolution import Resolution
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.options import MPP_TIMES_POWER, SlideOptions
from monai_seunet.utils.errors import InputError


def check_resolution(model: SlideModel, options: SlideOptions, slide: Slide, resolution: Resolution) -> Resolution:
    """Estimate the µm per pixel; use the estimate if the file has no value or contradicts itself, else only compare.

    The result is the most likely objective, or the nearer value of the file. The estimate itself is not used, because
    nuclei differ more between organs than scanners differ from the nominal value of their objective.

    Args:
        model: network with its calibration.
        options: options of the segmentation; `tissue` is used.
        slide: open slide.
        resolution: resolution by the file.

    Raises:
        InputError: the model has no scale groups, or no calibration of its weights.
    """
    calibration = calibration_of_mpp(model)
    estimate = estimate_slide(model, slide, calibration, options.tissue)
    if estimate is None:
        return replace(resolution, warning="; ".join(filter(None, (resolution.warning, "no nuclei to estimate from"))))
    if resolution.mpp is None:
        mpp = MPP_TIMES_POWER / estimate.objective
        text = (
            f"the file says nothing; nuclei look like {estimate.mpp:.2g} µm per pixel, which is an objective of "
            f"{estimate.objective:g}x with a probability of {estimate.probability:.0%}"
        )
        return Resolution((mpp, mpp), "estimated", text)
    if resolution.other is not None:
        return _nearer(resolution, resolution.other, estimate.mpp)
    low, high = estimate.interval
    if not low <= resolution.mpp <= high:
        text = f"{resolution.mpp:.3g} µm per pixel are used, but nuclei look like {low:.2g} to {high:.2g}"
        return replace(resolution, warning=text)
    return resolution


def calibration_of_mpp(model: SlideModel) -> MppCalibration:
    """Return the calibration by which the µm per pixel of slides are estimated.

    Raises:
        InputError: the model has no scale groups, or no calibration of its weights.
    """
    if model.num_scales < 2:
        raise InputError(
            f"µm per pixel are estimated (auto) from scale groups, and {model.name} has none; give a number"
        )
    return load_calibration(model, "µm per pixel are to be estimated (auto)")


def _nearer(resolution: Resolution, other: float, estimate: float) -> Resolution:
    """Return the one of two contradictory values that is nearer to the estimate."""
    assert resolution.mpp is not None
    both = f"the file says {resolution.mpp:.3g} µm per pixel, and {other:.3g} by its objective"
    text = f"{both}; nuclei look like {estimate:.2g}"
    if abs(math.log(estimate / other)) < abs(math.log(estimate / resolution.mpp)):
        return Resolution((other, other), "objective power", f"{text}: {other:.3g} is used")
    return replace(resolution, warning=f"{text}: {resolution.mpp:.3g} is used", other=None)


def estimate_slide(
    model: SlideModel, slide: Slide, calibration: MppCalibration, tissue: str = "otsu"
) -> MppEstimate | None:
    """Estimate the µm per pixel of a slide from tiles of its tissue; None if they have no nuclei.

    Args:
        model: network with its preprocessing.
        slide: open slide.
        calibration: calibration of the model.
        tissue: method for the tissue mask, see `SlideOptions`.
    """
    view = SlideView(slide, 1.0, model.channels)
    side = min(SIDE, view.height, view.width)
    mask = find_tissue(slide, method=SlideOptions(tissue=tissue).tissue_method(view.channels))
    places = choose_tiles(view, mask, side, TILES)

    stained = model.preprocessing.stain_target is not None
    profile = stain_of(view.tiles(places, side)) if stained else None
    prepare = model.preprocessing.for_slide(profile, lambda: view.tiles(places, side))

    def read(y: int, x: int, height: int, width: int) -> torch.Tensor:
        return prepare(view.read(y, x, height, width))

    centres = [(y + side // 2, x + side // 2) for y, x in places]
    return estimate_mpp(model.network, calibration, read, (view.height, view.width), centres) if centres else None
