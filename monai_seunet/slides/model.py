"""Trained network with its preprocessing, and options: the values that the results of a slide depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from monai_seunet.fusion import STRATEGIES
from monai_seunet.networks.unet.base import Network
from monai_seunet.reading.slide import Slide
from monai_seunet.slides.choices import LABELS_AT, OBJECT_TYPES
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.inference.tissue import METHODS
from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class SlideModel:
    """A network for slides, with its preprocessing, its fusion and the names of its classes.

    Args:
        network: network with trained weights, in evaluation mode; `network.folded()` is faster with the same result.
        preprocessing: preprocessing of the pixels.
        fusion: strategy that fuses the scale groups, one of `fusion.STRATEGIES`.
        classes: names of the classes; class 0 is the background.
        sigmas: sigma of each scale group in the first layer, in working pixels; written into results.
        calibration: file of `monai-seunet calibrate` for these weights; needed if `mpp` or `groups` is `auto`.
        device: device of the network; None for the GPU of the process if it has one, else the CPU.
        title: name of the trained model, or file of its weights; written into results.

    Raises:
        InputError: the fusion does not exist.
    """

    network: Network
    preprocessing: Preprocessing
    fusion: str = "p_conf"
    classes: Sequence[str] = ("background", "nucleus")
    sigmas: Sequence[float] = ()
    calibration: str | Path | None = None
    device: torch.device | str | None = None
    title: str = ""
    _subsets: dict[tuple[int, ...], Network] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.fusion not in STRATEGIES:
            raise InputError(f"fusion is '{self.fusion}'; choose one of {', '.join(STRATEGIES)}")
        if self.calibration is not None:  # workers may run in another folder
            object.__setattr__(self, "calibration", Path(self.calibration).absolute())

    @property
    def name(self) -> str:
        """Name of the architecture."""
        return type(self.network).__name__

    @property
    def num_scales(self) -> int:
        """Number of scale groups; 1 for a network without scale groups."""
        return self.network.num_scales

    @property
    def channels(self) -> int:
        """Number of channels that are read from a slide."""
        return self.preprocessing.channels(self.network)

    @property
    def used_device(self) -> torch.device:
        """Device of the network in this process, which may be a worker of a cluster."""
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @cached_property
    def weights(self) -> str:
        """SHA-256 of the weights, as hexadecimal digits."""
        digest = hashlib.sha256()
        for name, value in self.network.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def check_slide(self, slide: Slide) -> None:
        """Raise an InputError if a slide is grey, but the preprocessing needs stains."""
        if slide.is_grey and self.preprocessing.stain_target is not None:
            raise InputError(
                f"{slide.path}: a grey image, but the network takes stained tissue in colour; choose a model for grey "
                "images, such as nuclei_fluorescence"
            )

    def subset(self, groups: Sequence[int] | None) -> Network:
        """Return the network with some of its scale groups.

        Args:
            groups: numbers of the groups, from 1; None for all of them.

        Raises:
            InputError: the network does not have these groups.
        """
        if groups is None:
            return self.network
        key = tuple(groups)
        if key not in self._subsets:
            if self.num_scales < 2:
                raise InputError(f"groups are {list(groups)}, but {self.name} has no scale groups")
            try:
                network = self.network.subset([number - 1 for number in groups])
            except ValueError as error:
                text = f"groups are {list(groups)}; give different numbers from 1 to {self.num_scales}"
                raise InputError(text) from error
            self._subsets.clear()  # most jobs use the same groups for all slides
            self._subsets[key] = network
        return self._subsets[key]


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
            raise InputError(f"region is {list(self.region)}; give x, y, width and height in pixels of the slide")
        if self.labels_at not in LABELS_AT:
            raise InputError(f"labels_at is '{self.labels_at}'; choose {' or '.join(LABELS_AT)}")
        check_object_type(self.object_type)
        for name, least in (("window_batch", 1), ("block", 64)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; give at least {least}")
        if self.tissue not in METHODS:
            raise InputError(f"tissue is '{self.tissue}'; choose {' or '.join(METHODS)}")
        if self.network_mpp is not None and not self.network_mpp > 0:
            raise InputError(
                f"network_mpp is {self.network_mpp}; give the µm per pixel that the network was trained with, as 0.25"
            )
        if isinstance(self.mpp, str) and self.mpp != "auto":
            raise InputError(f"mpp is '{self.mpp}'; give a number of µm per pixel, or auto")

    def tissue_method(self, channels: int) -> str:
        """Return the method for the tissue mask; it is `all` for grey slides, which have no colour."""
        return self.tissue if channels == 3 else "all"
