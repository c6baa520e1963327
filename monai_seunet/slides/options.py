"""What the results of a slide depend on, besides the slide and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from monai_seunet.slides.inference.tissue import METHODS
from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.utils.errors import InputError

LABELS_AT = ("image", "network")


@dataclass(frozen=True)
class SlideOptions:
    """Choices for the segmentation of slides.

    Args:
        mpp: µm per pixel at which the network works, as in its training; None takes slides as they are.
        source_mpp: µm per base pixel of the slides, above what the files say; `auto` estimates it where they say
            nothing or contradict themselves.
        source_power: magnification of the objective (40 for 40x), above what the files say.
        series: number of the image, from 0, in files that hold several; None for the scan.
        plane: number of the plane, from 0, in a volume; None for the middle of a focus stack.
        window: largest side of the windows, working pixels; a multiple of the network's stride.
        overlap: working pixels that neighbouring windows share.
        context: working pixels that the network sees around a window, and 2^o times as many in octave o: the more, the
            less the result depends on windows. Several groups that are fused by `p_conf` see 192 or more, see
            `WindowPredictor`.
        batch: windows that the network gets at once.
        tissue: `otsu`, or `all` for the whole slide.
        groups: numbers of the scale groups that are run, from 1; `auto` for the cheapest that are as good as all of
            them at the µm per pixel of the slide, by the calibration of the weights; None for all of them. They give
            exactly what they give among all; what the others would have found is lost.
        nuclei: how nuclei are told apart.
        region: x, y, width and height in base pixels: only nuclei whose centre lies there are looked for; None for the
            whole slide. The network sees some context around it, which the maps show, too.
        labels_at: whose pixels label images have: `image` for the base pixels of the slide or the region, `network` for
            those that the network works at, with the context of a region.
        block: side of the blocks in which nuclei are found, working pixels.

    Raises:
        InputError: for values out of range.
    """

    mpp: float | None = 0.25
    source_mpp: float | str | None = None
    source_power: float | None = None
    series: int | None = None
    plane: int | None = None
    window: int = 768
    overlap: int = 32
    context: int = 160
    batch: int = 1
    tissue: str = "otsu"
    groups: Sequence[int] | str | None = None
    nuclei: NucleusRules = field(default_factory=NucleusRules)
    block: int = 1024
    region: Sequence[int] | None = None
    labels_at: str = "image"

    def __post_init__(self) -> None:
        if isinstance(self.groups, str):
            if self.groups != "auto":
                raise InputError(f"groups is '{self.groups}'; give numbers from 1, as 1,3, or auto")
        elif self.groups is not None:
            object.__setattr__(self, "groups", sorted(self.groups))  # their order changes nothing
        if self.region is not None and (len(self.region) != 4 or min(self.region[2:]) < 1):
            raise InputError(f"region is {list(self.region)}; give x, y, width and height in pixels of the slide")
        if self.labels_at not in LABELS_AT:
            raise InputError(f"labels_at is '{self.labels_at}'; choose {' or '.join(LABELS_AT)}")
        for name, least in (("batch", 1), ("block", 64)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; give at least {least}")
        if self.tissue not in METHODS:
            raise InputError(f"tissue is '{self.tissue}'; choose {' or '.join(METHODS)}")
        if self.mpp is not None and not self.mpp > 0:
            raise InputError(f"mpp is {self.mpp}; give the µm per pixel that the network was trained with, as 0.25")
        if isinstance(self.source_mpp, str) and self.source_mpp != "auto":
            raise InputError(f"source_mpp is '{self.source_mpp}'; give a number of µm per pixel, or auto")

    def tissue_method(self, channels: int) -> str:
        """How tissue is found on a slide of so many channels: colour says nothing on grey ones."""
        return self.tissue if channels == 3 else "all"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
