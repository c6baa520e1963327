"""Training by torchrun with one process: a process group (nccl on a GPU, else gloo), then a training of the bundle."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from records import Records, reason, run_step

CONFIGS = Path(__file__).resolve().parents[2] / "bundle" / "configs"
LAUNCHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1"]
STEP = """
import sys
import torch
import torch.distributed as dist
from monai_seunet import SEUNet
from monai_seunet.utils.process_group import distribute, leave_process_group

device = torch.device(sys.argv[1])
if device.type == "cuda":
    torch.cuda.set_device(device)
dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
network = distribute(SEUNet(width=6, scales_per_octave=3, num_levels=3).to(device))
network(torch.rand(2, 3, 64, 64, device=device)).square().mean().backward()
total = torch.ones(3, device=device)
dist.all_reduce(total)
print("backend", dist.get_backend(), "sum", int(total.sum()), "of", 3 * dist.get_world_size())
leave_process_group()
"""


def run(words: list[str], environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Run a program in the folder of the repository; return its status and output."""
    done = subprocess.run(
        words,
        cwd=CONFIGS.parents[1],
        env=os.environ | (environment or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


def processes(records: Records, options: argparse.Namespace) -> None:
    """Start torchrun with one process, for a step by hand and for a training of the bundle."""
    program = options.work / "group.py"
    program.write_text(STEP, encoding="utf-8")
    code, output = run([*LAUNCHER, str(program), options.device])
    backend = "nccl" if options.device.startswith("cuda") else "gloo"
    told = next((line for line in output.splitlines() if line.startswith("backend")), reason(output))
    records.check(f"a process group by {backend}", code == 0 and told == f"backend {backend} sum 3 of 3", told)
    data, run_folder = options.work / "synthetic", options.work / "training"
    run([sys.executable, "-m", "monai_seunet.cli", "prepare", "synthetic", str(data)])
    files = json.dumps([str(CONFIGS / f"{name}.json") for name in ("train", "multi_gpu_train")])
    settings = {"dataset_dir": data, "output_dir": run_folder, "width": 12, "crop_size": 128, "batch_size": 4}
    settings |= {"tile_size": 128, "tile_stride": 128, "epochs": 2, "val_interval": 2, "stain": "false"}
    words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    hidden = {} if backend == "nccl" else {"CUDA_VISIBLE_DEVICES": ""}
    code, output = run([*LAUNCHER, "-m", "monai.bundle", "run", "--config_file", files, *words], hidden)
    records.check("torchrun with multi_gpu_train.json trains", code == 0, reason(output) if code else "")
    weights = [run_folder / "models" / name for name in ("last.pt", "model.pt")]
    records.check("its checkpoints are there", all(map(Path.is_file, weights)), ", ".join(map(str, weights)))


if __name__ == "__main__":
    run_step(processes)
