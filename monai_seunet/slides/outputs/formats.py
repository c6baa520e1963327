"""Names of the formats of results, and of their files."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.utils.errors import InputError, did_you_mean, is_installed, missing

MAPS = "maps.ome.zarr"
SUMMARY = "summary.html"
OVERLAY = "overlay.png"
OBJECTS = "objects"
FILES = {
    "geojson": "objects.geojson",
    "geojson.gz": "objects.geojson.gz",
    "asap": "objects.xml",
    "dsa": "objects.dsa.json",
    "coco": "objects.coco.json",
    "csv": "objects.csv",
    "parquet": "objects.parquet",
    "anndata": "objects.h5ad",
    "spatialdata": "spatial.zarr",
    "labels": "labels.ome.tif",
    "nifti": "labels.nii.gz",
    "nrrd": "labels.nrrd",
    "maps": MAPS,
    "overlay": OVERLAY,
    "summary": SUMMARY,
    "objects": OBJECTS,  # a folder of arrays, for programs; see `SlideResult.objects`
}

MEASURED = ("csv", "parquet", "anndata", "spatialdata", "objects")  # formats with the density of haematoxylin
EXTRA = ("anndata", "spatialdata")  # formats that are written with the package of the same name


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """Return the formats as a tuple.

    Raises:
        InputError: a format is unknown, or its package is not installed.

    >>> check_formats(["csv", "labels"])
    ('csv', 'labels')
    """
    for name in formats:
        if name not in FILES:
            advice = did_you_mean(name, FILES)
            raise InputError(f"format '{name}' is unknown{advice or ';'} choose from {', '.join(FILES)}")
        if name in EXTRA and not is_installed(name):
            raise missing(f"format '{name}' needs the package {name}, which", "spatial")
    return tuple(formats)
