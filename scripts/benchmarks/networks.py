"""Time the networks that the bundle's overlays choose against the plain U-Net, and against their own dense forms.

All runs are interleaved in one process. Machines are noisy and differ: read the ratios, not the seconds. Over 1 means
that the network is faster.
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
# The filters of all groups padded to the widest, in one grouped convolution, as the official codes compute SESN and
# DISCO; and each group by a dense convolution of its own size.
BANK, BY_GROUP = " as filter bank", " dense by group"


def build(overlay: str, width: int | None):
    """The network that the bundle trains with this overlay, by default of the width in its paper."""
    import torch
    from monai.bundle import ConfigParser

    torch.manual_seed(0)
    parser = ConfigParser()
    path = CONFIGS / "networks" / f"{overlay}.json"
    parser.read_config([str(CONFIGS / "train.json"), str(path)])
    parser["device"] = "cpu"
    paper = ConfigParser.load_config_file(CONFIGS / "paper.json")["width"]  # of all that the SEUNet paper compares
    parser["width"] = width or ConfigParser.load_config_file(path).get("width", paper)
    return parser.get_parsed_content("network").to(memory_format=torch.channels_last)


def contestants(overlays: list[str], width: int | None, dense: bool) -> dict:
    """The networks by name, those with scale groups also in their dense forms."""
    networks = {}
    for overlay in overlays:
        networks[overlay] = build(overlay, width)
        if dense and hasattr(networks[overlay], "scale_layers"):
            networks[overlay + BANK] = make_dense(copy.deepcopy(networks[overlay]), by_group=False)
            networks[overlay + BY_GROUP] = make_dense(copy.deepcopy(networks[overlay]), by_group=True)
            check_equal(*(networks[overlay + form] for form in ("", BANK, BY_GROUP)))
    return networks


def check_equal(network, *forms) -> None:
    """Stop unless all forms give the same output."""
    import torch

    x = torch.rand(1, network.in_channels, 64, 64)
    with torch.no_grad():
        expected = network.eval()(x)
        for form in forms:
            difference = float((form.eval()(x) - expected).abs().max() / expected.abs().max())
            if not difference < 1e-4:
                raise SystemExit(f"{type(network).__name__}: its dense form differs by {difference:.1e}")


def measure(networks: dict, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Parameters, seconds and speed-ups of every network."""
    # on one thread the processor's time is the wall's, less what other processes take
    clock = time.process_time if args.threads == 1 else time.perf_counter
    table = {name: {"parameters": sum(p.numel() for p in net.parameters())} for name, net in networks.items()}
    for key, train in (("forward", False), ("step", True)):
        # a copy each, since a run trains what it is given
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
    """Parameters, seconds, and the ratios to the plain U-Net and to the dense forms."""
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
    """Parse, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", choices=OVERLAYS, default=["sesn_unet", "disco_unet"], metavar="NAME")
    parser.add_argument("--no-dense", dest="dense", action="store_false", help="leave the slow dense forms out")
    parser.add_argument("--size", type=int, default=256, help="height and width of the image")
    parser.add_argument("--width", type=int, help="channels of the finest level; those of the papers by default")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures")
    args = parser.parse_args()
    start_again_with(ALLOCATOR)

    import torch

    import monai_seunet  # noqa: F401  (its classes become known to the configs)

    torch.set_num_threads(args.threads)
    overlays = [REFERENCE, *(name for name in args.networks if name != REFERENCE)]
    table = measure(contestants(overlays, args.width, args.dense), args)
    print_table(table, args)
    if args.json:
        options = {key: getattr(args, key) for key in ("width", "size", "batch", "threads")}
        write_json(options | {"networks": table}, args.json)


if __name__ == "__main__":
    main()
