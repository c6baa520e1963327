"""Transforms that save the maps and overlays of an image under its name."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import FolderLayout, MetaTensor
from monai.transforms import MapTransform, SaveImaged, Transform
from monai.utils import TransformBackends, convert_to_numpy, ensure_tuple_rep

from monai_seunet.drawing.overlay import CONTOUR_COLOURS, add_legend, draw_contours, draw_scales, scale_names
from monai_seunet.drawing.style import head_colours
from monai_seunet.networks.unet.base import Network
from monai_seunet.transforms.spatial.functional import spacing_of
from monai_seunet.utils.errors import InputError, make_folder
from monai_seunet.writers.raster import raster_suffix, write_raster


class OutputNames:
    """Unique names of output files, `folder/<stem of the image>_<postfix><extension>`.

    Args:
        output_dir: output folder, which is created.
        postfix: kind of the output at the end of the name.
        extension: suffix of the format with its dot.
        overwrite: whether existing files are replaced.

    Raises:
        InputError: the format is unknown, or the folder is not writable.
    """

    def __init__(self, output_dir: str | Path, postfix: str, extension: str, overwrite: bool = False) -> None:
        raster_suffix(f"{postfix}{extension}")
        self.layout = FolderLayout(make_folder(output_dir), postfix, extension)
        self.overwrite = overwrite
        self.sources: dict[Path, str] = {}
        self.written: set[Path] = set()

    def of_source(self, source: str | Path) -> Path:
        """Return the output path for the image file `source`."""
        return Path(self.layout.filename(str(source)))

    def of(self, img: torch.Tensor) -> Path:
        """Return the output path for an image, whose meta data hold its file name.

        Raises:
            InputError: the output of another image has the same path, or the output exists and must not be replaced.
        """
        if not isinstance(img, MetaTensor) or not img.meta.get("filename_or_obj"):
            raise ValueError("a saved image must be a MetaTensor whose meta['filename_or_obj'] names its file")
        source = str(img.meta["filename_or_obj"])
        path = self.of_source(source)
        other = self.sources.setdefault(path, source)
        if other != source:
            raise InputError(f"{path}: would hold the outputs of both {other} and {source}; rename one of them")
        if path.exists() and path not in self.written and not self.overwrite:
            raise InputError(f"{path}: exists; give another output_dir, or replace it with --overwrite true")
        self.written.add(path)
        return path


class SaveMap(Transform):
    """Save an image or a map (C, H, W) by `write_raster` and return it unchanged.

    Args:
        output_dir: output folder.
        postfix: end of the file name `<stem of the image>_<postfix><extension>`.
        extension: suffix of the format, such as .png, .tif, .nii.gz, .nrrd or .mha.
        skip_channels: number of channels that are skipped; 1 skips the background, whose probability is one minus the
            sum of the others.
        overwrite: whether existing files are replaced.
    """

    backend = [TransformBackends.TORCH, TransformBackends.NUMPY]  # noqa: RUF012

    def __init__(
        self,
        output_dir: str | Path,
        postfix: str = "map",
        extension: str = ".png",
        skip_channels: int = 0,
        overwrite: bool = False,
    ) -> None:
        self.names = OutputNames(output_dir, postfix, extension, overwrite)
        self.skip_channels = skip_channels

    def __call__(self, img: torch.Tensor) -> torch.Tensor:
        """Save `img` (C, H, W)."""
        write_raster(self.names.of(img), _rows_columns(img[self.skip_channels :]), _mpp(img))
        return img


class SaveMapd(MapTransform):
    """Dictionary form of `SaveMap`.

    Args:
        keys: keys of the images and maps (C, H, W).
        output_dir: output folder.
        postfix: ends of the file names, one for each key; None uses the keys.
        extension: suffix of the format, one for all keys or one for each.
        skip_channels: number of channels that are skipped, one for all keys or one for each.
        overwrite: whether existing files are replaced.
        allow_missing_keys: skip keys that an item does not have.
    """

    backend = SaveMap.backend

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | Path,
        postfix: str | Sequence[str] | None = None,
        extension: str | Sequence[str] = ".png",
        skip_channels: int | Sequence[int] = 0,
        overwrite: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        count = len(self.keys)
        postfixes = ensure_tuple_rep(self.keys if postfix is None else postfix, count)
        extensions, skips = ensure_tuple_rep(extension, count), ensure_tuple_rep(skip_channels, count)
        self.savers = [
            SaveMap(output_dir, str(postfix), extension, skip_channels=skip, overwrite=overwrite)
            for postfix, extension, skip in zip(postfixes, extensions, skips, strict=True)
        ]

    def files_of(self, source: str | Path) -> dict[str, Path]:
        """Return the output path of every key for the image file `source`."""
        return {str(key): save.names.of_source(source) for key, save in zip(self.keys, self.savers, strict=True)}

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Save every key."""
        result = dict(data)
        for key, save in self.key_iterator(result, self.savers):
            save(result[key])
        return result


