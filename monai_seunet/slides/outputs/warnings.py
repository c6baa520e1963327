"""Warnings about the result of a slide, with the likely cause and advice."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from monai_seunet.slides.inference.background import BRIGHT, background_brightness
from monai_seunet.slides.magnification.resolution import Resolution
from monai_seunet.slides.nuclei.rules import LEAST_AREA, LeftOutTally, NucleusRules, PixelRules
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile

OWN_MODEL = "train a model on such images (bundle/docs/train.md)"
OTHER_STAIN = f"no shipped model is made for stains other than haematoxylin and eosin; for these, {OWN_MODEL}"

MIN_AREA = "--set min_area=VALUE in µm²"
LEFT_OUT = (
    "areas left out are too small or of a low mean probability, see dropped_by_reason in result.json; "
    f"{MIN_AREA} and --set min_confidence=VALUE from 0 to 1 change the limits"
)
NOTED_SHARE = 0.1  # least share of areas left out, relative to the nuclei, for a note


class ResultWarning(NamedTuple):
    """A warning.

    Attributes:
        code: name for programs, the same in all versions.
        text: one line for people.
    """

    code: str
    text: str


@dataclass(frozen=True)
class Found:
    """Counts and settings of the search for nuclei on a slide.

    Args:
        objects: number of nuclei.
        left_out: counts of the areas that are no nuclei.
        windows: number of windows that the network predicted.
        tissue: share of the slide that is tissue.
        region: True if the user asked for a region, whose tissue does not matter.
        resolution: resolution of the slide.
        base_per_pixel: base pixels along the side of a working pixel.
        asked: rules of the user in µm.
        rules: the same rules in working pixels.
    """

    objects: int
    left_out: LeftOutTally
    windows: int
    tissue: float
    region: bool
    resolution: Resolution
    base_per_pixel: float
    asked: NucleusRules
    rules: PixelRules

    @property
    def least_area(self) -> str:
        """Least area of a nucleus in words: in µm² and pixels of the image, or in pixels alone."""
        if self.rules.least_share:
            return f"{100 * self.rules.least_share:.0f} % of the typical area around"
        pixels = self.rules.min_area * self.base_per_pixel**2
        in_pixels = f"{pixels:.{0 if pixels >= 10 else 1}f} px"
        if self.resolution.mpp is None:
            return in_pixels
        asked = self.asked.min_area
        return f"{LEAST_AREA if asked is None else asked:g} µm² ({in_pixels})"


def warnings_of(found: Found) -> list[ResultWarning]:
    """Return warnings about a result without nuclei, and about unknown or contradicted µm per pixel."""
    empty = [] if found.objects else [_empty(found)]
    resolution = found.resolution
    if resolution.mpp is None:
        text = "µm per pixel are unknown: the image was taken as it is, and sizes are in pixels; give --mpp or --power"
        return [*empty, ResultWarning("mpp_unknown", text)]
    if resolution.given_against_file:
        return [*empty, ResultWarning("mpp_contradicted", f"{resolution.warning}; check --mpp or --power")]
    return empty


def stain_warnings(profile: StainProfile) -> list[ResultWarning]:
    """Return a warning about stains that were normalised, but hardly separable, with a cast or no H&E."""
    if profile.warning is None:
        return []
    code, text = profile.warning
    advice = "correct the white balance and brightness" if code == "colour_cast" else OTHER_STAIN
    return [ResultWarning(code, f"{text}; look at the outlines; {advice}")]


def not_normalised(error: NoTissueError) -> ResultWarning:
    """Return a warning about an image without two stains, whose colours were kept."""
    problem = str(error).rpartition(": ")[2]
    return ResultWarning("stain_not_normalised", f"the stain is not normalised: {problem}; {OTHER_STAIN}")


def background_warnings(thumbnail: np.ndarray) -> list[ResultWarning]:
    """Return a warning about the bright background of an image (h, w, 3) for a model that needs a dark one."""
    brightness = background_brightness(thumbnail)
    if brightness <= BRIGHT:
        return []
    text = (
        f"the background is bright ({100 * brightness:.0f} % of the range of the image), but the model is made for "
        "fluorescence: bright nuclei on a dark background; the nuclei may be wrong, look at the outlines; H&E in "
        "colour needs another model (monai-seunet models), and no shipped model is made for grey bright-field images"
    )
    return [ResultWarning("bright_background", text)]


def are_many_left_out(objects: int, left_out: int) -> bool:
    """Return whether a share of areas that users should know of was left out beside nuclei."""
    return objects > 0 and left_out > NOTED_SHARE * objects


def left_out_notes(found: Found) -> list[str]:
    """Return a note if many areas were left out beside nuclei, see `are_many_left_out`."""
    left_out = found.left_out.total
    if not are_many_left_out(found.objects, left_out):
        return []
    return [f"{left_out} areas left out"]


def _empty(found: Found) -> ResultWarning:
    tissue = f"{100 * found.tissue:.1f} % of the image"
    if not found.windows:
        text = f"0 nuclei: no tissue was found ({tissue}); if there is some, grey or very pale, give --tissue all"
        return ResultWarning("no_tissue", text)
    counts = found.left_out.counts
    small, unsure = counts["small"] + counts["speck"], counts["unsure"]
    if not small + unsure:
        text = (
            f"0 nuclei: no pixel of {'the region' if found.region else f'the tissue ({tissue})'} has the probability "
            f"{found.asked.threshold:g} (id threshold); {_cause(found)}, or {OWN_MODEL}"
        )
        return ResultWarning("no_nuclei", text)
    if unsure > small:
        also = f", {small} more below the least area" if small else ""
        text = (
            f"0 nuclei: {unsure} areas have a mean probability below {found.rules.min_confidence:g}{also}; "
            f"{_cause(found)}, {OWN_MODEL}, or lower min_confidence (--set min_confidence=)"
        )
        return ResultWarning("all_unsure", text)
    at = " at the resolution of the training" if found.resolution.mpp is None else ""
    also = f", {unsure} more are of a mean probability below {found.rules.min_confidence:g}" if unsure else ""
    text = (
        f"0 nuclei: {small} areas lie below the least area of a nucleus, {found.least_area}{also}; half of them are "
        f"at most {_width(found)} wide; {_cause(found)}, or lower min_area ({MIN_AREA}{at})"
    )
    return ResultWarning("all_too_small", text)


def _cause(found: Found) -> str:
    resolution = found.resolution
    if resolution.mpp is None:
        return "the µm per pixel are unknown, give --mpp"
    value = f"{resolution.mpp:.4g} µm per pixel"
    origins = {"given": f"{value} are given", "file": f"the file says {value}", "estimated": f"{value} are estimated"}
    return f"{origins.get(resolution.origin, f'its objective means {value}')}: check --mpp"


def _width(found: Found) -> str:
    """Return the diameter of the median area that is too small."""
    pixels = 2 * math.sqrt(found.left_out.usual_area / math.pi) * found.base_per_pixel
    mpp = found.resolution.mpp
    return f"{pixels:.2g} px of the image" + ("" if mpp is None else f" ({pixels * mpp:.2g} µm)")
