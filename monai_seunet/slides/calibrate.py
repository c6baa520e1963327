"""Calibrate the estimate of µm per pixel on a prepared data set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from monai_seunet.data.datalist import PreparedDataset, load_dataset
from monai_seunet.data.reader import read_raster
from monai_seunet.errors import InputError
from monai_seunet.slides.estimate_mpp import calibrate
from monai_seunet.slides.preparation import Preparation, stain_of
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.slides.winning_profile import MppCalibration


def calibrate_on(segmenter: SlideSegmenter, data: str | Path) -> MppCalibration:
    """Fit the estimate on the images of a prepared data set that are not kept for tests.

    Raises:
        InputError: for data whose µm per pixel are not known, and as `calibrate`.
    """
    dataset = load_dataset(data)
    if dataset.mpp is None:
        raise InputError(f"{dataset.path}: the µm per pixel are not known; prepare it with --mpp")
    segmenter.network.to(segmenter.device)
    images = list(_images(dataset, segmenter.preparation))
    return calibrate(segmenter.network, segmenter.fusion, images, dataset.mpp, segmenter.weights)


def describe(calibration: MppCalibration) -> str:
    """How far estimates are off, in words."""
    factor, octaves, right = 2**calibration.error, calibration.error, 100 * calibration.right
    return (
        f"estimates are off by a factor of {factor:.2f} ({octaves:.2f} octaves, root mean square), and the objective "
        f"is right in {right:.0f} % (patients left out, {calibration.images} images)"
    )


def _images(dataset: PreparedDataset, preparation: Preparation) -> Iterator[tuple[str, torch.Tensor]]:
    """Group and prepared pixels of all images that are not kept for tests."""
    for item in [*dataset.training, *dataset.validation]:
        pixels = read_raster(item["image"]).pixels
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        profile = stain_of([pixels]) if preparation.stain_target else None
        prepare = preparation.for_slide(profile, partial(list, [pixels]))
        yield item.get("group", item["image"]), prepare(pixels)
