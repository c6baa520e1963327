"""The command `monai-seunet calibrate`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch

from monai_seunet.checkpoints import load_weights
from monai_seunet.configured import add_network_options, content, read_config
from monai_seunet.data.datalist import PreparedDataset, load_dataset
from monai_seunet.data.reader import read_raster
from monai_seunet.errors import InputError
from monai_seunet.slides.estimate import calibrate
from monai_seunet.slides.preparation import Preparation, stain_of
from monai_seunet.slides.winning_profile import MppCalibration


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "calibrate", help="fit the estimate of µm per pixel from the scale groups that win, for a trained network"
    )
    add_network_options(parser)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="prepared data set of known µm per pixel")
    parser.add_argument("--output", type=Path, metavar="FILE", help="mpp_calibration.json beside the weights")
    parser.set_defaults(run=lambda options: print(run(options)))


def run(options: argparse.Namespace) -> str:
    """Calibrate as the command line asks for, and say how good the estimate is.

    Raises:
        InputError: for a mistake in the options.
    """
    config = read_config(
        options.bundle, options.network, options.width, options.settings, options.overlays, job="inference_wsi"
    )
    checkpoint = Path(options.checkpoint or content(config, "checkpoint"))
    load_weights(content(config, "network_def").eval(), checkpoint)
    torch.set_flush_denormal(True)
    dataset = load_dataset(options.data)
    if dataset.mpp is None:
        raise InputError(f"{dataset.path}: the µm per pixel are not known; prepare it with --mpp")
    segmenter = content(config, "segmenter")
    images = list(_images(dataset, segmenter.preparation))
    found = calibrate(segmenter.network, segmenter.fusion, images, dataset.mpp, segmenter.weights)
    file = found.save(options.output or checkpoint.parent / "mpp_calibration.json")
    return f"{file}: {describe(found)}"


def describe(calibration: MppCalibration) -> str:
    """How far estimates are off, in words."""
    return (
        f"estimates are off by a factor of {2**calibration.error:.2f} (root mean square {calibration.error:.2f} octaves, "
        f"patients left out, {calibration.images} images)"
    )


def _images(dataset: PreparedDataset, preparation: Preparation) -> Iterator[tuple[str, torch.Tensor]]:
    """Group and prepared pixels of all images that are not kept for tests."""
    for item in [*dataset.training, *dataset.validation]:
        pixels = read_raster(item["image"]).pixels
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        profile = stain_of([pixels]) if preparation.stain_target else None
        yield item.get("group", item["image"]), preparation.for_slide(profile, lambda p=pixels: [p])(pixels)
