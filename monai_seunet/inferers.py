"""Sliding-window inference for networks with one prediction per scale group."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from monai.inferers import SlidingWindowInferer
from monai.utils import ensure_tuple_rep

from monai_seunet.networks.layers.sampling import crop_to_size, pad_to_multiple
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import bars_are_shown


class ScaleSlidingWindowInferer(SlidingWindowInferer):
    """Sliding-window inferer that blends the probabilities of every scale group.

    Shapes: inputs (B, C, H, W) -> probabilities (B, S, N, H, W); a network of (B, N, H, W) has S = 1. Directions of the
    network follow as two more channels.
    Invariant: the classes of each group sum to 1. A single window gives the prediction of the network for the whole
    image. Windows lie on the pooling grid of the image, so two windows agree at pixels whose receptive field lies
    in both.
    Limits: windows differ near their borders. Gaussian weights reduce this, and so do larger windows: a trained SEUNet
    of five levels and width 20 changes the class of 1.2, 0.4 and 0.1 % of the pixels of an H&E image of 1000 x 1000
    with windows of 128, 256 and 512 (`scripts/measurements/seams.py`). An equivariant network stays equivariant only
    where windows agree, because several windows lie differently in a turned image.
    Memory: the result takes 4·S·N bytes per pixel on `device`, and the network takes `sw_batch_size` windows.

    Args:
        roi_size: window in pixels, one number or (height, width), as multiples of `multiple`; 0 or less takes the whole
            axis. Smaller images are not padded to the window.
        sw_batch_size: number of windows in one batch.
        overlap: smallest share of a window that its neighbour overlaps, in [0, 1).
        mode: weights of the blending: `gaussian`, highest in the middle of a window, or `constant`.
        multiple: total stride of the network, `network.stride`; images are mirrored at their borders to a multiple.
        outputs: `logits`, or `probabilities` for a network that fuses its groups itself.
        sw_device: device of the network; None for the device of the inputs.
        device: device of the result; `cpu` saves memory of a GPU, None is the device of the inputs.
        cpu_thresh: number of pixels above which the result is collected on the CPU; None for no limit.
        progress: whether a terminal shows a progress bar for an image of several windows.

    Raises:
        InputError: for a window that is not a multiple of `multiple`, an overlap outside [0, 1), or an image that the
            network refuses.
        ValueError: for unknown `outputs`, or an output of the network of another shape.

    >>> inferer = ScaleSlidingWindowInferer(roi_size=32)
    >>> inferer(torch.zeros(1, 2, 50, 70), torch.nn.Identity()).shape
    torch.Size([1, 1, 2, 50, 70])
    """

    def __init__(
        self,
        roi_size: int | Sequence[int] = 512,
        sw_batch_size: int = 1,
        overlap: float = 0.25,
        mode: str = "gaussian",
        multiple: int = 16,
        outputs: str = "logits",
        sw_device: torch.device | str | None = None,
        device: torch.device | str | None = None,
        cpu_thresh: int | None = None,
        progress: bool = False,
    ) -> None:
        window = ensure_tuple_rep(roi_size, 2)
        for side in window:
            if side > 0 and side % multiple:
                nearest = max(1, round(side / multiple)) * multiple
                raise InputError(
                    f"window is {side} pixels, not a multiple of the network's stride {multiple}; give {nearest}"
                )
        if not 0 <= overlap < 1:
            raise InputError(f"overlap of the windows is {overlap}; give at least 0 and less than 1")
        if outputs not in ("logits", "probabilities"):
            raise ValueError(f"outputs is '{outputs}'; choose logits or probabilities")
        devices: dict[str, Any] = {"sw_device": sw_device, "device": device, "cpu_thresh": cpu_thresh}
        super().__init__(window, sw_batch_size, overlap, mode, progress=progress, **devices)
        self.window, self.least_overlap, self.multiple, self.outputs = window, overlap, multiple, outputs

    def __call__(  # type: ignore[override]  # it always returns one tensor
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Return the probabilities (B, S, N, H, W) of every scale group."""
        num_groups = 1
        classes = network.out_channels if getattr(network, "directions", False) else None  # type: ignore[attr-defined]
        network = self._of_fitting_octaves(network, inputs.shape[2:])
        # A network that fuses its groups returns their logits by another method.
        heads = getattr(network, "heads", network) if self.outputs == "logits" else network
        if self.outputs == "logits":  # small windows need all octaves, too
            heads = getattr(network, "all_heads" if classes is None else "all_outputs", heads)

        def predict(windows: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            nonlocal num_groups
            grouped = self._probabilities(heads(windows, *args, **kwargs), inputs.dtype, classes)
            num_groups = grouped.shape[1]
            return grouped.flatten(1, 2)  # (B, S·N, h, w): MONAI blends one channel axis

        check_sides = getattr(network, "check_sides", None)
        if check_sides is not None:  # before padding changes them
            check_sides(*inputs.shape[2:])
        padded = pad_to_multiple(inputs, self.multiple)
        blend = super(ScaleSlidingWindowInferer, self._fit_windows(padded.shape[2:])).__call__
        blended = cast(torch.Tensor, blend(padded, predict, *args, **kwargs))
        return crop_to_size(blended.unflatten(1, (num_groups, -1)), *inputs.shape[2:])

    def _of_fitting_octaves(self, network: Any, size: Sequence[int]) -> Any:
        """Return the network without the octaves that are too coarse for the unpadded image."""
        fitting_heads = getattr(network, "fitting_heads", None)
        if fitting_heads is None or self.outputs != "logits":
            return network
        fitting = fitting_heads(*size)
        return network if len(fitting) == network.num_scales else network.subset(fitting)

    def _fit_windows(self, size: Sequence[int]) -> ScaleSlidingWindowInferer:
        """Return a copy whose windows fit an image of `size` and whose steps are multiples of the stride."""
        inferer = copy.copy(self)
        window = [min(side, length) if side > 0 else length for side, length in zip(self.window, size, strict=True)]
        blocks = [int(side * (1 - self.least_overlap)) // self.multiple for side in window]
        steps = [max(1, count) * self.multiple for count in blocks]
        inferer.roi_size = window
        inferer.progress = self.progress and bars_are_shown() and window != list(size)
        # MONAI computes int(side * (1 - overlap)); the half pixel prevents that rounding errors shorten the step.
        inferer.overlap = [max(0.0, 1 - (step + 0.5) / side) for step, side in zip(steps, window, strict=True)]
        return inferer

    def _probabilities(self, outputs: torch.Tensor, dtype: torch.dtype, classes: int | None) -> torch.Tensor:
        """Convert outputs (B, S, N, h, w) or (B, N, h, w) to probabilities (B, S, N, h, w); directions stay."""
        if outputs.dim() not in (4, 5):
            raise ValueError(
                f"the network returned shape {list(outputs.shape)}; (B, S, N, H, W) or (B, N, H, W) is needed"
            )
        grouped = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
        grouped = grouped.to(dtype)  # half precision would lose small probabilities
        if self.outputs == "probabilities":
            return grouped
        if classes is None:
            return grouped.softmax(dim=2)
        return torch.cat([grouped[:, :, :classes].softmax(dim=2), grouped[:, :, classes:]], dim=2)
