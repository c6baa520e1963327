"""Files of the results of a slide."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from monai_seunet.slides.inference.tissue import TissueMask
from monai_seunet.slides.nuclei.objects import ObjectFiles
from monai_seunet.slides.nuclei.rules import LeftOutTally
from monai_seunet.slides.outputs.coco import write_coco
from monai_seunet.slides.outputs.formats import FILES, MAPS, OBJECTS
from monai_seunet.slides.outputs.geojson import write_asap, write_dsa, write_geojson
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.labels import (
    LabelRows,
    label_notes,
    require_memory,
    write_label_raster,
    write_label_tiff,
)
from monai_seunet.slides.outputs.spatial.annotated import write_anndata
from monai_seunet.slides.outputs.table import write_csv, write_parquet
from monai_seunet.slides.outputs.zarr_pyramid import add_levels
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import write_text

GEOMETRY = "geometry.json"
TISSUE, STAIN = "tissue.png", "stain_profile.json"
ALL = (*FILES.values(), TISSUE, STAIN)
WRITERS = {
    "geojson": write_geojson,
    "geojson.gz": write_geojson,
    "asap": write_asap,
    "dsa": write_dsa,
    "coco": write_coco,
    "csv": write_csv,
    "parquet": write_parquet,
    "anndata": write_anndata,
}
LABEL_WRITERS = {"labels": write_label_tiff, "nifti": write_label_raster, "nrrd": write_label_raster}


class Written(NamedTuple):
    """Summary of the nuclei that were written.

    Attributes:
        objects: number of nuclei.
        left_out: counts of the areas that are no nuclei.
        notes: remarks for the user.
    """

    objects: int
    left_out: LeftOutTally
    notes: list[str]


def check_label_sizes(output: Path, formats: Sequence[str], geometry: SlideGeometry) -> None:
    """Check before the computation that label images fit in memory.

    Raises:
        InputError: a label image is too large for its format.
    """
    for name in formats:
        if LABEL_WRITERS.get(name) is write_label_raster:
            require_memory(output / FILES[name], geometry.label_grid)


def write_objects(output: Path, formats: Sequence[str], blocks: ObjectFiles, geometry: SlideGeometry) -> Written:
    """Write the nuclei in all formats, each file in one atomic step."""
    for name in formats:
        if name in WRITERS:
            WRITERS[name](output / FILES[name], blocks, geometry)
    if "objects" in formats:
        _write_arrays(output / OBJECTS, blocks, geometry)
    on_labels = _write_labels(output, formats, blocks, geometry)
    count, left_out = 0, LeftOutTally()
    cut = dict[str, None]()  # several blocks have the same note if they share an area
    for objects in blocks:
        count += len(objects)
        left_out.add(objects.left_out)
        cut |= dict.fromkeys(objects.notes)
    notes = list(cut)
    more = f", and {len(notes) - 1} more" if len(notes) > 1 else ""
    return Written(count, left_out, [*([f"{notes[0]}{more}"] if notes else []), *on_labels])


def _write_labels(output: Path, formats: Sequence[str], blocks: ObjectFiles, geometry: SlideGeometry) -> list[str]:
    """Write the label images, and return notes for the user."""
    names = [name for name in formats if name in LABEL_WRITERS]
    if not names:
        return []
    labels = LabelRows(blocks, geometry)
    for name in names:
        LABEL_WRITERS[name](output / FILES[name], labels)
    return label_notes(labels, [FILES[name] for name in names])


def _write_arrays(folder: Path, blocks: ObjectFiles, geometry: SlideGeometry) -> None:
    """Write the nuclei as arrays; the geometry comes last and marks a complete folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for index, objects in enumerate(blocks):
        objects.save(folder / f"{index:06d}.npz")
    write_text(folder / GEOMETRY, json.dumps(asdict(geometry)) + "\n")


def describe_rasters(formats: Sequence[str], geometry: SlideGeometry, tissue: TissueMask | None) -> dict[str, Any]:
    """Return size, µm per pixel and position of every raster file by its format, for JSON; see `PixelGrid`.

    Args:
        formats: formats that were written.
        geometry: geometry of the slide.
        tissue: tissue mask of the whole slide; None if it is stored elsewhere.
    """
    grids = {**dict.fromkeys(LABEL_WRITERS, geometry.label_grid), "maps": geometry.network_grid}
    files = {name: grids[name].describe(FILES[name]) for name in formats if name in grids}
    return files if tissue is None else {**files, "tissue": geometry.overview_grid(tissue.mask.shape).describe(TISSUE)}


def move_maps(source: Path, output: Path, geometry: SlideGeometry) -> None:
    """Add the coarser levels to the maps, and move them to the output folder."""
    for chunk in source.rglob("*.partial"):  # zarr was writing it when a run was killed
        chunk.unlink()
    add_levels(source, geometry)
    target = output / MAPS
    shutil.rmtree(target, ignore_errors=True)
    os.replace(source, target)


def refuse_foreign(output: Path) -> None:
    """Check that a new run replaces no files.

    Raises:
        InputError: a file of a result exists.
    """
    for name in ALL:
        if (output / name).exists():
            raise InputError(f"{output / name}: the file exists; give another output folder, or --overwrite")


def require_results(output: Path, formats: Sequence[str]) -> None:
    """Check that all files of a finished slide exist.

    Raises:
        InputError: a file is missing.
    """
    for name in formats:
        if not (output / FILES[name]).exists():
            raise InputError(f"{output / FILES[name]}: the file of a result is missing; --overwrite makes all again")


def remove_leftovers(output: Path) -> None:
    """Remove temporary files of a killed process; no other process may be writing."""
    for name in ALL:
        for path in output.glob(f".{name.partition('.')[0]}.*"):
            _remove(path)


def remove_results(output: Path) -> None:
    """Remove the files of an earlier run."""
    for name in ALL:
        _remove(output / name)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class SlideResult(dict[str, Any]):
    """Result of a slide: the content of `result.json`, and the nuclei if the format `objects` was written.

    Args:
        folder: folder of the results.
        facts: content of `result.json`.
        kept: whether an earlier run made the results.

    Raises:
        InputError: `objects` or `geometry` is read, but the format `objects` was not written.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], kept: bool = False) -> None:
        super().__init__(facts)
        self.folder = folder
        self.kept = kept

    @property
    def objects(self) -> ObjectFiles:
        """Nuclei block by block, loaded on access."""
        return ObjectFiles(sorted(self._arrays().glob("*.npz")))

    @cached_property
    def geometry(self) -> SlideGeometry:
        """Name, sizes and classes of the slide."""
        values = json.loads((self._arrays() / GEOMETRY).read_text(encoding="utf-8"))
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return SlideGeometry(**fields)

    def _arrays(self) -> Path:
        if not (self.folder / OBJECTS / GEOMETRY).exists():
            raise InputError(f"{self.folder}: holds no nuclei as arrays; add objects to formats")
        return self.folder / OBJECTS
