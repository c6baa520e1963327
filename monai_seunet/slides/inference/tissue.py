"""Tissue masks of slides at the size of a thumbnail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin
from scipy import ndimage
from skimage.filters import gaussian, threshold_otsu
from skimage.morphology import isotropic_dilation

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.choices import TISSUE_METHODS
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write
from monai_seunet.utils.progress import progress_bar

SIDE = 2048  # largest side of the mask in cells
CELL_UM = 2.0  # least side of a cell in µm; smaller parts of a nucleus or of glass cannot be told apart

# Limits for the difference of the optical densities (base 10) of the most and the least absorbed colour. Glass has at
# most 0.03, also in shadows or with a tint. Stained tissue has more than 0.05, and a higher threshold would split it.
CHROMA_RANGE = (0.03, 0.05)
# Haematoxylin, eosin and DAB absorb green at least as much as red. Blue and green ink absorb green much less.
INK = 0.12
BLACK = 20  # largest value of all channels in the padding of scanners
GREY_RANGE = 12  # least range of grey levels in a grey image that is not empty

MARGIN_UM, MARGIN_CELLS = 20.0, 2.0  # margin around tissue, which keeps the nuclei at its edge
SPECK_UM2, SPECK_CELLS = 500.0, 4  # least area of tissue
HOLE_UM2, HOLE_SHARE = 50_000.0, 0.01  # largest hole that is filled; larger ones save time
SMOOTHING = 1.0  # standard deviation of the Gaussian in cells


@dataclass(frozen=True)
class TissueMask:
    """Mask of the tissue of a slide.

    Attributes:
        mask: mask (h, w) bool that covers the whole base level.
        base: height and width of the base level in pixels.

    >>> TissueMask(np.array([[True, False]]), base=(100, 200)).share(0, 0, 100, 200)
    0.5
    """

    mask: np.ndarray
    base: tuple[int, int]

    @property
    def fraction(self) -> float:
        """Share of the slide that is tissue."""
        return float(self.mask.mean())

    def touches(self, y0: int, x0: int, y1: int, x1: int) -> bool:
        """Return whether rows y0 to y1 and columns x0 to x1 (excluded) of the base level contain tissue."""
        return bool(self._cells(y0, x0, y1, x1).any())

    def share(self, y0: int, x0: int, y1: int, x1: int) -> float:
        """Return the share of tissue in a region of the base level, 0 outside the slide."""
        cells = self._cells(y0, x0, y1, x1)
        return float(cells.mean()) if cells.size else 0.0

    def _cells(self, y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
        """Return all cells that overlap a region, by integer arithmetic."""
        (height, width), (base_height, base_width) = self.mask.shape, self.base
        top, left = max(y0, 0) * height // base_height, max(x0, 0) * width // base_width
        bottom, right = -(-y1 * height // base_height), -(-x1 * width // base_width)
        return self.mask[top : max(bottom, 0), left : max(right, 0)]

    def save(self, path: str | Path) -> None:
        """Write the mask as a PNG of 0 and 255, in one atomic step."""
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
            InputError: the file is missing, is damaged, or is another picture.
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

    Tissue absorbs one colour more than another. Otsu's threshold is limited to a range, so an empty slide has no
    tissue, and a slide full of tissue is kept whole. The mask leaves out black padding, grey dust, blue and green ink
    and specks. It fills small holes, and has a margin for nuclei at the edge. A grey image is tissue as a whole, unless
    it is empty.
    Limits: red ink and coloured dirt count as tissue.

    Args:
        slide: slide, which is read at the coarsest level that is fine enough.
        mpp: µm per base pixel; None if not known. Margin, specks and holes have sizes in µm if it is given.
        method: `otsu`; or `all` for the whole slide, as grey and fluorescence images need it.
        thumbnail: pixels of `overview`; None to read them.

    Raises:
        InputError: the method is unknown, or the slide is damaged.
    """
    if method not in TISSUE_METHODS:
        raise InputError(f"tissue is '{method}'; choose {' or '.join(TISSUE_METHODS)}")
    view = overview(slide, mpp)
    base = (slide.height, slide.width)
    if method == "all":
        return TissueMask(np.ones((view.height, view.width), bool), base)
    cell = mpp / view.scale[0] if mpp else None
    return TissueMask(tissue_of(read_thumbnail(view) if thumbnail is None else thumbnail, cell), base)


def overview(slide: Slide, mpp: float | None = None) -> SlideView:
    """Return the slide at the scale of the tissue mask, small enough to be read as a whole."""
    return SlideView(slide, thumbnail_scale(slide, mpp))


def thumbnail_scale(slide: Slide, mpp: float | None = None) -> float:
    """Return cells per base pixel: at most 2048 cells a side, of at least 2 µm, or 4 base pixels if mpp is None."""
    finest = mpp / CELL_UM if mpp else 0.25
    return min(1.0, finest, SIDE / max(slide.height, slide.width))


def read_thumbnail(view: SlideView) -> np.ndarray:
    """Read all pixels (height, width, 3) uint8 of a small view in strips."""
    rows = 64
    starts = progress_bar(range(0, view.height, rows), desc="thumbnail", unit="strip", leave=False, delay=1)
    return np.concatenate([view.read(y, 0, min(rows, view.height - y), view.width) for y in starts])


def tissue_of(thumbnail: np.ndarray, cell: float | None = None) -> np.ndarray:
    """Find the cells of a thumbnail that are tissue, (h, w) bool.

    Args:
        thumbnail: RGB pixels (h, w, 3) uint8.
        cell: side of a cell in µm; None if not known.
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
    kept = tissue_in >= min(speck, 0.01 * tissue.size)  # a tiny image may have only a few cells
    kept[0] = False
    kept = kept[parts]
    gaps, _ = ndimage.label(~kept)
    sizes = np.bincount(gaps.ravel())
    return kept | ((sizes <= hole) & (np.arange(sizes.size) > 0) & kept.any())[gaps]
