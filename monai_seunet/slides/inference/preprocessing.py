"""From the pixels of a window to what the network takes, alike all over a slide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Transform
from monai.utils import convert_to_tensor
from torch import nn

from monai_seunet.transforms.stain import (
    HaematoxylinDensity,
    NoTissueError,
    StainNormalize,
    StainProfile,
    fit_profile,
)

Prepare = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become numbers: the stains, and the range of intensities.

    Args:
        stain_target: stain colours to reach, a JSON file; None leaves the colours.
        standardise: bring the slide to mean 0 and deviation 1; else 0 ... 255 to 0 ... 1.
        haematoxylin: of an RGB slide, give the network the density of haematoxylin alone.
    """

    stain_target: Path | None
    standardise: bool
    haematoxylin: bool = False

    def __post_init__(self) -> None:
        if self.stain_target is not None:  # workers may be in another folder
            object.__setattr__(self, "stain_target", Path(self.stain_target).absolute())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with the content of the target rather than its place."""
        target = None if self.stain_target is None else json.loads(Path(self.stain_target).read_text(encoding="utf-8"))
        more = {"haematoxylin": True} if self.haematoxylin else {}
        return {"stain_target": target, "standardise": self.standardise, **more}

    def channels(self, network: nn.Module) -> int:
        """How many channels are read of a slide, for a network."""
        return 3 if self.haematoxylin else int(network.in_channels)  # type: ignore[arg-type]

    def for_slide(self, profile: StainProfile | None, samples: Callable[[], Iterable[np.ndarray]]) -> Prepare:
        """The function for all windows of one slide.

        Args:
            profile: of the slide's stain; None where it shows none.
            samples: gives pieces (h, w, channels) of the slide, for mean and deviation.

        Returns:
            (h, w, channels) uint8 -> (channels of the network, h, w) float32.
        """
        steps: list[Transform] = []
        if self.stain_target is not None and profile is not None:
            steps.append(StainNormalize(self.stain_target, source=profile))
        if self.haematoxylin:
            steps.append(HaematoxylinDensity())

        def colour(pixels: np.ndarray) -> torch.Tensor:
            image: Any = torch.from_numpy(pixels).permute(2, 0, 1)
            for step in steps:
                image = step(image)
            return convert_to_tensor(image, track_meta=False)  # else every layer carries it on

        mean, deviation = _moments(map(colour, samples())) if self.standardise else (0.0, 255.0)

        def prepare(pixels: np.ndarray) -> torch.Tensor:
            image = colour(pixels).float()
            return (image - mean if mean else image) / deviation

        return prepare


def stain_of(samples: Iterable[np.ndarray]) -> StainProfile | None:
    """The stain profile of pieces (h, w, 3) of one slide; None where they do not show two stains."""
    try:
        return fit_profile(torch.from_numpy(piece).permute(2, 0, 1) for piece in samples)
    except NoTissueError:
        return None


def _moments(samples: Iterable[torch.Tensor]) -> tuple[float, float]:
    """Mean and standard deviation of all values of some images, 1 for the deviation of a flat one."""
    count, total, squares = 0, 0.0, 0.0
    for sample in samples:
        values = sample.double()
        count, total, squares = count + values.numel(), total + float(values.sum()), squares + float((values**2).sum())
    mean = total / max(count, 1)
    return mean, max(squares / max(count, 1) - mean**2, 0.0) ** 0.5 or 1.0
