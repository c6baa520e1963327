"""Decoders of NIfTI (by nibabel), NRRD and MetaImage (by ITK)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from monai_seunet.reading.formats.decoded import Decoded, choose_plane, colours_of
from monai_seunet.reading.pixel_size import UM_PER_METER, UM_PER_MM, pixel_size, um_per_unit
from monai_seunet.utils.errors import InputError

_NRRD_HEADER_BYTES = 1 << 16


def decode_nifti(path: Path, plane: int | None = None) -> Decoded:
    """Decode one plane of a NIfTI file, whose first axis x becomes the column."""
    import nibabel

    image: Any = nibabel.load(path)
    pixels = np.asanyarray(image.dataobj)
    records = bool(pixels.dtype.names)
    if records:  # NIfTI stores RGB as structured dtype
        pixels = np.stack([pixels[name] for name in pixels.dtype.names], axis=-1)
        pixels = pixels.reshape(*pixels.shape[:2], -1, 1, pixels.shape[-1])
    pixels = pixels.reshape(pixels.shape + (1,) * (3 - pixels.ndim))
    index, notes = choose_plane(path, pixels.shape[2], plane, "Z")
    samples = np.ascontiguousarray(pixels[:, :, index].swapaxes(0, 1))
    samples = samples.reshape(*samples.shape[:2], -1)
    units = {"mm": UM_PER_MM, "micron": 1.0, "meter": UM_PER_METER}
    unit = image.header.get_xyzt_units()[0]
    x, y = (float(side) * units.get(unit, UM_PER_MM) for side in nibabel.affines.voxel_sizes(image.affine)[:2])
    sizes = pixel_size(f"NIfTI, in {unit}" if unit in units else "NIfTI", y or None, x or None, unasked=True)
    colours = colours_of(samples)
    if colours is not None and colours.kind == "RGB" and not records:
        colours = colours._replace(guessed=True)
    return Decoded(samples, colours, sizes, notes=notes)


def decode_itk(path: Path, plane: int | None = None) -> Decoded:
    """Decode one plane of an NRRD or MetaImage file, or raise an InputError if ITK cannot read its format or type."""
    import itk

    header = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if header is None:
        raise InputError(f"{path}: ITK does not recognise the format; export the image again")
    header.SetFileName(str(path))
    header.ReadImageInformation()
    # MetaImage stores colour as a vector of bytes, which ITK's Python wrapping lacks, so it is read as RGBPixel.
    is_colour = header.GetNumberOfComponents() == 3 and header.GetComponentSize() == 1
    if header.GetNumberOfComponents() == 3 and not is_colour:
        dtype = header.GetComponentTypeAsString(header.GetComponentType())
        raise InputError(f"{path}: colour of three {dtype} cannot be read; export it with 8 bits a channel")
    image = itk.imread(str(path), itk.RGBPixel[itk.UC] if is_colour else None)
    pixels = np.array(itk.array_view_from_image(image))  # (z, y, x, channels)
    channels = int(image.GetNumberOfComponentsPerPixel())
    pixels = pixels.reshape(-1, *pixels.shape[pixels.ndim - (3 if channels > 1 else 2) :])
    index, notes = choose_plane(path, len(pixels), plane, "Z")
    samples = pixels[index].reshape(*pixels.shape[1:3], -1)
    spacing = list(image.GetSpacing())[:2]
    x, y = (float(side) * unit for side, unit in zip(spacing, _units_of_itk(path), strict=True))
    return Decoded(samples, colours_of(samples), pixel_size("spacing", y, x, unasked=True), notes=notes)


def _units_of_itk(path: Path) -> tuple[float, float]:
    """Return the units (x, y) in µm: millimetres, or the units in an NRRD header, which ITK ignores."""
    if path.suffix.lower() not in (".nrrd", ".nhdr"):
        return UM_PER_MM, UM_PER_MM
    with open(path, "rb") as file:
        text = file.read(_NRRD_HEADER_BYTES).partition(b"\n\n")[0].decode("utf-8", "replace")
    line = re.search(r"^(?:space )?units:\s*(.+)$", text, re.MULTILINE | re.IGNORECASE)
    units = re.findall(r'"([^"]*)"', line.group(1)) if line else []
    x, y = (um_per_unit(unit) or UM_PER_MM for unit in (units[:2] if len(units) >= 2 else ("mm", "mm")))
    return x, y
