"""Predictions of a network for windows of a slide, with a context for each octave that suits its filters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch

from monai_seunet.fusion import NEARBY, confidence_nearby, confidence_weights
from monai_seunet.networks.scale_unet import ScaleUNet
from monai_seunet.networks.unet.base import Network
from monai_seunet.networks.unet.foreground import part_foreground
from monai_seunet.slides.inference.windows import Window, WindowGrid

Beyond = tuple[tuple[int, int], tuple[int, int]]

#: Pixels within this distance (times 2^o in octave o) of the border of the input depend on where the border is.
SETTLED = 64


class WindowPredictor:
    """Probabilities of the foreground classes in windows, from a network with or without scale groups.

    The receptive field doubles with each octave, so octave o gets 2^o times the context. Each octave runs on its
    own input, so finer octaves do not compute the larger context.

    Invariant: the result of an octave equals the output of the network for the window with the octave's context.

    Args:
        network: network on the device, in evaluation mode.
        grid: grid of the windows, with the context of octave 0.
        context: width in pixels of the context around a window in octave 0.
        beyond: ((above, below), (left, right)) pixels of the slide outside `grid`, as context for coarser octaves.
        device: device of the network.
        amp: True for half precision.
        weights: True to add the `group_weights` of `p_conf` as one more channel. Every octave then gets enough context
            (`SETTLED`) for confidences that do not depend on the border of the window, which would cut nuclei.

    Directions follow the probabilities; their range -1 to 1 becomes 0 to 1.
    """

    def __init__(
        self,
        network: Network,
        grid: WindowGrid,
        context: int,
        beyond: Beyond = ((0, 0), (0, 0)),
        device: torch.device | str = "cpu",
        amp: bool = False,
        weights: bool = False,
    ) -> None:
        self.device, self.amp, self.weights = torch.device(device), amp, weights
        self.directions = network.directions
        coarsest = network.stride  # one stride for all parts, so each can be cropped from the largest

        def seen_by(octave: int, stride: int) -> WindowGrid:
            least = NEARBY + round(SETTLED * 2.0**octave) if weights else 0
            wider = -(-max(round(context * 2.0**octave), least) // stride) * stride
            outside = max(0, wider - context)  # the image of the grid includes the context of octave 0
            rows, columns = (tuple(min(side, outside) // coarsest * coarsest for side in sides) for sides in beyond)
            return grid.widened(wider, ((rows[0], rows[1]), (columns[0], columns[1])))

        self._parts = [(part, seen_by(octave, stride)) for part, octave, stride in _by_octave(network)]
        #: Grid with the largest context of all octaves, which is read for each window.
        self.grid = max((seen for _, seen in self._parts), key=lambda part: part.seen[0] * part.seen[1])

    def __call__(self, pixels: torch.Tensor, windows: Sequence[Window]) -> np.ndarray:
        """Return probabilities (B, S, N - 1, h, w) of the windows; directions and weights follow as channels.

        Args:
            pixels: inputs (B, C, H, W) of the windows with the context of `self.grid`.
            windows: B windows.
        """
        values_of_parts = []
        for part, grid in self._parts:
            near = grid.widened(NEARBY if self.weights else 0, grid.beyond)
            places = [self._place(window, self.grid, grid) for window in windows]
            height, width = grid.seen
            crops = [image[..., y : y + height, x : x + width] for image, (y, x) in zip(pixels, places, strict=True)]
            batch = torch.stack(crops) if len(crops) > 1 else crops[0].unsqueeze(0)  # avoids a copy of one image
            corners = [self._place(window, grid, near) for window in windows]
            values = foreground(part, batch, self.device, self.amp, corners, near.seen)
            probabilities = values
            if self.directions:
                probabilities = values[:, :, :-2]
                values = torch.cat([probabilities, ((values[:, :, -2:] + 1) / 2).clamp(0, 1)], 2)
            if self.weights:
                confidence = confidence_nearby(1 - probabilities.sum(2, keepdim=True))
                values = torch.cat([values, confidence.unsqueeze(2)], 2)
            values_of_parts.append(np.stack([near.cut(*pair) for pair in zip(windows, values.numpy(), strict=True)]))
        groups = np.concatenate(values_of_parts, axis=1)
        if self.weights:
            groups[:, :, -1] = confidence_weights(torch.from_numpy(groups[:, :, -1])).numpy()
        return groups

    @staticmethod
    def _place(window: Window, whole: WindowGrid, part: WindowGrid) -> tuple[int, int]:
        """Return the first pixel of the input in the grid `part` within the input in the grid `whole`."""
        (top, left), (y, x) = whole.place(window), part.place(window)
        return y - top, x - left


def foreground(
    network: Network,
    pixels: torch.Tensor,
    device: torch.device,
    amp: bool,
    places: Sequence[tuple[int, int]],
    size: tuple[int, int],
) -> torch.Tensor:
    """Predict the foreground classes (B, S, N - 1, height, width) in a part of each image, on the CPU.

    Directions follow as two more channels if the network gives them.

    Args:
        network: network on the device, in evaluation mode, with or without scale groups.
        pixels: images (B, C, H, W).
        device: device of the network.
        amp: True for half precision.
        places: first pixels (top, left) of the parts.
        size: height and width of a part.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=amp):
        pixels = pixels.to(device, non_blocking=True)
        if isinstance(network, ScaleUNet) and len(set(places)) == 1:
            return network.foreground(pixels, (*places[0], *size)).float().cpu()
        outputs = network.outputs(pixels)
        grouped = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
        cut = zip(grouped.split(1), places, strict=True)
        classes = grouped.shape[2] - 2 * network.directions
        parts = torch.cat([part_foreground(image, classes, (*place, *size)) for image, place in cut])
    return parts.cpu()


def _by_octave(network: Network) -> list[tuple[Network, int, int]]:
    """Split a network into parts of one octave, from fine to coarse; return each part, its octave and its stride."""
    if not network.has_scale_groups:
        return [(network, 0, network.stride)]
    runs = groupby(enumerate(network.head_octaves()), key=lambda head: head[1])
    parts = [(octave, [head for head, _ in members]) for octave, members in runs]
    strides = [network.level_stride * 2 ** max(octave, 0) for octave, _ in parts]
    nets = [network.subset(heads) for _, heads in parts] if len(parts) > 1 else [network]
    return [(net, octave, stride) for net, (octave, _), stride in zip(nets, parts, strides, strict=True)]
