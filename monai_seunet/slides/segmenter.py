"""Segment one slide: from its file to maps, nuclei and everything that is made of them."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_seunet.fusion import STRATEGIES
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.slide import Choice, Slide
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.magnification.calibration import MppCalibration
from monai_seunet.slides.magnification.check_resolution import check_resolution, load_calibration
from monai_seunet.slides.magnification.resolution import Resolution, resolve
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.results import (
    check_formats,
    refuse_foreign,
    remove_leftovers,
    remove_results,
    require_results,
)
from monai_seunet.slides.run import SlideRun
from monai_seunet.slides.work_folder import WorkFolder, fingerprint
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked

# An image of 4 µm per pixel is enlarged so for a network of 0.25: a nucleus has two pixels there.
MOST_ENLARGED = 16
FORMATS = ("geojson", "csv", "parquet", "labels", "maps", "summary")

logger = logging.getLogger(__name__)


class SlideSegmenter:
    """Segments slides with one network.

    Invariant: what is written is a function of slide, weights and options, whatever was interrupted and wherever it
    ran.
    Limits: a GPU computes in half precision, and gives nearly the same.
    Memory: bounded by windows, a strip of the maps and a block of nuclei, not by the slide.

    Args:
        network: with weights, in evaluation mode; folded ones are faster.
        preprocessing: of the pixels.
        options: what else the results depend on.
        fusion: of the scale groups.
        classes: names, class 0 is the background.
        formats: of the results.
        sigmas: of the scale groups in the first layer, working pixels, for the results.
        calibration: file of `monai-seunet calibrate` for these weights, for `auto` as µm per pixel.
        device: where the network runs; None for a GPU where the process that segments has one.
        readers: threads that read and prepare windows beside the network; None for 4 with a GPU, else 1.
        workers: processes that find nuclei beside the network; 0 for a thread; None for 1 where the process that
            segments has more than one core of the CPU, else 0.
        threads: of the network on a CPU, also in a worker of a cluster; None leaves them.
        cache: folder where tissue and stain of slides are kept from run to run; None for that of the results.

    Raises:
        InputError: for options that cannot be.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        options: SlideOptions,
        fusion: str = "p_ens",
        classes: Sequence[str] = ("background", "nucleus"),
        formats: Sequence[str] = FORMATS,
        sigmas: Sequence[float] = (),
        calibration: str | Path | None = None,
        device: torch.device | str | None = None,
        readers: int | None = None,
        workers: int | None = None,
        threads: int | None = None,
        cache: str | Path | None = None,
    ) -> None:
        if fusion not in STRATEGIES:
            raise InputError(f"fusion is '{fusion}'; choose one of {', '.join(STRATEGIES)}")
        for name, value, least in (("readers", readers, 1), ("workers", workers, 0), ("threads", threads, 1)):
            if value is not None and value < least:
                raise InputError(f"{name} is {value}; give at least {least}")
        self.formats = check_formats(formats)
        self.sigmas = tuple(sigmas)
        self.calibration = None if calibration is None else Path(calibration).absolute()  # workers may be elsewhere
        self.threads = threads
        self.cache = None if cache is None else Path(cache).absolute()
        self.network = network
        self.preprocessing = preprocessing
        self.options = options
        self.fusion = fusion
        self.classes = tuple(classes)
        self._device, self._readers, self._workers = device, readers, workers
        self._networks: dict[tuple[int, ...], nn.Module] = {}

    @property
    def device(self) -> torch.device:
        """Where the network runs; of this process, which may be a worker of a cluster."""
        return torch.device(self._device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def readers(self) -> int:
        """Threads that read."""
        return self._readers or (4 if self.device.type == "cuda" else 1)

    @property
    def workers(self) -> int:
        """Processes that find nuclei; on a single core one more would only take its time."""
        if self._workers is not None:
            return self._workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return int(cores > 1)

    @cached_property
    def weights(self) -> str:
        """Hash of the weights."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def groups_at(self, mpp: float | None) -> Sequence[int] | None:
        """Numbers of the scale groups that are run at a µm per working pixel, None for all.

        Raises:
            InputError: for `auto` without a calibration of these weights and this fusion, or a network without groups.
        """
        groups = self.options.groups
        if not isinstance(groups, str):
            return groups
        if int(getattr(self.network, "num_scales", 1)) < 2:
            raise InputError(f"groups are auto, but {type(self.network).__name__} has no scale groups")
        calibration = self._calibration_of_groups()
        enough = None if mpp is None else calibration.groups_at(mpp)
        return None if enough is None else [group + 1 for group in enough]

    def network_of(self, groups: Sequence[int] | None) -> nn.Module:
        """The network with some scale groups only; None for all.

        Raises:
            InputError: for groups that it does not have.
        """
        if groups is None:
            return self.network
        key = tuple(groups)
        if key not in self._networks:
            count = int(getattr(self.network, "num_scales", 1))
            if count < 2:
                raise InputError(f"groups are {list(groups)}, but {type(self.network).__name__} has no scale groups")
            try:
                network = self.network.subset([number - 1 for number in groups])  # type: ignore[operator]
            except ValueError as error:
                text = f"groups are {list(groups)}; give different numbers from 1 to {count}"
                raise InputError(text) from error
            self._networks = {key: network}  # as a rule all slides of a job take the same
            return network
        return self._networks[key]

    def replaced(
        self,
        options: SlideOptions | None = None,
        fusion: str | None = None,
        formats: Sequence[str] | None = None,
        cache: str | Path | None = None,
    ) -> SlideSegmenter:
        """The same network with other choices; what is None stays.

        Raises:
            InputError: as for a new one.
        """
        other = SlideSegmenter(
            self.network,
            self.preprocessing,
            options or self.options,
            fusion or self.fusion,
            self.classes,
            self.formats if formats is None else formats,
            self.sigmas,
            self.calibration,
            self._device,
            self._readers,
            self._workers,
            self.threads,
            cache or self.cache,
        )
        other.__dict__["weights"] = self.weights  # hashed once
        return other

    def run(
        self,
        path: str | Path,
        output: str | Path,
        overwrite: bool = False,
        mpp: float | None = None,
        job: str = "",
        also: Callable[[Sequence[Objects], SlideGeometry], None] | None = None,
    ) -> dict[str, Any]:
        """Segment a slide, or go on with it; nothing is done where it is finished.

        Args:
            path: of the slide.
            output: folder of its results.
            overwrite: start again, whatever is there.
            mpp: µm per base pixel of this slide, above the options.
            job: what this job did itself is gone on with, where it overwrites.
            also: gets the nuclei, with the formats.

        Returns:
            The content of `result.json`.

        Raises:
            InputError: for a slide or a folder that cannot be used, or results of other options.
        """
        output = Path(output)
        self.network.to(self.device)
        torch.set_flush_denormal(True)  # of this thread: numbers near zero take ten times as long
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        with locked(output), open_slide(path, Choice(self.options.series, self.options.plane)) as slide:
            work = WorkFolder(output, self._plan(slide, mpp), job)
            if overwrite and not work.begun_by_this_job:
                work.clear()
                remove_results(output)
            result = work.finished()
            if result is not None:
                require_results(output, self.formats)
            else:
                run = SlideRun(self, slide, self._resolution(slide, mpp), work)
                if not work.begun:
                    refuse_foreign(output)
                work.open()
                remove_leftovers(output)
                work.finish(run.segment(also))
                result = work.finished() or {}
        return result

    def _resolution(self, slide: Slide, mpp: float | None) -> Resolution:
        asked = self.options.source_mpp if mpp is None else mpp
        automatic = isinstance(asked, str)
        power = self.options.source_power if mpp is None else None  # what is said of one slide stands above
        resolution = resolve(slide, None if isinstance(asked, str) else asked, power)
        if automatic:
            resolution = check_resolution(self, slide, resolution)
        logger.info("%s: %s", slide.path.name, resolution.describe())
        for text in (resolution.warning, *slide.notes):
            if text:
                logger.warning("%s: %s", slide.path.name, text.removeprefix(f"{slide.path.name}: "))
        enlarged = max(resolution.scale_to(self.options.mpp))
        if enlarged > MOST_ENLARGED:
            raise InputError(
                f"{slide.path}: {resolution.describe()}, so that it would be enlarged {enlarged:.0f} times; no nucleus "
                "is seen in such pixels: give mpp if that is wrong, or another image of the file as series"
            )
        return resolution

    def _known_groups(self) -> dict[str, Any]:
        """What the choice of scale groups depends on."""
        if self.options.groups != "auto":
            return {}
        calibration = self._calibration_of_groups()
        return {"calibrated groups": {"mpp": calibration.mpp, "groups": dict(calibration.groups)}}

    def _calibration_of_groups(self) -> MppCalibration:
        calibration = load_calibration(self, "groups are to be chosen (auto)")
        if calibration.fusion != self.fusion:
            raise InputError(
                f"groups are auto, and {self.calibration} knows those for fusion {calibration.fusion}, not "
                f"{self.fusion}; make it again by 'monai-seunet calibrate', or name the groups"
            )
        return calibration

    def _plan(self, slide: Slide, mpp: float | None) -> dict[str, Any]:
        return {
            "slide": fingerprint(slide.path),
            "weights": self.weights,
            "network": type(self.network).__name__,
            "fusion": self.fusion,
            "classes": self.classes,
            "preprocessing": self.preprocessing.to_dict(),
            "mpp of this slide": mpp,
            "formats": self.formats,
            **self._known_groups(),
            **self.options.to_dict(),
        }
