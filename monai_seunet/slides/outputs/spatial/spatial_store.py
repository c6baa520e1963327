"""Nuclei of a slide as SpatialData: outlines, label image, table and picture."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import outlines
from monai_seunet.slides.outputs.geometry import PixelGrid, SlideGeometry, number_objects
from monai_seunet.slides.outputs.labels import LabelRows
from monai_seunet.slides.outputs.spatial.annotated import nuclei_table
from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    import anndata
    import geopandas
    import zarr

SHAPES, LABELS, TABLE, PICTURE = "nuclei", "nuclei_labels", "table", "image"  # names of the elements
PIXELS, MICROMETRES = "global", "micrometers"  # names of the coordinate systems
CHUNK = 1024
FACTOR = 4  # factor between the levels of the label image


def write_spatialdata(
    path: str | Path,
    blocks: Sequence[Objects],
    geometry: SlideGeometry,
    picture: tuple[np.ndarray, PixelGrid] | None = None,
) -> Path:
    """Write the nuclei as SpatialData (Zarr 3, NGFF 0.5) with the library `spatialdata`.

    The elements are the polygons `nuclei`, the label image `nuclei_labels` as a pyramid, the table `table` and the
    picture `image`. Their coordinate systems are `global`, pixels of the finest level, and `micrometers` if the µm per
    pixel are known. The table annotates the polygons; its column `label` is their index, and the value in the label
    image.
    Limits: polygons and table are in memory; the label image is written in bands. A slide
    without nuclei has no polygons, since `spatialdata` holds no empty ones.

    Args:
        path: path with the ending .zarr; an earlier result of this function is replaced.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
        picture: pixels (h, w, 3) uint8 of the tissue, and their place; None for no picture.

    Raises:
        InputError: the path has another ending, or something else is there.

    References:
        https://spatialdata.scverse.org/en/stable/design_doc.html. The attribute `boundaries_shapes` says to sopa where
        the outlines are.
    """
    import dask.array
    import zarr
    from spatialdata import SpatialData
    from spatialdata.models import Image2DModel, Labels2DModel

    path = Path(path)
    check_store(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name.partition('.')[0]}.") as folder:
        labels = LabelRows(blocks, geometry)
        finest = _write_bands(
            labels,
            zarr.open_array(
                Path(folder) / "labels", mode="w", shape=labels.grid.size, chunks=(CHUNK, CHUNK), dtype="uint32"
            ),
        )
        table = nuclei_table(blocks, geometry)
        shapes = {SHAPES: _shapes(blocks, geometry)} if table.n_obs else {}
        images = {}
        if picture is not None:
            pixels, grid = picture
            transformations = _transformations(geometry, grid)
            images[PICTURE] = Image2DModel.parse(
                np.moveaxis(pixels, 2, 0),
                dims=("c", "y", "x"),
                c_coords=["r", "g", "b"],
                transformations=transformations,
            )
        data = SpatialData(
            images=images,
            labels={
                LABELS: Labels2DModel.parse(
                    dask.array.from_zarr(finest),
                    dims=("y", "x"),
                    scale_factors=_factors(labels.grid.size),
                    transformations=_transformations(geometry, labels.grid),
                )
            },
            shapes=shapes,
            tables={TABLE: _annotating(table) if shapes else table},
            attrs={"boundaries_shapes": SHAPES} if shapes else {},
        )
        data.write(Path(folder) / path.name)
        if path.exists():
            os.replace(path, Path(folder) / "replaced")
        os.replace(Path(folder) / path.name, path)
    return path


def check_store(path: Path) -> None:
    """Refuse a path where data would be lost, or that SpatialData's readers would not take.

    Raises:
        InputError: the path does not end in .zarr, or has anything but a result of `write_spatialdata`.
    """
    if path.suffix != ".zarr":
        raise InputError(f"{path}: SpatialData is a folder whose name ends in .zarr; give such a path")
    if (path.exists() or path.is_symlink()) and not _is_result(path):
        raise InputError(
            f"{path}: would be replaced, but is no SpatialData of nuclei of this package; give another path"
        )


def _is_result(path: Path) -> bool:
    """Return whether a folder is SpatialData without elements of other programs, such as the image of a Xenium."""
    import zarr

    try:
        root = zarr.open_group(path, mode="r")
        elements = {name for _, kind in root.groups() for name in kind.keys()}
    except (OSError, ValueError):  # zarr's errors of a missing or damaged group are ValueErrors
        return False
    return "spatialdata_attrs" in root.attrs and elements <= {SHAPES, LABELS, TABLE, PICTURE}


def _write_bands(labels: LabelRows, array: zarr.Array) -> zarr.Array:
    for y in range(0, labels.grid.size[0], CHUNK):
        end = min(y + CHUNK, labels.grid.size[0])
        band = labels.read(y, end)
        if band.any():
            array[y:end] = band
    return array


def _factors(size: tuple[int, int]) -> list[int]:
    """Return the factors between levels, down to one chunk."""
    factors, side = [], max(size)
    while side > CHUNK:
        factors.append(FACTOR)
        side //= FACTOR
    return factors


def _shapes(blocks: Sequence[Objects], geometry: SlideGeometry) -> geopandas.GeoDataFrame:
    """Return the polygons in pixels of the finest level; the index is the number in the label image."""
    import geopandas
    import pandas
    from spatialdata.models import ShapesModel

    parts = list(number_objects(blocks, geometry))
    polygons = np.concatenate([np.zeros(0, object), *(outlines(part.objects, geometry) for part in parts)])
    numbers = np.concatenate([np.zeros(0, np.int64), *(part.labels for part in parts)])
    frame = geopandas.GeoDataFrame(geometry=polygons, index=pandas.Index(numbers, name="label"))
    whole = PixelGrid(geometry.base_size, (0.0, 0.0), (1.0, 1.0), geometry.mpp)
    return ShapesModel.parse(frame, transformations=_transformations(geometry, whole))


def _annotating(table: anndata.AnnData) -> anndata.AnnData:
    """Let a table annotate the polygons."""
    import pandas
    from spatialdata.models import TableModel

    table.obs["region"] = pandas.Categorical([SHAPES] * table.n_obs, [SHAPES])
    return TableModel.parse(table, region=SHAPES, region_key="region", instance_key="label")


def _transformations(geometry: SlideGeometry, grid: PixelGrid) -> dict[str, Any]:
    """Return the transformations of the pixels of a grid, whose edges lie at integers, to all coordinate systems."""
    from spatialdata.transformations import Identity, Scale, Sequence, Translation

    steps: list[Any] = []
    if grid.downsample != (1.0, 1.0):
        steps.append(Scale(list(grid.downsample[::-1]), axes=("x", "y")))
    if any(grid.corner):
        steps.append(Translation(list(grid.corner[::-1]), axes=("x", "y")))
    systems = {PIXELS: Sequence(steps) if steps else Identity()}
    if geometry.mpp is not None:
        systems[MICROMETRES] = Sequence([*steps, Scale(list(geometry.mpp[::-1]), axes=("x", "y"))])
    return systems
