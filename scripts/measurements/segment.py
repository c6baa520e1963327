"""Measure the nuclei that `segment` finds in the images of a prepared data set with its default options.

    python scripts/measurements/segment.py data/bbbc039 --overlay weights/nuclei_fluorescence

The output has mean scores over the images with 95 % intervals (bootstrap over images), and counts of errors by kind.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tifffile

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.config.texts import read_settings
from monai_seunet.data.datalist import load_dataset
from monai_seunet.metrics.objects.scores import ObjectScores, count_objects
from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.utils.progress import progress_bar

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
SCORES = {"aji": "AJI", "pq": "PQ", "dq": "F1", "ap_50": "AP at 0.5", "ap_70": "AP at 0.7", "ap_90": "AP at 0.9"}


def main() -> None:
    """Print a table for each data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="prepared data sets of instances")
    parser.add_argument("--section", default="validation")
    parser.add_argument("--images", type=int, help="number of images to measure (default: all)")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--overlay", action="append", default=[], help="further config file of the bundle")
    parser.add_argument("--checkpoint", type=Path, help="weights (default: those of the config)")
    parser.add_argument("--width", type=int)
    parser.add_argument("--mpp", type=float, help="option --mpp of `segment`")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    args = parser.parse_args()

    settings = read_settings(args.settings)
    segmenter, _ = configure_segmenter(
        BUNDLE, args.network, args.width, args.checkpoint, overlays=args.overlay, settings=settings
    )
    segmenter = replace(segmenter, formats=("labels",))
    for path in args.data:
        dataset = load_dataset(path)
        counts, pixels, dropped = [], np.zeros(2), 0
        for item in progress_bar(dataset.items(args.section)[: args.images], desc=dataset.name):
            truth = np.array(read_raster(item["label"]).pixels).squeeze().astype(np.int64)
            with TemporaryDirectory() as folder:
                result = segmenter.run(item["image"], Path(folder) / "image", mpp=args.mpp)
                predicted = tifffile.imread(Path(folder) / "image" / "labels.ome.tif").astype(np.int64)
            counts.append(count_objects(truth, predicted))
            pixels += ((truth > 0) & (predicted > 0)).sum(), ((truth > 0) | (predicted > 0)).sum()
            dropped += result["dropped"]
        scores = ObjectScores((1.0,), np.stack(counts)[None])
        print(
            f"{dataset.name}, {args.section}: {len(counts)} images, IoU of the pixels {100 * pixels[0] / pixels[1]:.1f}"
        )
        for name, label in SCORES.items():
            low, high = 100 * scores.interval(name)[0]
            print(f"  {label:10} {100 * float(scores.curve(name)[0]):5.1f}  ({low:.1f} to {high:.1f})")
        kinds = ", ".join(f"{name} {int(count[0])}" for name, count in scores.kinds().items())
        print(f"  {kinds}; left out as too small or uncertain {dropped}", flush=True)


if __name__ == "__main__":
    main()
