"""Folded networks by `torch.compile` on the device: the same numbers, and how much faster."""

from __future__ import annotations

import argparse
import warnings

from contestants import make_run
from networks import REFERENCE, build
from records import Records, run_step
from speed import clock_of
from timing import time_all

NETWORKS = {"seunet_octaves": 48, REFERENCE: 20}
BOUND = 1e-2  # largest difference, relative to the largest logit; products may round to TF32


def compiled(records: Records, options: argparse.Namespace) -> None:
    """Compile networks, compare their predictions, and time both forms in one run."""
    import torch

    warnings.simplefilter("ignore")
    torch.backends.cudnn.benchmark = True
    cuda = torch.device(options.device).type == "cuda"
    size, batch = (512, 16) if cuda else (128, 1)
    for name, width in list(NETWORKS.items())[: 1 if options.quick else None]:
        net = build(name, width).to(options.device).eval().folded()
        faster = torch.compile(net)
        x = torch.rand(batch, 3, size, size).contiguous(memory_format=torch.channels_last).to(options.device)
        with torch.no_grad():
            expected = net(x)
            error = float((faster(x) - expected).abs().max() / expected.abs().max())
        records.at_most(f"{name}, width {width}: compiled form is the same", error, BOUND)
        runs = {kind: make_run(n, size, batch, False, "off", options.device) for kind, n in (("", net), ("c", faster))}
        seconds = time_all(runs, 5, clock=clock_of(options.device))
        records.figure(f"{name}, width {width}: compiled, inference", seconds[""] / seconds["c"], "times as fast")


if __name__ == "__main__":
    run_step(compiled)
