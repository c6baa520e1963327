"""One stain profile a slide, from tiles of its tissue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from monai_seunet.slides.inference.tissue import TissueMask
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.transforms.stain.extractors import StainExtractor, make_extractor
from monai_seunet.transforms.stain.fit import fit_profile
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar

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
