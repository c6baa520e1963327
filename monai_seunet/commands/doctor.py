"""The command `monai-seunet doctor`."""

from __future__ import annotations

import argparse
import platform
from importlib.metadata import version
from typing import Any

TOLERANCE = 1e-4  # largest accepted error, relative to the largest logit


def add_options(parser: argparse.ArgumentParser) -> None:
    """Set the function of `doctor`, which has no options."""
    parser.set_defaults(run=run)


def run(_: Any) -> int:
    """Print versions, devices and the native library; return 1 if its result differs from torch's."""
    import torch

    from monai_seunet.native import library as native

    names = ("monai_seunet", "torch", "monai", "pytorch-ignite", "mlflow")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    print(f"GPU: {', '.join(gpus) or 'none'}")
    print(f"CPU: {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    loaded = native.library()
    if loaded is None:
        print(
            f"native kernels: none in {native.HERE / 'lib'}, or switched off by {native.SETTING}; torch runs everything"
        )
        return 0
    error = kernel_error()
    print(f"native kernels: {loaded._name}")
    print(
        f"their logits against torch's: relative error {error:.1e}{'' if error < TOLERANCE else ', which is TOO MUCH'}"
    )
    return int(not error < TOLERANCE)


def kernel_error() -> float:
    """Return the largest difference of a small network's two forms, relative to the largest logit."""
    import torch

    from monai_seunet.native import library as native
    from monai_seunet.networks import SEUNet

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SEUNet(width=12, num_octaves=2, scales_per_octave=2)
        x = torch.rand(2, 3, 96, 80)
        with torch.no_grad():
            net.train()(x)
            net.eval()
            natively = net(x)
            with native.torch_form():
                expected = net(x)
    return float((natively - expected).abs().max() / expected.abs().max())
