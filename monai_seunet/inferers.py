"""Sliding windows for networks with one prediction per scale group."""

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
    """Predict an image of any size window by window, and blend the probabilities of every scale group.

    Shapes: inputs (B, C, H, W) -> probabilities (B, S, N, H, W); a network of (B, N, H, W) has S = 1. Directions of the
    network are two more channels after the probabilities.
    Invariant: each group's classes sum to one. One window that covers the image gives what the network gives for the
    whole image. Windows start at multiples of `multiple`, on the pooling grid of the whole image, so that any two
    windows agree wherever both see the receptive field of a pixel.
    Limits: within the receptive field of a window's edge they differ; the Gaussian weights hide this, a larger window
    reduces it. A trained SEUNet of five levels and width 20 changes the class of 1.2, 0.4 and 0.1 % of the pixels of
    an H&E image of 1000 x 1000 against the whole image with windows of 128, 256 and 512
    (`scripts/measurements/seams.py`).
    A network that commutes with turns does so over one window; several do not lie alike in a turned image, and it then
    commutes as far as windows agree.
    Memory: the result takes 4·S·N bytes a pixel on `device`, besides `sw_batch_size` windows where the network runs.

    Args:
        roi_size: window in pixels, one number or (height, width), multiples of `multiple`; 0 or less takes the whole
            axis. An image that is smaller is not padded to it.
        sw_batch_size: windows that the network gets at once.
        overlap: share of a window that the next one overlaps, at least, in [0, 1).
        mode: `gaussian` (the middle of a window counts most) or `constant`.
        multiple: total stride of the network, `network.stride`; the size of an image is raised to it by mirroring it.
        outputs: `logits`, or `probabilities` for a network that has fused its groups already.
        sw_device: where the network runs; None for the device of the inputs.
        device: where the result is collected; `cpu` spares the memory of a GPU. None for the device of the inputs.
        cpu_thresh: images of more pixels than this are collected on the CPU; None for no limit.
        progress: show a bar on a terminal over the windows of an image that needs several.

    Raises:
        InputError: for a window that is no multiple of `multiple`, an overlap outside [0, 1), or an image that the
            network refuses.
        ValueError: for unknown `outputs`, or an output of the network that has neither shape.
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
                good = max(1, round(side / multiple)) * multiple
                raise InputError(
                    f"window is {side} pixels, no multiple of the network's stride {multiple}; take {good}"
                )
        if not 0 <= overlap < 1:
            raise InputError(f"overlap of the windows is {overlap}; it has to be at least 0 and below 1")
        if outputs not in ("logits", "probabilities"):
            raise ValueError(f"outputs is '{outputs}'; choose logits or probabilities")
        super().__init__(
            window,
            sw_batch_size,
            overlap,
            mode,
            sw_device=sw_device,
            device=device,
            cpu_thresh=cpu_thresh,
            progress=progress,
        )
        self.window = window
        self.least_overlap = overlap
        self.multiple = multiple
        self.outputs = outputs

    def __call__(  # type: ignore[override]  # always one tensor
        self, inputs: torch.Tensor, network: Callable[..., torch.Tensor], *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        """Probabilities of every scale group, (B, S, N, H, W)."""
        num_groups = 1
        classes = network.out_channels if getattr(network, "directions", False) else None  # type: ignore[attr-defined]
        network = self._of_fitting_octaves(network, inputs.shape[2:])
        # a network that would fuse its groups is asked for the logits of all of them
        heads = getattr(network, "heads", network) if self.outputs == "logits" else network
        if self.outputs == "logits":  # of all octaves in small windows, too
            heads = getattr(network, "all_heads" if classes is None else "all_outputs", heads)

        def predict(windows: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            nonlocal num_groups
            grouped = self._probabilities(heads(windows, *args, **kwargs), inputs.dtype, classes)
            num_groups = grouped.shape[1]
            return grouped.flatten(1, 2)  # (B, S·N, h, w): MONAI blends one channel axis

        check_sides = getattr(network, "check_sides", None)
        if check_sides is not None:  # before the padding hides what they were
            check_sides(*inputs.shape[2:])
        padded = pad_to_multiple(inputs, self.multiple)
        blend = super(ScaleSlidingWindowInferer, self._fitted(padded.shape[2:])).__call__
        blended = cast(torch.Tensor, blend(padded, predict, *args, **kwargs))
        return crop_to_size(blended.unflatten(1, (num_groups, -1)), *inputs.shape[2:])

    def _of_fitting_octaves(
        self, network: Callable[..., torch.Tensor], size: Sequence[int]
    ) -> Callable[..., torch.Tensor]:
        """The octaves of a network that are not too coarse for the image, whatever that is padded to."""
        fitting_heads = getattr(network, "fitting_heads", None)
        if fitting_heads is None or self.outputs != "logits":
            return network
        fitting = fitting_heads(*size)
        return network if len(fitting) == network.num_scales else network.subset(fitting)  # type: ignore[attr-defined]

    def _fitted(self, size: Sequence[int]) -> ScaleSlidingWindowInferer:
        """A copy whose windows fit an image of `size` and whose steps are multiples, too."""
        fitted = copy.copy(self)
        window = [min(side, length) if side > 0 else length for side, length in zip(self.window, size, strict=True)]
        blocks = [int(side * (1 - self.least_overlap)) // self.multiple for side in window]
        steps = [max(1, count) * self.multiple for count in blocks]
        fitted.roi_size = window
        fitted.progress = self.progress and bars_are_shown() and window != list(size)
        # MONAI computes int(side * (1 - overlap)); the half pixel keeps rounding errors from shortening the step.
        fitted.overlap = [max(0.0, 1 - (step + 0.5) / side) for step, side in zip(steps, window, strict=True)]
        return fitted

    def _probabilities(self, outputs: torch.Tensor, dtype: torch.dtype, classes: int | None) -> torch.Tensor:
        """(B, S, N, h, w) or (B, N, h, w) -> probabilities (B, S, N, h, w), and what comes after the classes."""
        if outputs.dim() not in (4, 5):
            raise ValueError(
                f"the network gave shape {list(outputs.shape)}; (B, S, N, H, W) or (B, N, H, W) can be blended"
            )
        grouped = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
        grouped = grouped.to(dtype)  # half precision would lose small probabilities
        if self.outputs == "probabilities":
            return grouped
        if classes is None:
            return grouped.softmax(dim=2)
        return torch.cat([grouped[:, :, :classes].softmax(dim=2), grouped[:, :, classes:]], dim=2)
