"""Count the images that get a warning about their stains, as they are and with false colours.

    python scripts/measurements/stain_warnings.py data/monuseg/images data/tnbc/images

Every image of the folders is an H&E image. Its stain profile is fitted as it is; every tenth image also as grey,
inverted, nearly without colour, with the channels in another order, dark, and with a channel or two at 60 % of its
intensity, as by a wrong white balance. Prints, for each form, how many images get which warning, and the values with
limits in `transforms.stain.profile`: the least and largest angle between the stains, the least surplus of the optical
density in green, and the least intensity of the brightest pixels in red and blue.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from monai_seunet.reading.raster import read_image
from monai_seunet.slides.outputs.warnings import not_normalised, stain_warnings
from monai_seunet.transforms.stain.fit import fit_profile
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile

STEP = 10  # every tenth image gets false colours


def toned(*factors: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that multiplies red, green and blue by factors."""
    return lambda pixels: pixels * np.array(factors)


def nearly_grey(pixels: np.ndarray) -> np.ndarray:
    """Keep 15 % of the differences between channels."""
    grey = pixels.mean(axis=2, keepdims=True)
    return grey + 0.15 * (pixels - grey)


FORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as they are": lambda pixels: pixels,
    "grey": lambda pixels: np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2),
    "nearly grey": nearly_grey,
    "inverted": lambda pixels: 255 - pixels,
    "green, blue, red": lambda pixels: pixels[:, :, [1, 2, 0]],
    "blue, green, red": lambda pixels: pixels[:, :, ::-1],
    "yellow cast": toned(1, 1, 0.6),
    "green cast": toned(0.6, 1, 0.6),
    "cyan cast": toned(0.6, 1, 1),
    "blue cast": toned(0.6, 0.6, 1),
    "red cast": toned(1, 0.6, 0.6),
    "dark": toned(0.5, 0.5, 0.5),
}


def fit(pixels: np.ndarray) -> tuple[str, StainProfile | None]:
    """Return the code of the warning for pixels (H, W, 3), `none` without a warning, and the stain profile."""
    try:
        profile = fit_profile([torch.from_numpy(np.rint(pixels).clip(0, 255).astype(np.uint8)).permute(2, 0, 1)])
    except NoTissueError as error:
        return not_normalised(error).code, None
    found = stain_warnings(profile)
    return (found[0].code if found else "none"), profile


def main() -> None:
    """Print one line for each folder and form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of H&E images")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    for folder in args.folders:
        images = sorted(path for path in folder.iterdir() if path.is_file())
        for form, change in FORMS.items():
            chosen = images if form == "as they are" else images[::STEP]
            fits = [fit(change(read_image(path, 3).pixels.astype(float))) for path in chosen]
            profiles = [profile for _, profile in fits if profile is not None]
            print(f"{folder}, {form}: {dict(Counter(code for code, _ in fits))}{_range(profiles)}", flush=True)


def _range(profiles: list[StainProfile]) -> str:
    if not profiles:
        return ""
    angles = [profile.angle for profile in profiles]
    matrices = np.array([profile.matrix for profile in profiles])  # (images, 2, 3)
    (of_h, of_e) = (matrices[:, :, 1:2] - matrices[:, :, [0, 2]]).min(axis=0).round(2).tolist()
    light = np.array([profile.brightest for profile in profiles])[:, [0, 2]].min(axis=0).round(2).tolist()
    return f", {min(angles):.1f} to {max(angles):.1f}°, green over red and blue: H {of_h}, E {of_e}, brightest {light}"


if __name__ == "__main__":
    main()
