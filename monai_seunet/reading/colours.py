"""Colour encodings of stored samples, and their conversion to RGB of 8 bits on a white background."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage.color import lab2rgb

from monai_seunet.reading.sample_range import SampleRange, range_of_colours, range_of_grey

WHITE = 255
GREY = ("grey", "inverted")
GREY_NOTE, ALPHA_NOTE = "grey image", "alpha blended with white"
SAMPLES = {"grey": 1, "inverted": 1, "palette": 1, "RGB": 3, "YCbCr": 3, "CIELAB": 3, "ICC L*a*b*": 3, "CMYK": 4}


class Colours(NamedTuple):
    """Colour encoding of the samples of a pixel.

    Attributes:
        kind: a key of `SAMPLES`; in `inverted` grey, 0 is white.
        bits: bits per sample, 1 to 16.
        alpha: `straight` or `premultiplied` alpha in the last sample; `unknown` for one further sample without a stated
            meaning; empty without such a sample.
        palette: colours (number, 3 or 4) uint8 of a palette, the fourth column being alpha.
        shown: stored values that become 0 and 255; None for the full range of `bits`.
        opaque: alpha values of transparent and opaque pixels; None for the full range of `bits`.
        clear: grey or RGB value that is transparent in all pixels, as in PNG and GIF.
        guessed: whether three channels without a stated meaning are interpreted as RGB.
    """

    kind: str
    bits: int = 8
    alpha: str = ""
    palette: np.ndarray | None = None
    shown: SampleRange | None = None
    opaque: SampleRange | None = None
    clear: tuple[int, ...] | None = None
    guessed: bool = False

    @property
    def is_grey(self) -> bool:
        """Whether the image has grey values and no colours."""
        return self.kind in GREY

    @property
    def whole(self) -> SampleRange:
        """The full range of `bits`."""
        return SampleRange(0, (1 << self.bits) - 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages for users about the conversions of `as_rgb`."""
        values = ""
        if self.shown is not None and self.shown != self.whole:
            values = f", {self.shown.low} to {self.shown.high} as 0 to 255"
        has_alpha = self.alpha in ("straight", "premultiplied") or self.clear is not None
        notes = {
            "three channels interpreted as RGB": self.guessed,
            GREY_NOTE: self.is_grey,
            f"{self.kind} converted to RGB": self.kind not in (*GREY, "RGB"),
            f"{self.bits} bits converted to 8{values}": self.bits != 8 and self.kind != "palette",
            ALPHA_NOTE: has_alpha or (self.palette is not None and self.palette.shape[1] == 4),
            "a further sample of unknown meaning ignored": self.alpha == "unknown",
        }
        return tuple(note for note, applies in notes.items() if applies)

    def with_ranges(self, pieces: Callable[[], Iterable[np.ndarray]], declared_bits: int | None = None) -> Colours:
        """Return a copy with the ranges `shown` and `opaque` determined from an image of more than 8 bits.

        Args:
            pieces: function that yields stored parts (H, W, C) of the image; called once for each range.
            declared_bits: number of significant bits that the file states.
        """
        if self.bits <= 8 or self.kind not in (*GREY, "RGB"):
            return self
        channels = SAMPLES[self.kind]
        shown, opaque = None, None
        if self.is_grey:
            shown = range_of_grey(piece[:, :, 0] for piece in pieces())
        elif self.bits == 16:  # a smaller bit depth is deliberate: the writer chose it to fit the values
            least = declared_bits if declared_bits and declared_bits < self.bits else 8
            shown = range_of_colours((piece[:, :, :channels] for piece in pieces()), max(least, 8))
        if self.alpha in ("straight", "premultiplied") and self.bits == 16:
            opaque = range_of_colours(piece[:, :, -1] for piece in pieces())
        return self._replace(shown=shown, opaque=opaque)


RGB = Colours("RGB")


def as_rgb(samples: np.ndarray, colours: Colours) -> np.ndarray:
    """Convert stored samples (H, W, C) to RGB (H, W, 3) uint8, each pixel independently of the others.

    >>> as_rgb(np.array([[[7]]], np.uint8), Colours("inverted"))
    array([[[248, 248, 248]]], dtype=uint8)
    """
    if colours.palette is not None:
        rgba = colours.palette[samples[:, :, 0]]
        return rgba if rgba.shape[2] == 3 else on_white(rgba[:, :, :3], rgba[:, :, 3:])
    kept = None if colours.clear is None else (samples[:, :, : len(colours.clear)] != colours.clear).any(2)
    if colours.kind in ("CIELAB", "ICC L*a*b*"):
        rgb = _lab_as_rgb(samples[:, :, :3], colours)
    else:
        alpha = samples[:, :, -1:]
        if samples.dtype != np.uint8 or colours.bits != 8:
            samples = (colours.shown or colours.whole).in_8_bits(samples)
            alpha = (colours.opaque or colours.whole).in_8_bits(alpha)
        rgb = samples[:, :, : SAMPLES[colours.kind]]
        if colours.kind in ("CMYK", "YCbCr"):
            rgb = np.asarray(Image.fromarray(np.ascontiguousarray(rgb), colours.kind).convert("RGB"))
        if colours.kind == "inverted":
            rgb = WHITE - rgb
        if colours.alpha in ("straight", "premultiplied"):
            rgb = on_white(rgb, alpha, colours.alpha)
    if kept is not None:
        rgb = np.where(kept[:, :, None], rgb, np.uint8(WHITE))
    return np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else np.ascontiguousarray(rgb)


def on_white(values: np.ndarray, alpha: np.ndarray, kind: str = "straight") -> np.ndarray:
    """Blend values (H, W, C) uint8 with white by alpha (H, W, 1) uint8; `kind` is `Colours.alpha`."""
    if kind == "premultiplied":
        return np.minimum(values.astype(np.uint16) + (WHITE - alpha), WHITE).astype(np.uint8)
    weighted = values.astype(np.uint16) * alpha + np.uint16(WHITE) * (WHITE - alpha)
    return ((weighted + WHITE // 2) // WHITE).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Convert RGB (H, W, 3) uint8 to brightness (H, W) uint8 by ITU-R BT.601; grey values are unchanged."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _lab_as_rgb(samples: np.ndarray, colours: Colours) -> np.ndarray:
    """Convert L*a*b* of 8 or 16 bits to sRGB; L* = 100 becomes white under any illuminant.

    References:
        TIFF 6.0, section 23 (signed a* and b*); ICC profile specification, Lab encodings (a* and b* offset by 128).
    """
    bits, signed = colours.bits, colours.kind == "CIELAB"
    values = samples.astype(np.float64)
    step = 1 << (bits - 8)
    white = (1 << bits) - 1 if signed or bits == 8 else 0xFF00
    chroma = values[:, :, 1:] / step
    chroma = np.where(chroma >= 128, chroma - 256, chroma) if signed else chroma - 128
    lab = np.dstack([values[:, :, 0] * (100.0 / white), chroma])
    return np.round(lab2rgb(lab).clip(0, 1) * WHITE).astype(np.uint8)
