"""Time SEUNet against the plain U-Net, its own form in torch and its dense forms, interleaved in one run.

A full run adds larger images, a batch of 8 and two threads. How near a network comes to the processor's best is said.
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
from typing import NamedTuple

# Freed memory stays with the process, for every contestant alike: else page faults are half of what is measured. (The
# kernels have memory of their own, in large pages where the system gives them: see `monai_seunet/native/memory.py`.)
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
# SEUNet, octaves (two groups at each of four octaves, as wide as those of SEUNet) and roto (RotoScaleUNet of twice the
# width, in eight orientations) run by the native kernels; `in torch` without, `by v3` by those of other processors.
# Dense is the filter bank of the SEUNet paper in one grouped convolution; by group, each filter has its own size.
# The forward pass is that of the folded networks.
ON_ONE_THREAD = "seunet on 1 thread"
QUICK = ("plain", "seunet", "seunet in torch", "octaves")
MORE = ("octaves in torch", "recompute", "roto", "roto in torch")
SLOW = ("dense", "dense by group")
ONLY_FORWARD, ONLY_STEP = ("roto in torch",), ("recompute",)  # nothing else would run than in `roto` or `seunet`
PAUSE = 0.05  # seconds before a run, in which the threads of the one before stop waiting for more work; busy, as in
# a training, since the system starts threads of an idle process late
WIDTHS = (20, 60)


class Case(NamedTuple):
    """A batch of square images, and the threads that torch has."""

    size: int
    batch: int
    threads: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.size} x {self.size}, {self.threads} thread{'s'[: self.threads > 1]}"


def build(name: str, width: int):
    """One of the networks."""
    import torch

    from monai_seunet import PlainUNet, RotoScaleUNet, SEUNet

    torch.manual_seed(0)
    if name == "plain":
        return PlainUNet(width=width).to(memory_format=torch.channels_last)
    if name.startswith("octaves"):
        return SEUNet(width=width // 5 * 8, num_octaves=4, scales_per_octave=2)
    if name.startswith("roto"):
        return RotoScaleUNet(width=2 * width)
    net = SEUNet(width=width, recompute=name == "recompute")
    return make_dense(net, by_group=name == "dense by group") if name in SLOW else net


def make_dense(net, by_group: bool):
    """Have every scale convolution of a network computed in one of its dense forms; returns the network."""
    import torch

    from monai_seunet.networks.unet.parts import ConvNormAct

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


def make_run(net, size: int, batch: int, train: bool, form: str = "") -> Callable[[], None]:
    """A forward pass of a network, or a training step, to be timed, by a variant of the kernels or with them `off`."""
    import torch
    from torch.nn import functional as F

    from monai_seunet.native.library import variant

    net.train(train)
    x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last)
    label = torch.randint(2, (batch, size, size))

    def forward() -> None:
        with torch.no_grad(), variant(form):
            net(x)

    optimizer = torch.optim.Adam(net.parameters(), fused=True) if train else None

    def step() -> None:
        optimizer.zero_grad()
        with variant(form):
            logits = net(x)
        heads = logits.unbind(1) if logits.dim() == 5 else [logits]
        sum(F.cross_entropy(head, label) for head in heads).backward()
        optimizer.step()

    return step if train else forward


def contestant(name: str, width: int, case: Case, train: bool) -> Callable[[], None]:
    """What is timed of a network: a training step, or the forward pass of its folded form."""
    import torch

    net = build(name, width)
    if not train and name not in SLOW:
        net = net.folded()
        net = net.to(memory_format=torch.channels_last) if name == "plain" else net
    _, _, variant = name.partition(" by ")
    form = "off" if name.endswith("in torch") or name in (*SLOW, *ONLY_STEP) else variant
    run = make_run(net, case.size, case.batch, train, form)

    def on_one_thread() -> None:
        torch.set_num_threads(1)
        run()
        torch.set_num_threads(case.threads)

    return on_one_thread if name == ON_ONE_THREAD else run


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
    from monai_seunet.utils.progress import progress_bar

    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in progress_bar(range(rounds + 1), desc="rounds", leave=False):
        for name, run in runs.items():
            if name in slow and seconds[name]:
                continue
            end = time.perf_counter() + PAUSE
            while time.perf_counter() < end:
                pass
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values[1:] or values) for name, values in seconds.items()}


def peak_training_memory(names: Collection[str], width: int, case: Case) -> dict[str, float]:
    """MiB that training steps take beyond what the process and the network hold, each in a process of its own."""
    options = ["--size", case.size, "--width", width, "--batch", case.batch, "--threads", case.threads]
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


def report_memory(name: str, width: int, case: Case) -> None:
    """Print the peak of two training steps over the resident memory before them."""
    run = contestant(name, width, case, train=True)
    tiny = contestant(name, width, Case(64, 2, case.threads), train=True)  # what libraries take once
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


Table = dict[str, dict[str, float]]


def measure(names: Collection[str], width: int, case: Case, rounds: tuple[int, int], memory: Collection[str]) -> Table:
    """Seconds of the networks forward and for a step, what the processor would need at its best, and MiB of a step."""
    import torch
    from roofline import least_seconds, measure_peak

    torch.set_num_threads(case.threads)
    table: Table = {name: {} for name in names}
    touch_memory()
    peak = measure_peak()
    for train, key, leave_out, count in (
        (False, "forward", ONLY_STEP, rounds[0]),
        (True, "step", ONLY_FORWARD, rounds[1]),
    ):
        runs = {name: contestant(name, width, case, train) for name in names if name not in leave_out}
        for name, seconds in time_all(runs, count).items():
            table[name][key] = seconds
        for name in ("plain", "seunet", "octaves"):
            x = torch.rand(case.batch, 3, case.size, case.size)
            table[name][f"{key}_least"] = least_seconds(build(name, width), x, train, peak)
    for name, most in peak_training_memory(memory, width, case).items():
        table[name]["memory"] = most
    print_table(table, width, case)
    print(f"the processor at its best: {peak.macs / 1e9:.0f} G multiply-adds and {peak.bytes / 1e9:.0f} GB a second")
    return table


def ratios(table: Table) -> dict[str, float]:
    """Speed-ups (over 1: faster), shares of the processor's best and of the plain U-Net's memory, where measured."""
    found = {}
    for name, prefix in (("seunet", ""), ("octaves", "octaves_"), ("recompute", "recompute_"), ("roto", "roto_")):
        row = table.get(name, {})
        others = {"plain": "plain", "torch": f"{name} in torch"}
        if name == "seunet":
            others |= {"dense": "dense", "dense_by_group": "dense by group"}
        for key in ("forward", "step"):
            for label, other in others.items():
                if key in row and key in table.get(other, {}):
                    found[f"{prefix}{key}_speedup_vs_{label}"] = table[other][key] / row[key]
            if f"{key}_least" in row:
                found[f"{prefix}{key}_share_of_best"] = row[f"{key}_least"] / row[key]
        if "memory" in row:
            found[f"{prefix}train_memory_ratio_vs_plain"] = row["memory"] / table["plain"]["memory"]
    for name, row in table.items():
        for key in ("forward", "step"):
            if " by " in name and name not in SLOW:
                found[f"{name.replace(' ', '_')}_{key}_speedup_vs_plain"] = table["plain"][key] / row[key]
            if name == ON_ONE_THREAD:
                found[f"{key}_speedup_vs_1_thread"] = row[key] / table["seunet"][key]
    return found


def print_table(table: Table, width: int, case: Case) -> None:
    """Seconds, ratios to the plain U-Net, the share of the processor's best, and MiB."""
    print(f"\nwidth {width}, {case}")
    heads = "".join(f"{key + ' s':>10}{'x plain':>9}{'of best':>9}" for key in ("forward", "step"))
    print(f"{'':18}{heads}{'step MiB':>10}")
    for name, row in table.items():
        cells = []
        for key in ("forward", "step"):
            known, least = key in row, row.get(f"{key}_least")
            cells.append(f"{row[key]:10.4f}{table['plain'][key] / row[key]:8.2f}x" if known else f"{'':19}")
            cells.append(f"{100 * least / row[key]:7.0f} %" if least else f"{'':9}")
        memory = f"{row['memory']:10.0f}" if "memory" in row else ""
        print(f"{name:18}{''.join(cells)}{memory}")


