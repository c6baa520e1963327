"""From the pixels of a window to what the network takes, alike all over a slide."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
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

    def channels(self, network: Network) -> int:
        """How many channels are read of a slide, for a network."""
        return 3 if self.haematoxylin else network.in_channels

    def for_slide(self, profile: StainProfile | None, samples: Callable[[], Iterable[np.ndarray]]) -> Prepare:
        """The function for all windows of one slide.

        Args:
            profile: of the slide's stain; None where it shows none.
            samples: gives pieces (h, w, channels) of the slide, for mean and deviation.

        Returns:
            (h, w, channels) uint8 -> (channels of the network, h, w) float32.
        """
        steps: list[Callable[[Any], Any]] = []
        if self.stain_target is not None and profile is not None:
            steps.append(_stain_transfer(self.stain_target, profile))
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


def _stain_transfer(target: Path, profile: StainProfile) -> Callable[[torch.Tensor], torch.Tensor]:
    """What `StainNormalize` does to a tile (3, h, w) uint8 of a slide whose profile is known."""
    stains, most = profile.tensors()
    wanted, wanted_most = as_target(target).tensors()
    return partial(transfer_stains, source=stains, target=wanted, gain=wanted_most / most, penalty=profile.penalty)


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


# 32 tiles are 8 million pixels: more change the profile by less than tiles of another place do.
TILES = 32
TILE = 512


def slide_profile(
    view: SlideView, tissue: TissueMask, path: str | Path, method: str | StainExtractor = "vahadane"
) -> StainProfile:
    """The stain profile of a slide at working resolution, read from `path` where the same tiles were fitted before.

    Invariant: a function of the slide, the resolution, the mask and the method alone.

    Args:
        view: RGB.
        tissue: tiles are taken where this says that there is tissue.
        path: JSON file beside the other results, written whole.
        method: see `fit_profile`.

    Raises:
        NoTissueError: where the slide has no tissue, or its tissue does not show two stains.
        InputError: for a damaged slide, or a file that cannot be written.
    """
    name = view.slide.path.name
    places = choose_tiles(view, tissue, TILE, TILES)
    if not places:
        raise NoTissueError(f"{name}: no tissue is on the slide, so that there are no stains to measure")
    extractor = make_extractor(method)
    size = view.slide.path.stat().st_size
    origin = f"{name} ({size} bytes): {len(places)} tiles of {TILE} x {TILE} pixels at scale {view.scale[1]:.6g}"
    stored = _stored(path)
    if stored is not None and (stored.origin, stored.method) == (origin, extractor.name):
        return stored
    profile = fit_profile(_read(view, places), extractor, origin=origin)
    profile.save(path)
    return profile


def choose_tiles(view: SlideView, tissue: TissueMask, side: int, count: int) -> list[tuple[int, int]]:
    """Corners (y, x) of some tiles, spread evenly over those of a grid that are at least half tissue.

    Where no tile is, as on small biopsies, over all that have some. Empty only without any tissue.

    Args:
        view: of the slide.
        tissue: of the slide.
        side: of a tile.
        count: at most so many.
    """
    shares = {}
    for y in range(0, view.height, side):
        for x in range(0, view.width, side):
            corners = np.array([[y, x], [min(y + side, view.height), min(x + side, view.width)]])
            (top, left), (bottom, right) = np.rint(view.to_base(corners)).astype(int).tolist()
            shares[y, x] = tissue.share(top, left, bottom, right)
    full = [place for place, share in shares.items() if share >= 0.5] or [
        place for place, share in shares.items() if share > 0
    ]
    return full if len(full) <= count else [full[(2 * one + 1) * len(full) // (2 * count)] for one in range(count)]


def _read(view: SlideView, places: list[tuple[int, int]]) -> Iterator[torch.Tensor]:
    for y, x in progress_bar(places, desc="stain", unit="tile", leave=False, delay=1):
        pixels = view.read(y, x, min(TILE, view.height - y), min(TILE, view.width - x))
        yield torch.from_numpy(pixels).permute(2, 0, 1)


def _stored(path: str | Path) -> StainProfile | None:
    """The profile of an earlier run; None where there is none that can be read."""
    try:
        return StainProfile.load(path) if Path(path).is_file() else None
    except InputError:
        return None
