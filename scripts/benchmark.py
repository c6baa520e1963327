"""Time SEUNet against its own dense form and against the plain U-Net, interleaved in one run.

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
from pathlib import Path

# Freed memory stays with the process, for every contestant alike: else page faults are half of what is measured.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
# Dense is the filter bank of the paper in one grouped convolution; by group, each filter has its own size.
# Octaves is SEUNet with two groups at each of three octaves, each group as wide as those of SEUNet.
CONTESTANTS = (
    *("seunet", "seunet recompute", "seunet folded", "octaves", "octaves folded"),
    *("plain", "plain folded", "dense", "dense by group"),
)
SLOW = ("dense", "dense by group")


def build(name: str, width: int):
    """One of the networks."""
    import torch

    from monai_seunet import PlainUNet, SEUNet

    torch.manual_seed(0)
    if name.startswith("plain"):
        net = PlainUNet(width=width).to(memory_format=torch.channels_last)
        return net.folded().to(memory_format=torch.channels_last) if name.endswith("folded") else net
    if name.startswith("octaves"):
        net = SEUNet(width=width // 5 * 6, num_octaves=3, scales_per_octave=2)
    else:
        net = SEUNet(width=width, sigma_ranges="paper", pooling="max", recompute=name.endswith("recompute"))
    if name in SLOW:
        make_dense(net, by_group=name == "dense by group")
    return net.folded() if name.endswith("folded") else net


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


def make_run(net, size: int, batch: int, train: bool) -> Callable[[], None]:
    """A forward pass of a network, or a training step, to be timed."""
    import torch
    from torch.nn import functional as F

    net.train(train)
    x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    label = torch.randint(2, (batch, size, size))

    def forward() -> None:
        with torch.no_grad():
            net(x)

    optimizer = torch.optim.Adam(net.parameters()) if train else None

    def step() -> None:
        optimizer.zero_grad()
        logits = net(x)
        heads = logits.unbind(1) if logits.dim() == 5 else [logits]
        sum(F.cross_entropy(head, label) for head in heads).backward()
        optimizer.step()

    return step if train else forward


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
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values[1:] or values) for name, values in seconds.items()}


def peak_training_memory(names: tuple[str, ...], args: argparse.Namespace, size: int) -> dict[str, float]:
    """MiB that training steps take beyond what the process and the network hold, each in a process of its own."""
    options = [
        "--size",
        str(size),
        "--width",
        str(args.width),
        "--batch",
        str(args.batch),
        "--threads",
        str(args.threads),
    ]
    # memory that is freed goes back at once, so that the peak is what lives and not what the allocator keeps
    environment = {k: v for k, v in os.environ.items() if k not in ALLOCATOR} | {"MALLOC_MMAP_THRESHOLD_": str(2**16)}
    processes = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--memory-of", name, *options],
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for name in names
    }
    return {name: float(process.communicate()[0]) for name, process in processes.items()}


def report_memory(name: str, args: argparse.Namespace) -> None:
    """Print the peak of two training steps over the resident memory before them."""
    run = make_run(build(name, args.width), args.size[0], args.batch, train=True)
    tiny = make_run(build(name, args.width), 32, 2, train=True)  # what libraries take once
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


def measure(args: argparse.Namespace, size: int) -> dict[str, float]:
    """All figures for one image size."""
    table: dict[str, dict[str, float]] = {}
    touch_memory()
    for train, key, quick_rounds in ((False, "forward", 3), (True, "step", 2)):
        names = set(CONTESTANTS) - (
            {"seunet folded", "octaves folded", "plain folded"} if train else {"seunet recompute"}
        )
        names -= {"dense by group", "plain folded", "octaves folded", "seunet recompute"} if args.quick else set()
        runs = {n: make_run(build(n, args.width), size, args.batch, train) for n in CONTESTANTS if n in names}
        for name, seconds in time_all(runs, quick_rounds if args.quick else 11).items():
            table.setdefault(name, {})[key] = seconds
    measured = ("seunet recompute", "plain") if args.quick else ("seunet", "seunet recompute", "plain")
    for name, memory in peak_training_memory(measured, args, size).items():
        table.setdefault(name, {})["memory"] = memory
    print_table(table, size, args)
    return {"size": size} | ratios(table)


def ratios(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """Speed-ups of SEUNet (over 1: SEUNet is faster) and its share of the plain U-Net's memory, as far as measured."""
    wanted = {
        "forward_speedup_vs_plain": ("forward", "plain", "seunet"),
        "step_speedup_vs_plain": ("step", "plain", "seunet"),
        "forward_speedup_vs_dense": ("forward", "dense", "seunet"),
        "step_speedup_vs_dense": ("step", "dense", "seunet"),
        "forward_speedup_vs_dense_by_group": ("forward", "dense by group", "seunet"),
        "step_speedup_vs_dense_by_group": ("step", "dense by group", "seunet"),
        "folded_forward_speedup_vs_plain": ("forward", "plain", "seunet folded"),
        "folded_forward_speedup_vs_folded_plain": ("forward", "plain folded", "seunet folded"),
        "octaves_forward_speedup_vs_plain": ("forward", "plain", "octaves"),
        "octaves_step_speedup_vs_plain": ("step", "plain", "octaves"),
        "octaves_folded_forward_speedup_vs_folded_plain": ("forward", "plain folded", "octaves folded"),
        "recompute_step_speedup_vs_plain": ("step", "plain", "seunet recompute"),
        "train_memory_ratio_vs_plain": ("memory", "seunet recompute", "plain"),
        "train_memory_ratio_vs_plain_without_recompute": ("memory", "seunet", "plain"),
    }
    return {
        name: table[over][key] / table[under][key]
        for name, (key, over, under) in wanted.items()
        if key in table.get(over, {}) and key in table.get(under, {})
    }


def print_table(table: dict[str, dict[str, float]], size: int, args: argparse.Namespace) -> None:
    """Seconds, MiB and ratios to the plain U-Net."""
    print(f"\nwidth {args.width}, {args.batch} x 3 x {size} x {size}, {args.threads} thread(s)")
    print(f"{'':18}{'forward s':>10}{'x plain':>9}{'step s':>10}{'x plain':>9}{'step MiB':>10}")
    for name, row in table.items():
        cells = []
        for key in ("forward", "step"):
            known = key in row
            cells.append(f"{row[key]:10.3f}{table['plain'][key] / row[key]:8.2f}x" if known else f"{'':19}")
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
    parser.add_argument("--size", type=int, nargs="+", default=[256, 400], help="height and width of the image")
    parser.add_argument("--width", type=int, default=60, help="channels of the finest level")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="256 only, fewer rounds: within a minute")
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
    results = [measure(args, size) for size in (args.size[:1] if args.quick else args.size)]
    for result in results:
        print(f"\n{result['size']}²")
        for key, value in result.items():
            if key != "size":
                print(f"  {key:48}{value:6.2f}")
    if args.json:
        write_json(results[0] | {"width": args.width, "threads": args.threads, "sizes": results}, args.json)


if __name__ == "__main__":
    main()
