"""Which scale groups of a network run on a slide: those that were named, or the cheapest that are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.magnification.calibration import MppCalibration, load_calibration
from monai_seunet.slides.model import SlideModel
from monai_seunet.utils.errors import InputError


@dataclass(frozen=True)
class GroupChoice:
    """The scale groups that run.

    Args:
        numbers: numbers of the groups, from 1; None for all of them.
        notes: what the user is told about them.
    """

    numbers: Sequence[int] | None
    notes: tuple[str, ...] = ()

    @property
    def indices(self) -> np.ndarray:
        """Which group of the whole network each of those that run is, from 0; (256,) uint8, which any map can index."""
        indices = np.arange(256, dtype=np.uint8)
        if self.numbers is not None:
            indices[: len(self.numbers)] = np.array(self.numbers) - 1
        return indices


def choose_groups(
    model: SlideModel, groups: Sequence[int] | str | None, mpp: float | None, size: tuple[int, int]
) -> GroupChoice:
    """Choose the scale groups for a slide.

    Args:
        model: the network.
        groups: numbers from 1, `auto`, or None for all of them; see `SlideOptions`.
        mpp: µm per working pixel; None where it is not known.
        size: height and width of the slide in working pixels.

    Raises:
        InputError: for `auto` without a calibration of these weights and this fusion, or a network without groups.
    """
    if not isinstance(groups, str):
        return fitting_groups(GroupChoice(groups), model.network, *size, required=True)
    if model.num_scales < 2:
        raise InputError(f"groups are auto, but {model.name} has no scale groups")
    calibration = _calibration_of_groups(model)
    enough = None if mpp is None else calibration.groups_at(mpp)
    choice = automatic_groups(None if enough is None else [group + 1 for group in enough], mpp)
    return fitting_groups(choice, model.network, *size, required=False)


def calibrated_groups(model: SlideModel) -> dict[str, Any]:
    """What the choice `auto` depends on, as plain values."""
    calibration = _calibration_of_groups(model)
    return {"mpp": calibration.mpp, "groups": dict(calibration.groups)}


def _calibration_of_groups(model: SlideModel) -> MppCalibration:
    calibration = load_calibration(model, "groups are to be chosen (auto)")
    if calibration.fusion != model.fusion:
        raise InputError(
            f"groups are auto, and {model.calibration} knows those for fusion {calibration.fusion}, not "
            f"{model.fusion}; make it again by 'monai-seunet calibrate', or name the groups"
        )
    return calibration


def automatic_groups(enough: Sequence[int] | None, mpp: float | None) -> GroupChoice:
    """What `auto` means for a slide.

    Args:
        enough: numbers of the groups that are enough at this magnification, by the calibration; None where it does not
            say.
        mpp: µm per working pixel; None where it is not known.
    """
    if enough is None or mpp is None:
        why = (
            "the µm per pixel are not known" if mpp is None else f"the calibration knows none at {mpp:.3g} µm per pixel"
        )
        return GroupChoice(None, (f"groups are auto: all are run, since {why}",))
    names = ", ".join(map(str, enough))
    text = f"groups are auto: {names} are run, which are as good as all of them at {mpp:.3g} µm per pixel"
    return GroupChoice(enough, (text,))


def fitting_groups(choice: GroupChoice, network: Network, height: int, width: int, required: bool) -> GroupChoice:
    """Leave out the groups whose octave is too coarse for an image of this size.

    Args:
        choice: the groups for an image of any size.
        network: the network of the groups.
        height: number of rows that the network sees.
        width: number of columns that the network sees.
        required: somebody named the groups, so that they run where no other one is left.
    """
    small = network.coarse_octaves(height, width)
    if not small:
        return choice
    octaves = network.head_octaves()
    everyone = range(1, len(octaves) + 1)
    asked = everyone if choice.numbers is None else choice.numbers
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
