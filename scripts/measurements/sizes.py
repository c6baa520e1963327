"""Measure the segmentation of nuclei of other sizes by `segment` without given µm per pixel.

    python scripts/measurements/sizes.py data/monuseg data/tnbc -o runs/sizes

Equal counts: the numbers of nuclei in the validation images of prepared data sets at 10x, 20x and 40x.
Mixed sizes: the object scores of one field at 0.35, 1 and 2.8 times its size, as separate images and as tiles of one
picture. The script writes a table and a figure.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from monai_seunet.config.texts import read_settings
from monai_seunet.data.datalist import load_dataset
from monai_seunet.metrics.objects.scores import ObjectScores, count_objects
from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.transforms.spatial.functional import resample, scaled_size
from monai_seunet.utils.progress import progress_bar

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
POWERS = {10: 0.25, 20: 0.5, 40: 1.0}
SIZES = (0.35, 1.0, 2.8)
WHITE = 245
SCORES = {"aji": "AJI", "pq": "PQ", "dq": "F1"}

Pair = tuple[np.ndarray, np.ndarray]  # image (H, W, C) uint8 and instance map (H, W)


def read(item: dict[str, str]) -> Pair:
    """Read an image of a data set and its nuclei."""
    pixels = np.array(read_raster(item["image"]).pixels)
    return pixels.reshape(*pixels.shape[:2], -1), np.array(read_raster(item["label"]).pixels).astype(np.int32)


def resized(pair: Pair, factor: float) -> Pair:
    """Rescale an image and its nuclei."""
    image, truth = (torch.from_numpy(array) for array in pair)
    size = scaled_size(image.shape[:2], [factor] * 2)
    pixels = resample(image.movedim(2, 0).float(), size).round().clamp(0, 255).to(torch.uint8)
    return pixels.movedim(0, 2).numpy(), resample(truth[None].double(), size, "nearest")[0].numpy().astype(np.int32)


def middle(pair: Pair, side: int) -> Pair:
    """Return the square in the centre."""
    top, left = ((length - side) // 2 if length > side else 0 for length in pair[1].shape)
    image, truth = (array[top : top + side, left : left + side] for array in pair)
    return image, truth


def nuclei(segmenter: SlideSegmenter, image: np.ndarray, folder: Path) -> np.ndarray:
    """Return the instance map of `segment` for an image without µm per pixel."""
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.squeeze()).save(folder / "image.png")
    segmenter.run(folder / "image.png", folder / "image", overwrite=True)
    return tifffile.imread(folder / "image" / "labels.ome.tif").astype(np.int64)


def picture(tiles: list[Pair]) -> tuple[np.ndarray, list[tuple[slice, slice]]]:
    """Place tiles side by side on white, the largest on the left; return the picture and the position of each tile."""
    order = sorted(range(len(tiles)), key=lambda n: -len(tiles[n][0]))
    width = sum(len(image[0]) for image, _ in tiles)
    canvas = np.full((len(tiles[order[0]][0]), width, tiles[0][0].shape[2]), WHITE, np.uint8)
    positions, left = {}, 0
    for n in order:
        tile_height, tile_width = tiles[n][1].shape
        positions[n] = np.s_[0:tile_height, left : left + tile_width]
        canvas[positions[n]] = tiles[n][0]
        left += tile_width
    return canvas, [positions[n] for n in range(len(tiles))]


def means(counts: list[np.ndarray]) -> list[float]:
    """Return the mean object scores over images in percent."""
    scores = ObjectScores((1.0,), np.stack(counts)[None])
    return [100 * float(scores.curve(name)[0]) for name in SCORES]


def draw(rows: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draw the counts at each magnification against the true counts, with one point for each image."""
    figure = Figure(figsize=(4.2 * len(rows), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, (counts, truth)) in zip(np.atleast_1d(figure.subplots(1, len(rows))), rows.items(), strict=True):
        for column, power in enumerate(POWERS):
            label = f"{power}x: {counts[:, column].sum() / truth.sum():.2f} of the true"
            axes.scatter(truth, counts[:, column], s=14, label=label)
        axes.axline((0, 0), slope=1, color="#999999", linewidth=1)
        axes.set(title=name, xlabel="true nuclei of the image", ylabel="found")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="prepared data sets of instances")
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/sizes"))
    parser.add_argument("--network", default="seunet_octaves", help="overlay that the checkpoint was trained with")
    parser.add_argument("--overlay", action="append", default=[], help="further config file of the bundle")
    parser.add_argument("--checkpoint", type=Path, help="weights (default: those of the bundle)")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    parser.add_argument("--width", type=int)
    parser.add_argument("--field", type=int, default=500, help="side of the tiles at size 1 in pixels")
    parser.add_argument("--images", type=int, default=6, help="number of images of each data set")
    args = parser.parse_args()

    settings = read_settings(args.settings)
    segmenter, _ = configure_segmenter(
        BUNDLE, args.network, args.width, args.checkpoint, overlays=args.overlay, settings=settings
    )
    segmenter = replace(segmenter, options=replace(segmenter.options, tissue="all"), formats=("labels",))
    counted, lines = {}, []
    for dataset in map(load_dataset, args.data):
        pairs = [middle(read(item), args.field) for item in dataset.validation[: args.images]]
        work = args.output / dataset.name
        truth = np.array([len(np.unique(label)) - 1 for _, label in pairs])
        found_counts = np.zeros((len(pairs), len(POWERS)))
        alone: dict[float, list[np.ndarray]] = {size: [] for size in SIZES}
        among: dict[float, list[np.ndarray]] = {size: [] for size in SIZES}
        for n, pair in enumerate(progress_bar(pairs, desc=dataset.name)):
            for column, factor in enumerate(POWERS.values()):
                labels = nuclei(segmenter, resized(pair, factor)[0], work / "powers")
                found_counts[n, column] = len(np.unique(labels)) - 1
            tiles = [resized(pair, size) for size in SIZES]
            canvas, positions = picture(tiles)
            together = nuclei(segmenter, canvas, work / "mixed")
            for size, (image, label), position in zip(SIZES, tiles, positions, strict=True):
                alone[size].append(count_objects(label, nuclei(segmenter, image, work / "alone")))
                among[size].append(count_objects(label, together[position]))
        counted[dataset.name] = (found_counts, truth)
        lines += ["", f"| {dataset.name}: nuclei found | {' | '.join(f'{power}x' for power in POWERS)} | true |"]
        lines += ["|---" + "|---:" * (len(POWERS) + 1) + "|"]
        lines += [
            f"| {len(pairs)} images | {' | '.join(f'{n:.0f}' for n in found_counts.sum(0))} | {truth.sum()} |",
            "",
        ]
        lines += [f"| {dataset.name}: size | {' | '.join(f'{s} alone' for s in SCORES.values())} "]
        lines[-1] += f"| {' | '.join(f'{s} among others' for s in SCORES.values())} |"
        lines += ["|---" + "|---:" * (2 * len(SCORES)) + "|"]
        for size in SIZES:
            cells = [f"{value:.1f}" for value in (*means(alone[size]), *means(among[size]))]
            lines.append(f"| {size} | {' | '.join(cells)} |")
    text = "\n".join(lines).strip() + "\n"
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "sizes.md").write_text(text, encoding="utf-8")
    draw(counted, args.output / "sizes.png")
    print(text)


if __name__ == "__main__":
    main()
