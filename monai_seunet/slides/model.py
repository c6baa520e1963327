"""Trained network with its preprocessing and fusion."""

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
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.utils.errors import InputError


class ImageKindError(InputError):
    """Error of an image of a kind for which the model was not made."""


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
        dark_background: True if the network is made for bright nuclei on a dark background, as in fluorescence; a slide
            with a bright background gets a warning.

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
    dark_background: bool = False
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
        """Raise an ImageKindError if a slide is grey, but the preprocessing needs stains."""
        if slide.is_grey and self.preprocessing.stain_target is not None:
            raise ImageKindError(
                f"{slide.path}: a grey image, but the network takes stained tissue in colour; no shipped model is made "
                "for grey bright-field images; nuclei_fluorescence is made only for fluorescence: bright nuclei on a "
                "dark background"
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
