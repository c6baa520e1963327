"""Time SEUNet against the plain U-Net, its own form in torch and its dense forms, interleaved in one run.

Machines are noisy and differ: read the ratios, not the seconds. A speed-up over 1 means that SEUNet is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path

# Freed memory stays with the process, for every contestant alike: else page faults are half of what is measured.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
# SEUNet and octaves (two groups at each of four octaves, as wide as those of SEUNet) run by the native kernels, `in
# torch` without them. Dense is the filter bank of the SEUNet paper in one grouped convolution; by group,
# each filter has its own size. The forward pass is that of the folded networks.
CONTESTANTS = (
    "plain",
    "seunet",
    "seunet in torch",
    "octaves",
    "octaves in torch",
    "recompute",
    "dense",
    "dense by group",
)
QUICK = ("plain", "seunet", "seunet in torch", "octaves")
SLOW = ("dense", "dense by group")
PAUSE = 0.05  # seconds before a run, in which the threads of the one before stop waiting for more work
WIDTHS = (20, 60)


def build(name: str, width: int):
    """One of the networks."""
    import torch

    from monai_seunet import PlainUNet, SEUNet

    torch.manual_seed(0)
    if name == "plain":
        return PlainUNet(width=width).to(memory_format=torch.channels_last)
    if name.startswith("octaves"):
        return SEUNet(width=width // 5 * 8, num_octaves=4, scales_per_octave=2)
    net = SEUNet(width=width, recompute=name == "recompute")
    return make_dense(net, by_group=name == "dense by group") if name in SLOW else net


def make_dense(net, by_group: bool):
    """Have every scale convolution of a network computed in one of its dense forms; returns the network."""
    import torch

    from monai_seunet.networks.blocks import ConvNormAct

    class Dense(torch.nn.Module):
        """A scale convolution in a dense form."""

        def __init__(self, conv: torch.nn.Module) -> None:
            super().__init__()
            self.conv = conv

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv.forward_dense(x) if by_group else self.conv.forward_filter_bank(x)

    for block in net.modules():
        if isinstance(block, ConvNormAct):
            block.conv = Dense(block.conv)
    return net


def make_run(net, size: int, batch: int, train: bool, in_torch: bool = False) -> Callable[[], None]:
    """A forward pass of a network, or a training step, to be timed."""
    import torch
    from torch.nn import functional as F

    from monai_seunet.native.library import torch_form

    net.train(train)
    x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    label = torch.randint(2, (batch, size, size))
    form = torch_form if in_torch else nullcontext

    def forward() -> None:
        with torch.no_grad(), form():
            net(x)

    optimizer = torch.optim.Adam(net.parameters()) if train else None

    def step() -> None:
        optimizer.zero_grad()
        with form():
            logits = net(x)
        heads = logits.unbind(1) if logits.dim() == 5 else [logits]
        sum(F.cross_entropy(head, label) for head in heads).backward()
        optimizer.step()

    return step if train else forward


def contestant(name: str, width: int, size: int, batch: int, train: bool) -> Callable[[], None]:
    """What is timed of a network: a training step, or the forward pass of its folded form."""
    import torch

    net = build(name, width)
    if not train and name not in SLOW:
        net = net.folded()
        net = net.to(memory_format=torch.channels_last) if name == "plain" else net
    return make_run(net, size, batch, train, in_torch=name.endswith("in torch") or name in (*SLOW, "recompute"))


def touch_memory(blocks: int = 12) -> None:
    """Have the system give memory, 256 MiB a block, before anything is timed: the slow forms run only once."""
    import torch

    kept = [torch.zeros(2**26) for _ in range(blocks)]
    del kept


def time_all(
    runs: dict[str, Callable[[], None]],
    rounds: int,
    slow: Collection[str] = SLOW,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each run, taken in turns after a round to warm up; of the slow ones, one."""
    import tqdm

    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in tqdm.trange(rounds + 1, desc="rounds", leave=False):
        for name, run in runs.items():
            if name in slow and seconds[name]:
                continue
            time.sleep(PAUSE)
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values[1:] or values) for name, values in seconds.items()}


def peak_training_memory(names: Collection[str], args: argparse.Namespace, width: int, size: int) -> dict[str, float]:
    """MiB that training steps take beyond what the process and the network hold, each in a process of its own."""
    options = ["--size", size, "--width", width, "--batch", args.batch, "--threads", args.threads]
    # memory that is freed goes back at once, so that the peak is what lives and not what the allocator keeps
    environment = {k: v for k, v in os.environ.items() if k not in ALLOCATOR} | {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    processes = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--memory-of", name, *map(str, options)],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in names
    }
    return {name: float(process.communicate()[0]) for name, process in processes.items()}


