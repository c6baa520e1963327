"""Choice of the scale groups of a network that run on a slide."""

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
        notes: remarks for the user.
    """

    numbers: Sequence[int] | None
    notes: tuple[str, ...] = ()

    @property
    def indices(self) -> np.ndarray:
        """Index in the whole network of each group that runs, (256,) uint8 as a lookup table for maps."""
        indices = np.arange(256, dtype=np.uint8)
        if self.numbers is not None:
            indices[: len(self.numbers)] = np.array(self.numbers) - 1
        return indices


def choose_groups(
    model: SlideModel, groups: Sequence[int] | str | None, mpp: float | None, size: tuple[int, int]
) -> GroupChoice:
    """Choose the scale groups for a slide.

    Args:
        model: network with its calibration.
        groups: numbers from 1, `auto`, or None for all of them; see `SlideOptions`.
        mpp: µm per working pixel; None if not known.
        size: height and width of the slide in working pixels.

    Raises:
        InputError: `auto` has no calibration of these weights and this fusion, or the network has no groups.
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
    """Return the values that the choice `auto` depends on, for JSON."""
    calibration = _calibration_of_groups(model)
    return {"mpp": calibration.mpp, "groups": dict(calibration.groups)}


def _calibration_of_groups(model: SlideModel) -> MppCalibration:
    calibration = load_calibration(model, "groups are to be chosen (auto)")
    if calibration.fusion != model.fusion:
        raise InputError(
            f"groups are auto, but {model.calibration} was made for fusion {calibration.fusion}, not {model.fusion}; "
            "make it again by 'monai-seunet calibrate', or give numbers of groups"
        )
    return calibration


def automatic_groups(enough: Sequence[int] | None, mpp: float | None) -> GroupChoice:
    """Return the groups for the choice `auto`.

    Args:
        enough: numbers of the sufficient groups at this magnification; None if the calibration has none.
        mpp: µm per working pixel; None if not known.

    >>> automatic_groups([2, 3], mpp=0.5).numbers
    [2, 3]
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
        choice: groups for an image of any size.
        network: network with all groups.
        height: height of the image in pixels.
        width: width of the image in pixels.
        required: True to keep groups that all are too coarse, because the user chose them.
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
    left_out = ", ".join(str(group) for group in asked if group not in fitting)
    text = f"the image is too small for scale groups {left_out}, which see it reduced; the others are run"
    return GroupChoice(fitting, (*choice.notes, text))
