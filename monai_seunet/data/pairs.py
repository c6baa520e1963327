"""Which image belongs to which mask, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monai_seunet.data.reader import image_stem
from monai_seunet.errors import InputError


@dataclass(frozen=True)
class Layout:
    """Where a folder keeps images and masks, and how their names belong together.

    An image and its mask have the same name once folder, format and ending are taken away: `images/a.tif` and
    `masks/a.png`, or `a.png` and `a_mask.png` where both lie in one folder.

    Attributes:
        images: subfolder of the images; `.` for the folder itself.
        masks: subfolder of the masks.
        image_ending: ending of image names before the format, as in `a_img.png`.
        mask_ending: ending of mask names before the format, as in `a_mask.png`.
    """

    images: str = "images"
    masks: str = "masks"
    image_ending: str = ""
    mask_ending: str = ""


def pair_files(source: Path, layout: Layout) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Find the images that have a mask.

    Returns:
        image and mask by their common name, sorted; and one line for every file that has no partner.

    Raises:
        InputError: where a subfolder is missing, or two files of one kind have the same name in different formats.
    """
    images = _by_name(source / layout.images, layout.image_ending)
    masks = _by_name(source / layout.masks, layout.mask_ending)
    if len(layout.mask_ending) > len(layout.image_ending):  # in a common folder, the longer ending says what a file is
        images = _other_than(masks, images)
    else:
        masks = _other_than(images, masks)
    pairs = {name: (images[name], masks[name]) for name in sorted(images.keys() & masks.keys())}
    kinds = (("mask", layout.masks, images), ("image", layout.images, masks))
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
    if not folder.is_dir():
        archive = next((parent for parent in (folder, *folder.parents) if parent.is_file()), None)
        what = f"{archive} is a file; unpack it first" if archive else "name the subfolders of images and masks"
        raise InputError(f"{folder}: no such folder; {what}")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = image_stem(path)
        if stem is None or stem.startswith(".") or not stem.endswith(ending):
            continue
        name = stem.removesuffix(ending)
        if name in found:
            raise InputError(f"{path}: {found[name].name} has the same name in another format; keep one of them")
        found[name] = path
    return found
