"""Compare the nuclei of `export --format instanseg`, run by `instanseg-torch`, to those of `segment` and to the truth.

    python scripts/measurements/qupath.py nuclei_he_free data/tnbc --images 10

Run it in the environment of `scripts/test_clients.sh`, on the middle 512 x 512 pixels of images of a prepared data set.
The client gets the pixels as they are, and scaled by their percentiles, as QuPath's extension scales them. The output
has F1 of objects (an IoU above 0.5) over all nuclei of the images.

    python scripts/measurements/qupath.py nuclei_he_free --picture docs/qupath.png

draws the nuclei of a part of an image of scikit-image in the three ways.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torchvision_operators  # noqa: F401 (declares what `import instanseg` needs)
from skimage.data import immunohistochemistry
from skimage.segmentation import mark_boundaries

from monai_seunet.cli import main as command
from monai_seunet.data.datalist import load_dataset
from monai_seunet.metrics.objects.overlaps import object_counts
from monai_seunet.nuclei import segment
from monai_seunet.reading.raster import read_raster

SIDE = 512
WAYS = {  # with their titles in the picture
    "segment": "monai-seunet segment",
    "same pixels": "the folder, same pixels",
    "scaled": "the folder, scaled pixels",
}


def main() -> None:
    """Print a row for each data set and way of the pixels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="trained model, see `monai-seunet models`")
    parser.add_argument("data", type=Path, nargs="*", help="prepared data sets of instances")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="picture to draw")
    parser.add_argument("--section", default="validation")
    parser.add_argument("--images", type=int, help="number of images, evenly chosen (default: all)")
    options = parser.parse_args()
    from instanseg import InstanSeg

    with TemporaryDirectory() as folder:
        command(["export", "--model", options.model, "--format", "instanseg", "-o", f"{folder}/{options.model}"])
        client = InstanSeg(torch.jit.load(f"{folder}/{options.model}/instanseg.pt"), device="cpu", verbosity=0)
    if options.picture:
        sample = immunohistochemistry()[160:440, 150:458]
        draw(sample, ways(client, options.model, sample), options.picture)
    for path in options.data:
        dataset = load_dataset(path)
        items = dataset.items(options.section)
        items = items[:: max(1, len(items) // (options.images or len(items)))][: options.images]
        counts = {name: np.zeros((2, 3)) for name in WAYS}
        for item in items:
            image, truth = (middle(np.array(read_raster(item[key]).pixels).squeeze()) for key in ("image", "label"))
            labels = ways(client, options.model, image)
            for name, numbers in labels.items():
                pairs = (labels["segment"], truth.astype(np.int64))
                counts[name] += np.stack([object_counts(other, numbers)[:3] for other in pairs])
        for name, (same, true) in counts.items():
            print(
                f"{dataset.name} | {len(items)} images | {name} | {f1(same):.3f} of segment | {f1(true):.3f} of truth"
            )


def ways(client: Any, model: str, image: np.ndarray) -> dict[str, np.ndarray]:
    """Return the numbers (H, W) of the nuclei of an image for each of `WAYS`."""
    tensor = torch.from_numpy(image.astype(np.float32))
    tensor = tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.unsqueeze(0)
    found = [
        client.eval_small_image(tensor.clone(), normalise=normalise, return_image_tensor=False)[0, 0].numpy()
        for normalise in (False, True)
    ]
    labels = [segment(np.ascontiguousarray(image), model=model).labels, *found]
    return {name: numbers.astype(np.int64) for name, numbers in zip(WAYS, labels, strict=True)}


def draw(image: np.ndarray, labels: dict[str, np.ndarray], path: Path) -> None:
    """Draw the outlines of the nuclei of an image for each of `WAYS`."""
    from matplotlib import pyplot

    figure, places = pyplot.subplots(1, len(labels), figsize=(10, 3.5), layout="constrained")
    for axes, (name, numbers) in zip(places, labels.items(), strict=True):
        axes.imshow(mark_boundaries(image, numbers, color=(0.94, 0.89, 0.26), mode="inner"))
        axes.set_title(f"{WAYS[name]}: {len(np.unique(numbers)) - 1} nuclei", wrap=True, fontsize=10)
        axes.axis("off")
    figure.savefig(path, dpi=90)


def middle(image: np.ndarray) -> np.ndarray:
    """Return the middle of an image (H, W, ...)."""
    top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])


def f1(counts: np.ndarray) -> float:
    """Return F1 of hits, wrong and missed objects."""
    return float(2 * counts[0] / max(1, 2 * counts[0] + counts[1:].sum()))


if __name__ == "__main__":
    main()
