"""Calibration of the estimate of µm per pixel on a prepared data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from monai_seunet.data.datalist import PreparedDataset, load_dataset
from monai_seunet.reading.raster import read_image, read_label
from monai_seunet.slides.inference.preprocessing import Preprocessing, stain_of
from monai_seunet.slides.magnification.calibrate_network import Accuracy, calibrate_network, judge_calibration
from monai_seunet.slides.magnification.calibration import MppCalibration
from monai_seunet.slides.magnification.cheapest_groups import cheapest_groups
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError


def calibrate_on(
    model: SlideModel, data: str | Path | Sequence[str | Path], without: Sequence[str] = ()
) -> MppCalibration:
    """Calibrate the estimate on the training and validation images of prepared data sets.

    Args:
        model: network with its preprocessing.
        data: prepared data set, or several of equal µm per pixel.
        without: patients that are left out, for example because their images have other µm per pixel.

    Raises:
        InputError: the µm per pixel of the data are not known; and the errors of `calibrate_network`.
    """
    dataset, items = _items_of(data, without)
    model.network.to(model.used_device)
    images = list(_images(items, model.preprocessing))
    fitted = calibrate_network(model.network, model.fusion, images, _mpp_of(dataset), model.weights)
    labels = [read_label(item["label"]) for item in items]
    labelled = [
        (pixels, label > 0)
        for (_, pixels), label in zip(images, labels, strict=True)
        if dataset.ignored_label is None or not (label == dataset.ignored_label).any()
    ]
    enough = cheapest_groups(model.network, model.fusion, labelled)
    return replace(fitted, groups={str(octave): groups for octave, groups in enough.items()})


def check_patients(data: Sequence[str | Path], patients: Sequence[str]) -> None:
    """Check that each patient is in one of the prepared data sets.

    Raises:
        InputError: a patient is in none of them.
    """
    groups = {item.get("group", "") for path in data for item in _items_of(path, ())[1]}
    missing = sorted(set(patients) - groups)
    if missing:
        examples = ", ".join(sorted(groups)[:3])
        raise InputError(
            f"--without: no data set has the patient(s) {', '.join(missing)}; they have names as {examples}"
        )


def judge_on(
    model: SlideModel, calibration: MppCalibration, data: str | Path | Sequence[str | Path], without: Sequence[str] = ()
) -> str:
    """Return a sentence about the errors of the estimate on data sets of another laboratory.

    Args:
        model: network with its preprocessing.
        calibration: calibration of the model.
        data: prepared data set, or several of equal µm per pixel.
        without: patients that are left out.

    Raises:
        InputError: the µm per pixel of the data are not known.
    """
    dataset, items = _items_of(data, without)
    images = list(_images(items, model.preprocessing))
    return _sentence(
        judge_calibration(model.network, calibration, images, _mpp_of(dataset)), f"{dataset.name}, {len(images)} images"
    )


def describe(calibration: MppCalibration) -> str:
    """Return a sentence about the errors of the estimate."""
    accuracy = Accuracy(calibration.error, calibration.right, calibration.covered)
    return _sentence(accuracy, f"patients left out, {calibration.images} images")


def _sentence(accuracy: Accuracy, whose: str) -> str:
    return (
        f"Estimates are off by a factor of {2**accuracy.error:.2f} (root mean square), "
        f"the objective is right in {100 * accuracy.right:.0f} %, and {100 * accuracy.covered:.0f} % of the 95 % "
        f"intervals hold the truth ({whose}, each also reduced to half and to a quarter)."
    )


def _items_of(
    data: str | Path | Sequence[str | Path], without: Sequence[str]
) -> tuple[PreparedDataset, list[dict[str, str]]]:
    """Return a data set, and its training and validation items without some patients."""
    dataset = load_dataset(data)
    items = [*dataset.training, *dataset.validation]
    return dataset, [item for item in items if item.get("group", "") not in without]


def _mpp_of(dataset: PreparedDataset) -> float:
    if dataset.mpp is None:
        raise InputError(f"{dataset.path}: the µm per pixel are not known or differ; prepare the data with one --mpp")
    return dataset.mpp


def _images(items: Iterable[Mapping[str, str]], preprocessing: Preprocessing) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the group and the prepared pixels of each image."""
    for item in items:
        pixels = read_image(item["image"]).pixels
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        profile = stain_of([pixels]) if preprocessing.stain_target else None
        prepare = preprocessing.for_slide(profile, partial(list, [pixels]))
        yield item.get("group", item["image"]), prepare(pixels)
