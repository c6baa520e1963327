"""Preprocessing of windows, with one stain profile and one range of intensities for the whole slide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.utils import convert_to_tensor

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.inference.tissue import TissueMask
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.transforms.stain.extractors import StainExtractor, make_extractor
from monai_seunet.transforms.stain.fit import fit_profile
from monai_seunet.transforms.stain.functional import transfer_stains
from monai_seunet.transforms.stain.haematoxylin import HaematoxylinDensity
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile, as_target
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

Prepare = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True)
class Preprocessing:
    """Settings of the preprocessing: stain colours and range of intensities.

    Args:
        stain_target: JSON file with the target stain colours; None keeps the colours.
        standardise: True for mean 0 and standard deviation 1 over the slide; False for values / 255.
        haematoxylin: True if the network gets the haematoxylin density of an RGB slide as its only channel.

    >>> Preprocessing(stain_target=None, standardise=False).to_dict()
    {'stain_target': None, 'standardise': False}
    """

    stain_target: Path | None
    standardise: bool
    haematoxylin: bool = False

    def __post_init__(self) -> None:
        if self.stain_target is not None:  # worker processes may run in another folder
            object.__setattr__(self, "stain_target", Path(self.stain_target).absolute())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with the content of the target file instead of its path."""
        target = None if self.stain_target is None else json.loads(Path(self.stain_target).read_text(encoding="utf-8"))
        haematoxylin = {"haematoxylin": True} if self.haematoxylin else {}
        return {"stain_target": target, "standardise": self.standardise, **haematoxylin}

    def channels(self, network: Network) -> int:
        """Return the number of channels that are read from a slide for a network."""
        return 3 if self.haematoxylin else network.in_channels

    def for_slide(self, profile: StainProfile | None, samples: Callable[[], Iterable[np.ndarray]]) -> Prepare:
        """Return the function that prepares the windows of one slide.

        Args:
            profile: stain profile of the slide; None if the slide has none.
            samples: function that returns pieces (h, w, channels) of the slide for mean and standard deviation.

        Returns:
            A function of pixels (h, w, channels) uint8 that returns (channels of the network, h, w) float32.
        """
        steps: list[Callable[[Any], Any]] = []
        if self.stain_target is not None and profile is not None:
            # as `StainNormalize` with a fitted profile
            stains, strength = profile.tensors()
            target, target_strength = as_target(self.stain_target).tensors()
            options: dict[str, Any] = {"gain": target_strength / strength, "penalty": profile.penalty}
            steps.append(partial(transfer_stains, source=stains, target=target, **options))
        if self.haematoxylin:
            steps.append(HaematoxylinDensity())

        def colour(pixels: np.ndarray) -> torch.Tensor:
            image: Any = torch.from_numpy(pixels).permute(2, 0, 1)
            for step in steps:
                image = step(image)
            return convert_to_tensor(image, track_meta=False)  # metadata would slow every layer down

        mean, deviation = _moments(map(colour, samples())) if self.standardise else (0.0, 255.0)

        def prepare(pixels: np.ndarray) -> torch.Tensor:
            image = colour(pixels).float()
            return (image - mean if mean else image) / deviation

        return prepare


def stain_of(samples: Iterable[np.ndarray]) -> StainProfile | None:
    """Fit the stain profile of pieces (h, w, 3) of one slide; return None if they do not show two stains."""
    try:
        return fit_profile(torch.from_numpy(piece).permute(2, 0, 1) for piece in samples)
    except NoTissueError:
        return None


def _moments(samples: Iterable[torch.Tensor]) -> tuple[float, float]:
    """Return the mean and the standard deviation of all values; the deviation of constant values is 1."""
    count, total, squares = 0, 0.0, 0.0
    for sample in samples:
        values = sample.double()
        count, total, squares = count + values.numel(), total + float(values.sum()), squares + float((values**2).sum())
    mean = total / max(count, 1)
    return mean, max(squares / max(count, 1) - mean**2, 0.0) ** 0.5 or 1.0


# 32 tiles are 8 million pixels. More tiles change the profile less than another choice of tiles does.
TILES = 32
TILE = 512


def slide_profile(
    view: SlideView, tissue: TissueMask, path: str | Path, method: str | StainExtractor = "vahadane"
) -> StainProfile:
    """Fit the stain profile of a slide at working resolution, or read the earlier profile of the same tiles.

    Invariant: the profile depends only on the slide, the resolution, the mask and the method.

    Args:
        view: RGB view of the slide.
        tissue: tissue mask; tiles lie on tissue.
        path: JSON file of the profile.
        method: stain extractor, see `fit_profile`.

    Raises:
        NoTissueError: the slide has no tissue, or its tissue does not show two stains.
        InputError: the slide is damaged, or the file cannot be written.
    """
    name = view.slide.path.name
    places = choose_tiles(view, tissue, TILE, TILES)
    if not places:
        raise NoTissueError(f"{name}: no tissue is on the image, so there are no stains to measure")
    extractor = make_extractor(method)
    size = view.slide.path.stat().st_size
    origin = f"{name} ({size} bytes): {len(places)} tiles of {TILE} x {TILE} pixels at scale {view.scale[1]:.6g}"
    with suppress(InputError):  # an earlier file may be missing or damaged
        stored = StainProfile.load(path)
        if (stored.origin, stored.method) == (origin, extractor.name):
            return stored
    bar = progress_bar(view.tiles(places, TILE), total=len(places), desc="stain", unit="tile", leave=False, delay=1)
    profile = fit_profile((torch.from_numpy(tile).permute(2, 0, 1) for tile in bar), extractor, origin=origin)
    profile.save(path)
    return profile


def choose_tiles(view: SlideView, tissue: TissueMask, side: int, count: int) -> list[tuple[int, int]]:
    """Return corners (y, x) of tiles that are at least half tissue, evenly chosen from a grid.

    If no tile is half tissue, as on small biopsies, all tiles with tissue take part.

    Args:
        view: view of the slide.
        tissue: tissue mask of the slide.
        side: side of a tile in working pixels.
        count: largest number of tiles.
    """
    shares = {}
    for y in range(0, view.height, side):
        for x in range(0, view.width, side):
            corners = np.array([[y, x], [min(y + side, view.height), min(x + side, view.width)]])
            (top, left), (bottom, right) = np.rint(view.to_base(corners)).astype(int).tolist()
            shares[y, x] = tissue.share(top, left, bottom, right)
    full = [corner for corner, share in shares.items() if share >= 0.5]
    full = full or [corner for corner, share in shares.items() if share > 0]
    return full if len(full) <= count else [full[(2 * n + 1) * len(full) // (2 * count)] for n in range(count)]
