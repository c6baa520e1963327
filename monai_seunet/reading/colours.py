"""What the samples of a pixel mean, and how they become RGB of 8 bits on white."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image
from skimage.color import lab2rgb

from monai_seunet.reading.sample_range import SampleRange, range_of_colours, range_of_grey

WHITE = 255
GREY = ("grey", "inverted")
GREY_NOTE, ALPHA_NOTE = "grey image", "alpha laid on white"
SAMPLES = {"grey": 1, "inverted": 1, "palette": 1, "RGB": 3, "YCbCr": 3, "CIELAB": 3, "ICC L*a*b*": 3, "CMYK": 4}


class Colours(NamedTuple):
    """How the samples of a pixel are meant.

    Attributes:
        kind: a key of `SAMPLES`; in `inverted` grey 0 is white.
        bits: of a sample, 1 to 16.
        alpha: the last sample says how opaque a pixel is: `straight`, `premultiplied`; `unknown` where the file has one
            sample more and does not say what it means; or empty.
        palette: (number, 3 or 4) uint8, the colours of a palette, perhaps with alpha.
        shown: the stored values that become 0 and 255; None for all that `bits` hold.
        opaque: the values of alpha that are clear and opaque; None for all that `bits` hold.
        clear: a grey or RGB value that is clear wherever it stands, as PNG and GIF have it.
        guessed: three channels that the file gives no meaning are taken as red, green and blue.
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
        """Whether a pixel has one brightness and no colour."""
        return self.kind in GREY

    @property
    def whole(self) -> SampleRange:
        """All values that the bits hold."""
        return SampleRange(0, (1 << self.bits) - 1)

    @property
    def notes(self) -> tuple[str, ...]:
        """What `as_rgb` changes, for people."""
        values = ""
        if self.shown is not None and self.shown != self.whole:
            values = f", {self.shown.low} to {self.shown.high} as 0 to 255"
        has_alpha = self.alpha in ("straight", "premultiplied") or self.clear is not None
        said = {
            "three channels taken as red, green and blue": self.guessed,
            GREY_NOTE: self.is_grey,
            f"{self.kind} brought to RGB": self.kind not in (*GREY, "RGB"),
            f"{self.bits} bits brought to 8{values}": self.bits != 8 and self.kind != "palette",
            ALPHA_NOTE: has_alpha or (self.palette is not None and self.palette.shape[1] == 4),
            "a further sample of unknown meaning left out": self.alpha == "unknown",
        }
        return tuple(note for note, is_so in said.items() if is_so)

    def with_ranges(self, pieces: Callable[[], Iterable[np.ndarray]], declared_bits: int | None = None) -> Colours:
        """The same, with the stored values that are black and white looked up where samples have more than 8 bits.

        Args:
            pieces: gives parts (H, W, C) of the image as they are stored; called once for each range.
            declared_bits: the file says that so many of the bits count.
        """
        if self.bits <= 8 or self.kind not in (*GREY, "RGB"):
            return self
        wanted = SAMPLES[self.kind]
        shown, opaque = None, None
        if self.is_grey:
            shown = range_of_grey(piece[:, :, 0] for piece in pieces())
        elif self.bits == 16:  # with fewer, the file's own statement counts
            least = declared_bits if declared_bits and declared_bits < self.bits else 8
            shown = range_of_colours((piece[:, :, :wanted] for piece in pieces()), max(least, 8))
        if self.alpha in ("straight", "premultiplied") and self.bits == 16:
            opaque = range_of_colours(piece[:, :, -1] for piece in pieces())
        return self._replace(shown=shown, opaque=opaque)


RGB = Colours("RGB")


def as_rgb(samples: np.ndarray, colours: Colours) -> np.ndarray:
    """Samples (H, W, C) of a file as (H, W, 3) uint8; depends on each pixel alone."""
    if colours.palette is not None:
        return _on_white_where_clear(colours.palette[samples[:, :, 0]])
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
    """Values (H, W, C) uint8 laid on white, as opaque as alpha (H, W, 1) uint8 says; `kind` as in `Colours`."""
    if kind == "premultiplied":
        return np.minimum(values.astype(np.uint16) + (WHITE - alpha), WHITE).astype(np.uint8)
    weighted = values.astype(np.uint16) * alpha + np.uint16(WHITE) * (WHITE - alpha)
    return ((weighted + WHITE // 2) // WHITE).astype(np.uint8)


def luma(rgb: np.ndarray) -> np.ndarray:
    """Brightness (H, W) uint8 of RGB (H, W, 3) uint8 by ITU-R BT.601; of a grey image the grey itself."""
    return np.asarray(Image.fromarray(rgb).convert("L"))


def _on_white_where_clear(rgba: np.ndarray) -> np.ndarray:
    return rgba if rgba.shape[2] == 3 else on_white(rgba[:, :, :3], rgba[:, :, 3:])


def _lab_as_rgb(samples: np.ndarray, colours: Colours) -> np.ndarray:
    """L*a*b* of 8 or 16 bits as sRGB; its white stays white, whatever light it was measured under.

    References:
        TIFF 6.0, section 23 (a* and b* with a sign); ICC profile specification, Lab encodings (shifted by one half).
    """
    bits, signed = colours.bits, colours.kind == "CIELAB"
    values = samples.astype(np.float64)
    step = 1 << (bits - 8)
    white = (1 << bits) - 1 if signed or bits == 8 else 0xFF00
    chroma = values[:, :, 1:] / step
    chroma = np.where(chroma >= 128, chroma - 256, chroma) if signed else chroma - 128
    lab = np.dstack([values[:, :, 0] * (100.0 / white), chroma])
    return np.round(lab2rgb(lab).clip(0, 1) * WHITE).astype(np.uint8)