def measure_width(args: argparse.Namespace, width: int) -> dict:
    """The ratios of the first case, and of all of them under `cases`."""
    from monai_seunet.native.library import library_path, runnable

    first = Case(args.size[0], args.batch, args.threads)
    variants = [f"seunet by {name}" for name in runnable()[1:] if library_path(name).is_file()]
    cases = {first: QUICK if args.quick else (*QUICK, *MORE, *variants, *SLOW)}
    if not args.quick:
        more = {Case(size, args.batch, args.threads): QUICK for size in args.size[1:]}
        more |= {first._replace(batch=8): QUICK, first._replace(threads=2): (*QUICK, ON_ONE_THREAD)}
        cases |= {case: names for case, names in more.items() if case != first}
    tables: dict[Case, Table] = {}
    for case, names in cases.items():
        trained = [name for name in ("plain", "seunet", "recompute") if name in names]
        tables[case] = measure(names, width, case, (5, 3) if args.quick else (7, 4), trained)
    found = {str(case): ratios(table) for case, table in tables.items()}
    results = found[str(first)] | {"cases": found}
    for case, figures in found.items():
        print(f"\nwidth {width}, {case}")
        for key, value in figures.items():
            print(f"  {key:48}{value:6.2f}")
    return results


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
    parser.add_argument("--quick", action="store_true", help="one case, fewer networks and rounds: within two minutes")
    parser.add_argument("--json", type=Path, help="write the ratios of the first case, and of all under `cases`")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    environment = {} if args.memory_of else ALLOCATOR
    start_again_with(environment)

    import torch

    torch.set_num_threads(args.threads)
    if args.memory_of:
        report_memory(args.memory_of, args.width[0], Case(args.size[0], args.batch, args.threads))
        return
    results = {f"width_{width}": measure_width(args, width) for width in args.width}
    if args.json:
        write_json(results | {"batch": args.batch, "threads": args.threads}, args.json)


if __name__ == "__main__":
    main()
