"""Train every network for some minutes on real images, evaluate it on images and their quarter turns, write a table.

monai-seunet prepare dsb2018 stage1_train.tar.gz data/dsb_fluorescence --kind fluorescence
monai-seunet prepare dsb2018 stage1_train.tar.gz data/dsb_histology --kind histology
python scripts/train_networks.py --processes 2 --output runs/networks

Each network takes one thread. What is finished is kept, so that the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import torch
from tqdm import tqdm

from monai_seunet.certificate.measure import centre, promised_group
from monai_seunet.certificate.subject import read_images
from monai_seunet.checkpoints import load_checkpoint
from monai_seunet.configured import content, read_config, trained_network
from monai_seunet.report.files import write_text
from monai_seunet.report.rotation_report import RotationReport
from monai_seunet.testing import symmetry_errors

CONFIGS = Path(__file__).resolve().parents[1] / "bundle" / "configs"
# freed memory stays with the process: else a CPU spends much of a training step on page faults
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967295",
    "MALLOC_TOP_PAD_": "67108864",
}
CROP = 128  # pixels, a multiple of all strides
COLUMNS = ("pixel_iou", "pixel_f1", "object_f1", "aji", "pq")


SLOW = 18  # minutes, for networks that see too few crops in 10


@dataclass(frozen=True)
class Job:
    """One training: a network and a data set by their overlays, what differs from their defaults, and its time."""

    name: str
    network: str
    data: str
    options: Mapping[str, object]
    minutes: float = 10

    @property
    def classifies(self) -> bool:
        """Whether it is a classifier of patches."""
        return self.network == "g_dense_net"


GREY, COLOUR = "dsb_fluorescence", "dsb_histology"
SMALL = {"crop_size": 128, "batch_size": 4, "max_lr": 0.005}
SCALE = {"width": 20, "crop_size": 192, "batch_size": 4, "max_lr": 0.01}
PATCHES = {"batch_size": 32, "max_lr": 0.01}
JOBS = (
    Job("simplified_g_unet", "simplified_g_unet", GREY, SMALL | {"max_lr": 0.002}),
    Job("simplified_unet", "simplified_unet", GREY, SMALL | {"max_lr": 0.002}),
    Job("baseline_unet_raw", "baseline_unet_raw", GREY, SMALL | {"width": 32}, SLOW),
    Job("baseline_unet", "baseline_unet", GREY, SMALL | {"width": 32}, SLOW),
    Job("equivariant_unet_p4", "equivariant_unet", GREY, SMALL | {"width": 64}),
    Job("equivariant_unet_p4m", "equivariant_unet", GREY, SMALL | {"width": 64, "group": "p4m"}),
    Job("g_unet", "g_unet", GREY, SMALL | {"width": 32}, SLOW),
    Job("g_dense_unet", "g_dense_unet", GREY, SMALL),
    Job("g_dense_net", "g_dense_net", GREY, PATCHES),
    Job("g_dense_net_histology", "g_dense_net", COLOUR, PATCHES, SLOW),
    Job("seunet", "seunet", COLOUR, SCALE),
    Job("seunet_geometric", "seunet_geometric", COLOUR, SCALE),
    Job("roto_scale_unet", "roto_scale_unet", COLOUR, SCALE | {"width": 120}),
    Job("plain_unet", "plain_unet", COLOUR, SCALE),
    Job("plain_unet_scale_augmented", "plain_unet_scale_augmented", COLOUR, SCALE),
    Job("sesn_unet", "sesn_unet", COLOUR, SCALE),
    Job("disco_unet", "disco_unet", COLOUR, SCALE),
    Job("njet", "njet", COLOUR, SCALE),
    Job("seunet_fixed", "seunet_fixed", COLOUR, SCALE),
    Job("seunet_free", "seunet_free", COLOUR, SCALE),
)


def run_bundle(job: Job, folder: Path, protocol: str, log: str, **settings: object) -> None:
    """Run the bundle once, its output in a log file."""
    overlays = [f"networks/{job.network}", f"data/{job.data}", *([protocol] if protocol else [])]
    files = [str(CONFIGS / f"{name}.json") for name in ("train", *overlays)]
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    given = {"ckpt_dir": folder / "models", "output_dir": folder, "run_name": job.name, "threads": 1}
    for name, value in (given | dict(job.options) | settings).items():
        command += [f"--{name}", str(value)]
    with (folder / log).open("w") as file:
        subprocess.run(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=True,
            env=os.environ | ALLOCATOR | {"OMP_NUM_THREADS": "1"},
        )


def run_job(job: Job, args: argparse.Namespace) -> str:
    """Train, or go on with it, and evaluate; returns a row of the table."""
    folder, minutes = args.output / job.name, args.minutes or job.minutes
    (folder / "models").mkdir(parents=True, exist_ok=True)
    done = folder / "trained"
    if not done.exists():
        resume = (folder / "models" / "last.pt").exists()
        settings = {"max_minutes": minutes, "epochs": 1000, "seed": args.seed, "resume": str(resume).lower()}
        run_bundle(job, folder, "classify" if job.classifies else "", "train.log", **settings)
        done.touch()
    if job.classifies:
        accuracy = load_checkpoint(folder / "models" / "last.pt")["evaluator"]["best_metric"]
        cells = [f"accuracy {accuracy:.3f}", *[""] * (len(COLUMNS) + 1)]
    else:
        report = folder / "report" / "report.json"
        if not report.exists():
            run_bundle(job, folder, "evaluate_rotation", "evaluate.log", report_dir=report.parent)
        cells = cells_of(RotationReport.load(report))
    return f"| {' | '.join([job.name, job.data, f'{minutes:g}', *cells, symmetry_error(job, folder)])} |"


def symmetry_error(job: Job, folder: Path) -> str:
    """Largest relative error in float64 of the trained network under its group, on two real images, if it has one."""
    settings = [f"{name}={value}" for name, value in job.options.items() if name in ("width", "group")]
    config = read_config(CONFIGS.parent, job.network, settings=settings, overlays=[f"data/{job.data}"])
    network, _ = trained_network(config, folder / "models" / "model.pt")
    group = promised_group(network)
    if group == "p1":
        return ""
    _, images = read_images(config, Path(content(config, "dataset_dir")), 2, CROP)
    crops = torch.stack([centre(image, CROP) for image in images]).double()
    return f"{max(symmetry_errors(network.double(), crops, group).values()):.1e}"


def cells_of(report: RotationReport) -> list[str]:
    """Scores of a network, and how much its object F1 changes under quarter turns."""
    scores, final = report.scores, report.final
    differences = scores.differences("object", final)
    changes = [f"{abs(differences).mean():.4f}", f"{100 * (differences == 0).mean():.0f} %"]
    return [*[f"{scores.mean(name, final):.3f}" for name in COLUMNS], *changes]


def main() -> None:
    """Run all jobs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="time of each training, instead of its own 10 or 18")
    parser.add_argument("--processes", type=int, default=1, help="trainings at once, one core each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/networks"))
    parser.add_argument("--only", nargs="+", choices=[job.name for job in JOBS], help="some networks")
    args = parser.parse_args()
    jobs = [job for job in JOBS if args.only is None or job.name in args.only]
    cores: Queue[int] = Queue()
    for core in sorted(os.sched_getaffinity(0))[: args.processes]:
        cores.put(core)

    def take_turn(job: Job) -> str | None:
        core = cores.get()
        try:
            os.sched_setaffinity(0, {core})  # of this thread, and of the processes that it starts
            return run_job(job, args)
        except subprocess.CalledProcessError:
            tqdm.write(f"{job.name}: failed; see the logs in {args.output / job.name}", file=sys.stderr)
            return None
        finally:
            cores.put(core)

    with ThreadPoolExecutor(args.processes) as pool:
        rows = list(tqdm(pool.map(take_turn, jobs), total=len(jobs), desc="networks", unit="network"))
    names = " | ".join(name.replace("_", " ") for name in COLUMNS)
    names = f"network | data | minutes | {names} | mean change of object F1 | unchanged | symmetry error"
    header = f"| {names} |\n|{'---|' * 11}"
    table = "\n".join([header, *[row for row in rows if row]]) + "\n"
    write_text(args.output / "table.md", table)
    print(table)


if __name__ == "__main__":
    main()