def report_memory(name: str, args: argparse.Namespace) -> None:
    """Print the peak of two training steps over the resident memory before them."""
    run = contestant(name, args.width[0], args.size[0], args.batch, train=True)
    tiny = contestant(name, args.width[0], 64, 2, train=True)  # what libraries take once
    tiny()
    del tiny
    before = _resident("VmRSS")
    for _ in range(2):
        run()
    print(_resident("VmHWM") - before)


def _resident(field: str) -> float:
    """MiB of this process now (VmRSS) or at its peak (VmHWM); what `resource` says includes the parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def measure(args: argparse.Namespace, width: int, size: int) -> dict[str, float]:
    """All figures for one width and image size."""
    table: dict[str, dict[str, float]] = {}
    touch_memory()
    names = QUICK if args.quick else CONTESTANTS
    for train, key, quick_rounds in ((False, "forward", 5), (True, "step", 3)):
        runs = {n: contestant(n, width, size, args.batch, train) for n in names if train or n != "recompute"}
        for name, seconds in time_all(runs, quick_rounds if args.quick else 11).items():
            table.setdefault(name, {})[key] = seconds
    measured = [name for name in names if name not in SLOW] if not args.quick else ("plain", "seunet")
    for name, memory in peak_training_memory(measured, args, width, size).items():
        table.setdefault(name, {})["memory"] = memory
    print_table(table, width, size, args)
    return ratios(table)


def ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Speed-ups (over 1: the network is faster) and shares of the plain U-Net's memory, as far as measured."""
    found = {}
    for name, prefix in (("seunet", ""), ("octaves", "octaves_"), ("recompute", "recompute_")):
        row = table.get(name, {})
        others = {"plain": "plain", "torch": f"{name} in torch"}
        if name == "seunet":
            others |= {"dense": "dense", "dense_by_group": "dense by group"}
        for key in ("forward", "step"):
            for label, other in others.items():
                if key in row and key in table.get(other, {}):
                    found[f"{prefix}{key}_speedup_vs_{label}"] = table[other][key] / row[key]
        if "memory" in row:
            found[f"{prefix}train_memory_ratio_vs_plain"] = row["memory"] / table["plain"]["memory"]
    return found


def print_table(table: dict[str, dict[str, float]], width: int, size: int, args: argparse.Namespace) -> None:
    """Seconds, MiB and ratios to the plain U-Net."""
    print(f"\nwidth {width}, {args.batch} x 3 x {size} x {size}, {args.threads} thread(s)")
    print(f"{'':18}{'forward s':>10}{'x plain':>9}{'step s':>10}{'x plain':>9}{'step MiB':>10}")
    for name, row in table.items():
        cells = []
        for key in ("forward", "step"):
            known = key in row
            cells.append(f"{row[key]:10.4f}{table['plain'][key] / row[key]:8.2f}x" if known else f"{'':19}")
        memory = f"{row['memory']:10.0f}" if "memory" in row else ""
        print(f"{name:18}{''.join(cells)}{memory}")


def start_again_with(environment: dict[str, str]) -> None:
    """Replace this process by one that has these settings, which are read when a process starts."""
    if any(os.environ.get(key) != value for key, value in environment.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | environment)


def write_json(content: dict | list, path: Path) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=2))
    temporary.replace(path)


def main() -> None:
    """Parse, measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs="+", default=[256, 768], help="height and width of the image")
    parser.add_argument(
        "--width", type=int, nargs="+", default=WIDTHS, help="channels of the plain U-Net's finest level"
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="256 only, fewer networks and rounds: within two minutes")
    parser.add_argument("--json", type=Path, help="write the ratios of the first size, and all sizes under `sizes`")
    parser.add_argument("--memory-of", choices=CONTESTANTS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    environment = {} if args.memory_of else ALLOCATOR
    start_again_with(environment)

    import torch

    torch.set_num_threads(args.threads)
    if args.memory_of:
        report_memory(args.memory_of, args)
        return
    results: dict[str, dict] = {}
    for width in args.width:
        sizes = {size: measure(args, width, size) for size in (args.size[:1] if args.quick else args.size)}
        results[f"width_{width}"] = next(iter(sizes.values())) | {"sizes": sizes}
        for size, figures in sizes.items():
            print(f"\nwidth {width}, {size} x {size}")
            for key, value in figures.items():
                print(f"  {key:48}{value:6.2f}")
    if args.json:
        write_json(results | {"batch": args.batch, "threads": args.threads}, args.json)


if __name__ == "__main__":
    main()
