"""Slide with its resolution, region, tissue and scale groups, before the network runs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.inference.tissue import TissueMask, find_tissue, overview, read_thumbnail
from monai_seunet.slides.inference.view import Rectangle, SlideView, base_region, part_of
from monai_seunet.slides.magnification.groups import GroupChoice, choose_groups
from monai_seunet.slides.magnification.resolution import Resolution
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.results import TISSUE
from monai_seunet.slides.work_folder import WorkFolder, fingerprint


@dataclass(frozen=True, eq=False)
class PlannedSlide:
    """A slide at the resolution of the network, with its views, region, tissue and scale groups.

    The first access to `tissue` writes a file. All other attributes write nothing.

    Args:
        model: network with its preprocessing.
        options: options of the segmentation.
        slide: open slide.
        resolution: µm per pixel of the base level.
        work: work folder of the slide.
        cache: folder for the tissue and stain of slides, for later runs; None for the folder of the results.

    Raises:
        InputError: the region or the scale groups are wrong; raised on their first access.
    """

    model: SlideModel
    options: SlideOptions
    slide: Slide
    resolution: Resolution
    work: WorkFolder
    cache: str | Path | None = None

    @cached_property
    def whole(self) -> SlideView:
        """The whole slide at the working resolution."""
        return SlideView(self.slide, self.resolution.scale_to(self.options.network_mpp), self.model.channels)

    @cached_property
    def _part(self) -> tuple[SlideView, Rectangle | None]:
        return part_of(self.whole, self.options.region, self.options.window_context)

    @property
    def view(self) -> SlideView:
        """Input of the network: the whole slide, or the region with its context."""
        return self._part[0]

    @property
    def region(self) -> Rectangle | None:
        """Rectangle for the centres of nuclei in pixels of `view`; None for the whole slide."""
        return self._part[1]

    @property
    def base_pixels(self) -> float:
        """Number of base pixels along the side of a working pixel."""
        return 1 / float(np.sqrt(np.prod(self.view.scale)))

    @property
    def mpp(self) -> float | None:
        """µm per working pixel; None if not known."""
        return None if self.resolution.mpp is None else self.resolution.mpp * self.base_pixels

    @property
    def rules(self) -> PixelRules:
        """Rules for nuclei in working pixels."""
        if self.mpp is not None:
            return self.options.nuclei.at(self.mpp)
        return self.options.nuclei.at_unknown(self.options.network_mpp or 0.25)

    @cached_property
    def groups(self) -> GroupChoice:
        """Scale groups that run."""
        return choose_groups(self.model, self.options.groups, self.mpp, (self.whole.height, self.whole.width))

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """Picture (h, w, 3) uint8 of the whole slide."""
        return read_thumbnail(overview(self.slide, self.resolution.mpp))

    @cached_property
    def kept(self) -> tuple[Path, Path]:
        """Folder of the tissue and stain files, and folder of the marks that say that these files are valid."""
        if self.cache is None:
            return self.work.output, self.work.path
        key = [fingerprint(self.slide.path), self.resolution.pixel_size, self.options.network_mpp, self.options.tissue]
        folder = Path(self.cache) / hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder, folder

    @cached_property
    def tissue(self) -> TissueMask:
        """Tissue mask, stored as a PNG file."""
        folder, marks = self.kept
        file, mark = folder / TISSUE, marks / "tissue"
        if not mark.exists():
            method = self.options.tissue_method(self.view.channels)
            find_tissue(self.slide, self.resolution.mpp, method, self.thumbnail).save(file)
            mark.touch()
        return TissueMask.load(file)

    def has_tissue(self, y0: int, x0: int, y1: int, x1: int) -> bool:
        """Return whether a rectangle of `view` touches tissue; always True in a region, which the user chose."""
        if self.region is not None:
            return True
        corners = self.view.to_base(np.array([[y0, x0], [y1, x1]]))
        (top, left), (bottom, right) = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int)
        return self.tissue.touches(int(top), int(left), int(bottom), int(right))

    @cached_property
    def geometry(self) -> SlideGeometry:
        """Geometry of the slide for output files."""
        return SlideGeometry(
            name=self.slide.path.name,
            size=(self.view.height, self.view.width),
            scale=self.view.scale,
            mpp=self.resolution.pixel_size,
            classes=tuple(self.model.classes[1:]),
            sigmas=tuple(self.model.sigmas),
            base=(self.slide.height, self.slide.width),
            corner=self.view.corner,
            file_bytes=self.slide.path.stat().st_size,
            region=None if self.options.region is None else base_region(self.whole, self.options.region),
            labels_at=self.options.labels_at,
            object_type=self.options.object_type,
        )
