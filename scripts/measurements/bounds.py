"""Measure the loss of object scores by wrong pixels and by wrong separation of nuclei, with parts of the truth given.

    python scripts/measurements/bounds.py --data data/monuseg --data data/tnbc

The ways of segmenting the validation images at scale 1 are: directions and watershed, each with the pixels of the
network and with the true pixels; pixels of the network in the nearest true nucleus; and true directions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import read_settings
from monai_seunet.fusion import fuse_outputs
from monai_seunet.metrics.objects.scores import ObjectScores, count_objects
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.networks.layers.sampling import crop_to_size, pad_to_multiple
from monai_seunet.slides.nuclei.finder import NucleusFinder
from monai_seunet.slides.nuclei.rules import NucleusRules
from monai_seunet.transforms import CentreDirections
from monai_seunet.utils.progress import progress_bar

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"
SCORES = {"aji": "AJI", "pq": "PQ", "dq": "F1"}


def certain(mask: np.ndarray) -> torch.Tensor:
    """Return the probabilities (2, H, W) of a mask."""
    return torch.from_numpy(np.stack([~mask, mask])).float()


def true_directions(truth: np.ndarray) -> torch.Tensor:
    """Return directions (2, H, W); nuclei at the border have the directions to the centre of their visible part."""
    target = torch.as_tensor(CentreDirections()(np.pad(truth, 1)[None]))
    return target[:2, 1:-1, 1:-1]


def assign_nearest(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Assign each pixel of a mask to the nearest true nucleus."""
    if not truth.any():
        return np.zeros(truth.shape, truth.dtype)
    nearest = ndimage.distance_transform_edt(truth == 0, return_distances=False, return_indices=True)
    return np.where(mask, truth[tuple(nearest)], 0)


def ways(probabilities: torch.Tensor, directions: torch.Tensor | None, truth: np.ndarray, mpp: float) -> dict:
    """Return the instance maps by the name of the way."""
    finder, keep_all = NucleusFinder(mpp), NucleusFinder(mpp, NucleusRules(min_area=0))
    pixels, true = probabilities[1:].sum(0).numpy() >= 0.5, certain(truth > 0)
    maps = {} if directions is None else {"directions": finder(probabilities, 1.0, directions)}
    maps |= {"watershed": finder(probabilities), "pixels of the network, true nuclei": assign_nearest(pixels, truth)}
    maps |= {} if directions is None else {"true pixels, directions": keep_all(true, 1.0, directions)}
    maps |= {"true pixels, watershed": keep_all(true)}
    return maps | {"true pixels, true directions": keep_all(true, 1.0, true_directions(truth))}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="prepared data set of instances")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--overlay", action="append", default=[], help="further config file of the bundle")
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--width", type=int)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    args = parser.parse_args()

    names = list(SCORES.values())
    print(f"| data | nuclei | {' | '.join(names)} |\n|---|---|{'---:|' * len(names)}")
    for data in args.data:
        settings = {"dataset_dir": data, "checkpoint": args.checkpoint, **read_settings(args.settings)}
        overlays = [*args.overlay, "evaluate"]
        config = read_config(BUNDLE, args.network, args.width, settings=settings, overlays=overlays, job="train")
        network = load_weights(content(config, "network_def"), args.checkpoint).eval().folded()  # type: ignore[operator]
        images, mpp, fusion = (content(config, name) for name in ("validate#images", "mpp", "fusion"))
        counts: dict[str, list[np.ndarray]] = {}
        for item in progress_bar(images, desc=str(data)):
            image, truth = item["image"].as_tensor()[None], item["instances"][0].numpy().astype(np.int64)
            with torch.inference_mode():
                outputs = network.outputs(pad_to_multiple(image, int(network.stride)))
                outputs = crop_to_size(outputs, *truth.shape)
                groups = outputs if outputs.dim() == 5 else outputs.unsqueeze(1)
                fused = fuse_outputs(groups, network.out_channels, fusion if groups.shape[1] > 1 else "arithmetic")[0]
            classes = network.out_channels
            directions = fused[classes:] if network.directions else None
            for name, instances in ways(fused[:classes], directions, truth, mpp).items():
                counts.setdefault(name, []).append(count_objects(truth, instances))
        for name, rows in counts.items():
            scores = ObjectScores((1.0,), np.stack(rows)[None])
            cells = [f"{100 * float(scores.curve(score)[0]):.1f}" for score in SCORES]
            print(f"| {data.name} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
