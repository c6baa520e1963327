"""The first step: versions, the GPU, and the packages of requirements.txt that are missing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from records import Records, run_step

ROOT = Path(__file__).resolve().parents[2]
COMPARED = {"staintools", "spams-bin"}  # only for comparison, in no step


def missing_packages() -> list[str]:
    """Return the packages of requirements.txt that this Python does not have, in whatever version."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [re.split(r"[=<>\[;]", line)[0].strip() for line in lines if line and not line.startswith("#")]
    return [name for name in names if name not in COMPARED and installed(name) is None]


def installed(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str:
    """Return the commit of the repository, or `unknown` where git or its folder is missing."""
    try:
        words = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def facts(device: str) -> dict[str, str]:
    """Return what the figures depend on."""
    import torch

    found = {
        "device": device,
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "commit": commit(),
        "CPU": f"{os.cpu_count()} cores, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads",
        "packages": ", ".join(f"{name} {installed(name)}" for name in ("torch", "monai", "pytorch-ignite", "numpy")),
        "missing packages": ", ".join(missing_packages()) or "none",
    }
    if torch.device(device).type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        found["GPU"] = (
            f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, {gpu.multi_processor_count} multiprocessors, "
            f"compute capability {gpu.major}.{gpu.minor}, {torch.cuda.device_count()} in the machine"
        )
        found["CUDA"] = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        tf32 = {"convolutions": torch.backends.cudnn.allow_tf32, "products": torch.backends.cuda.matmul.allow_tf32}
        found["TF32 by default"] = ", ".join(name for name, used in tf32.items() if used) or "none"
    return found


def machine(records: Records, options: argparse.Namespace) -> None:
    """Write the facts of the machine, and check that the device computes."""
    import torch

    (options.work / "machine.json").write_text(json.dumps(facts(options.device), indent=1), encoding="utf-8")
    x = torch.rand(64, 64, dtype=torch.float64)
    error = (x.to(options.device) @ x.to(options.device)).cpu() - x @ x
    records.at_most("a matrix product on the device is that of the CPU", float(error.abs().max()), 1e-10)


if __name__ == "__main__":
    run_step(machine)
