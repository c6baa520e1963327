"""Read histology images of many file formats: rows first, with µm per pixel where the file says it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from monai.config import PathLike
from monai.data import ImageReader
from monai.utils import ensure_tuple

from monai_seunet.data.sample_range import range_of_colours
from monai_seunet.data.tiff_mpp import UM_PER_INCH, UM_PER_MM, tiff_mpp
from monai_seunet.errors import InputError

# Resolution tags of photographs and screens (72 ... 1200 dots per inch) mean more than 20 µm per pixel and say nothing
# about the tissue; no microscope has less than 0.02.
PLAUSIBLE_MPP = (0.02, 20.0)


class Raster(NamedTuple):
    """Pixels (H, W) or (H, W, C) as stored in a file, and its µm per pixel, None where it does not say."""

    pixels: np.ndarray
    mpp: float | None


class HistologyReader(ImageReader):
    """Reader for MONAI's `LoadImage(d)` that keeps rows first and puts µm per pixel into the affine.

    Law: axis 0 of the array that is read is the row, axis 1 the column, whatever the format; (H, W) for one channel,
    (H, W, C) for several. PNG, JPEG and BMP through Pillow, TIFF, OME-TIFF and single-level SVS through tifffile, NIfTI
    through nibabel (its first axis is x, hence the column), NRRD, MHA and MHD through ITK.
    Limits: one plane a file; alpha is dropped with a warning; 16-bit colour is brought to 8 bits, by the bits that its
    values need; a palette image keeps its indices, since label images are stored so. The affine is
    `diag(mpp, mpp, 1, 1)`; where µm per pixel is not known it is the unit matrix and `meta` has no key `mpp` (None
    would not go through a data loader).

    Args:
        mpp: µm per pixel of all images, above what the files say; None takes it from each file.
    """

    def __init__(self, mpp: float | None = None) -> None:
        super().__init__()
        if mpp is not None and not mpp > 0:
            raise ValueError(f"mpp is {mpp}; it must be µm per pixel, above 0, or None")
        self.mpp = mpp

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether all files have a suffix that this reader knows."""
        return all(_suffix(Path(name)) in _DECODERS for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """Return the file names; `get_data` opens them.

        `LoadImage` answers an error in `read` by trying MONAI's other readers, which swap rows and columns.
        """
        return [Path(name) for name in ensure_tuple(data)]

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """Decode one file, or several of the same size into one array with their channels behind each other.

        Returns:
            pixels (H, W) or (H, W, C), and meta data: affine, spatial_shape, original_channel_dim, mpp where known.

        Raises:
            InputError: for a file that is missing, damaged, of unknown format or of more than one plane.
        """
        rasters = [read_raster(path) for path in img]
        mpp = self.mpp if self.mpp is not None else rasters[0].mpp
        if len({raster.pixels.shape[:2] for raster in rasters}) > 1:
            raise InputError(f"{img[0]} and {img[-1]} differ in size; channels of one image must have the same size")
        pixels = rasters[0].pixels if len(rasters) == 1 else np.dstack([raster.pixels for raster in rasters])
        spacing = 1.0 if mpp is None else mpp
        meta: dict[str, Any] = {
            "affine": np.diag([spacing, spacing, 1.0, 1.0]),
            "spatial_shape": np.asarray(pixels.shape[:2]),
            "original_channel_dim": "no_channel" if pixels.ndim == 2 else -1,
        }
        return pixels, meta if mpp is None else {**meta, "mpp": float(mpp)}


def read_raster(path: str | Path) -> Raster:
    """Read one image file: pixels (H, W) or (H, W, C), and its µm per pixel where it says so plausibly.

    Raises:
        InputError: for a file that is missing, damaged, of unknown format or of more than one plane.
    """
    path = Path(path)
    decode = _DECODERS.get(_suffix(path))
    if decode is None:
        raise InputError(f"{path}: unknown image format; readable are {', '.join(sorted(_DECODERS))}")
    if not path.is_file():
        raise InputError(f"{path}: no such image file")
    try:
        pixels, mpp = decode(path)
    except InputError:
        raise
    except Exception as error:  # each library has its own errors for a damaged file
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: cannot be read as an image ({reason})") from error
    return Raster(_without_alpha(pixels, path), plausible_mpp(mpp))


def image_stem(path: Path) -> str | None:
    """The name of a file without the suffix of its format; None for a format that `read_raster` does not know."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix in _DECODERS else None


def plausible_mpp(mpp: float | None) -> float | None:
    """`mpp` where a microscope can have it, else None: screens and printers leave their resolution in files, too."""
    return mpp if mpp is not None and PLAUSIBLE_MPP[0] <= mpp <= PLAUSIBLE_MPP[1] else None


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def _without_alpha(pixels: np.ndarray, path: Path) -> np.ndarray:
    """(H, W) or (H, W, channels) without an alpha, which integer images have as channel 2 or 4; 16-bit colour to 8."""
    if pixels.ndim != 2 and pixels.ndim != 3:
        raise InputError(f"{path}: one plane is expected, got an array of shape {list(pixels.shape)}; export one plane")
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4) and pixels.dtype.kind == "u":
        warnings.warn(f"{path}: the alpha channel is dropped", UserWarning, stacklevel=4)
        pixels = pixels[:, :, :-1]
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.dtype == np.uint16:
        pixels = colours_in_8_bits(pixels, path)
    return np.ascontiguousarray(pixels)


def colours_in_8_bits(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Colours or brightness of 16 bits as uint8, by as many bits as the values need; says so where these are fewer."""
    shown = range_of_colours([pixels])
    if shown.high < np.iinfo(np.uint16).max:
        bits = shown.high.bit_length()
        warnings.warn(f"{path}: of 16 bits {bits} are used: {shown.high} is white", UserWarning, stacklevel=2)
    return shown.in_8_bits(pixels)


def _decode_pillow(path: Path) -> Raster:
    from PIL import Image

    try:
        opened = Image.open(path)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: too large for this format ({error}); convert it to a tiled TIFF") from error
    with opened as image:
        dpi = image.info.get("dpi")
        shown = image.convert("RGB") if image.mode in ("CMYK", "YCbCr", "LAB", "HSV") else image
        pixels = np.array(shown)  # a copy: Pillow's own array is read-only, which torch does not take
    mpp = UM_PER_INCH / float(dpi[0]) if dpi and float(dpi[0]) > 0 else None
    return Raster(pixels.astype(np.uint8) if pixels.dtype == bool else pixels, mpp)


def _decode_tiff(path: Path) -> Raster:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        pixels = _rows_columns_channels(series.asarray(), series.axes, path)
        mpp = tiff_mpp(tiff)
        return Raster(pixels, mpp[1] if mpp else None)


def _rows_columns_channels(pixels: np.ndarray, axes: str, path: Path) -> np.ndarray:
    """Order an array with named axes as Y, X and the channels, if it has any."""
    for position in reversed(range(len(axes))):
        if axes[position] not in "YX" and pixels.shape[position] == 1:
            pixels, axes = pixels.squeeze(position), axes[:position] + axes[position + 1 :]
    channel = next((name for name in "SC" if name in axes), "")
    if sorted(axes) != sorted("YX" + channel):
        raise InputError(f"{path}: one plane is expected, got axes {axes} of {list(pixels.shape)}; export one plane")
    return pixels.transpose([axes.index(name) for name in "YX" + channel])


def _decode_nifti(path: Path) -> Raster:
    import nibabel

    image: Any = nibabel.load(path)
    pixels = np.asanyarray(image.dataobj)
    if pixels.dtype.names:  # the RGB types of NIfTI are records of bytes
        pixels = np.stack([pixels[name] for name in pixels.dtype.names], axis=-1)
    while pixels.ndim > 2 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    units = {"mm": UM_PER_MM, "micron": 1.0, "meter": UM_PER_MM**2}
    unit_um = units.get(image.header.get_xyzt_units()[0], UM_PER_MM)
    return Raster(pixels.swapaxes(0, 1), float(image.header.get_zooms()[0]) * unit_um)


def _decode_itk(path: Path) -> Raster:
    import itk

    header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise InputError(f"{path}: no format that ITK knows; export the image again")
    header.SetFileName(str(path))
    header.ReadImageInformation()
    # Colour in MetaImage is a vector of bytes, a type that ITK's Python lacks: read it as colour.
    is_colour = header.GetNumberOfComponents() == 3 and header.GetComponentSize() == 1
    if header.GetNumberOfComponents() == 3 and not is_colour:
        kind = header.GetComponentTypeAsString(header.GetComponentType())
        raise InputError(f"{path}: colour of three {kind} cannot be read; export it with 8 bits a channel")
    image = itk.imread(str(path), itk.RGBPixel[itk.UC] if is_colour else None)
    pixels = np.array(itk.array_view_from_image(image))  # (z, y, x, channels): rows are first already
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim == 3 and image.GetNumberOfComponentsPerPixel() == 1:
        raise InputError(f"{path}: one plane is expected, got a volume of shape {list(pixels.shape)}; export one plane")
    return Raster(pixels, float(image.GetSpacing()[0]) * UM_PER_MM)


_DECODERS: dict[str, Callable[[Path], Raster]] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp"), _decode_pillow),
    **dict.fromkeys((".tif", ".tiff", ".svs"), _decode_tiff),
    **dict.fromkeys((".nii", ".nii.gz"), _decode_nifti),
    **dict.fromkeys((".nrrd", ".nhdr", ".mha", ".mhd"), _decode_itk),
}
RASTER_SUFFIXES = tuple(_DECODERS)
