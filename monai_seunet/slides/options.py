"""Options of the segmentation of slides, in a module without torch, so wrong options are refused at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monai_seunet.reading.pixel_size import PLAUSIBLE_MPP
from monai_seunet.slides.choices import LABELS_AT, OBJECT_TYPES, TISSUE_METHODS
from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.utils.errors import InputError

MPP_TIMES_POWER = 10.0  # usual product in scanners: 0.25 µm per pixel at 40x, 0.5 at 20x


def mpp_of_user(mpp: float | None, power: float | None) -> float | None:
    """Return the µm per pixel that a user gives, directly or by the magnification of the objective; None for neither.

    Raises:
        InputError: both are given, or a value is out of the range of microscopes.

    >>> mpp_of_user(None, 40)
    0.25
    """
    least, most = PLAUSIBLE_MPP
    if mpp is not None and power is not None:
        raise InputError(f"mpp {mpp:g} and objective power {power:g} are both given; give one of them")
    if mpp is not None and not least <= mpp <= most:
        raise InputError(f"mpp is {mpp:g}; µm per pixel are between {least:g} and {most:g}, as 0.25")
    if power is not None and not least <= MPP_TIMES_POWER / max(power, 1e-9) <= most:
        raise InputError(
            f"objective power is {power:g}; it is between {MPP_TIMES_POWER / most:g} and {MPP_TIMES_POWER / least:g}, "
            "as 40 for 40x"
        )
    return mpp if power is None else MPP_TIMES_POWER / power


def check_object_type(object_type: str) -> None:
    """Check the type of the nuclei for QuPath.

    Raises:
        InputError: the type is unknown.
    """
    if object_type not in OBJECT_TYPES:
        raise InputError(f"object_type is '{object_type}'; choose {' or '.join(OBJECT_TYPES)}")


@dataclass(frozen=True)
class SlideOptions:
    """Options of the segmentation of slides.

    Args:
        network_mpp: µm per pixel of the training images, to which slides are resampled; None for no resampling.
        mpp: µm per base pixel of the slides, in place of the values of the files; `auto` estimates missing and
            contradictory values.
        power: magnification of the objective (40 for 40x), in place of the values of the files.
        series: number of the image, from 0, in files that hold several; None for the scan.
        plane: number of the plane, from 0, in a volume; None for the middle of a focus stack.
        window: largest side of the windows in working pixels, a multiple of the network's stride.
        window_overlap: number of working pixels that neighbouring windows share.
        window_context: width in working pixels of the context around a window, times 2^o in octave o. With more
            context, the result depends less on the windows. With `p_conf`, the context of several groups is at least
            192, see `WindowPredictor`.
        window_batch: number of windows in a batch.
        tissue: method for the tissue mask, `otsu`, or `all` for the whole slide.
        groups: numbers of the scale groups that run, from 1; `auto` for the cheapest sufficient groups by the
            calibration; None for all groups. The output of a group does not depend on the other groups.
        nuclei: rules for the separation of nuclei.
        block: side of the blocks in which nuclei are found, in working pixels.
        region: x, y, width and height in base pixels of the area for the centres of nuclei; None for the whole slide.
            The maps show the region with its context.
        labels_at: pixels of the label images: `image` for the base pixels of the slide or the region, `network` for the
            working pixels with the context of a region.
        object_type: type of the nuclei in GeoJSON: `detection`; or `cell` for Xenium Ranger and Space Ranger.

    Raises:
        InputError: a value is out of range.

    >>> SlideOptions(groups=[3, 1]).groups
    [1, 3]
    """

    network_mpp: float | None = 0.25
    mpp: float | str | None = None
    power: float | None = None
    series: int | None = None
    plane: int | None = None
    window: int = 768
    window_overlap: int = 32
    window_context: int = 160
    window_batch: int = 1
    tissue: str = "otsu"
    groups: Sequence[int] | str | None = None
    nuclei: NucleusRules = field(default_factory=NucleusRules)
    block: int = 1024
    region: Sequence[int] | None = None
    labels_at: str = "image"
    object_type: str = "detection"

    def __post_init__(self) -> None:
        if isinstance(self.groups, str):
            if self.groups != "auto":
                raise InputError(f"groups is '{self.groups}'; give numbers from 1, as 1,3, or auto")
        elif self.groups is not None:
            object.__setattr__(self, "groups", sorted(self.groups))  # the order does not change the result
        if self.region is not None and (len(self.region) != 4 or min(self.region[2:]) < 1):
            raise InputError(f"region is {list(self.region)}; give x, y, width and height in pixels of the image")
        if self.labels_at not in LABELS_AT:
            raise InputError(f"labels_at is '{self.labels_at}'; choose {' or '.join(LABELS_AT)}")
        check_object_type(self.object_type)
        for name, least in (("window_batch", 1), ("block", 64)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; give at least {least}")
        if self.tissue not in TISSUE_METHODS:
            raise InputError(f"tissue is '{self.tissue}'; choose {' or '.join(TISSUE_METHODS)}")
        if self.network_mpp is not None and not self.network_mpp > 0:
            raise InputError(
                f"network_mpp is {self.network_mpp}; give the µm per pixel that the network was trained with, as 0.25"
            )
        if isinstance(self.mpp, str) and self.mpp != "auto":
            raise InputError(f"mpp is '{self.mpp}'; give a number of µm per pixel, or auto")
        mpp_of_user(None if isinstance(self.mpp, str) else self.mpp, self.power)

    def tissue_method(self, channels: int) -> str:
        """Return the method for the tissue mask; it is `all` for grey slides, which have no colour."""
        return self.tissue if channels == 3 else "all"
