"""Print the brightness of the background of images, as `slides.inference.background` measures it.

    python scripts/measurements/background.py data/dsb_fluorescence/images data/bbbc039/images data/monuseg/images

Prints for each folder how many images count as bright, and the three least and the three greatest values. Images are
measured as grey values at several µm per pixel, because these change the size of the thumbnail.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.background import BRIGHT, background_brightness
from monai_seunet.slides.inference.tissue import overview, read_thumbnail


def main() -> None:
    """Print one line for each folder and size of the pixels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of images")
    args = parser.parse_args()
    for folder in args.folders:
        for mpp in (None, 0.25, 0.65):
            values = []
            for path in sorted(path for path in folder.iterdir() if path.is_file()):
                with open_slide(path) as slide:
                    values.append(background_brightness(read_thumbnail(overview(slide, mpp))))
            values.sort()
            ends = ", ".join(f"{value:.3f}" for value in (*values[:3], *values[-3:]))
            bright = sum(value > BRIGHT for value in values)
            print(
                f"{folder}, {mpp or 'unknown'} µm per pixel: {bright} of {len(values)} are bright; {ends}", flush=True
            )


if __name__ == "__main__":
    main()
