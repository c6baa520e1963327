"""A trained network with everything that its predictions depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from monai_seunet.fusion import STRATEGIES
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True, eq=False)
class SlideModel:
    """A network for slides, with its preprocessing, its fusion and the names of its classes.

    Args:
        network: network with trained weights, in evaluation mode; `network.folded()` is faster and gives the same.
        preprocessing: what happens to the pixels before the network sees them.
        fusion: strategy that fuses the scale groups, one of `fusion.STRATEGIES`.
        classes: names of the classes; class 0 is the background.
        sigmas: sigma of each scale group in the first layer, in working pixels; written into results.
        calibration: file of `monai-seunet calibrate` for these weights; needed where `mpp` or `groups` is `auto`.
        device: device of the network; None for a GPU where the process that segments has one, else the CPU.

    Raises:
        InputError: for a fusion that does not exist.
    """

    network: nn.Module
    preprocessing: Preprocessing
    fusion: str = "p_conf"
    classes: Sequence[str] = ("background", "nucleus")
    sigmas: Sequence[float] = ()
    calibration: str | Path | None = None
    device: torch.device | str | None = None
    _subsets: dict[tuple[int, ...], nn.Module] = field(default_factory=dict, init=False, repr=False)

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
        """Number of scale groups; 1 for a network without."""
        return int(getattr(self.network, "num_scales", 1))

    @property
    def channels(self) -> int:
        """Number of channels that are read of a slide."""
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

    def subset(self, groups: Sequence[int] | None) -> nn.Module:
        """The network with some of its scale groups.

        Args:
            groups: numbers of the groups, from 1; None for all of them.

        Raises:
            InputError: for groups that the network does not have.
        """
        if groups is None:
            return self.network
        key = tuple(groups)
        if key not in self._subsets:
            if self.num_scales < 2:
                raise InputError(f"groups are {list(groups)}, but {self.name} has no scale groups")
            try:
                network = self.network.subset([number - 1 for number in groups])  # type: ignore[operator]
            except ValueError as error:
                text = f"groups are {list(groups)}; give different numbers from 1 to {self.num_scales}"
                raise InputError(text) from error
            self._subsets.clear()  # as a rule all slides of a job take the same
            self._subsets[key] = network
        return self._subsets[key]
