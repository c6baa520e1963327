"""Training sets from labelled images, with some images held back for the score."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from monai_seunet.data.prepare import Facts, PrepareResult, Sample, prepare_dataset
from monai_seunet.data.split import group_of
from monai_seunet.label_app.labels.submitted import read_submitted
from monai_seunet.reading.names import image_stem
from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError

HELD_BACK = 4  # one group in four is held back


def make_training_set(
    items: Sequence[Mapping[str, str]], segmenter: SlideSegmenter, destination: Path
) -> PrepareResult:
    """Write all labelled images as a data set at the resolution of the network.

    A group is held back as a whole. It holds the images of one patient (by TCGA's names), or one image and its patches.
    Invariant: other images do not change whether a group is held back, unless all or no groups would be.

    Args:
        items: `image` and `label` files of the labelled images.
        segmenter: segmenter with the classes and the resolution.
        destination: folder to make.

    Raises:
        InputError: for fewer than two groups of images, or labels that cannot be read.
    """
    facts = Facts(
        name="labelled",
        description="images labelled in MONAI Label",
        licence="that of the images",
        classes=list(segmenter.model.classes),
        label_kind="classes",
        mpp=segmenter.options.network_mpp,
    )
    readers = [partial(_read, Path(item["image"]), Path(item["label"]), segmenter) for item in items]
    return prepare_dataset(facts, readers, hold_back, destination)


def hold_back(groups: Iterable[str]) -> tuple[dict[str, str], dict[str, object]]:
    """Assign groups to `training` or `validation` by their hash: about one in four is held back, at least one.

    Raises:
        InputError: for fewer than two groups.
    """
    names = sorted(set(groups), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    if len(names) < 2:
        raise InputError("images of one patient are labelled; a training needs two: one is held back for the score")
    held_back = [name for name in names if int(hashlib.sha256(name.encode()).hexdigest(), 16) % HELD_BACK == 0]
    held_back = held_back[: len(names) - 1] or names[:1]
    sections = {name: "validation" if name in held_back else "training" for name in names}
    return sections, {"by": "group", "rule": f"sha256 divides by {HELD_BACK}"}


def _read(image: Path, label: Path, segmenter: SlideSegmenter, _problems: list[str]) -> Iterator[Sample]:
    submitted = read_submitted(label, image, segmenter.model.classes[1:])
    name = image_stem(image)
    channels = int(segmenter.model.network.in_channels)
    with open_slide(image) as slide:
        resolution = resolve(slide)
        view = SlideView(slide, resolution.scale_to(segmenter.options.network_mpp), channels)
        (top, left), (height, width) = submitted.corner, submitted.classes.shape
        y, x = round(top * view.scale[0]), round(left * view.scale[1])
        rows = min(view.height - y, max(1, round(height * view.scale[0])))
        columns = min(view.width - x, max(1, round(width * view.scale[1])))
        pixels = view.read(y, x, rows, columns)
    # Each working pixel gets the class of the image pixel at its centre.
    down = (((y + 0.5 + np.arange(rows)) / view.scale[0]) - top).astype(int).clip(0, height - 1)
    across = (((x + 0.5 + np.arange(columns)) / view.scale[1]) - left).astype(int).clip(0, width - 1)
    classes = submitted.classes[down[:, None], across]
    pixels = pixels if channels == 3 else pixels[:, :, 0]
    group = group_of(name.split("-patch-")[0], None)  # QuPath's names of patches
    yield Sample(name, pixels, classes, group, {image.name: image, f"labels/{label.name}": label})
