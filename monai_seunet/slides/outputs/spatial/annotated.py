"""Table of nuclei as AnnData."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry, number_objects
from monai_seunet.slides.outputs.table import COLUMNS, table_columns
from monai_seunet.utils.files import atomic_write

if TYPE_CHECKING:
    import anndata
    import pandas

# Measurements in X with their units, for slides with and without µm per pixel.
_NO_UNIT = {"eccentricity": "", "solidity": "", "haematoxylin_od": ""}
MICROMETRES = {"area_um2": "um^2", "perimeter_um": "um", **_NO_UNIT, "scale_sigma_um": "um", "confidence": ""}
PIXELS = {"area_px": "px^2", "perimeter_px": "px", **_NO_UNIT, "scale_sigma_px": "px", "confidence": ""}


def nuclei_table(blocks: Iterable[Objects], geometry: SlideGeometry) -> anndata.AnnData:
    """Return one observation for each nucleus, with the columns of the tables and its shape.

    `obs_names` are the ids of the GeoJSON. `X` has the measurements in µm, or in pixels of the finest level if the µm
    per pixel are not known; measurements that the whole slide lacks are left out. `obsm["spatial"]` has the centres
    (x, y) in the same unit, which is `uns["spatial_unit"]`: `micrometer` or `pixel`.
    Limits: all nuclei are in memory.

    Args:
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
    """
    import anndata
    import pandas

    frame = _frame(blocks, geometry)
    unit, name, features = ("um", "micrometer", MICROMETRES) if geometry.mpp else ("px", "pixel", PIXELS)
    known = [column for column in features if not len(frame) or frame[column].notna().any()]
    table = anndata.AnnData(
        X=frame[known].to_numpy(np.float32),
        obs=frame,
        var=pandas.DataFrame({"unit": [features[column] for column in known]}, index=known),
    )
    table.obsm["spatial"] = frame[[f"x_{unit}", f"y_{unit}"]].to_numpy(np.float64)
    table.uns["spatial_unit"] = name
    table.uns["slide"] = geometry.name
    if geometry.mpp is not None:
        table.uns["mpp"] = np.array(geometry.mpp[::-1])  # x, y
    return table


def _frame(blocks: Iterable[Objects], geometry: SlideGeometry) -> pandas.DataFrame:
    """Return the columns of the tables, with the ids as index."""
    import pandas

    parts = [pandas.DataFrame(table_columns(part, geometry)) for part in number_objects(blocks, geometry)]
    frame = pandas.concat([part for part in parts if len(part)] or [pandas.DataFrame(columns=list(COLUMNS))])
    frame = frame.astype({name: dtype for name, dtype in COLUMNS.items() if dtype == "float64"})
    frame["label"] = frame["label"].astype("int64")
    frame["scale_group"] = frame["scale_group"].astype("Int64")  # with missing values
    frame["class"] = pandas.Categorical(frame["class"], list(geometry.classes))
    return frame.set_index("id")


def write_anndata(path: str | Path, blocks: Iterable[Objects], geometry: SlideGeometry) -> Path:
    """Write the table of `nuclei_table` as HDF5.

    Args:
        path: path with the ending .h5ad.
        blocks: nuclei of the slide.
        geometry: geometry of the slide.
    """
    with atomic_write(path) as temporary:
        nuclei_table(blocks, geometry).write_h5ad(temporary)
    return Path(path)