class SaveOverlayd(MapTransform):
    """Save an overlay of the contours of a prediction, and an overlay of the winning scale groups, as PNG.

    The overlay of the scale groups, `<stem>_scales_overlay.png`, has a legend with the sigma of each group in the first
    layer, in pixels of the image.

    Args:
        image_key: key of the original image, RGB (3, H, W) or grey (1, H, W), of 8 or 16 bits.
        label_key: key of the class indices (1, H, W).
        output_dir: output folder.
        scale_key: key of the winning group of each pixel (1, H, W); None, or a network of one group, saves no overlay
            of scale groups.
        network: network whose sigmas the legend shows.
        working_mpp: µm per pixel to which the image was rescaled for the network; None without rescaling.
        class_names: class names for a legend of the contours, background first; None draws no legend.
        overwrite: whether existing files are replaced.
    """

    backend = SaveMap.backend

    def __init__(
        self,
        image_key: str,
        label_key: str,
        output_dir: str | Path,
        scale_key: str | None = None,
        network: Network | None = None,
        working_mpp: float | None = None,
        class_names: Sequence[str] | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__([image_key, label_key])
        self.image_key, self.label_key, self.scale_key = image_key, label_key, scale_key
        self.contours = OutputNames(output_dir, "overlay", ".png", overwrite)
        self.scales = OutputNames(output_dir, "scales_overlay", ".png", overwrite)
        self.network = network
        self.working_mpp = working_mpp
        self.class_names = class_names

    def files_of(self, source: str | Path) -> dict[str, Path]:
        """Return the output paths for the image file `source` by their postfix."""
        files = {"overlay": self.contours.of_source(source)}
        if self.scale_key is not None and len(self._sigmas()) > 1:
            files["scales_overlay"] = self.scales.of_source(source)
        return files

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Draw and save the overlays of one item."""
        source = data[self.image_key]
        image = _shown(source)
        labels = _rows_columns(data[self.label_key])[:, :, 0]
        drawn = draw_contours(image, labels)
        if self.class_names is not None:
            names = self.class_names[1:]
            colours = [CONTOUR_COLOURS[index % len(CONTOUR_COLOURS)] for index in range(len(names))]
            drawn = add_legend(drawn, list(zip(colours, names, strict=True)))
        write_raster(self.contours.of(source), drawn, _mpp(source))
        sigmas = self._sigmas()
        if self.scale_key is not None and len(sigmas) > 1:
            scale_map = _rows_columns(data[self.scale_key])[:, :, 0]
            tinted = draw_scales(image, scale_map, labels, len(sigmas))
            entries = list(zip(head_colours(len(sigmas)), self._names(sigmas, _mpp(source)), strict=True))
            write_raster(self.scales.of(source), add_legend(tinted, entries, "winning σ:"), _mpp(source))
        return dict(data)

    def _sigmas(self) -> list[float]:
        return [] if self.network is None else self.network.first_sigmas()

    def _names(self, sigmas: Sequence[float], mpp: float | None) -> list[str]:
        zoom = 1.0 if self.working_mpp is None or mpp is None else self.working_mpp / mpp
        return scale_names([sigma * zoom for sigma in sigmas], mpp)


# MONAI Label returns results from memory, and skips transforms of the type SaveImaged.
for _saver in (SaveMapd, SaveOverlayd):
    SaveImaged.register(_saver)


def _shown(img: torch.Tensor) -> np.ndarray:
    """Convert (1 or 3, H, W) to (H, W, 3), uint8; images with values above 255 are scaled by their largest value."""
    pixels = _rows_columns(img)
    largest = float(pixels.max())
    pixels = (pixels * (255 / largest) if largest > 255 else pixels).astype(np.uint8)
    return pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels


def _rows_columns(img: torch.Tensor) -> np.ndarray:
    """Convert (C, H, W) to (H, W, C)."""
    return np.moveaxis(convert_to_numpy(img), 0, -1)


def _mpp(img: torch.Tensor) -> float | None:
    size = spacing_of(img)
    return None if size is None else sum(size) / 2
