"""Which scale groups of a network run on a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from monai_seunet.networks.scale_unet import ScaleUNet


@dataclass(frozen=True)
class GroupChoice:
    """The scale groups that run.

    Args:
        groups: numbers from 1, None for all.
        notes: what the user is told about them.
    """

    groups: Sequence[int] | None
    notes: tuple[str, ...] = ()

    @property
    def indices(self) -> np.ndarray:
        """Which group of the whole network each of those that run is, from 0; (256,) uint8, which any map can index."""
        indices = np.arange(256, dtype=np.uint8)
        if self.groups is not None:
            indices[: len(self.groups)] = np.array(self.groups) - 1
        return indices


def automatic_groups(enough: Sequence[int] | None, mpp: float | None) -> GroupChoice:
    """What `auto` means for a slide.

    Args:
        enough: the groups that the calibration knows to be enough at this magnification, None where it knows none.
        mpp: µm per working pixel, where it is known.
    """
    if enough is None or mpp is None:
        why = (
            "the µm per pixel are not known" if mpp is None else f"the calibration knows none at {mpp:.3g} µm per pixel"
        )
        return GroupChoice(None, (f"groups are auto: all are run, since {why}",))
    names = ", ".join(map(str, enough))
    text = f"groups are auto: {names} are run, which are as good as all of them at {mpp:.3g} µm per pixel"
    return GroupChoice(enough, (text,))


def fitting_groups(choice: GroupChoice, network: nn.Module, height: int, width: int, required: bool) -> GroupChoice:
    """Leave out the groups whose octave is too coarse for an image of this size.

    Args:
        choice: of all images.
        network: the groups are of.
        height: pixels that the network sees.
        width: pixels that the network sees.
        required: somebody named the groups, so that they run where no other one is left.
    """
    if not isinstance(network, ScaleUNet):
        return choice
    small = network.coarse_octaves(height, width)
    if not small:
        return choice
    octaves = network.head_octaves()
    everyone = range(1, len(octaves) + 1)
    asked = everyone if choice.groups is None else choice.groups
    fitting = [group for group in asked if group not in everyone or octaves[group - 1] not in small]
    if not fitting and required:
        return choice
    if not fitting:
        fitting = [group for group in everyone if octaves[group - 1] not in small]
    if len(fitting) == len(asked):
        return choice
    names = ", ".join(map(str, small))
    text = f"the image is too small for octave {names} (from 0) of the network; the others are run"
    return GroupChoice(fitting, (*choice.notes, text))
