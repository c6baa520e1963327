"""Speed of networks on the device against the plain U-Net, interleaved in one run."""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

from contestants import make_run
from networks import REFERENCE, build
from records import Records, run_step
from timing import time_all

# Overlay and width. The first is as wide as the shipped weights, and compared to the plain U-Net of theirs; the others
# are as wide as in docs/speed.md.
WIDE, NARROW = 60, 20
NETWORKS = {
    NARROW: {REFERENCE: NARROW, "seunet_octaves": 48, "seunet_geometric": NARROW},
    WIDE: {REFERENCE: WIDE, "seunet_octaves": 96, "seunet_geometric": WIDE, "roto_scale_unet": 2 * WIDE},
}
QUICK = {NARROW: {REFERENCE: NARROW, "seunet_octaves": 48}}


class Case(NamedTuple):
    """Side of the images, images in a batch of inference and of training, and measured rounds."""

    size: int
    inference: int
    training: int
    rounds: int


def clock_of(device: str) -> Callable[[], float]:
    """Return a clock that waits until the device has done all that it was given."""
    import torch

    cuda = torch.device(device).type == "cuda"

    def clock() -> float:
        if cuda:
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock


def precisions(options: argparse.Namespace) -> dict[str, object]:
    """Return the types of mixed precision by their names; None for float32. A CPU takes minutes for float16."""
    import torch

    found = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if options.quick and options.device == "cpu":
        del found["float16"]
    return found


def case_of(options: argparse.Namespace) -> Case:
    """Return the sizes for a GPU or for a CPU."""
    return Case(128, 1, 1, 1 if options.quick else 5) if options.device == "cpu" else Case(512, 16, 8, 5)


def all_runs(networks: dict[str, int], options: argparse.Namespace) -> Iterator[tuple[str, int, dict[str, Callable]]]:
    """Yield a title, the number of pixels, and the runs by network, of every job and precision."""
    case = case_of(options)
    made = {f"{name}, width {width}": build(name, width).to(options.device) for name, width in networks.items()}
    for job, batch, train in (("inference", case.inference, False), ("training step", case.training, True)):
        for kind, amp in precisions(options).items():
            runs = {}
            for name, net in made.items():
                used = copy.deepcopy(net) if train else net.eval().folded()
                runs[name] = make_run(used, case.size, batch, train, "", options.device, amp)
            yield f"{job}, {batch} x {case.size} x {case.size}, {kind}", batch * case.size**2, runs


def speed(records: Records, options: argparse.Namespace) -> None:
    """Measure megapixels per second and ratios, with the benchmark of cuDNN and in channels_last."""
    import torch

    warnings.simplefilter("ignore")
    torch.backends.cudnn.benchmark = True
    for networks in (QUICK if options.quick else NETWORKS).values():
        for title, pixels, runs in all_runs(networks, options):
            seconds = time_all(runs, case_of(options).rounds, clock=clock_of(options.device))
            plain, *others = seconds
            for name in seconds:
                records.figure(f"{title}: {name}", pixels / seconds[name] / 1e6, "megapixels/s")
            for name in others:
                records.figure(f"{title}: {name}, against {plain}", seconds[plain] / seconds[name], "times as fast")
            records.check(f"{title}: all networks are measured", min(seconds.values()) > 0, ", ".join(seconds))


if __name__ == "__main__":
    run_step(speed)
