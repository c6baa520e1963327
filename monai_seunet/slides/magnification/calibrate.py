"""Calibration of the estimate of µm per pixel on a prepared data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from monai_seunet.data.datalist import load_dataset
from monai_seunet.reading.raster import read_image, read_label
from monai_seunet.slides.inference.preprocessing import Preprocessing, stain_of
from monai_seunet.slides.magnification.calibration import MppCalibration
from monai_seunet.slides.magnification.cheapest_groups import cheapest_groups
from monai_seunet.slides.magnification.estimate_mpp import calibrate_network
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError


def calibrate_on(model: SlideModel, data: str | Path) -> MppCalibration:
    """Calibrate the estimate on the training and validation images of a prepared data set.

    Raises:
        InputError: the µm per pixel of the data are not known; and the errors of `calibrate_network`.
    """
    dataset = load_dataset(data)
    if dataset.mpp is None:
        raise InputError(f"{dataset.path}: the µm per pixel are not known; prepare it with --mpp")
    model.network.to(model.used_device)
    items = [*dataset.training, *dataset.validation]
    images = list(_images(items, model.preprocessing))
    fitted = calibrate_network(model.network, model.fusion, images, dataset.mpp, model.weights)
    labels = [read_label(item["label"]) for item in items]
    labelled = [
        (pixels, label > 0)
        for (_, pixels), label in zip(images, labels, strict=True)
        if dataset.ignored_label is None or not (label == dataset.ignored_label).any()
    ]
    enough = cheapest_groups(model.network, model.fusion, labelled)
    return replace(fitted, groups={str(octave): groups for octave, groups in enough.items()})


def describe(calibration: MppCalibration) -> str:
    """Return a sentence about the errors of the estimate."""
    factor, octaves, right = 2**calibration.error, calibration.error, 100 * calibration.right
    return (
        f"estimates are off by a factor of {factor:.2f} ({octaves:.2f} octaves, root mean square), and the objective "
        f"is right in {right:.0f} % (patients left out, {calibration.images} images)"
    )


def _images(items: Iterable[Mapping[str, str]], preprocessing: Preprocessing) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the group and the prepared pixels of each image."""
    for item in items:
        pixels = read_image(item["image"]).pixels
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        profile = stain_of([pixels]) if preprocessing.stain_target else None
        prepare = preprocessing.for_slide(profile, partial(list, [pixels]))
        yield item.get("group", item["image"]), prepare(pixels)
