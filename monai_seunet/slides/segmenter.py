"""Segment one slide: from its file to maps, nuclei and everything that is made of them."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from monai_seunet.networks.nets.scale_unet import ScaleUNet
from monai_seunet.report.files import write_text
from monai_seunet.slides.block_workers import BlockTask, BlockWorkers, block_executor
from monai_seunet.slides.blocks import plan_blocks
from monai_seunet.slides.maps import MapMaker, predictor
from monai_seunet.slides.objects import ObjectFiles
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.preparation import Preparation, Prepare
from monai_seunet.slides.resolution import Resolution, resolve
from monai_seunet.slides.slide_stain import choose_tiles, slide_profile
from monai_seunet.slides.source import Slide, open_slide
from monai_seunet.slides.tissue import TissueMask, find_tissue
from monai_seunet.slides.view import SlideView
from monai_seunet.slides.windows import Window, WindowGrid, plan_windows
from monai_seunet.slides.work import RESULT, WorkFolder, fingerprint, locked
from monai_seunet.transforms.stain import NoTissueError, StainProfile

logger = logging.getLogger(__name__)


class SlideSegmenter:
    """Segments slides with one network.

    Law: what is written is a function of slide, weights and options, whatever was interrupted and wherever it ran.
    Memory: bounded by windows, a strip of the maps and a block of nuclei, not by the slide.

    Args:
        network: with weights, in evaluation mode, on `device`; folded ones are faster.
        preparation: of the pixels.
        options: what else the results depend on.
        fusion: of the scale groups.
        classes: names, class 0 is the background.
        device: where the network runs.
        readers: threads that read and prepare windows beside the network.
        workers: processes that find nuclei beside the network; 0 for a thread.
    """

    def __init__(
        self,
        network: nn.Module,
        preparation: Preparation,
        options: SlideOptions,
        fusion: str = "p_ens",
        classes: Sequence[str] = ("background", "nucleus"),
        device: torch.device | str = "cpu",
        readers: int = 1,
        workers: int = 1,
    ) -> None:
        self.network = network
        self.preparation = preparation
        self.options = options
        self.fusion = fusion
        self.classes = tuple(classes)
        self.device = torch.device(device)
        self.readers = readers
        self.workers = workers

    @cached_property
    def weights(self) -> str:
        """Hash of the weights."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def run(self, path: str | Path, output: str | Path, overwrite: bool = False) -> dict[str, Any]:
        """Segment a slide, or go on with it; nothing is done where it is finished.

        Args:
            path: of the slide.
            output: folder of its results.
            overwrite: start again, whatever is there.

        Returns:
            The content of `result.json`.

        Raises:
            InputError: for a slide or a folder that cannot be used, or results of other options.
        """
        output = Path(output)
        with locked(output), open_slide(path) as slide:
            resolution = self._resolution(slide)
            work = WorkFolder(output, self._plan(slide, resolution))
            if overwrite:
                work.clear()
            result = work.finished()
            if result is None:
                work.open()
                result = _Run(self, slide, resolution, work).segment()
                work.finish(result)
        return result

    def _resolution(self, slide: Slide) -> Resolution:
        given = self.options.source_mpp
        resolution = resolve(slide, None if isinstance(given, str) else given, self.options.source_power)
        for text in (resolution.describe(), resolution.warning, *slide.notes):
            if text:
                logger.info("%s: %s", slide.path.name, text)
        return resolution

    def _plan(self, slide: Slide, resolution: Resolution) -> dict[str, Any]:
        return {
            "slide": fingerprint(slide.path),
            "weights": self.weights,
            "network": type(self.network).__name__,
            "fusion": self.fusion,
            "classes": self.classes,
            "preparation": self.preparation.to_dict(),
            "pixel_size": resolution.pixel_size,
            **self.options.to_dict(),
        }
