"""What the user should know of label images."""

from __future__ import annotations

from collections.abc import Sequence

from monai_seunet.slides.outputs.labels import LabelRows
from monai_seunet.slides.outputs.pixel_grid import PixelGrid


def label_notes(labels: LabelRows, files: Sequence[str]) -> list[str]:
    """Notes on nuclei without a pixel, and on images that cannot be laid on the slide pixel by pixel.

    Args:
        labels: read to the end.
        files: names of the label images.
    """
    notes, frame, names = [], labels.frame, ", ".join(files)
    part = "image" if frame.region is None else "region"
    if labels.missing:
        one = labels.missing == 1
        nuclei, has, them = ("1 nucleus is", "has", "it") if one else (f"{labels.missing} nuclei are", "have", "them")
        beside = "" if frame.region is None else f", or {has} no pixel in the region,"
        notes.append(
            f"{nuclei} smaller than a pixel of the image{beside} and not in the label image ({names}); labels_at "
            f"network (--labels-at network) shows {them}"
        )
    if labels.grid != frame.image_grid:
        written, asked = _pixels(labels.grid), _pixels(frame.image_grid)
        notes.append(f"labels_at is network: the label image ({names}) has {written}, the {part} {asked}")
    return notes


def _pixels(grid: PixelGrid) -> str:
    (height, width), (y, x) = grid.size, grid.corner
    size = "" if grid.mpp is None else f" of {' x '.join(f'{mpp:.4g}' for mpp in dict.fromkeys(grid.mpp[::-1]))} µm"
    return f"{width} x {height} pixels{size} from x {x:g}, y {y:g} of the slide"
