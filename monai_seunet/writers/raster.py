"""Writing of images and maps, rows first, in the formats that `monai_seunet.reading` reads.

The image writers of MONAI are not used: they store rows as x in NIfTI, NRRD and MHA, store no µm per pixel in PNG and
TIFF, and leave an incomplete file after an error. MONAI's `SaveImage` also hides the reason of a failure.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write

UM_PER_MM = 1_000.0
UM_PER_CM = 10_000.0
UM_PER_INCH = 25_400.0

Pair = tuple[float, float]  # (y, x)


def write_raster(
    path: str | Path, pixels: np.ndarray, mpp: float | Sequence[float] | None = None, origin: Sequence[float] = (0, 0)
) -> Path:
    """Write one image or map in the format of the suffix.

    Invariant: `read_raster` returns the same array and mpp. Only PNG rounds: it stores floating-point maps in [0, 1] as
    16-bit integers with 65535 for 1.
    Limits: PNG has one channel or RGB. Integers are stored in the smallest type that holds them.

    Args:
        path: .png, .tif, .tiff, .nii, .nii.gz, .nrrd or .mha file, which is replaced in one atomic step.
        pixels: array (H, W) or (H, W, C), integer, boolean or floating point.
        mpp: µm per pixel, or µm per pixel (y, x); None if it is unknown.
        origin: (y, x) of the centre of the first pixel in µm, or in pixels if mpp is None. Only NIfTI, NRRD and MHA
            store it, so 3D Slicer can overlay a part of an image on the whole image.

    Raises:
        InputError: the suffix is unknown, the format cannot hold the array, or the file cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_raster(f"{folder}/a.png", np.zeros((4, 6)), mpp=0.5).name
    'a.png'
    """
    path = Path(path)
    suffix = raster_suffix(path)
    pixels = _compact(pixels)
    spacing = None if mpp is None else _pair((mpp, mpp) if isinstance(mpp, int | float) else mpp)
    try:
        with atomic_write(path) as temporary:
            _ENCODERS[suffix](temporary, pixels, spacing, _pair(origin))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (OSError, RuntimeError) as error:  # ITK raises RuntimeError for a full disk
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be written ({reason}); make room or choose another output_dir") from error
    return path


def raster_suffix(path: str | Path) -> str:
    """Return the suffix of a file, or raise an InputError if it is none of the supported formats."""
    name = Path(path).name.lower()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else name[name.rfind(".") :]
    if suffix not in _ENCODERS:
        raise InputError(f"{path}: unknown image format; choose one of {', '.join(_ENCODERS)}")
    return suffix


def _compact(pixels: np.ndarray) -> np.ndarray:
    """Convert integers to the smallest type that holds them, floats to 32 bits, and drop a channel axis of length 1."""
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype.kind in "bui":
        least, most = int(pixels.min(initial=0)), int(pixels.max(initial=0))
        pixels = pixels.astype(np.result_type(np.min_scalar_type(least), np.min_scalar_type(most)))
    elif pixels.dtype != np.float32:
        pixels = pixels.astype(np.float32)
    return np.ascontiguousarray(pixels)


def _pair(values: Sequence[float]) -> Pair:
    y, x = map(float, values)
    return y, x


def _encode_png(path: Path, pixels: np.ndarray, mpp: Pair | None, _: Pair) -> None:
    from PIL import Image

    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):
            raise InputError("PNG holds only floating-point values from 0 to 1; choose .tif")
        pixels = np.round(pixels * np.float32(65535)).astype(np.uint16)
    rgb = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8
    if not rgb and (pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16)):
        raise InputError(f"PNG cannot hold {pixels.dtype} of shape {list(pixels.shape)}; choose .tif")
    options: dict[str, Any] = {} if mpp is None else {"dpi": (UM_PER_INCH / mpp[1], UM_PER_INCH / mpp[0])}
    Image.fromarray(pixels).save(path, **options)


def _encode_tiff(path: Path, pixels: np.ndarray, mpp: Pair | None, _: Pair) -> None:
    import tifffile

    options: dict[str, Any] = {"photometric": "minisblack", "compression": "zlib", "metadata": {"axes": "YX"}}
    if pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.dtype == np.uint8:
        options |= {"photometric": "rgb", "metadata": {"axes": "YXS"}}
    elif pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 2, 0)  # ImageJ and QuPath expect one page for each channel
        options |= {"metadata": {"axes": "CYX"}}
    if mpp is not None:
        options |= {"resolution": (UM_PER_CM / mpp[1], UM_PER_CM / mpp[0]), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, **options)


def _encode_nifti(path: Path, pixels: np.ndarray, mpp: Pair | None, origin: Pair) -> None:
    import nibabel

    columns_first = pixels.swapaxes(0, 1)  # the first axis of NIfTI is x
    if columns_first.ndim == 3:
        columns_first = columns_first[:, :, None]  # (x, y, z, channel)
    y, x = mpp or (1.0, 1.0)
    affine = np.diag([x, y, 1.0, 1.0])
    affine[:2, 3] = origin[::-1]
    image = nibabel.Nifti1Image(columns_first, affine)
    image.header.set_xyzt_units("unknown" if mpp is None else "micron")
    content = image.to_bytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _encode_itk(path: Path, pixels: np.ndarray, mpp: Pair | None, origin: Pair) -> None:
    import itk

    image = itk.image_from_array(pixels, is_vector=pixels.ndim == 3)
    unit = 1.0 if mpp is None else UM_PER_MM  # the unit of ITK is mm
    if mpp is not None:
        image.SetSpacing([mpp[1] / unit, mpp[0] / unit])
    image.SetOrigin([origin[1] / unit, origin[0] / unit])
    itk.imwrite(image, str(path), compression=True)


_ENCODERS: dict[str, Callable[[Path, np.ndarray, Pair | None, Pair], None]] = {
    ".png": _encode_png,
    **dict.fromkeys((".tif", ".tiff"), _encode_tiff),
    **dict.fromkeys((".nii", ".nii.gz"), _encode_nifti),
    **dict.fromkeys((".nrrd", ".mha"), _encode_itk),
}
