"""Interface of all networks of this package."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Self, TypeVar

import torch
from torch import nn

from monai_seunet.networks.layers.recording import is_recorded
from monai_seunet.networks.unet.parts import fold_norms
from monai_seunet.utils.errors import InputError

T = TypeVar("T")
SIZES = ("any", "pad", "exact")


class Network(nn.Module):
    """A network for images of any size, which it pads to its stride equally at both ends.

    An odd side cannot be padded equally, which breaks an exact symmetry.

    Args:
        in_channels: number of channels of the image.
        out_channels: number of classes N.
        stride: total stride of the network in pixels.
        sizes: treatment of images with an odd side: `any` pads them; `pad` pads them with a warning, for networks whose
            symmetry is then half a pixel off; `exact` refuses them.
        directions: True for two more channels after the classes, the direction (y, x) to the centre of the object.

    Attributes:
        num_scales: number of scale groups S; 1 for a network without scale groups.
        has_scale_groups: True if the outputs have an axis of scale groups.
        level_stride: stride of one octave in pixels; `stride` for a network with one octave.
        octaves: octaves of the image pyramid; empty for a network without octaves.

    Raises:
        InputError: `sizes` is unknown.
    """

    num_scales: int = 1
    has_scale_groups: bool = False
    octaves: list[int]

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, sizes: str = "any", directions: bool = False
    ) -> None:
        super().__init__()
        if sizes not in SIZES:
            raise InputError(f"sizes is '{sizes}'; choose pad or exact")
        self.in_channels, self.out_channels, self.directions = in_channels, out_channels, directions
        self.sizes, self.stride, self.level_stride = sizes, stride, stride
        self.octaves = []

    def folded(self) -> Self:
        """Return a faster copy for inference, with each norm folded into its filter."""
        return fold_norms(self)

    def outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Return unfused logits of the classes, (B, S, N, H, W) with scale groups; directions follow as channels."""
        return self(x)

    def all_outputs(self, x: torch.Tensor) -> torch.Tensor:
        """Return `outputs` with the octaves that are too coarse for the image."""
        return self.outputs(x)

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """Return unfused logits of the classes without directions; scale groups go from fine to coarse."""
        return self._of_classes(self.outputs(x))

    def all_heads(self, x: torch.Tensor) -> torch.Tensor:
        """Return `heads` with the octaves that are too coarse for the image."""
        return self._of_classes(self.all_outputs(x))

    def _of_classes(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.narrow(-3, 0, self.out_channels) if self.directions else outputs

    def head_octaves(self) -> list[int]:
        """Return the octave of every head, (S,)."""
        return [0] * self.num_scales

    def fitting_heads(self, height: int, width: int) -> list[int]:
        """Return the indices of the heads that run on an image of this size."""
        return list(range(self.num_scales))

    def coarse_octaves(self, height: int, width: int) -> list[int]:
        """Return the octaves that are too coarse for an image of this size."""
        return []

    def least_side(self) -> int:
        """Return the least side of an image for all octaves, in pixels."""
        return 1

    def subset(self, groups: Sequence[int]) -> Network:
        """Return a copy with some scale groups.

        Raises:
            ValueError: the network has no scale groups.
        """
        raise ValueError(f"groups are {list(groups)}, but {type(self).__name__} has no scale groups")

    def sigmas(self) -> dict[str, torch.Tensor]:
        """Return sigma (S,) by layer, in pixels of the image; empty for a network without sigmas."""
        return {}

    def first_sigmas(self) -> list[float]:
        """Return sigma of every scale group in the first layer, in pixels; empty for a folded network."""
        return next((values.tolist() for values in self.sigmas().values()), [])

    def sigma_bounds(self) -> dict[str, torch.Tensor]:
        """Return the ranges of sigma (S, 2) by layer, lower and upper, in pixels of the image."""
        return {}

    def scale_layers(self) -> dict[str, nn.Module]:
        """Return scale convolutions by name, from the image to the head."""
        return {}

    def check_image(self, x: torch.Tensor) -> None:
        """Check that x is a batch of images with the network's number of channels.

        Raises:
            ValueError: x has another shape.
        """
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"the network takes images (B, {self.in_channels}, H, W) and got shape {list(x.shape)}")

    def check_sides(self, height: int, width: int) -> None:
        """Check that the sides of an image keep the symmetry; warn if they do not and `sizes` is `pad`.

        Raises:
            InputError: a side is odd, and `sizes` is `exact`.
        """
        odd = [side for side in (height, width) if side % 2]
        if self.sizes == "any" or not odd or self.stride == 1:
            return
        good = " or ".join(str(side) for side in (odd[0] - 1, odd[0] + 1) if side)
        problem = f"an image of {height} x {width} pixels cannot be padded alike at both ends"
        if self.sizes == "exact":
            raise InputError(f"{problem}; crop or pad the side of {odd[0]} to {good}")
        warnings.warn(f"{problem}: the symmetry is half a pixel off; {good} would be exact", stacklevel=4)

    def _check_sides_of(self, x: torch.Tensor) -> None:
        if not is_recorded():
            self.check_sides(x.shape[-2], x.shape[-1])


class KeepsOptions(nn.Module):
    """Stores the dictionary `options` with the weights, and refuses weights that were trained with other options.

    Options do not change the shapes of weights, so the shapes of a checkpoint do not show a difference.
    """

    options: dict[str, Any]

    def get_extra_state(self) -> torch.Tensor:
        """Return the options as JSON in a tensor (length,) uint8, which every loader of tensors accepts."""
        return torch.tensor(list(json.dumps(self.options).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: torch.Tensor) -> None:
        """Check the options of a checkpoint.

        Raises:
            InputError: an option differs.
        """
        theirs = json.loads(bytes(state.tolist()))
        for name, value in self.options.items():
            if theirs.get(name) != value:
                raise InputError(f"it was trained with {name} {theirs.get(name)!r}, this network has {value!r}")


def joined_runs(members: Sequence[tuple[T, int, int]]) -> list[tuple[T, list[int], list[int]]]:
    """Join neighbouring heads that one network computes in one pass: the same groups at rising octaves."""
    by_octave = [
        (net, [octave], [k for _, _, k in found])
        for (net, octave), found in groupby(members, key=lambda member: (member[0], member[1]))
    ]
    runs = by_octave[:1]
    for net, octaves, groups in by_octave[1:]:
        last_net, last_octaves, last_groups = runs[-1]
        if last_net is net and last_groups == groups and last_octaves[-1] < octaves[0]:
            last_octaves += octaves
        else:
            runs.append((net, octaves, groups))
    return runs
