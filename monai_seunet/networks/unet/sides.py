"""What becomes of images whose sides break an exact symmetry."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from monai_seunet.utils.errors import InputError

SIZES = ("any", "pad", "exact")


class ChecksSides(nn.Module):
    """A network that pads images to its stride alike at both ends, which an odd side does not allow.

    Args:
        sizes: what becomes of images with an odd side: `any` pads them; `pad` does so with a warning, for networks
            whose symmetry is then half a pixel off; `exact` refuses them.
        stride: total stride of the network.

    Raises:
        InputError: for an unknown `sizes`.
    """

    def __init__(self, sizes: str, stride: int) -> None:
        super().__init__()
        if sizes not in SIZES:
            raise InputError(f"sizes is '{sizes}'; choose pad or exact")
        self.sizes, self.stride = sizes, stride
        self.level_stride = stride  # of one octave, where there are several

    @torch.jit.unused
    def check_sides(self, height: int, width: int) -> None:
        """Warn of an image that breaks the symmetry, or refuse it.

        Raises:
            InputError: for an odd side, where `sizes` is `exact`.
        """
        odd = [side for side in (height, width) if side % 2]
        if self.sizes == "any" or not odd or self.stride == 1:
            return
        good = " or ".join(str(side) for side in (odd[0] - 1, odd[0] + 1) if side)
        problem = f"an image of {height} x {width} pixels cannot be padded alike at both ends"
        if self.sizes == "exact":
            raise InputError(f"{problem}; crop or pad the side of {odd[0]} to {good}")
        warnings.warn(f"{problem}: the symmetry is half a pixel off; {good} would be exact", stacklevel=4)

    @torch.jit.unused
    def _check_sides_of(self, x: torch.Tensor) -> None:
        if not torch.compiler.is_exporting() and not torch.jit.is_tracing():
            self.check_sides(x.shape[-2], x.shape[-1])
