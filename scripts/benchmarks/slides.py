"""Measure the time of each step and the memory of the segmentation of whole slides.

    python scripts/benchmarks/slides.py IMAGES --contender seunet_octaves 48 bundle/models/model.pt --kernels on off

Four images form a square of 2000 pixels. Its repeated reflections fill slides of any size with tissue of equal density,
so that sizes can be compared. Every run starts the command itself. Compare the ratios, because machines differ.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import numpy as np
import psutil
import tifffile

from monai_seunet.data.images import find_images
from monai_seunet.native.library import SETTING, VARIANTS
from monai_seunet.reading.raster import read_raster

SQUARE = 2000
TILE = 256
BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
# steps in sequence with the network; all others run in parallel in threads or processes
STEPS = {
    "read": ["read"],
    "network": ["network"],
    "blend": ["keep", "blend", "write maps"],
    "nuclei": ["nuclei"],
    "write": ["write results"],
}


def square_of(folder: Path) -> np.ndarray:
    """Return four images of a folder side by side, (2000, 2000, 3)."""
    half = SQUARE // 2
    images = (read_raster(item["image"]).pixels for item in find_images(folder))
    large = (image[:half, :half, :3] for image in images if image.ndim == 3 and min(image.shape[:2]) >= half)
    four = list(islice(large, 4))
    if len(four) < 4:
        raise SystemExit(f"{folder}: holds {len(four)} colour images of at least {half} x {half} pixels, 4 are needed")
    return np.concatenate([np.concatenate(four[:2], axis=1), np.concatenate(four[2:], axis=1)])


def tiles(square: np.ndarray, side: int) -> Iterator[np.ndarray]:
    """Yield the tiles of a slide of the mirrored square in row-major order."""
    mirrored = np.concatenate([square, square[::-1]])
    mirrored = np.concatenate([mirrored, mirrored[:, ::-1]], axis=1)
    period = len(mirrored)
    for y in range(0, side, TILE):
        rows = np.arange(y, min(y + TILE, side)) % period
        for x in range(0, side, TILE):
            yield mirrored[np.ix_(rows, np.arange(x, min(x + TILE, side)) % period)]


def write_slide(path: Path, square: np.ndarray, side: int, mpp: float) -> Path:
    """Write a tiled TIFF pyramid in JPEG, as scanners do, unless the file exists."""
    if path.exists():
        return path
    options = {"tile": (TILE, TILE), "compression": "jpeg", "compressionargs": {"level": 90}, "photometric": "rgb"}
    partial = path.with_suffix(".part.tif")
    with tifffile.TiffWriter(partial, bigtiff=True) as file:
        level, length = square, side
        while True:
            resolution = (1e4 / mpp * length / side,) * 2
            level_options = {"shape": (length, length, 3), "dtype": np.uint8, "subfiletype": int(length < side)}
            file.write(
                tiles(level, length),
                resolution=resolution,
                resolutionunit="CENTIMETER",
                metadata=None,
                **level_options,
                **options,
            )
            if length <= 1024 or len(level) % 4:
                break
            height, width = level.shape[:2]
            level = level.reshape(height // 4, 4, width // 4, 4, 3).mean((1, 3)).round().astype(np.uint8)
            length //= 4
    partial.rename(path)
    return path


class Watch(threading.Thread):
    """Peak memory of a process and all its children, which counts each page once (proportional set size)."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self.process, self.peak, self.over = psutil.Process(process), 0, threading.Event()

    def run(self) -> None:
        """Sample the memory until the process ends."""
        while not self.over.wait(0.5):
            total = 0
            try:
                for process in (self.process, *self.process.children(recursive=True)):
                    total += process.memory_full_info().pss
            except psutil.Error:  # a process has ended in the meantime
                continue
            self.peak = max(self.peak, total)


def measure(slide: Path, output: Path, contender: list[str], settings: list[str], kernels: str) -> dict[str, float]:
    """Segment a slide by the command; return the seconds of every step and the peak GiB."""
    network, width, checkpoint = contender
    command = [sys.executable, "-m", "monai_seunet.cli", "segment", str(slide), "-o", str(output), "--overwrite"]
    command += ["--bundle", str(BUNDLE), "--network", network, "--width", width, "--checkpoint", checkpoint]
    command += [part for setting in settings for part in ("--set", setting)]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=os.environ | {SETTING: "" if kernels == "on" else kernels})
    watch = Watch(process.pid)
    watch.start()
    code = process.wait()
    watch.over.set()
    watch.join()
    if code:
        raise SystemExit(code)
    wall = time.perf_counter() - start
    result = json.loads((output / slide.stem / "result.json").read_text(encoding="utf-8"))
    seconds = result["seconds"]
    row = {name: sum(seconds.get(step, 0.0) for step in steps) for name, steps in STEPS.items()}
    counts = {"pixels": result["pixels"], "objects": result["objects"]}
    return {**counts, **row, "total": seconds["total"], "wall": wall, "peak_gib": watch.peak / 2**30}


def line(name: str, kernels: str, side: int, row: dict[str, float], mpp: float) -> str:
    """Return a row of the table."""
    million, square_mm = row["pixels"] / 1e6, row["pixels"] * (mpp / 1000) ** 2
    shares = " | ".join(f"{100 * row[step] / row['total']:.1f} %" for step in STEPS)
    return (
        f"| {name} | {kernels} | {side} | {row['objects']:,} | {million / row['total']:.2f} | "
        f"{row['total'] / square_mm:.1f} | "
        f"{shares} | {row['peak_gib']:.2f} |"
    )


def main() -> None:
    """Print the rows of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder of colour images, four of them 1000 x 1000 or larger")
    parser.add_argument(
        "--contender", nargs=3, action="append", required=True, metavar=("NETWORK", "WIDTH", "CHECKPOINT")
    )
    parser.add_argument("--sides", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument(
        "--kernels", nargs="+", default=["on"], choices=["on", "off", *VARIANTS], help="native kernels of each run"
    )
    parser.add_argument("--mpp", type=float, default=0.25, help="µm per pixel of the images")
    parser.add_argument("--work", type=Path, default=Path("runs/benchmark_slides"))
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    options = parser.parse_args()

    options.work.mkdir(parents=True, exist_ok=True)
    square = square_of(options.images)
    print("| network | kernels | side | nuclei | Mpx/s | s/mm² | " + " | ".join(STEPS) + " | peak GiB |")
    print("|---|---|---|---|---|---|" + "---|" * len(STEPS) + "---|", flush=True)
    rows = {}
    for side in options.sides:
        slide = write_slide(options.work / f"tissue_{side}.tif", square, side, options.mpp)
        for contender, kernels in product(options.contender, options.kernels):
            row = measure(slide, options.work / f"{contender[0]}_{kernels}", contender, options.settings, kernels)
            rows[f"{contender[0]} {kernels} {side}"] = row
            print(line(contender[0], kernels, side, row, options.mpp), flush=True)
    (options.work / "table.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
