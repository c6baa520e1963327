"""Segmentation of one slide: maps, nuclei and files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from monai_seunet.slides.blocks import BlockTask, BlockWorkers, block_executor, plan_blocks
from monai_seunet.slides.inference.density import DensityMap
from monai_seunet.slides.inference.maps import MapMaker, return_freed_memory
from monai_seunet.slides.inference.preprocessing import TILE, TILES, Prepare, choose_tiles, slide_profile
from monai_seunet.slides.inference.window_predictor import WindowPredictor
from monai_seunet.slides.inference.windows import Window, WindowGrid, WindowReader, plan_windows
from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.nuclei.objects import ObjectFiles
from monai_seunet.slides.outputs.formats import FILES, MAPS, MEASURED, OVERLAY, SUMMARY
from monai_seunet.slides.outputs.overlay import picture_of, write_overlay
from monai_seunet.slides.outputs.results import (
    STAIN,
    check_label_sizes,
    describe_rasters,
    move_maps,
    write_objects,
)
from monai_seunet.slides.outputs.spatial.spatial_store import write_spatialdata
from monai_seunet.slides.outputs.summary.page import SlideFacts, tissue_area, write_summary
from monai_seunet.slides.outputs.warnings import (
    Found,
    ResultWarning,
    background_warnings,
    left_out_notes,
    not_normalised,
    stain_warnings,
    warnings_of,
)
from monai_seunet.slides.outputs.zarr_pyramid import MapArrays, create_maps, open_maps
from monai_seunet.slides.planned import PlannedSlide
from monai_seunet.transforms.stain import NoTissueError
from monai_seunet.utils.progress import progress_bar


class SlideRun:
    """The segmentation of one slide.

    Args:
        planned: slide with its resolution and region; nothing is written before `segment`.
        formats: formats of the results.
        readers: number of threads that read and prepare windows beside the network.
        workers: number of processes that find nuclei beside the network.

    Raises:
        InputError: the region, the windows or the scale groups are wrong, or the labels are too large for a format.
    """

    def __init__(self, planned: PlannedSlide, formats: Sequence[str], readers: int, workers: int) -> None:
        self.planned, self.formats, self.readers, self.workers = planned, formats, readers, workers
        self.model, self.options, self.work = planned.model, planned.options, planned.work
        self.network = self.model.subset(planned.groups.numbers)
        self.scale_groups = self.network.num_scales
        self.directions = self.network.directions
        self.size = (planned.view.height, planned.view.width)
        self.grid = WindowGrid.fit(
            *self.size,
            self.options.window,
            self.options.window_overlap,
            self.options.window_context,
            self.network.stride,
        )
        self.stain_warnings: list[ResultWarning] = []
        check_label_sizes(self.work.output, formats, planned.geometry)
        self.reader = WindowReader(planned.slide, planned.whole, planned.view)

    def segment(self) -> dict[str, Any]:
        """Make all files, and return the content of `result.json`."""
        planned, start = self.planned, time.perf_counter()
        windows = plan_windows(self.grid, planned.has_tissue)
        path, maps = self._open_maps()
        density = self._density(windows)
        nuclei, seconds = self._find_nuclei(self._maker(windows, maps, density), path, density)
        before = time.perf_counter()
        written = write_objects(self.work.output, self.formats, nuclei, planned.geometry)
        found = Found(
            objects=written.objects,
            left_out=written.left_out,
            windows=len(windows),
            tissue=planned.tissue.fraction,
            region=planned.region is not None,
            resolution=planned.resolution,
            base_per_pixel=planned.base_pixels,
            asked=self.options.nuclei,
            rules=planned.rules,
        )
        warned = [*warnings_of(found), *self.stain_warnings]
        if self.model.dark_background:
            warned += background_warnings(planned.thumbnail)
        notes = [text for text in (planned.resolution.note, *planned.slide.notes, *planned.groups.notes) if text]
        notes += [*written.notes, *left_out_notes(found)]
        if "maps" in self.formats and path.parent == self.work.path:
            move_maps(path, self.work.output, planned.geometry)
        if "overlay" in self.formats:
            write_overlay(self.work.output / OVERLAY, nuclei, planned.geometry, planned.view, planned.thumbnail)
        if "spatialdata" in self.formats:
            picture = picture_of(planned.view, planned.geometry, lambda: planned.thumbnail)
            write_spatialdata(self.work.output / FILES["spatialdata"], nuclei, planned.geometry, picture)
        seconds = {**seconds, "write results": time.perf_counter() - before}
        if "summary" in self.formats:
            write_summary(
                self.work.output / SUMMARY, nuclei, planned.geometry, self._facts(found, warned, notes, seconds)
            )
        seconds["total"] = time.perf_counter() - start
        tissue_mm2 = tissue_area(planned.geometry, planned.view.part_of_picture(planned.tissue.mask))
        tissue = planned.tissue if planned.kept[0] == self.work.output else None
        return {
            "model": self.model.title,
            "objects": found.objects,
            "dropped": found.left_out.total,
            "dropped_by_reason": found.left_out.counts,
            "resolution": planned.resolution.describe(),
            "mpp": planned.resolution.pixel_size,
            "tissue": round(planned.tissue.fraction, 4),
            "tissue_mm2": None if tissue_mm2 is None else round(tissue_mm2, 6),
            "windows": len(windows),
            "pixels": int(np.prod(self.size)),
            "rasters": describe_rasters(self.formats, planned.geometry, tissue),
            "warnings": [warning._asdict() for warning in warned],
            "notes": notes,
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
        }

    def _density(self, windows: list[Window]) -> DensityMap | None:
        """Open or create the density of haematoxylin; None for a slide without colour, or if no format has it."""
        wanted = self.planned.view.channels == 3 and any(name in MEASURED for name in self.formats)
        return DensityMap(self.work.density, self.grid, windows) if wanted else None

    def _find_nuclei(
        self, maker: MapMaker, maps: Path, density: DensityMap | None
    ) -> tuple[ObjectFiles, dict[str, float]]:
        """Make the maps, find nuclei in their complete lines meanwhile, and return the nuclei and seconds by step."""
        blocks = plan_blocks(*self.size, self.options.block)
        files = [self.work.block(index) for index in range(len(blocks))]
        stain = None if density is None else self.work.density
        task = BlockTask(maps, stain, self.size, self.planned.rules, self.model.num_scales > 1, self.planned.region)
        bar = progress_bar(total=len(maker.windows), desc=self.planned.slide.path.name, unit="window", leave=False)
        try:
            with bar, block_executor(self.workers) as executor:
                workers = BlockWorkers(task, blocks, files, executor)
                for lines in maker.run(bar):
                    workers.advance(lines)
                    return_freed_memory()
                workers.finish(self.size[0], bar)
        finally:
            self.reader.close()
        nuclei = ObjectFiles(files).without_specks(self.planned.rules.least_share)
        return nuclei, {**maker.seconds, "nuclei": workers.seconds}

    def _open_maps(self) -> tuple[Path, MapArrays]:
        """Open or create the maps; an interrupted run may have moved them to the output folder."""
        path, moved = self.work.path / MAPS, self.work.output / MAPS
        if self.work.strips == self.grid.rows and not path.exists() and moved.exists():
            return moved, open_maps(moved)
        if self.work.strips == 0:
            return path, create_maps(path, self.planned.geometry, self.grid.step, self.directions)
        return path, open_maps(path)

    def _maker(self, windows: list[Window], maps: MapArrays, density: DensityMap | None) -> MapMaker:
        device = self.model.used_device
        fusion = self.model.fusion if self.scale_groups > 1 else "arithmetic"  # the mean of one group is the group
        predict = WindowPredictor(
            self.network,
            self.grid,
            context=self.options.window_context,
            beyond=self.reader.beyond(self.grid.end),
            device=device,
            amp=device.type == "cuda",
            weights=fusion == "p_conf",
        )
        prepare = self._prepare() if windows else None
        indices = self.planned.groups.indices

        def read(window: Window) -> torch.Tensor:
            assert prepare is not None
            pixels = self.reader.read(window, predict.grid)
            if density is not None:
                density.store(window, np.moveaxis(predict.grid.cut(window, np.moveaxis(pixels, 2, 0)), 0, 2))
            return prepare(pixels)

        def write(row: int, strip: Maps) -> None:
            top, bottom = self.grid.strip(row)
            maps.probability[:, top:bottom] = strip.probability
            maps.scale[top:bottom] = indices[strip.groups]
            if maps.directions is not None and strip.directions is not None:
                maps.directions[:, top:bottom] = strip.directions

        return MapMaker(
            grid=self.grid,
            windows=windows,
            read=read,
            predict=predict,
            write=write,
            work=self.work,
            strategy=fusion,
            num_classes=len(self.model.classes),
            num_groups=self.scale_groups,
            batch=self.options.window_batch,
            threads=self.readers,
            directions=self.directions,
        )

    def _prepare(self) -> Prepare:
        """Return the function that prepares the windows; store the stain profile beside the tissue."""
        preprocessing, profile = self.model.preprocessing, None
        if preprocessing.stain_target is not None:
            folder, marks = self.planned.kept
            file, mark = folder / STAIN, marks / "stain"
            if not mark.exists():  # a file without its mark may belong to other pixels
                file.unlink(missing_ok=True)
            try:
                profile = slide_profile(self.planned.whole, self.planned.tissue, file)
                mark.touch()
                self.stain_warnings += stain_warnings(profile)
            except NoTissueError as error:
                self.stain_warnings.append(not_normalised(error))
        planned = self.planned
        view = planned.whole
        return preprocessing.for_slide(
            profile, lambda: view.tiles(choose_tiles(view, planned.tissue, TILE, TILES), TILE)
        )

    def _facts(
        self, found: Found, warned: Sequence[ResultWarning], notes: Sequence[str], seconds: dict[str, float]
    ) -> SlideFacts:
        """Return the content of the summary beside the nuclei."""
        options, groups, view = self.options, self.planned.groups.numbers, self.planned.view
        settings = {
            "model": self.model.title,
            "network": self.model.name,
            "weights (sha256)": self.model.weights[:12],
            "fusion": self.model.fusion,
            "µm per pixel of the network": options.network_mpp,
            "windows": f"{self.grid.window[1]} x {self.grid.window[0]} px and {options.window_context} px of context",
            "scale groups": "all" if groups is None else ", ".join(map(str, groups)),
            "tissue": options.tissue,
            "least probability": options.nuclei.threshold,
            "least mean probability": options.nuclei.min_confidence,
            "least area": found.least_area,
            "areas left out": ", ".join(f"{count} {reason}" for reason, count in found.left_out.counts.items()),
        }
        return SlideFacts(
            thumbnail=view.part_of_picture(self.planned.thumbnail),
            tissue=view.part_of_picture(self.planned.tissue.mask),
            resolution=self.planned.resolution.describe(),
            warnings=[warning.text for warning in warned],
            notes=notes,
            settings=settings,
            times=seconds,
            read=view.in_colour().read,
        )
