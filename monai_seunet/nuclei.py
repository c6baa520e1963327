"""Nuclei of an image in one call, for Python programs and notebooks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import convert_to_numpy

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_label
from monai_seunet.reading.slide import Choice
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.inference.tissue import overview, read_thumbnail
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.options import check_object_type
from monai_seunet.slides.outputs.coco import write_coco
from monai_seunet.slides.outputs.formats import FILES, MAPS, check_formats
from monai_seunet.slides.outputs.geojson import write_geojson
from monai_seunet.slides.outputs.overlay import picture_of
from monai_seunet.slides.outputs.results import SlideResult
from monai_seunet.slides.outputs.spatial.annotated import write_anndata
from monai_seunet.slides.outputs.spatial.spatial_store import check_store, write_spatialdata
from monai_seunet.slides.outputs.table import write_csv, write_parquet
from monai_seunet.slides.outputs.zarr_pyramid import open_maps
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.transforms.spatial.functional import spacing_of
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster

if TYPE_CHECKING:
    import pandas

FORMATS = ("parquet", "labels", "maps", "overlay", "objects")


def segment(
    image: str | Path | np.ndarray | torch.Tensor,
    model: str = DEFAULT_MODEL,
    *,
    mpp: float | str | None = None,
    groups: Sequence[int] | str | None = None,
    device: str | None = None,
) -> Nuclei:
    """Find the nuclei of an image, as the command `monai-seunet segment` does.

    Args:
        image: image or slide file; or array (H, W, 3) or (H, W) of unsigned integers; or tensor (C, H, W), whose µm per
            pixel are used if it is a MetaTensor of this package's reader.
        model: name of a trained model, see `config.models.trained_models`.
        mpp: µm per pixel, in place of the image's own; `auto` estimates it; None uses the image's own, or none.
        groups: numbers of the scale groups that run, from 1; None for all.
        device: `cpu`, `cuda` or `cuda:N`; None for a GPU if there is one.

    Raises:
        InputError: the image cannot be used, or the model is unknown or takes images of another kind.

    >>> nuclei = segment(np.full((64, 64, 3), 255, np.uint8), mpp=0.25)
    >>> len(nuclei), nuclei.labels.shape
    (0, (64, 64))
    """
    segmenter = _segmenter(model)
    options = replace(segmenter.options, mpp=mpp, groups=groups)
    segmenter = replace(segmenter, options=options, model=replace(segmenter.model, device=device))
    folder = tempfile.TemporaryDirectory(prefix="monai_seunet_")
    path = Path(image) if isinstance(image, str | Path) else _as_file(image, Path(folder.name) / "image.tif")
    return Nuclei(segmenter.run(path.expanduser(), Path(folder.name) / "results"), folder)


class Nuclei:
    """Nuclei of one image: label image, table, scale map and outlines.

    All pixels are those of the image; `result` has the warnings and notes of the segmentation.
    Limits: the results are kept in a temporary folder while this object exists; labels and maps are read on access.

    Attributes:
        result: result of the segmentation, see `SlideSegmenter.run`.
    """

    def __init__(self, result: SlideResult, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.result = result
        self._folder = folder  # removed with this object

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return int(self.result["objects"])

    def __repr__(self) -> str:
        return f"Nuclei({self.result.geometry.name}: {len(self)} nuclei, {self.result['resolution']})"

    @property
    def mpp(self) -> tuple[float, float] | None:
        """µm per pixel (y, x) of the image; None if not known."""
        return self.result.geometry.mpp

    @property
    def warnings(self) -> list[str]:
        """What may be wrong with the result."""
        return [warning["text"] for warning in self.result["warnings"]]

    @cached_property
    def labels(self) -> np.ndarray:
        """Numbers (H, W) of the nuclei, the column `label` of the table; 0 is background."""
        return read_label(self._file("labels"))

    @cached_property
    def table(self) -> pandas.DataFrame:
        """One row for each nucleus: centre, area, confidence, winning scale group and box."""
        import pandas

        return pandas.read_parquet(self._file("parquet"))

    @cached_property
    def scales(self) -> np.ndarray:
        """Winning scale group (H, W) uint8 of each pixel, from 1; 0 where nothing was computed."""
        geometry = self.result.geometry
        groups = np.asarray(open_maps(self.result.folder / MAPS, "r").scale[:])
        rows, columns = (
            np.clip(places, 0, length - 1)
            for places, length in zip(geometry.places(geometry.image_grid), geometry.size, strict=True)
        )
        return (groups[np.ix_(rows, columns)] + 1).astype(np.uint8)  # 255, which means no group, becomes 0

    def to_geojson(self, path: str | Path, object_type: str = "detection") -> Path:
        """Write the outlines for QuPath, as .geojson or .geojson.gz.

        Args:
            path: path of the file.
            object_type: `detection`; or `cell` for Xenium Ranger and Space Ranger, which ignore other objects.

        Raises:
            InputError: the type is unknown.
        """
        check_object_type(object_type)
        return write_geojson(path, self.result.objects, replace(self.result.geometry, object_type=object_type))

    def to_coco(self, path: str | Path) -> Path:
        """Write the outlines as COCO JSON."""
        return write_coco(path, self.result.objects, self.result.geometry)

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV."""
        return write_csv(path, self.result.objects, self.result.geometry)

    def to_parquet(self, path: str | Path) -> Path:
        """Write the table as Parquet."""
        return write_parquet(path, self.result.objects, self.result.geometry)

    def to_anndata(self, path: str | Path) -> Path:
        """Write the table as AnnData (.h5ad), for scanpy and squidpy.

        Raises:
            InputError: anndata is not installed.
        """
        check_formats(["anndata"])
        return write_anndata(path, self.result.objects, self.result.geometry)

    def to_spatialdata(self, path: str | Path) -> Path:
        """Write outlines, label image, table and image as a SpatialData folder (.zarr).

        Args:
            path: path with the ending .zarr; an earlier result of this method is replaced.

        Raises:
            InputError: spatialdata is not installed, the image was removed, or the path has another ending or other
                data.
        """
        check_formats(["spatialdata"])
        check_store(Path(path))
        geometry, options = self.result.geometry, self.result["plan"]
        with open_slide(options["slide"]["path"], Choice(options["series"], options["plane"])) as slide:
            view = SlideView(slide, geometry.scale).part(*geometry.corner, *geometry.size)
            mpp = None if geometry.mpp is None else float(np.mean(geometry.mpp))
            picture = picture_of(view, geometry, lambda: read_thumbnail(overview(slide, mpp)))
        return write_spatialdata(path, self.result.objects, geometry, picture)

    def to_png(self, path: str | Path) -> Path:
        """Write the picture with the outlines of the nuclei."""
        return Path(shutil.copy(self._file("overlay"), path))

    def _file(self, name: str) -> Path:
        return self.result.folder / FILES[name]


@lru_cache(maxsize=2)
def _segmenter(model: str) -> SlideSegmenter:
    overlay = find_model(model).overlay
    segmenter, _ = configure_segmenter(default_bundle(), DEFAULT_NETWORK, overlays=[overlay])
    return replace(segmenter, formats=FORMATS, workers=0)  # a process would import the caller's script again


def _as_file(image: np.ndarray | torch.Tensor, path: Path) -> Path:
    """Write an array or tensor as TIFF with its µm per pixel."""
    size = spacing_of(image) if isinstance(image, torch.Tensor) else None
    pixels = np.moveaxis(convert_to_numpy(image), 0, -1) if isinstance(image, torch.Tensor) else image
    if isinstance(image, MetaTensor) and np.array_equal(pixels, pixels.astype(np.uint16)):
        pixels = pixels.astype(np.uint16)  # readers of MONAI return whole numbers as floating point
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.ndim != 2 and pixels.shape[2:] != (3,)):
        raise InputError(
            f"the image is an array of {pixels.dtype} and shape {list(image.shape)}; give unsigned integers of 8 or 16 "
            "bits, (H, W, 3) or (H, W), or a tensor (C, H, W)"
        )
    return write_raster(path, pixels, size)
