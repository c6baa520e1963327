"""The two networks of a certificate and its images, read through the configs of a bundle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from monai_seunet.certificate.measure import Predict, group_predictor, predictor, promised_group, set_norms
from monai_seunet.config.read import content, read_config, trained_network
from monai_seunet.data.datalist import FILE_NAME, SECTIONS, load_dataset
from monai_seunet.data.images import find_images
from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.utils.progress import progress_bar

UNTRAINED = "random, with norm statistics of these images"


@dataclass(frozen=True)
class Subject:
    """Measured network.

    Attributes:
        overlay: network overlay of the bundle.
        network: network in evaluation mode on the CPU.
        fusion: strategy that fuses the scale groups.
        weights: `trained`, or a description of untrained weights.
        checkpoint: file of the weights, or None for random weights.
    """

    overlay: str
    network: Network
    fusion: str
    weights: str = "trained"
    checkpoint: Path | None = None

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return type(self.network).__name__

    @property
    def stride(self) -> int:
        """Total stride of the network."""
        return self.network.stride

    def predict(self) -> Predict:
        """Return a function that predicts fused probabilities with the folded network."""
        return predictor(self.network.folded(), self.fusion)

    def predict_groups(self) -> Predict:
        """Return a function that predicts probabilities of all scale groups with the folded network."""
        return group_predictor(self.network.folded())

    def to_dict(self) -> dict[str, Any]:
        """Return the description of the network in the certificate."""
        return {
            "name": self.name,
            "overlay": self.overlay,
            "weights": self.weights,
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "sha256": None if self.checkpoint is None else hashlib.sha256(self.checkpoint.read_bytes()).hexdigest(),
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "group": promised_group(self.network),
            "scale_groups": self.network.num_scales,
            "stride": self.stride,
            "fusion": self.fusion,
        }


def read_subject(config: ConfigParser, overlay: str, checkpoint: Path | None) -> Subject:
    """Read the network to certify.

    Raises:
        InputError: for a network that cannot be made or loaded, or that does not segment.
    """
    network, path = trained_network(config, checkpoint)
    with torch.no_grad():
        output = network.all_heads(torch.rand(1, network.in_channels, 64, 64))
    if output.dim() < 4:
        raise InputError(f"{overlay}: {type(network).__name__} gives no map; choose a segmentation network")
    return Subject(overlay, network, content(config, "fusion"), checkpoint=path)


def read_control(
    bundle: Path, overlay: str, width: int | None, subject: Subject, classes: int, checkpoint: Path | None
) -> Subject:
    """Read the control network with the same channels and classes; without a checkpoint its weights are random.

    Raises:
        InputError: for a network that cannot be made or loaded, or that does not segment.
    """
    channels = subject.network.in_channels
    settings: dict[str, Any] = {"num_classes": classes, "network_def#in_channels": channels}
    settings |= {"directions": False} if checkpoint is None else {}  # the config would read the weights of the bundle
    config = read_config(bundle, overlay, width, settings)
    if checkpoint is not None:
        return read_subject(config, overlay, checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Network = content(config, "network_def")
    return Subject(overlay, network.eval(), content(config, "fusion"), UNTRAINED)


def fit_untrained_norms(control: Subject, images: Sequence[torch.Tensor]) -> None:
    """Fit the norms of a control with random weights to the images; trained weights are not changed."""
    if control.checkpoint is None:
        set_norms(control.network, images)


def read_images(
    config: ConfigParser, source: Path, count: int, least: int
) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Read and preprocess the first images as inference does.

    Args:
        config: config from `read_config` with the preprocessing.
        source: folder of a prepared data set (its validation images, or the first section with images), or an image, a
            folder or a pattern.
        count: number of images.
        least: shortest usable side in pixels.

    Returns:
        A description of the data for the certificate, and the images (C, H, W).

    Raises:
        InputError: for missing or unreadable images, or an image that is too small.
    """
    if count < 1:
        raise InputError(f"images is {count}; give at least 1")
    section = ""
    if (source / FILE_NAME).is_file():
        dataset = load_dataset(source)
        section = next((name for name in ("validation", *SECTIONS) if getattr(dataset, name)), "validation")
        items = dataset.items(section)
    else:
        items = find_images(source)
    preprocessing, images = content(config, "preprocessing"), []
    for item in progress_bar(items[:count], desc="preprocess", unit="image"):
        try:
            image: torch.Tensor = preprocessing({"image": item["image"]})["image"].as_tensor()
        except RuntimeError as error:
            raise find_input_error(error) or error from error
        if min(image.shape[-2:]) < least:
            raise InputError(
                f"{item['image']}: {image.shape[-2]} x {image.shape[-1]} pixels, but both sides need {least}; give a "
                "smaller --crop or larger images"
            )
        images.append(image)
    names = [Path(item["image"]).name for item in items[: len(images)]]
    pixels = [list(image.shape[-2:]) for image in images]
    return {"source": str(source), "section": section, "images": names, "pixels": pixels}, images
