"""Which image belongs to which mask or file of outlines, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monai_seunet.reading.annotations.names import annotations_by_stem
from monai_seunet.reading.names import by_stem, list_files
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Where a folder keeps images and masks, and how their names belong together.

    An image and its mask have the same name once folder, format and ending are taken away: `images/a.tif` and
    `masks/a.png`, or `a.png` and `a_mask.png` where both lie in one folder. In place of a mask there may be a file of
    outlines, as `masks/a.geojson`.

    Attributes:
        images: subfolder of the images; `.` for the folder itself.
        masks: subfolder of the masks or outlines.
        image_ending: ending of image names before the format, as in `a_img.png`.
        mask_ending: ending of mask names before the format, as in `a_mask.png`.
    """

    images: str = "images"
    masks: str = "masks"
    image_ending: str = ""
    mask_ending: str = ""


def find_named_images(source: Path, layout: Layout) -> dict[str, Path]:
    """Find the images by their names, sorted.

    Raises:
        InputError: as `pair_files`.
    """
    return _by_name(source / layout.images, layout.image_ending)


def pair_files(source: Path, layout: Layout) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Find the images that have a mask or outlines.

    Returns:
        image and mask (or outlines) by their common name, sorted; and one line for every file that has no partner.

    Raises:
        InputError: where a subfolder is missing, or two files of one kind have the same name in different formats.
    """
    images = find_named_images(source, layout)
    masks = _by_name(source / layout.masks, layout.mask_ending)
    if len(layout.mask_ending) > len(layout.image_ending):  # in a common folder, the longer ending says what a file is
        images = _other_than(masks, images)
    else:
        masks = _other_than(images, masks)
    outlines = annotations_by_stem(source / layout.masks, layout.mask_ending)
    for name in sorted(masks.keys() & outlines.keys()):
        raise InputError(f"{outlines[name]}: {masks[name].name} has the same name in another format; keep one of them")
    masks |= outlines
    pairs = {name: (images[name], masks[name]) for name in sorted(images.keys() & masks.keys())}
    kinds = (("mask or outlines", layout.masks, images), ("image", layout.images, masks))
    problems = [
        f"{path}: no {kind} of this name in {source / folder}; skipped"
        for kind, folder, files in kinds
        for name, path in files.items()
        if name not in pairs
    ]
    return pairs, problems


def _other_than(taken: dict[str, Path], files: dict[str, Path]) -> dict[str, Path]:
    return {name: path for name, path in files.items() if path not in taken.values()}


def _by_name(folder: Path, ending: str) -> dict[str, Path]:
    """The images of a folder whose names end so, by their names without ending and format."""
    if not folder.is_dir() and not any(parent.is_file() for parent in folder.parents):
        raise InputError(f"{folder}: no such folder; name the subfolders of images and masks")
    return by_stem(list_files(folder), ending)
