"""Matching of images with masks or files of outlines by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monai_seunet.reading.annotations.names import annotations_by_stem
from monai_seunet.reading.names import by_stem, list_files
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Subfolders and names of images and masks.

    An image and its mask have the same name without folder, suffix and ending: `images/a.tif` and `masks/a.png`, or
    `a.png` and `a_mask.png` in one folder. A file of outlines such as `masks/a.geojson` may replace a mask.

    Attributes:
        images: subfolder of the images; `.` for the folder itself.
        masks: subfolder of the masks or outlines.
        image_ending: end of image names before the suffix, such as `_img` in `a_img.png`.
        mask_ending: end of mask names before the suffix, such as `_mask` in `a_mask.png`.
    """

    images: str = "images"
    masks: str = "masks"
    image_ending: str = ""
    mask_ending: str = ""


def pair_files(source: Path, layout: Layout) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Find the images that have a mask or outlines.

    Returns:
        image and mask (or outlines) by their common name, sorted; and one message for every file without a partner.

    Raises:
        InputError: a subfolder is missing, or two images or two masks have the same name in different formats.
    """
    images = by_name(source / layout.images, layout.image_ending)
    masks = by_name(source / layout.masks, layout.mask_ending)
    if len(layout.mask_ending) > len(layout.image_ending):  # in a common folder, the longer ending identifies a file
        images = _without(images, masks)
    else:
        masks = _without(masks, images)
    outlines = annotations_by_stem(source / layout.masks, layout.mask_ending)
    for name in sorted(masks.keys() & outlines.keys()):
        raise InputError(f"{outlines[name]}: {masks[name].name} has the same name in another format; keep one of them")
    masks |= outlines
    pairs = {name: (images[name], masks[name]) for name in sorted(images.keys() & masks.keys())}
    partners = (("mask or outlines", layout.masks, images), ("image", layout.images, masks))
    problems = [
        f"{path}: no {partner} of this name in {source / folder}; skipped"
        for partner, folder, files in partners
        for name, path in files.items()
        if name not in pairs
    ]
    return pairs, problems


def _without(files: dict[str, Path], others: dict[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in files.items() if path not in others.values()}


def by_name(folder: Path, ending: str) -> dict[str, Path]:
    """Return the images of a folder whose stem has the ending, by their stem without the ending."""
    if not folder.is_dir() and not any(parent.is_file() for parent in folder.parents):
        raise InputError(f"{folder}: no such folder; name the subfolders of images and masks")
    return by_stem(list_files(folder), ending)
