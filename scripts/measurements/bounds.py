"""Measure what is lost in pixels and what in taking nuclei apart: object scores with parts of the truth put in.

    python scripts/measurements/bounds.py --data data/monuseg --data data/tnbc

Of the validation images at scale 1: nuclei by the directions and by the watershed, with the pixels of the network and
with the true ones; the pixels of the network, each given to the nearest true nucleus; and true directions.
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
    """Probabilities (2, H, W) of a mask."""
    return torch.from_numpy(np.stack([~mask, mask])).float()


def true_directions(truth: np.ndarray) -> torch.Tensor:
    """(2, H, W); those of nuclei at the border too, to the centre of what is there."""
    target = torch.as_tensor(CentreDirections()(np.pad(truth, 1)[None]))
    return target[:2, 1:-1, 1:-1]


def given_to_nearest(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Each pixel of a mask with the number of the nearest true nucleus."""
    if not truth.any():
        return np.zeros(truth.shape, truth.dtype)
    place = ndimage.distance_transform_edt(truth == 0, return_distances=False, return_indices=True)
    return np.where(mask, truth[tuple(place)], 0)


def ways(probabilities: torch.Tensor, directions: torch.Tensor | None, truth: np.ndarray, mpp: float) -> dict:
    """Instance maps, with parts of the truth put in or not."""
    usual, all_of_them = NucleusFinder(mpp), NucleusFinder(mpp, NucleusRules(min_area=0))
    pixels, true = probabilities[1:].sum(0).numpy() >= 0.5, certain(truth > 0)
    found = {} if directions is None else {"directions": usual(probabilities, 1.0, directions)}
    found |= {"watershed": usual(probabilities), "pixels of the network, true nuclei": given_to_nearest(pixels, truth)}
    found |= {} if directions is None else {"true pixels, directions": all_of_them(true, 1.0, directions)}
    found |= {"true pixels, watershed": all_of_them(true)}
    return found | {"true pixels, true directions": all_of_them(true, 1.0, true_directions(truth))}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="prepared data set of instances")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--overlay", action="append", default=[], help="further file in configs")
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--width", type=int)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="ID=VALUE")
    args = parser.parse_args()

    names = list(SCORES.values())
    print(f"| data | nuclei | {' | '.join(names)} |\n|---|---|{'---:|' * len(names)}")
    for data in args.data:
        settings = {"dataset_dir": data, "checkpoint": args.checkpoint, **read_settings(args.settings)}
        config = read_config(BUNDLE, args.network, args.width, settings, [*args.overlay, "evaluate"], "train")
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
