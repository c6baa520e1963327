"""Count the nuclei of a slide that was resampled and does not state its µm per pixel, with `--mpp auto`.

    python scripts/measurements/auto_mpp.py SLIDE

The original slide must state its µm per pixel, and the weights must be calibrated (`monai-seunet calibrate`).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import tifffile

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.magnification.resolution import resolve

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"


def resample(source: Path, target: Path, mpp: float) -> Path:
    """Write a slide at other µm per pixel, which the file does not state."""
    with open_slide(source) as slide:
        resolution = resolve(slide)
        if resolution.mpp is None:
            raise SystemExit(f"{source}: its µm per pixel are not known")
        view = SlideView(slide, resolution.scale_to(mpp))
        pixels = view.read(0, 0, view.height, view.width)
    tifffile.imwrite(target, pixels, photometric="rgb", tile=(256, 256), compression="zlib")
    return target


def segment(slide: Path, output: Path, args: argparse.Namespace, *options: str) -> dict:
    """Segment a slide by the command; return the content of `result.json`."""
    command = [sys.executable, "-m", "monai_seunet.cli", "segment", str(slide), "-o", str(output), "--overwrite"]
    command += [*options, "--bundle", str(BUNDLE), "--network", args.network, "--checkpoint", str(args.checkpoint)]
    command += [] if args.width is None else ["--width", str(args.width)]
    if subprocess.call(command):
        raise SystemExit(1)
    return json.loads((output / slide.stem / "result.json").read_text(encoding="utf-8"))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("slide", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--width", type=int, help="width of the network (default: that of the config)")
    parser.add_argument("--mpp", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--work", type=Path, default=Path("runs/auto_mpp"))
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    reference = segment(args.slide, args.work, args)
    rows = [f"| as it is | {reference['resolution']} | {reference['objects']} | |"]
    for mpp in args.mpp:
        result = segment(resample(args.slide, args.work / f"at_{mpp}.tif", mpp), args.work, args, "--mpp", "auto")
        change = result["objects"] / reference["objects"] - 1
        rows.append(f"| {mpp} µm | {result['notes'][0]} | {result['objects']} | {change:+.1%} |")
    print("| slide | µm per pixel | nuclei | change |\n|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    main()
