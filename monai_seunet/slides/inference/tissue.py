"""Where the tissue is on a slide, at the size of a thumbnail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from scipy import ndimage
from skimage.filters import gaussian, threshold_otsu
from skimage.morphology import isotropic_dilation

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write
from monai_seunet.utils.progress import progress_bar

SIDE = 2048  # most cells of the mask a side
CELL_UM = 2.0  # no finer than this: single pixels of a nucleus or of glass say nothing
METHODS = ("otsu", "all")

# Difference between the optical densities (base 10) of the most and the least absorbed colour. Glass has at most 0.03,
# also where it is shaded or tinted; stained tissue has more than 0.05, where Otsu's threshold would cut tissue in two.
CHROMA_RANGE = (0.03, 0.05)
# Haematoxylin, eosin and DAB all absorb green at least as much as red; blue and green ink much less.
INK = 0.12
BLACK = 20  # no channel above this: the padding of scanners
# For grey images, in which colour says nothing: a smaller range of grey levels is an empty slide.
GREY_RANGE = 12

MARGIN_UM, MARGIN_CELLS = 20.0, 2.0  # around tissue, for the nuclei at its edge
SPECK_UM2, SPECK_CELLS = 500.0, 4  # less than a few cells
HOLE_UM2, HOLE_SHARE = 50_000.0, 0.01  # larger ones are worth leaving out
SMOOTHING = 1.0  # standard deviation in cells


@dataclass(frozen=True)
class TissueMask:
    """Which parts of a slide are worth reading.

    Attributes:
        mask: (h, w) bool, spread over the whole base level.
        base: (height, width) of the base level.
    """

    mask: np.ndarray
    base: tuple[int, int]

    @property
    def fraction(self) -> float:
        """Share of the slide that is tissue."""
        return float(self.mask.mean())

    def touches(self, y0: int, x0: int, y1: int, x1: int) -> bool:
        """Whether there is tissue in rows y0 to y1, columns x0 to x1 (excluded) of the base level."""
        return bool(self._cells(y0, x0, y1, x1).any())

    def share(self, y0: int, x0: int, y1: int, x1: int) -> float:
        """Share of a region of the base level that is tissue, 0 outside the slide."""
        cells = self._cells(y0, x0, y1, x1)
        return float(cells.mean()) if cells.size else 0.0

    def _cells(self, y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        """All cells that a region shares a point with, in whole numbers."""
        (height, width), (base_height, base_width) = self.mask.shape, self.base
        top, left = max(y0, 0) * height // base_height, max(x0, 0) * width // base_width
        bottom, right = -(-y1 * height // base_height), -(-x1 * width // base_width)
        return self.mask[top : max(bottom, 0), left : max(right, 0)]

    def save(self, path: str | Path) -> None:
        """Write the mask as a PNG of 0 and 255, at once or not at all."""
        info = PngImagePlugin.PngInfo()
        info.add_text("base", f"{self.base[0]} {self.base[1]}")
        try:
            with atomic_write(path) as temporary:
                Image.fromarray(self.mask.astype(np.uint8) * 255).save(temporary, format="PNG", pnginfo=info)
        except OSError as error:
            raise InputError(f"{path}: the tissue mask cannot be written: {error.strerror or error}") from error

    @classmethod
    def load(cls, path: str | Path) -> TissueMask:
        """Read a mask that `save` wrote.

        Raises:
            InputError: for a file that is missing, damaged, or another picture.
        """
        try:
            with Image.open(path) as image:
                height, width = map(int, image.info["base"].split())
                return cls(np.asarray(image.convert("L")) > 127, (height, width))
        except (OSError, KeyError, ValueError, SyntaxError) as error:
            raise InputError(
                f"{path}: no tissue mask that can be read ({error}); delete it to make it again"
            ) from error


def find_tissue(
    slide: Slide, mpp: float | None = None, method: str = "otsu", thumbnail: np.ndarray | None = None
) -> TissueMask:
    """Find the tissue of a slide in a thumbnail of at most 2048 cells a side.

    Tissue is what absorbs one colour more than another. The threshold is Otsu's, held to a range outside of which there
    is no doubt: an empty slide has no tissue, a slide full of tissue stays whole. Black padding, grey dust and blue and
    green ink are left out, small holes filled, specks dropped, and a margin kept for nuclei at the edge. An image
    without colours is taken whole, unless it is empty.
    Limits: red ink and coloured dirt are taken for tissue.

    Args:
        slide: read once, in pieces, at the coarsest level that is fine enough.
        mpp: µm per base pixel, where it is known: sizes of margin, specks and holes follow from it.
        method: `otsu`, or `all` for the whole slide: for grey and fluorescence images, on which colour says nothing.
        thumbnail: of `overview`, where it was read already.

    Raises:
        InputError: for another method, or a damaged slide.
    """
    if method not in METHODS:
        raise InputError(f"tissue is '{method}'; choose {' or '.join(METHODS)}")
    view = overview(slide, mpp)
    base = (slide.height, slide.width)
    if method == "all":
        return TissueMask(np.ones((view.height, view.width), bool), base)
    cell = mpp / view.scale[0] if mpp else None
    return TissueMask(tissue_of(read_thumbnail(view) if thumbnail is None else thumbnail, cell), base)


def overview(slide: Slide, mpp: float | None = None) -> SlideView:
    """The slide at the scale at which tissue is looked for, small enough to be read as a whole."""
    return SlideView(slide, thumbnail_scale(slide, mpp))


def thumbnail_scale(slide: Slide, mpp: float | None = None) -> float:
    """Cells per base pixel: at most 2048 a side, each at least 2 µm, or 4 base pixels where mpp is not known."""
    finest = mpp / CELL_UM if mpp else 0.25
    return min(1.0, finest, SIDE / max(slide.height, slide.width))


def read_thumbnail(view: SlideView) -> np.ndarray:
    """The whole of a small view, (height, width, 3) uint8, read in strips."""
    rows = 64
    starts = progress_bar(range(0, view.height, rows), desc="thumbnail", unit="strip", leave=False, delay=1)
    return np.concatenate([view.read(y, 0, min(rows, view.height - y), view.width) for y in starts])


def tissue_of(thumbnail: np.ndarray, cell: float | None = None) -> np.ndarray:
    """The cells of a thumbnail (h, w, 3) uint8 that are tissue, (h, w) bool.

    Args:
        thumbnail: RGB.
        cell: µm a side of a cell, where it is known.
    """
    seen = thumbnail.max(axis=2) > BLACK
    if (thumbnail == thumbnail[:, :, :1]).all():
        grey = thumbnail[:, :, 0][seen]
        return np.full(seen.shape, grey.size > 0 and int(np.ptp(grey)) >= GREY_RANGE)
    density = -np.log10(np.maximum(thumbnail, 1) / np.float32(255))
    seen &= density[:, :, 0] - density[:, :, 1] <= INK
    chroma = gaussian(np.where(seen, np.ptp(density, axis=2), 0), SMOOTHING)
    threshold = np.clip(threshold_otsu(chroma[seen]), *CHROMA_RANGE) if seen.any() else CHROMA_RANGE[1]
    return _tidy((chroma > threshold) & seen, cell)


def _tidy(tissue: np.ndarray, cell: float | None) -> np.ndarray:
    """Drop specks, add the margin, fill holes."""
    speck, hole, margin = float(SPECK_CELLS), HOLE_SHARE * tissue.size, MARGIN_CELLS
    if cell is not None:
        speck, hole, margin = SPECK_UM2 / cell**2, HOLE_UM2 / cell**2, max(MARGIN_UM / cell, 1.0)
    grown = isotropic_dilation(tissue, margin)
    parts, _ = ndimage.label(grown)
    tissue_in = np.bincount(parts[tissue], minlength=int(parts.max()) + 1)
    kept = tissue_in >= min(speck, 0.01 * tissue.size)  # of a tiny image the whole may be a few cells
    kept[0] = False
    kept = kept[parts]
    gaps, _ = ndimage.label(~kept)
    sizes = np.bincount(gaps.ravel())
    return kept | ((sizes <= hole) & (np.arange(sizes.size) > 0) & kept.any())[gaps]
