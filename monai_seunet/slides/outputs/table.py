"""Measurements of nuclei as tables."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import Numbered, SlideGeometry, number_objects
from monai_seunet.utils.files import atomic_write

# pandas and notebooks leave out columns in the middle, so number, place, area and confidence are first and last
COLUMNS = {
    "label": "int64",
    "x_px": "float64",
    "y_px": "float64",
    "x_um": "float64",
    "y_um": "float64",
    "id": "string",
    "class": "string",
    "scale_group": "int64",
    "scale_sigma_um": "float64",
    "scale_sigma_px": "float64",
    "box_x0_px": "float64",
    "box_y0_px": "float64",
    "box_x1_px": "float64",
    "box_y1_px": "float64",
    "perimeter_um": "float64",
    "perimeter_px": "float64",
    "eccentricity": "float64",
    "solidity": "float64",
    "haematoxylin_od": "float64",
    "area_px": "float64",
    "area_um2": "float64",
    "confidence": "float64",
}


def write_csv(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write one line for every nucleus, see `table_columns`; unknown values are empty.

    Args:
        path: path with the ending .csv.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for part in number_objects(blocks, geometry):
            writer.writerows(zip(*table_columns(part, geometry).values(), strict=True))
    return Path(path)


def write_parquet(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write the table of `write_csv` as Parquet, with one row group for each block; unknown values are null.

    Args:
        path: path with the ending .parquet.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = pyarrow.schema([(name, getattr(pyarrow, dtype)()) for name, dtype in COLUMNS.items()])
    with atomic_write(path) as temporary, ParquetWriter(temporary, schema, compression="zstd") as writer:
        for part in number_objects(blocks, geometry):
            if len(part.objects):
                writer.write_table(pyarrow.table(table_columns(part, geometry), schema=schema))
    return Path(path)


def table_columns(part: Numbered, geometry: SlideGeometry) -> dict[str, list[Any]]:
    """Return the columns of the tables for the nuclei of a block.

    `id` is the id in the GeoJSON, `label` the number in the label image. Centroids, boxes and `area_px` are in base
    pixels, whose edges lie at integers. `scale_group` starts at 1; `scale_sigma_um` and `scale_sigma_px` are the width
    of its filters. Perimeter and eccentricity take the working pixels as square, see `nuclei.shapes`. `haematoxylin_od`
    is the mean optical density, see `inference.density`; it is unknown for slides that are read without colour.

    Args:
        part: numbered nuclei.
        geometry: geometry of the slide.
    """
    objects = part.objects
    centres = geometry.to_base(objects.centroids)
    boxes = geometry.to_base(objects.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
    pixels = objects.areas / (geometry.scale[0] * geometry.scale[1])
    unknown = [None] * len(objects)
    pixel = (1 / geometry.scale[0], 1 / geometry.scale[1])
    perimeters = objects.perimeters * float(np.mean(pixel))
    known = geometry.mpp is not None
    micrometres = centres * (geometry.mpp or (1.0, 1.0))
    return {
        "label": part.labels.tolist(),
        "x_px": _rounded(centres[:, 1]),
        "y_px": _rounded(centres[:, 0]),
        "x_um": _rounded(micrometres[:, 1]) if known else unknown,
        "y_um": _rounded(micrometres[:, 0]) if known else unknown,
        "id": part.ids,
        "class": [geometry.classes[number - 1] for number in objects.classes.tolist()],
        "scale_group": [group + 1 if group >= 0 else None for group in objects.groups.tolist()],
        "scale_sigma_um": [_sigma(geometry, group, geometry.working_mpp) for group in objects.groups.tolist()],
        "scale_sigma_px": [_sigma(geometry, group, pixel) for group in objects.groups.tolist()],
        "box_x0_px": _rounded(boxes[:, 1]),
        "box_y0_px": _rounded(boxes[:, 0]),
        "box_x1_px": _rounded(boxes[:, 3]),
        "box_y1_px": _rounded(boxes[:, 2]),
        "perimeter_um": _rounded(perimeters * float(np.mean(geometry.mpp or 1.0))) if known else unknown,
        "perimeter_px": _rounded(perimeters),
        "eccentricity": _rounded(objects.eccentricities, 4),
        "solidity": _rounded(objects.solidities, 4),
        "haematoxylin_od": [None if math.isnan(value) else value for value in _rounded(objects.densities, 4)],
        "area_px": _rounded(pixels),
        "area_um2": _rounded(geometry.area(objects.areas)) if known else unknown,
        "confidence": _rounded(objects.confidences, 4),
    }


def _rounded(values: np.ndarray, digits: int = 2) -> list[float]:
    return np.round(values, digits).tolist()


def _sigma(geometry: SlideGeometry, group: int, pixel: tuple[float, float] | None) -> float | None:
    """Return the sigma of a group in the unit of the sides of a working pixel."""
    if pixel is None or not 0 <= group < len(geometry.sigmas):
        return None
    return round(geometry.sigmas[group] * float(np.mean(pixel)), 3)
