"""What a network finds in windows of a slide, every octave from as much of the surroundings as its filters see."""

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

#: Pixels nearer than this to the end of what octave 0 sees, 2^o times as many in octave o, depend on where it ends.
SETTLED = 64


class WindowPredictor:
    """Probabilities of the foreground classes in windows, from a network with or without scale groups.

    The filters of each further octave see twice as far, on an image of half the side. Octave o gets 2^o times the
    context for that reason, and the octaves before it do not pay for it.

    Invariant: one octave gives what the network gives for the same pixels. Several give what each of them gives for the
    pixels of its own context.

    Args:
        network: on the device, in evaluation mode.
        grid: of the windows, with the context of octave 0.
        context: pixels around a window in octave 0.
        beyond: ((above, below), (left, right)) pixels outside of the image, from the end of `grid` on; further octaves
            see as many of them as their context is larger.
        device: where the network runs.
        amp: in half precision where the device gains by it.
        weights: add the `group_weights` of `p_conf` as one more channel. Every octave then sees all pixels that they
            depend on, and as many more as make these settled (`SETTLED`), if its context does not hold them already: a
            confidence that depends on the end of a window cuts nuclei.

    The directions of a network that gives them follow the probabilities, from -1 to 1 as 0 to 1.
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
        coarsest = network.stride  # for all parts, so that one sees what another one sees

        def seen_by(octave: int, stride: int) -> WindowGrid:
            least = NEARBY + round(SETTLED * 2.0**octave) if weights else 0
            own = -(-max(round(context * 2.0**octave), least) // stride) * stride
            more = max(0, own - context)  # the image has the context of octave 0 around what is wanted
            rows, columns = (tuple(min(side, more) // coarsest * coarsest for side in sides) for sides in beyond)
            return grid.widened(own, ((rows[0], rows[1]), (columns[0], columns[1])))

        self._parts = [(part, seen_by(octave, stride)) for part, octave, stride in _by_octave(network)]
        #: The windows with what has to be read for each.
        self.grid = max((seen for _, seen in self._parts), key=lambda part: part.seen[0] * part.seen[1])

    def __call__(self, pixels: torch.Tensor, windows: Sequence[Window]) -> np.ndarray:
        """Probabilities (B, S, N - 1, h, w) of the windows, and what follows them: two directions, the weights.

        Args:
            pixels: (B, C, H, W) of what `grid` sees for each window.
            windows: B of them.
        """
        found = []
        for part, grid in self._parts:
            near = grid.widened(NEARBY if self.weights else 0, grid.beyond)
            crops = [self._crop(*pair, self.grid, grid) for pair in zip(pixels, windows, strict=True)]
            own = torch.stack(crops) if len(crops) > 1 else crops[0].unsqueeze(0)  # no copy of a single one
            places = [self._place(window, grid, near) for window in windows]
            values = foreground(part, own, self.device, self.amp, places, near.seen)
            probabilities = values
            if self.directions:
                probabilities = values[:, :, :-2]
                values = torch.cat([probabilities, ((values[:, :, -2:] + 1) / 2).clamp(0, 1)], 2)
            if self.weights:
                confidence = confidence_nearby(1 - probabilities.sum(2, keepdim=True))
                values = torch.cat([values, confidence.unsqueeze(2)], 2)
            found.append(np.stack([near.cut(*pair) for pair in zip(windows, values.numpy(), strict=True)]))
        groups = np.concatenate(found, axis=1)
        if self.weights:
            groups[:, :, -1] = confidence_weights(torch.from_numpy(groups[:, :, -1])).numpy()
        return groups

    @classmethod
    def _crop(cls, pixels: torch.Tensor, window: Window, whole: WindowGrid, part: WindowGrid) -> torch.Tensor:
        """What one grid sees of a window, of what another one sees."""
        y, x = cls._place(window, whole, part)
        return pixels[..., y : y + part.seen[0], x : x + part.seen[1]]

    @staticmethod
    def _place(window: Window, whole: WindowGrid, part: WindowGrid) -> tuple[int, int]:
        """Where what one grid sees of a window begins in what another one sees."""
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
    """Probabilities of the foreground classes (B, S, N - 1, height, width) in a part of each image, on the CPU.

    The directions of a network that gives them follow.

    Args:
        network: with or without scale groups, on the device, in evaluation mode.
        pixels: (B, C, H, W)
        device: where the network runs.
        amp: in half precision where the device gains by it.
        places: (top, left) of the parts.
        size: (height, width) of a part.
    """
    with torch.inference_mode(), torch.autocast(device.type, enabled=amp):
        pixels = pixels.to(device, non_blocking=True)
        if isinstance(network, ScaleUNet) and len(set(places)) == 1:
            return network.foreground(pixels, (*places[0], *size)).float().cpu()
        outputs = network.outputs(pixels)
        grouped = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
        cut = zip(grouped.split(1), places, strict=True)
        classes = grouped.shape[2] - 2 * network.directions
        found = torch.cat([part_foreground(one, classes, (*place, *size)) for one, place in cut])
    return found.cpu()


def _by_octave(network: Network) -> list[tuple[Network, int, int]]:
    """The parts of a network that run at one octave each, from fine to coarse; octave and stride of each."""
    if not network.has_scale_groups:
        return [(network, 0, network.stride)]
    runs = groupby(enumerate(network.head_octaves()), key=lambda head: head[1])
    parts = [(octave, [head for head, _ in members]) for octave, members in runs]
    strides = [network.level_stride * 2 ** max(octave, 0) for octave, _ in parts]
    nets = [network.subset(heads) for _, heads in parts] if len(parts) > 1 else [network]
    return [(net, octave, stride) for net, (octave, _), stride in zip(nets, parts, strides, strict=True)]
