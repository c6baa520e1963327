"""The trained models as a segmentation model of LazySlide."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.fusion import fuse_outputs
from monai_seunet.reading.colours import WHITE, luma
from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.inference.preprocessing import TILE, TILES, Prepare, choose_tiles, slide_profile
from monai_seunet.slides.inference.tissue import find_tissue, overview, read_thumbnail
from monai_seunet.slides.inference.view import SlideView, axis_weights, resample_axes
from monai_seunet.slides.magnification.groups import choose_groups
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.slides.nuclei.finder import NucleusFinder
from monai_seunet.slides.outputs.warnings import background_warnings, not_normalised, stain_warnings
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.transforms.stain.profile import NoTissueError
from monai_seunet.utils.errors import InputError, missing

if TYPE_CHECKING:
    from wsidata import TileSpec, WSIData

try:
    from lazyslide_models.base import SegmentationModel, SegmentationOutput
except ImportError as error:
    raise missing("LazySlide", "lazyslide") from error

LEAST_OVERLAP = 20.0  # µm; of two neighbours that share as much, one holds the whole nucleus
LEAST_OVERLAP_PIXELS = 64  # where the µm per pixel are not known


class SEUNetSegmentation(SegmentationModel):
    """Model of the nuclei of one slide, for `lazyslide.seg.cells` and `lazyslide.seg.semantic`.

    Stain, µm per pixel of the network, fusion and limits for nuclei are those of `monai_seunet.segment`: one stain
    profile of the slide's file, and tiles resampled to the µm per pixel of the training images.

    Shapes: tiles (B, H, W, 3) uint8 -> instance map (B, H, W) int32 and probabilities (B, N, H, W) of the classes.
    Invariant: the result of a tile does not depend on the other tiles of its batch.
    Limits: LazySlide leaves out what touches the border of a tile, so tiles must overlap by the size of a nucleus. A
    tile has no context, so nuclei near its border can differ from those of `segment`.

    Args:
        slide: slide with tiles of one size, whose file this package reads, too.
        model: name of a trained model, see `config.models.trained_models`.
        tile_key: key of the tiles, the same as in the call of LazySlide.
        groups: numbers of the scale groups that run, from 1; `auto` for the cheapest sufficient groups; None for all.

    Raises:
        InputError: the slide has no such tiles, its file cannot be read, or the model is unknown or takes images of
            another kind.
    """

    def __init__(
        self,
        slide: WSIData,
        model: str = DEFAULT_MODEL,
        *,
        tile_key: str = "tiles",
        groups: Sequence[int] | str | None = None,
    ) -> None:
        tiles = slide.tile_spec(tile_key)
        if tiles is None:
            raise InputError(f"{tile_key}: the slide has no such tiles; make them by lazyslide.pp.tile_tissues")
        segmenter, _ = configure_segmenter(default_bundle(), DEFAULT_NETWORK, overlays=[find_model(model).overlay])
        trained, options = segmenter.model, segmenter.options
        ratio, mpp = 1.0, tiles.mpp
        if tiles.mpp is not None and options.network_mpp is not None:
            ratio, mpp = tiles.mpp / options.network_mpp, options.network_mpp
        self.tiles, self.ratio = tiles, ratio  # the ratio is pixels of the network per pixel of a tile
        self._sides = (max(1, round(tiles.height * ratio)), max(1, round(tiles.width * ratio)))
        choice = choose_groups(trained, groups, mpp, self._sides)
        self.model = trained.subset(choice.numbers)
        self.classes = tuple(trained.classes)
        self.fusion = trained.fusion if self.model.num_scales > 1 else "arithmetic"
        self._grey = trained.channels == 1
        self._find = NucleusFinder(mpp, options.nuclei)
        self._prepare, notes = _preparation(Path(slide.reader.file), tiles, segmenter)
        for text in (*choice.notes, *notes, *_remarks(tiles, tile_key)):
            warnings.warn(text, stacklevel=2)

    def get_transform(self) -> None:
        """Return None, because `segment` takes the pixels as LazySlide reads them."""

    @torch.inference_mode()
    def segment(self, image: torch.Tensor) -> SegmentationOutput:
        """Find the nuclei of tiles (B, H, W, 3) uint8.

        Raises:
            InputError: the tiles have another size than those that the model was made for, or a transform changed them.
        """
        size = (self.tiles.height, self.tiles.width)
        if image.dtype != torch.uint8 or tuple(image.shape[1:]) != (*size, 3):
            raise InputError(
                f"the tiles are {image.dtype} of shape {list(image.shape[1:])}, not torch.uint8 of {[*size, 3]}; give "
                "no transform, and the tile_key that the model was made for"
            )
        pixels = torch.stack([self._prepare(self._resized(tile)) for tile in image.numpy(force=True)])
        outputs = self.model.outputs(pixels.to(image.device)).float()
        fused = fuse_outputs(outputs if outputs.dim() == 5 else outputs[:, None], len(self.classes), self.fusion)
        probabilities = fused[:, : len(self.classes)]
        directions = fused[:, len(self.classes) :] if self.model.directions else [None] * len(fused)
        maps = [self._find(tile, directions=towards) for tile, towards in zip(probabilities, directions, strict=True)]
        rows, columns = (_centres(length, self.ratio, side) for length, side in zip(size, self._sides, strict=True))
        if self.ratio != 1:
            probabilities = F.interpolate(probabilities, size, mode="bilinear", antialias=True).clamp(0, 1)
        instances = torch.from_numpy(np.stack(maps)[:, rows[:, None], columns])
        return SegmentationOutput(probabilities, instances, classes=self.classes)

    def _resized(self, tile: np.ndarray) -> np.ndarray:
        """Return a tile (H, W, 3) at the µm per pixel of the network, with the channels that the model takes."""
        if not self._grey:  # black is the background of fluorescence, as it is off the slide
            tile = _without_padding(tile)
        if self._sides != tile.shape[:2]:
            weights = (
                axis_weights(0, side, self.ratio, length)
                for side, length in zip(self._sides, tile.shape[:2], strict=True)
            )
            tile = resample_axes(tile, *weights)
        return luma(tile)[:, :, None].copy() if self._grey else tile  # torch takes writable arrays


def _preparation(path: Path, tiles: TileSpec, segmenter: SlideSegmenter) -> tuple[Prepare, list[str]]:
    """Return the function that prepares pixels of a slide, and remarks about its stain."""
    model, options = segmenter.model, segmenter.options
    base_mpp = None if tiles.mpp is None else tiles.mpp / tiles.base_downsample
    with open_slide(path) as slide, tempfile.TemporaryDirectory() as folder:
        model.check_slide(slide)
        view = SlideView(slide, resolve(slide, base_mpp).scale_to(options.network_mpp), model.channels)
        tissue = find_tissue(slide, base_mpp, options.tissue_method(model.channels))
        profile, remarks = None, list[str]()
        if model.preprocessing.stain_target is not None:
            try:
                profile = slide_profile(view, tissue, Path(folder) / "stain.json")
                remarks = [warning.text for warning in stain_warnings(profile)]
            except NoTissueError as error:
                remarks = [not_normalised(error).text]
        if model.dark_background:
            remarks += [warning.text for warning in background_warnings(read_thumbnail(overview(slide, base_mpp)))]
        samples = choose_tiles(view, tissue, TILE, TILES)
        return model.preprocessing.for_slide(profile, lambda: view.tiles(samples, TILE)), remarks


def _remarks(tiles: TileSpec, tile_key: str) -> list[str]:
    """Return what the tiles lack."""
    remarks = []
    least = LEAST_OVERLAP_PIXELS if tiles.mpp is None else round(LEAST_OVERLAP / tiles.mpp)
    overlap = min(tiles.overlap_x, tiles.overlap_y)
    if overlap < least:
        remarks.append(
            f"{tile_key}: the tiles share {overlap} pixels, so LazySlide leaves out nuclei at their borders; give "
            f"lazyslide.pp.tile_tissues overlap={least}"
        )
    if tiles.mpp is None:
        remarks.append(f"{tile_key}: the µm per pixel are not known, so the tiles are taken as they are")
    return remarks


def _without_padding(tile: np.ndarray) -> np.ndarray:
    """Make rows and columns of a tile (H, W, 3) white that are black as a whole: the pixels off the slide."""
    seen = tile.max(axis=2) > 0
    inside = np.ix_(seen.any(axis=1), seen.any(axis=0))
    result = np.full_like(tile, WHITE)
    result[inside] = tile[inside]
    return result


def _centres(length: int, ratio: float, side: int) -> np.ndarray:
    """Return the pixel of `side` pixels at the centre of each of `length` pixels; `ratio` is about side / length."""
    return np.minimum(((np.arange(length) + 0.5) * ratio).astype(int), side - 1)
