"""Time our stain normalisation of one H&E tile against staintools, interleaved in one run.

python scripts/benchmarks/stain.py tile.tif --threads 1
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from monai.transforms import LoadImage

from monai_seunet.reading.reader import HistologyReader
from monai_seunet.transforms.stain import StainNormalize, fit_profile
from monai_seunet.utils.progress import progress_bar


def contenders(tile: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Return the timed functions by name; the target is the tile itself."""
    import staintools

    profile = fit_profile([tile])
    pixels = tile.permute(1, 2, 0).contiguous().numpy()
    reference = staintools.StainNormalizer(method="vahadane")
    reference.fit(pixels.copy())
    cached, fitted = StainNormalize(profile, source=profile), StainNormalize(profile)
    return {
        "cached_profile": lambda: cached(tile),
        "fit_and_apply": lambda: fitted(tile),
        "staintools": lambda: reference.transform(pixels.copy()),
    }


def measure(jobs: dict[str, Callable[[], object]], repeats: int, threads: int) -> dict[str, float]:
    """Return the median milliseconds of each job; only the second of two calls counts, so its caches are warm."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in progress_bar(range(repeats), desc="rounds"):
        for name, job in jobs.items():
            torch.set_num_threads(threads)  # the solver of staintools changes it
            job()
            start = time.perf_counter()
            job()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """Measure, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", help="H&E image that shows both stains clearly")
    parser.add_argument("--size", type=int, default=1000, help="side of the tile in its upper left corner in pixels")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="file for the numbers")
    options = parser.parse_args()
    image = LoadImage(reader=HistologyReader(), image_only=True, ensure_channel_first=True, dtype=None)(options.image)
    tile = image.as_tensor()[:, : options.size, : options.size].contiguous()
    result = measure(contenders(tile), options.repeats, options.threads)
    for name, milliseconds in result.items():
        print(f"{name:16}{milliseconds:9.1f} ms{result['staintools'] / milliseconds:8.1f}x staintools")
    if options.json:
        Path(options.json).write_text(json.dumps({"shape": list(tile.shape), "milliseconds": result}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
