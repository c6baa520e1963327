"""Measure the loss of IoU of nuclei if the µm per pixel are not given to a network.

    python scripts/measurements/untold_mpp.py data/monuseg data/tnbc --network seunet_octaves --checkpoint model.pt

The validation images of prepared data sets are reduced to other µm per pixel and segmented by the bundle's inference.
One run has `mpp` and `network_mpp`, which rescale the images to the µm per pixel of the training. Another run does not
rescale them. For a network with octaves, a third run does not rescale them and starts the octaves at twice the size of
the image (`finest_octave` -1). The intervals of the differences from the first run are a bootstrap of 1000 samples.
"""

from __future__ import annotations

import argparse
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.config.read import read_config
from monai_seunet.data.datalist import PreparedDataset, load_dataset
from monai_seunet.reading.raster import read_raster
from monai_seunet.transforms.spatial.functional import resample, scaled_size

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
SAMPLES = 1000  # number of samples of the bootstrap over images


def reduce(dataset: PreparedDataset, mpp: float, folder: Path) -> list[np.ndarray]:
    """Write the validation images at other µm per pixel, which the PNG files do not state; return the nuclei masks."""
    if dataset.mpp is None:
        raise SystemExit(f"{dataset.path}: the µm per pixel are not known")
    folder.mkdir(parents=True, exist_ok=True)
    truths = []
    for number, item in enumerate(dataset.validation):
        image = torch.from_numpy(np.array(read_raster(item["image"]).pixels))
        label = torch.from_numpy(np.array(read_raster(item["label"]).pixels > 0))
        size = scaled_size(image.shape[:2], [dataset.mpp / mpp] * 2)
        small = resample(image.movedim(2, 0).float(), size).round().clamp(0, 255).to(torch.uint8)
        Image.fromarray(small.movedim(0, 2).numpy()).save(folder / f"{number:03d}.png")
        truths.append(resample(label[None].float(), size)[0].numpy() >= 0.5)
    return truths


def segment(images: Path, output: Path, args: argparse.Namespace, options: dict[str, float]) -> list[np.ndarray]:
    """Segment the images of a folder by the bundle's inference; return the nuclei masks."""
    configs = [str(BUNDLE / "configs" / name) for name in ("inference.json", f"networks/{args.network}.json")]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(configs), "--bundle_root", str(BUNDLE)]
    settings = {"image": images, "output_dir": output, "checkpoint": args.checkpoint, "overwrite": True} | options
    settings |= {} if args.width is None else {"width": args.width}
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [np.asarray(Image.open(find(output, image))) > 0 for image in sorted(images.iterdir())]


def find(output: Path, image: Path) -> Path:
    """Return the label map of an image."""
    (path,) = output.rglob(f"{image.stem}_label.png")
    return path


def counts(masks: list[np.ndarray], truths: list[np.ndarray]) -> np.ndarray:
    """Return the pixels of intersection and union of every image, (images, 2)."""
    return np.array([[(a & b).sum(), (a | b).sum()] for a, b in zip(masks, truths, strict=True)], float)


def iou(pixels: np.ndarray) -> float:
    """Return the IoU over all images in percent."""
    intersection, union = pixels.sum(0)
    return 100 * intersection / union


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="prepared data sets")
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--width", type=int, help="width of the network (default: that of the config)")
    parser.add_argument("--mpp", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--work", type=Path, default=Path("runs/untold_mpp"))
    args = parser.parse_args()

    network = type(read_config(BUNDLE, args.network, args.width).get_parsed_content("network_def"))
    ways: dict[str, dict[str, float]] = {"told": {}, "not told": {}}
    if "finest_octave" in inspect.signature(network).parameters:
        ways["not told, doubled first"] = {"network_def#finest_octave": -1}
    rows = [f"| data | µm per pixel | {' | '.join(ways)} |", "|---|---" + "|---" * len(ways) + "|"]
    draw = np.random.default_rng(0)
    for dataset in map(load_dataset, args.data):
        for mpp in args.mpp:
            work = args.work / f"{dataset.name}-{mpp:g}"
            truths = reduce(dataset, mpp, work / "images")
            ways["told"] = {"mpp": mpp, "network_mpp": dataset.mpp or 0.25}
            results = [segment(work / "images", work / name, args, way) for name, way in ways.items()]
            told, *others = [counts(masks, truths) for masks in results]
            drawn = [draw.integers(len(told), size=len(told)) for _ in range(SAMPLES)]
            cells = [f"{iou(told):.1f}"]
            for other in others:
                low, high = np.percentile([iou(other[n]) - iou(told[n]) for n in drawn], [2.5, 97.5])
                cells.append(f"{iou(other):.1f}: {iou(other) - iou(told):+.1f} ({low:+.1f} to {high:+.1f})")
            rows.append(" | ".join([f"| {dataset.name} | {mpp:g}", *cells]) + " |")
            print("\n".join(rows), flush=True)


if __name__ == "__main__":
    main()
