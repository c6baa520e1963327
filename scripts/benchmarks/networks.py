"""Time the networks of the bundle's overlays against the plain U-Net, and against their dense forms.

All runs are interleaved in one process. Compare the ratios, because seconds vary between machines and runs. A ratio
above 1 means that the network is faster.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

from contestants import make_dense, make_run
from timing import ALLOCATOR, start_again_with, time_all, write_json

CONFIGS = Path(__file__).resolve().parents[2] / "bundle" / "configs"
OVERLAYS = sorted(path.stem for path in (CONFIGS / "networks").glob("*.json"))
REFERENCE = "plain_unet"
# The filter bank pads the filters of all groups to the widest and applies one grouped convolution, as the official code
# of SESN and DISCO. The other form applies a dense convolution of the size of each group.
BANK, BY_GROUP = " as filter bank", " dense by group"


def build(overlay: str, width: int | None):
    """Build the network of an overlay, by default with the width in its paper."""
    import torch
    from monai.bundle import ConfigParser

    torch.manual_seed(0)
    parser = ConfigParser()
    path = CONFIGS / "networks" / f"{overlay}.json"
    parser.read_config([str(CONFIGS / "train.json"), str(path)])
    parser["device"] = "cpu"
    paper = ConfigParser.load_config_file(CONFIGS / "paper.json")["width"]  # width of all networks in the SEUNet paper
    parser["width"] = width or ConfigParser.load_config_file(path).get("width", paper)
    return parser.get_parsed_content("network").to(memory_format=torch.channels_last)


def contestants(overlays: list[str], width: int | None, dense: bool) -> dict:
    """Return the networks by name, with the dense forms of networks with scale groups."""
    networks = {}
    for overlay in overlays:
        networks[overlay] = build(overlay, width)
        if dense and hasattr(networks[overlay], "scale_layers"):
            networks[overlay + BANK] = make_dense(copy.deepcopy(networks[overlay]), by_group=False)
            networks[overlay + BY_GROUP] = make_dense(copy.deepcopy(networks[overlay]), by_group=True)
            check_equal(*(networks[overlay + form] for form in ("", BANK, BY_GROUP)))
    return networks


def check_equal(network, *forms) -> None:
    """Exit unless all forms have the same output."""
    import torch

    x = torch.rand(1, network.in_channels, 64, 64)
    with torch.no_grad():
        expected = network.eval()(x)
        for form in forms:
            difference = float((form.eval()(x) - expected).abs().max() / expected.abs().max())
            if not difference < 1e-4:
                raise SystemExit(f"{type(network).__name__}: its dense form differs by {difference:.1e}")


def measure(networks: dict, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the parameters, seconds and speed-ups of every network."""
    # with one thread, processor time is wall time without the time of other processes
    clock = time.process_time if args.threads == 1 else time.perf_counter
    table = {name: {"parameters": sum(p.numel() for p in net.parameters())} for name, net in networks.items()}
    for key, train in (("forward", False), ("step", True)):
        # each run gets a copy, because it trains its network
        runs: dict[str, Callable[[], None]] = {
            name: make_run(copy.deepcopy(net), args.size, args.batch, train) for name, net in networks.items()
        }
        for name, seconds in time_all(runs, args.rounds, clock=clock).items():
            table[name][key] = seconds
    for name, row in table.items():
        for key in ("forward", "step"):
            row[f"{key}_speedup_vs_{REFERENCE}"] = table[REFERENCE][key] / row[key]
            for form, label in ((BANK, "filter_bank"), (BY_GROUP, "dense_by_group")):
                if name + form in table:
                    row[f"{key}_speedup_vs_{label}"] = table[name + form][key] / row[key]
    return table


def print_table(table: dict[str, dict[str, float]], args: argparse.Namespace) -> None:
    """Print the parameters, seconds, and ratios to the plain U-Net and to the dense forms."""
    width = args.width or "of the overlay"
    print(f"\nwidth {width}, {args.batch} x {args.size} x {args.size}, {args.threads} thread(s)")
    print(f"{'':28}{'parameters':>11}{'forward s':>11}{'x plain':>9}{'step s':>9}{'x plain':>9}")
    for name, row in table.items():
        cells = "".join(
            f"{row[key]:{width}.3f}{row[f'{key}_speedup_vs_{REFERENCE}']:8.2f}x"
            for key, width in (("forward", 11), ("step", 9))
        )
        print(f"{name:28}{row['parameters']:11d}{cells}")
    for name, row in table.items():
        for label in ("filter_bank", "dense_by_group"):
            if f"step_speedup_vs_{label}" in row:
                ratios = ", ".join(f"{key} {row[f'{key}_speedup_vs_{label}']:.2f}x" for key in ("forward", "step"))
                print(f"{name} over its {label.replace('_', ' ')}: {ratios}")


def main() -> None:
    """Measure, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=OVERLAYS, default=["sesn_unet", "disco_unet"], metavar="NAME")
    parser.add_argument("--no-dense", dest="dense", action="store_false", help="skip the slow dense forms")
    parser.add_argument("--size", type=int, default=256, help="height and width of the image")
    parser.add_argument("--width", type=int, help="channels of the finest level (default: those of the papers)")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures")
    args = parser.parse_args()
    start_again_with(ALLOCATOR)

    import torch

    import monai_seunet  # noqa: F401  (registers its classes for the configs)

    torch.set_num_threads(args.threads)
    overlays = [REFERENCE, *(name for name in args.networks if name != REFERENCE)]
    table = measure(contestants(overlays, args.width, args.dense), args)
    print_table(table, args)
    if args.json:
        options = {key: getattr(args, key) for key in ("width", "size", "batch", "threads")}
        write_json(options | {"networks": table}, args.json)


if __name__ == "__main__":
    main()
