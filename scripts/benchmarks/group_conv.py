"""Time group convolutions by the Fourier transform against the expanded bank, interleaved in one run.

python scripts/benchmarks/group_conv.py --json group_conv.json

A ratio above 1 means that the Fourier form is faster; the ratios determine `FOURIER_CHANNELS` in `group_conv.py`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from timing import ALLOCATOR, start_again_with, write_json

CASES = ((1024, 16), (512, 32), (512, 16), (256, 64), (256, 32), (128, 64))  # channels of all orientations, side


def runs_of(group: str, width: int, side: int) -> dict[str, Callable[[], object]]:
    """Return the runs of a layer: forward and step, by the bank and by the Fourier transform."""
    import torch
    from torch.nn import functional as F

    from monai_seunet.networks.layers.rotation.group_conv import GroupConv2d
    from monai_seunet.networks.layers.rotation.group_fourier import GroupFourierConv, fourier_conv, to_spectrum

    conv = GroupConv2d(width, width, group)
    x = torch.rand(1, width, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
    bank = conv.expanded_weight().detach()
    spectrum = to_spectrum(conv.filters().detach(), conv.group)

    def step(y: torch.Tensor) -> None:
        torch.autograd.grad(y, [x, conv.weight], y.detach())

    return {
        "forward bank": lambda: F.conv2d(x.detach(), bank, padding=1),
        "forward fourier": lambda: fourier_conv(x.detach(), spectrum, conv.group, 3),
        "step bank": lambda: step(F.conv2d(x, conv.expanded_weight(), padding=1)),
        "step fourier": lambda: step(GroupFourierConv.apply(x, conv.filters(), conv.group)),
    }


def main() -> None:
    """Print a table; with `--json`, write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    start_again_with(ALLOCATOR)

    import torch

    from monai_seunet.utils.progress import progress_bar, write_line

    torch.set_num_threads(1)
    table = []
    print(f"{'group':6}{'channels':>9}{'side':>6}{'bank ms':>9}{'forward':>9}{'step':>7}")
    for group, (width, side) in progress_bar([(g, c) for g in ("p4m", "p4") for c in CASES], leave=False):
        runs = runs_of(group, width, side)
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(args.rounds + 1):
            for name, run in runs.items():
                start = time.process_time()  # processor time, because other processes affect it less
                run()
                seconds[name].append(time.process_time() - start)
        median = {name: statistics.median(values[1:]) for name, values in seconds.items()}
        ratios = {kind: median[f"{kind} bank"] / median[f"{kind} fourier"] for kind in ("forward", "step")}
        table.append({"group": group, "channels": width, "side": side} | ratios)
        bank = 1e3 * median["forward bank"]
        write_line(f"{group:6}{width:9}{side:6}{bank:9.1f}{ratios['forward']:8.2f}x{ratios['step']:6.2f}x")
    if args.json:
        write_json(table, args.json)


if __name__ == "__main__":
    main()
