"""One slide on its way through the network: what `SlideSegmenter.run` does once it is decided how."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from monai_seunet.reading.slide import Slide
from monai_seunet.slides.block_workers import BlockTask, BlockWorkers, block_executor
from monai_seunet.slides.inference.blend import Strip
from monai_seunet.slides.inference.maps import MapMaker, return_freed_memory
from monai_seunet.slides.inference.preprocessing import Prepare
from monai_seunet.slides.inference.stain import TILE, TILES, choose_tiles, slide_profile
from monai_seunet.slides.inference.tissue import TissueMask, find_tissue, overview, read_thumbnail
from monai_seunet.slides.inference.view import SlideView, base_region, part_of
from monai_seunet.slides.inference.window_predictor import WindowPredictor
from monai_seunet.slides.inference.window_reader import WindowReader
from monai_seunet.slides.inference.windows import Window, WindowGrid, plan_windows
from monai_seunet.slides.magnification.group_choice import GroupChoice, automatic_groups, fitting_groups
from monai_seunet.slides.magnification.resolution import Resolution
from monai_seunet.slides.nuclei.blocks import plan_blocks
from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.slides.nuclei.rules import PixelRules
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.results import (
    MAPS,
    STAIN,
    TISSUE,
    check_label_sizes,
    describe_rasters,
    move_maps,
    write_objects,
)
from monai_seunet.slides.outputs.summary.summarise import summarise
from monai_seunet.slides.outputs.warnings import Found, ResultWarning, left_out_notes, stain_warning, warnings_of
from monai_seunet.slides.outputs.zarr_pyramid import MapArrays, create_maps, open_maps
from monai_seunet.slides.work_folder import WorkFolder, fingerprint
from monai_seunet.transforms.stain import NoTissueError
from monai_seunet.utils.progress import progress_bar

if TYPE_CHECKING:
    from monai_seunet.slides.segmenter import SlideSegmenter


class SlideRun:
    """The segmentation of one slide.

    Args:
        segmenter: network and options.
        slide: open.
        resolution: of its base level.
        work: folder; nothing is written there before `segment`.

    Raises:
        InputError: for a region, windows or scale groups that cannot be, or a format that cannot hold the labels.
    """

    def __init__(self, segmenter: SlideSegmenter, slide: Slide, resolution: Resolution, work: WorkFolder) -> None:
        self.segmenter, self.slide, self.resolution, self.work = segmenter, slide, resolution, work
        self.options = segmenter.options
        self.notes = [text for text in (resolution.warning, *slide.notes) if text]
        self.stain_warnings: list[ResultWarning] = []
        channels = segmenter.preprocessing.channels(segmenter.network)
        self.whole = SlideView(slide, resolution.scale_to(self.options.mpp), channels)
        self.view, self.region = part_of(self.whole, self.options.region, self.options.context)
        self.facts, self.marks = self._known_facts()
        self.choice = self._chosen_groups()
        self.notes += self.choice.notes
        self.network = segmenter.network_of(self.choice.groups)
        self.grid = self._fit_grid(int(self.network.stride))  # type: ignore[arg-type]
        check_label_sizes(work.output, segmenter.formats, self.geometry)
        self.reader = WindowReader(slide, self.whole, self.view)

    @property
    def mpp(self) -> float | None:
        """µm per working pixel, where it is known."""
        return None if self.resolution.mpp is None else self.resolution.mpp / float(np.sqrt(np.prod(self.view.scale)))

    @property
    def rules(self) -> PixelRules:
        """How nuclei are told apart at the working resolution."""
        rules, trained = self.options.nuclei, self.options.mpp or 0.25
        if self.mpp is not None:
            return rules.at(self.mpp)
        return rules.at_unknown(trained)

    @cached_property
    def thumbnail(self) -> np.ndarray:
        """The whole slide, small."""
        return read_thumbnail(overview(self.slide, self.resolution.mpp))

    @cached_property
    def tissue(self) -> TissueMask:
        """Where the tissue is; kept as a picture."""
        file, mark = self.facts / TISSUE, self.marks / "tissue"
        if not mark.exists():
            method = self.options.tissue_method(self.view.channels)
            find_tissue(self.slide, self.resolution.mpp, method, self.thumbnail).save(file)
            mark.touch()
        return TissueMask.load(file)

    @property
    def scale_groups(self) -> int:
        """How many are run, 1 for a network without."""
        return int(getattr(self.network, "num_scales", 1))

    @property
    def directions(self) -> bool:
        """Whether the network gives the directions to the centres."""
        return bool(getattr(self.network, "directions", False))

    @property
    def geometry(self) -> SlideGeometry:
        """What the files of this slide need to know about it."""
        return SlideGeometry(
            name=self.slide.path.name,
            size=(self.view.height, self.view.width),
            scale=self.view.scale,
            mpp=self.resolution.pixel_size,
            classes=self.segmenter.classes[1:],
            sigmas=self.segmenter.sigmas,
            base=(self.slide.height, self.slide.width),
            corner=self.view.corner,
            file_bytes=self.slide.path.stat().st_size,
            region=None if self.options.region is None else base_region(self.whole, self.options.region),
            labels_at=self.options.labels_at,
        )

    def segment(self, also: Callable[[Sequence[Objects], SlideGeometry], None] | None = None) -> dict[str, Any]:
        """Make all files, and what else is to be made of the nuclei; returns what `result.json` says."""
        start = time.perf_counter()
        windows = plan_windows(self.grid, self._has_tissue)
        path, maps = self._open_maps()
        nuclei, seconds = self._find_nuclei(self._maker(windows, maps), path)
        before = time.perf_counter()
        written = write_objects(self.work.output, self.segmenter.formats, nuclei, self.geometry)
        if also is not None:
            also(nuclei, self.geometry)
        found = Found(
            written.objects,
            written.left_out,
            len(windows),
            self.tissue.fraction,
            self.region is not None,
            self.resolution,
            1 / float(np.sqrt(np.prod(self.view.scale))),
            self.options.nuclei,
            self.rules,
        )
        warned = [*warnings_of(found), *self.stain_warnings]
        notes = [*self.notes, *written.notes, *left_out_notes(found)]
        if "maps" in self.segmenter.formats and path.parent == self.work.path:
            move_maps(path, self.work.output, self.geometry)
        seconds = {**seconds, "write results": time.perf_counter() - before}
        if "summary" in self.segmenter.formats:
            summarise(self, nuclei, found, warned, notes, seconds)
        seconds["total"] = time.perf_counter() - start
        return {
            "objects": found.objects,
            "dropped": found.left_out.total,
            "dropped_by_reason": found.left_out.counts,
            "resolution": self.resolution.describe(),
            "mpp": self.resolution.pixel_size,
            "tissue": round(self.tissue.fraction, 4),
            "windows": len(windows),
            "pixels": int(np.prod(self.geometry.size)),
            "rasters": describe_rasters(
                self.segmenter.formats, self.geometry, self.tissue if self.facts == self.work.output else None
            ),
            "warnings": [warning._asdict() for warning in warned],
            "notes": notes,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
        }

    def _chosen_groups(self) -> GroupChoice:
        asked, automatic = self.segmenter.groups_at(self.mpp), self.options.groups == "auto"
        choice = automatic_groups(asked, self.mpp) if automatic else GroupChoice(asked)
        size = (self.whole.height, self.whole.width)
        return fitting_groups(choice, self.segmenter.network, *size, required=not automatic)

    def _known_facts(self) -> tuple[Path, Path]:
        """Where tissue and stain of the slide are kept, and marks that they are whole and of this slide."""
        if self.segmenter.cache is None:
            return self.work.output, self.work.path
        said = [fingerprint(self.slide.path), self.resolution.pixel_size, self.options.mpp, self.options.tissue]
        folder = self.segmenter.cache / hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder, folder

    def _fit_grid(self, stride: int) -> WindowGrid:
        options, size = self.options, (self.view.height, self.view.width)
        return WindowGrid.fit(*size, options.window, options.overlap, options.context, stride)

    def _find_nuclei(self, maker: MapMaker, maps: Path) -> tuple[ObjectFiles, dict[str, float]]:
        """Make the maps, and find the nuclei in what is whole of them meanwhile; returns the seconds of every step."""
        size = (self.view.height, self.view.width)
        blocks = plan_blocks(*size, self.options.block)
        files = [self.work.block(index) for index in range(len(blocks))]
        grouped = int(getattr(self.segmenter.network, "num_scales", 1)) > 1
        task = BlockTask(maps, size, self.rules, grouped, self.region)
        bar = progress_bar(total=len(maker.windows), desc=self.slide.path.name, unit="window", leave=False)
        try:
            with bar, block_executor(self.segmenter.workers) as executor:
                workers = BlockWorkers(task, blocks, files, executor)
                for lines in maker.run(bar):
                    workers.advance(lines)
                    return_freed_memory()
                workers.finish(size[0], bar)
        finally:
            self.reader.close()
        nuclei = ObjectFiles(files).without_specks(self.rules.least_share)
        return nuclei, {**maker.seconds, "nuclei": workers.seconds}

    def _open_maps(self) -> tuple[Path, MapArrays]:
        """The maps to write to; those of a run that was interrupted after it had moved them to their place."""
        path, moved = self.work.path / MAPS, self.work.output / MAPS
        if self.work.strips == self.grid.rows and not path.exists() and moved.exists():
            return moved, open_maps(moved)
        if self.work.strips == 0:
            return path, create_maps(path, self.geometry, self.grid.step, self.directions)
        return path, open_maps(path)

    def _has_tissue(self, y0: int, x0: int, y1: int, x1: int) -> bool:
        if self.region is not None:  # somebody has chosen the place
            return True
        corners = self.view.to_base(np.array([[y0, x0], [y1, x1]]))
        (top, left), (bottom, right) = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int)
        return self.tissue.touches(int(top), int(left), int(bottom), int(right))

    def _maker(self, windows: list[Window], maps: MapArrays) -> MapMaker:
        segmenter = self.segmenter
        device = segmenter.device
        beyond, amp = self.reader.beyond(self.grid.end), device.type == "cuda"
        fusion = segmenter.fusion if self.scale_groups > 1 else "arithmetic"  # one group is its own fusion
        weighed = fusion == "p_conf"
        predict = WindowPredictor(self.network, self.grid, self.options.context, beyond, device, amp, weighed)
        prepare = self._prepare() if windows else None
        indices = self.choice.indices

        def read(window: Window) -> torch.Tensor:
            assert prepare is not None
            return prepare(self.reader.read(window, predict.grid))

        def write(row: int, strip: Strip) -> None:
            top, bottom = self.grid.strip(row)
            maps.probability[:, top:bottom] = strip.probability
            maps.scale[top:bottom] = indices[strip.scale]
            if maps.directions is not None and strip.directions is not None:
                maps.directions[:, top:bottom] = strip.directions

        return MapMaker(
            self.grid,
            windows,
            read,
            predict,
            write,
            self.work,
            fusion,
            len(segmenter.classes),
            self.scale_groups,
            self.options.batch,
            segmenter.readers,
            self.directions,
        )

    def _prepare(self) -> Prepare:
        """How the pixels of this slide are prepared; its stain profile is kept beside the results."""
        profile = None
        if self.segmenter.preprocessing.stain_target is not None:
            file, mark = self.facts / STAIN, self.marks / "stain"
            if not mark.exists():  # one that lies there may be of other pixels
                file.unlink(missing_ok=True)
            try:
                profile = slide_profile(self.whole, self.tissue, file)
                mark.touch()
                self.stain_warnings += [stain_warning(profile.warning, True)] if profile.warning else []
            except NoTissueError as error:
                self.stain_warnings.append(stain_warning(str(error).rpartition(": ")[2], False))
        with warnings.catch_warnings():  # which the result says
            warnings.filterwarnings("ignore", message=".*colours may be noisy")
            return self.segmenter.preprocessing.for_slide(profile, self._samples)

    def _samples(self) -> Iterator[np.ndarray]:
        view = self.whole
        for y, x in choose_tiles(view, self.tissue, TILE, TILES):
            yield view.read(y, x, min(TILE, view.height - y), min(TILE, view.width - x))
