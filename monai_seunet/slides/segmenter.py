"""Segmentation of a slide from its file to all results."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.slide import Choice, Slide
from monai_seunet.slides.inference.windows import WindowGrid
from monai_seunet.slides.magnification.check_resolution import check_resolution
from monai_seunet.slides.magnification.groups import calibrated_groups
from monai_seunet.slides.magnification.resolution import Resolution, resolve
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.outputs.formats import check_formats
from monai_seunet.slides.outputs.results import (
    SlideResult,
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

MAX_ENLARGED = 16  # factor from 4 to 0.25 µm per pixel; a nucleus has only two pixels at 4 µm
FORMATS = ("geojson", "csv", "parquet", "labels", "maps", "overlay", "summary")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SlideSegmenter:
    """Segments slides with one network; `dataclasses.replace` changes the options.

    Invariant: the results depend only on slide, model and options, not on interruptions of the run.
    Limits: a GPU computes in half precision, with nearly the same results.
    Memory: bounded by windows, a strip of the maps and a block of nuclei, for slides of any size.

    Args:
        model: network with its preprocessing and fusion.
        options: options of the segmentation.
        formats: formats of the results, keys of `outputs.formats.FILES`.
        readers: number of threads that read and prepare windows beside the network; None for 4 with a GPU, else 1.
        workers: number of processes that find nuclei beside the network, 0 for a thread; None for 1 if the process has
            several CPU cores, else 0.
        threads: number of threads of the network on a CPU, also in a worker of a cluster; None for torch's setting.
        cache: folder for the tissue and stain of slides, for later runs; None for the folder of the results.

    Raises:
        InputError: a value is out of range.
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
        """Number of reading threads in this process."""
        return self.readers or (4 if self.model.used_device.type == "cuda" else 1)

    @property
    def used_workers(self) -> int:
        """Number of processes that find nuclei; a second process on a single core would not be faster."""
        if self.workers is not None:
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return int(cores > 1)

    def run(
        self, path: str | Path, output: str | Path, overwrite: bool = False, mpp: float | None = None, job: str = ""
    ) -> SlideResult:
        """Segment a slide, or resume an interrupted run; a finished slide is not segmented again.

        Args:
            path: file of the slide.
            output: folder of the results.
            overwrite: True to remove earlier results first.
            mpp: µm per base pixel of this slide; None for `options.mpp`.
            job: id of a run of the command; the results of the same run are not overwritten.

        Raises:
            InputError: the slide or the folder cannot be used, or the folder has results of other options.
        """
        output = Path(output)
        self.model.network.to(self.model.used_device)
        torch.set_flush_denormal(True)  # in this thread; denormal numbers are ten times slower
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        with locked(output), open_slide(path, Choice(self.options.series, self.options.plane)) as slide:
            self.model.check_slide(slide)
            work = WorkFolder(output, self._plan(slide, mpp), job, self.model.title)
            if overwrite and not work.begun_by_this_job:
                work.clear()
                remove_results(output)
            facts = work.finished()
            kept = facts is not None and not work.begun_by_this_job
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
        return SlideResult(output, facts, kept)

    def _resolution(self, slide: Slide, mpp: float | None) -> Resolution:
        asked = self.options.mpp if mpp is None else mpp
        power = self.options.power if mpp is None else None  # the value of one slide replaces the options
        resolution = resolve(slide, None if isinstance(asked, str) else asked, power)
        if isinstance(asked, str):
            resolution = check_resolution(self.model, self.options, slide, resolution)
        logger.info("%s: %s", slide.path.name, resolution.describe())
        for text in (resolution.note, *slide.notes):
            if text:
                logger.warning("%s: %s", slide.path.name, text.removeprefix(f"{slide.path.name}: "))
        enlarged = max(resolution.scale_to(self.options.network_mpp))
        if enlarged > MAX_ENLARGED:
            raise InputError(
                f"{slide.path}: {resolution.describe()}, so it would be enlarged {enlarged:.0f} times, and nuclei "
                "are too small; give mpp if the value is wrong, or another image of the file as series"
            )
        return resolution

    def check_options(self) -> None:
        """Check all options that do not depend on the slide.

        Raises:
            InputError: the network does not take the windows, or lacks the scale groups or their calibration.
        """
        options = self.options
        if options.groups == "auto":
            calibrated_groups(self.model)
            return
        assert not isinstance(options.groups, str)
        stride = self.model.subset(options.groups).stride
        side = options.window
        WindowGrid.fit(side, side, side, options.window_overlap, options.window_context, stride)

    @property
    def plan(self) -> dict[str, Any]:
        """Values that the results of all slides depend on, for JSON."""
        return {
            "weights": self.model.weights,
            "network": self.model.name,
            "fusion": self.model.fusion,
            "classes": self.model.classes,
            "preparation": self.model.preprocessing.to_dict(),
            "formats": self.formats,
            **({"calibrated groups": calibrated_groups(self.model)} if self.options.groups == "auto" else {}),
            **asdict(self.options),
        }

    def _plan(self, slide: Slide, mpp: float | None) -> dict[str, Any]:
        """Return all values that the results of one slide depend on, for JSON."""
        return {"slide": fingerprint(slide.path), "mpp of this slide": mpp, **self.plan}
