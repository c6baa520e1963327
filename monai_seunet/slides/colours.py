"""Samples as files store them to RGB of 8 bits on white."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from monai_seunet.data.sample_range import SampleRange
from monai_seunet.slides.source import WHITE


class Colours(NamedTuple):
    """How the samples of a pixel are meant.

    Attributes:
        kind: `grey`, `inverted` (grey, 0 is white), `rgb`, `palette`, `CMYK` or `YCbCr`.
        bits: of a sample.
        alpha: the last sample says how opaque a pixel is: `straight`, `premultiplied`, or empty.
        palette: (number, 3) uint8, the colours of a palette.
        shown: the stored values that become 0 and 255; None for all that `bits` hold.
    """

    kind: str
    bits: int = 8
    alpha: str = ""
    palette: np.ndarray | None = None
    shown: SampleRange | None = None

    @property
    def whole(self) -> SampleRange:
        """All values that the bits hold."""
        return SampleRange(0, (1 << self.bits) - 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """What `as_rgb` changes, for people."""
        whole = SampleRange(0, (1 << self.bits) - 1)
        values = (
            "" if self.shown is None or self.shown == whole else f", {self.shown.low} to {self.shown.high} as 0 to 255"
        )
        said = {
            "grey image": self.kind in ("grey", "inverted"),
            f"{self.kind} brought to RGB": self.kind in ("CMYK", "YCbCr", "palette"),
            f"{self.bits} bits brought to 8{values}": self.bits != 8 and self.kind != "palette",
            "alpha laid on white": bool(self.alpha),
        }
        return tuple(note for note, is_so in said.items() if is_so)


def as_rgb(samples: np.ndarray, colours: Colours) -> np.ndarray:
    """Samples (H, W, C) of a file as (H, W, 3) uint8; depends on each pixel alone."""
    if colours.palette is not None:
        return colours.palette[samples[:, :, 0]]
    alpha = samples[:, :, -1:]
    if samples.dtype != np.uint8 or colours.bits != 8:
        samples, alpha = (colours.shown or colours.whole).in_8_bits(samples), colours.whole.in_8_bits(alpha)
    if colours.kind in ("CMYK", "YCbCr"):
        return np.asarray(Image.fromarray(np.ascontiguousarray(samples), colours.kind).convert("RGB"))
    rgb = samples[:, :, : 3 if colours.kind == "rgb" else 1]
    if colours.kind == "inverted":
        rgb = WHITE - rgb
    if colours.alpha:
        rgb = on_white(rgb, alpha, colours.alpha)
    return np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else np.ascontiguousarray(rgb)


def on_white(values: np.ndarray, alpha: np.ndarray, kind: str = "straight") -> np.ndarray:
    """Values (H, W, C) uint8 laid on white, as opaque as alpha (H, W, 1) uint8 says; `kind` as in `Colours`."""
    if kind == "premultiplied":
        return np.minimum(values.astype(np.uint16) + (WHITE - alpha), WHITE).astype(np.uint8)
    weighted = values.astype(np.uint16) * alpha + np.uint16(WHITE) * (WHITE - alpha)
    return ((weighted + WHITE // 2) // WHITE).astype(np.uint8)
