"""One slide on its way through the network: what `SlideSegmenter.run` does once it is decided how."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from monai_seunet.networks.nets.scale_unet import ScaleUNet
from monai_seunet.slides.block_workers import BlockTask, BlockWorkers, block_executor
from monai_seunet.slides.blocks import plan_blocks
from monai_seunet.slides.maps import MapMaker, predictor
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.objects import ObjectFiles
from monai_seunet.slides.outputs import write_outputs
from monai_seunet.slides.outputs.maps_zarr import SlideMaps
from monai_seunet.slides.preparation import Prepare
from monai_seunet.slides.resolution import Resolution
from monai_seunet.slides.slide_stain import choose_tiles, slide_profile
from monai_seunet.slides.source import Slide
from monai_seunet.slides.tissue import TissueMask, find_tissue
from monai_seunet.slides.view import SlideView
from monai_seunet.slides.windows import Window, WindowGrid, plan_windows
from monai_seunet.slides.work import WorkFolder
from monai_seunet.transforms.stain import NoTissueError, StainProfile

if TYPE_CHECKING:
    from monai_seunet.slides.segmenter import SlideSegmenter

logger = logging.getLogger(__name__)
SAMPLE = 512  # side of the pieces that mean and deviation are taken from


class SlideRun:
    """The segmentation of one slide.

    Args:
        segmenter: network and options.
        slide: open.
        resolution: of its base level.
        work: folder, open.
    """

    def __init__(self, segmenter: SlideSegmenter, slide: Slide, resolution: Resolution, work: WorkFolder) -> None:
        self.segmenter, self.slide, self.resolution, self.work = segmenter, slide, resolution, work
        self.options = segmenter.options
        self.notes = [text for text in (resolution.warning, *slide.notes) if text]
        channels = int(segmenter.network.in_channels)  # type: ignore[arg-type]
        self.view = SlideView(slide, resolution.scale_to(self.options.mpp), channels)
        self._views = threading.local()

    @property
    def mpp(self) -> float | None:
        """µm per working pixel, where it is known."""
        return None if self.resolution.mpp is None else self.resolution.mpp / float(np.sqrt(np.prod(self.view.scale)))

    @property
    def rules(self) -> PixelRules:
        """How nuclei are told apart at the working resolution; that of the training where nobody knows."""
        return self.options.nuclei.at(self.mpp or self.options.mpp or 0.25)

    @cached_property
    def tissue(self) -> TissueMask:
        """Where the tissue is; kept as a picture."""
        file = self.work.output / "tissue.png"
        if not (self.work.path / "tissue").exists():
            method = self.options.tissue if self.view.channels == 3 else "all"
            find_tissue(self.slide, self.resolution.mpp, method).save(file)
            (self.work.path / "tissue").touch()
        mask = TissueMask.load(file)
        if not mask.mask.any():
            self.notes.append("no tissue was found: the result is empty")
        return mask

    @cached_property
    def grid(self) -> WindowGrid:
        """Of the windows."""
        stride = int(self.segmenter.network.stride)  # type: ignore[arg-type]
        options = self.options
        return WindowGrid.fit(self.view.height, self.view.width, options.window, options.overlap, stride)

    def segment(self) -> dict[str, Any]:
        """Make all files; returns what `result.json` says."""
        start = time.perf_counter()
        windows = plan_windows(self.grid, self._has_tissue)
        maps = SlideMaps.open(self.work.path / "maps.ome.zarr", self._map_shape(), self.grid.step, self.view, self.mpp)
        maker = self._maker(windows, maps)
        blocks = plan_blocks(self.view.height, self.view.width, self.options.block)
        files = [self.work.block(index) for index in range(len(blocks))]
        task = BlockTask(maps.path, self._map_shape()[1:], self.rules, self._groups > 1)
        bar = tqdm(total=len(windows), desc=self.slide.path.name, unit="window", leave=False)
        with bar, block_executor(self.segmenter.workers) as executor:
            nuclei = BlockWorkers(task, blocks, files, executor, 4 * max(1, self.segmenter.workers))
            for lines in maker.run(bar):
                nuclei.advance(lines)
            nuclei.finish(self.view.height, bar)
        seconds = {**maker.seconds, "nuclei": nuclei.seconds}
        written = time.perf_counter()
        summary = write_outputs(self, maps, ObjectFiles(files))
        seconds["write results"] = time.perf_counter() - written
        seconds["total"] = time.perf_counter() - start
        return summary | {"windows": len(windows), "seconds": {k: round(v, 3) for k, v in seconds.items()}}
