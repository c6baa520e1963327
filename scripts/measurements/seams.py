"""Measure the influence of windows on a segmentation: the share of pixels whose class differs without windows.

python scripts/measurements/seams.py IMAGE
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.config.read import read_config
from monai_seunet.fusion import fuse
from monai_seunet.inferers import ScaleSlidingWindowInferer
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.utils.progress import progress_bar

BUNDLE = Path(__file__).resolve().parents[2] / "bundle"


def main() -> None:
    """Print a table of windows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--network", default=DEFAULT_NETWORK, help="overlay that the checkpoint was trained with")
    parser.add_argument("--width", type=int, help="width of the network (default: that of the config)")
    parser.add_argument("--windows", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--overlap", type=float, default=0.25)
    options = parser.parse_args()

    config = read_config(BUNDLE, options.network, options.width, {"checkpoint": options.checkpoint})
    load_weights(config.get_parsed_content("network_def"), options.checkpoint)
    network = config.get_parsed_content("network")
    image = config.get_parsed_content("preprocessing")({"image": str(options.image)})["image"].as_tensor()[None]

    def classes(window: int) -> torch.Tensor:
        inferer = ScaleSlidingWindowInferer(window, overlap=options.overlap, multiple=int(network.stride))
        with torch.no_grad():
            groups = inferer(image, network)
        return fuse(groups, config.get_parsed_content("fusion")).argmax(1)

    whole = classes(0)
    shares = {window: (classes(window) != whole).double().mean().item() for window in progress_bar(options.windows)}
    print(f"{options.image.name}, {image.shape[2]} x {image.shape[3]}, overlap {options.overlap}")
    for window, share in shares.items():
        print(f"window {window:4d}: {100 * share:.2f} % of the pixels change their class")


if __name__ == "__main__":
    main()
