"""Segment one slide: from its file to maps, nuclei and everything that is made of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.slide import Choice, Slide
from monai_seunet.slides.magnification.check_resolution import check_resolution
from monai_seunet.slides.magnification.groups import calibrated_groups
from monai_seunet.slides.magnification.resolution import Resolution, resolve
from monai_seunet.slides.model import SlideModel, SlideOptions
from monai_seunet.slides.outputs.results import (
    SlideResult,
    check_formats,
    refuse_foreign,
    remove_leftovers,
    remove_results,
    require_results,
)
from monai_seunet.slides.planned import PlannedSlide
from monai_seunet.slides.run import SlideRun
from monai_seunet.slides.work_folder import WorkFolder, fingerprint
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked

MAX_ENLARGED = 16  # an image of 4 µm per pixel is enlarged so for a network of 0.25: a nucleus has two pixels there
FORMATS = ("geojson", "csv", "parquet", "labels", "maps", "summary")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SlideSegmenter:
    """Segments slides with one network; `dataclasses.replace` changes what is chosen.

    Invariant: the results are a function of slide, model and options, however often the run is interrupted.
    Limits: a GPU computes in half precision, and gives nearly the same.
    Memory: bounded by windows, a strip of the maps and a block of nuclei, not by the slide.

    Args:
        model: the network with its preprocessing and fusion.
        options: everything else that the results depend on.
        formats: formats of the results, keys of `outputs.results.FILES`.
        readers: number of threads that read and prepare windows beside the network; None for 4 with a GPU, else 1.
        workers: number of processes that find nuclei beside the network, 0 for a thread; None for 1 where the process
            has more than one core of the CPU, else 0.
        threads: number of threads of the network on a CPU, also in a worker of a cluster; None leaves it as it is.
        cache: folder where tissue and stain of slides are kept from run to run; None for the folder of the results.

    Raises:
        InputError: for values out of range.
    """

    model: SlideModel
    options: SlideOptions = field(default_factory=SlideOptions)
    formats: Sequence[str] = FORMATS
    readers: int | None = None
    workers: int | None = None
    threads: int | None = None
    cache: str | Path | None = None

    def __post_init__(self) -> None:
        for name, least in (("readers", 1), ("workers", 0), ("threads", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; give at least {least}")
        object.__setattr__(self, "formats", check_formats(self.formats))
        if self.cache is not None:  # workers may run in another folder
            object.__setattr__(self, "cache", Path(self.cache).absolute())

    @property
    def used_readers(self) -> int:
        """Number of threads that read in this process."""
        return self.readers or (4 if self.model.used_device.type == "cuda" else 1)

    @property
    def used_workers(self) -> int:
        """Number of processes that find nuclei; on a single core one more would only take its time."""
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return int(cores > 1)

    def run(
        self,
        path: str | Path,
        output: str | Path,
        overwrite: bool = False,
        mpp: float | None = None,
        job: str = "",
    ) -> SlideResult:
        """Segment a slide, or go on with it; nothing is done where it is finished.

        Args:
            path: file of the slide.
            output: folder of its results.
            overwrite: start again, whatever is there.
            mpp: µm per base pixel of this slide, above the options.
            job: name of a run of the command, which goes on with its own results in spite of `overwrite`.

        Raises:
            InputError: for a slide or a folder that cannot be used, or results of other options.
        """
        output = Path(output)
        self.model.network.to(self.model.used_device)
        torch.set_flush_denormal(True)  # of this thread: numbers near zero take ten times as long
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        with locked(output), open_slide(path, Choice(self.options.series, self.options.plane)) as slide:
            work = WorkFolder(output, self._plan(slide, mpp), job)
            if overwrite and not work.begun_by_this_job:
                work.clear()
                remove_results(output)
            facts = work.finished()
            if facts is None:
                planned = PlannedSlide(self.model, self.options, slide, self._resolution(slide, mpp), work, self.cache)
                run = SlideRun(planned, self.formats, self.used_readers, self.used_workers)
                if not work.begun:
                    refuse_foreign(output)
                work.open()
                remove_leftovers(output)
                work.finish(run.segment())
                facts = work.finished() or {}
            else:
                require_results(output, self.formats)
        return SlideResult(output, facts)

    def _resolution(self, slide: Slide, mpp: float | None) -> Resolution:
        asked = self.options.mpp if mpp is None else mpp
        power = self.options.power if mpp is None else None  # what is said of one slide stands above
        resolution = resolve(slide, None if isinstance(asked, str) else asked, power)
        if isinstance(asked, str):
            resolution = check_resolution(self.model, self.options, slide, resolution)
        logger.info("%s: %s", slide.path.name, resolution.describe())
        for text in (resolution.warning, *slide.notes):
            if text:
                logger.warning("%s: %s", slide.path.name, text.removeprefix(f"{slide.path.name}: "))
        enlarged = max(resolution.scale_to(self.options.network_mpp))
        if enlarged > MAX_ENLARGED:
            raise InputError(
                f"{slide.path}: {resolution.describe()}, so that it would be enlarged {enlarged:.0f} times; no nucleus "
                "is seen in such pixels: give mpp if that is wrong, or another image of the file as series"
            )
        return resolution

    def _plan(self, slide: Slide, mpp: float | None) -> dict[str, Any]:
        """Everything that the results depend on, as plain values."""
        return {
            "slide": fingerprint(slide.path),
            "weights": self.model.weights,
            "network": self.model.name,
            "fusion": self.model.fusion,
            "classes": self.model.classes,
            "preparation": self.model.preprocessing.to_dict(),
            "mpp of this slide": mpp,
            "formats": self.formats,
            **({"calibrated groups": calibrated_groups(self.model)} if self.options.groups == "auto" else {}),
            **self.options.to_dict(),
        }
