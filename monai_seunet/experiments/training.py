"""One training of an experiment: its bundle runs, in a folder that remembers how far it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from monai_seunet.config.command_line import command_word
from monai_seunet.config.read import content, read_config
from monai_seunet.config.texts import write_setting
from monai_seunet.data.datalist import load_dataset
from monai_seunet.experiments.plan import Training, overlay_of
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked, write_text

# Freed memory stays with the process: else a CPU spends much of a training step on page faults.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967295",
    "MALLOC_TOP_PAD_": "67108864",
}
STATE, CERTIFICATE = "training.json", "certificate"


@dataclass(frozen=True)
class Place:
    """Where trainings are run, the same for all of an experiment.

    Attributes:
        bundle: folder that holds `configs/`.
        output: folder of the experiment; every training has one of its own in it.
        tracking_uri: of MLflow.
        experiment: its name there.
        parent_run: that the runs are children of.
        cwd: folder that the command was given in: what is relative in the configs begins there.
        processes: of each training, by torchrun; 1 for none.
        lock: descriptor that holds the folder of a training; None outside of one.
    """

    bundle: Path
    output: Path
    tracking_uri: str
    experiment: str
    parent_run: str
    cwd: Path
    processes: int = 1
    lock: int | None = None


def run_training(training: Training, place: Place) -> None:
    """Train a network or go on with it, and evaluate it; what is done already is not done again.

    Raises:
        InputError: where its folder was made by another plan or is in use, or a run fails.
    """
    folder = place.output / training.name
    with locked(folder) as lock:
        place = replace(place, lock=lock)  # a program goes on where this process is killed
        state = read_state(folder)
        _refuse_another_plan(training, folder, state)
        for job, options in _jobs(training).items():
            if state["done"].get(job) == options:
                continue
            write_text(folder / STATE, json.dumps({**state, "plan": training.plan()}, indent=1) + "\n")
            if job == "train":
                resume = (folder / "models" / "last.pt").exists()
                _run(training, place, job, {"seed": training.seed, "resume": resume})
            elif job == CERTIFICATE:
                _certify(training, place, options)
            else:
                _run(training, place, job, {**options, "report_dir": str(folder / job)})
            state = {"plan": training.plan(), "done": {**state["done"], job: options}}
            write_text(folder / STATE, json.dumps(state, indent=1) + "\n")  # after MLflow has it


def check_dataset(training: Training, bundle: Path) -> None:
    """Look for the data of a training and of its evaluations, which would fail without them minutes or hours later.

    Raises:
        InputError: where a data set is not there, is damaged or lacks the section, or two evaluations by the same
            overlay are of data sets of the same name, so that one would replace the other in MLflow.
    """
    load_dataset(_dataset(training, bundle, "train"))
    known: dict[tuple[str, str, str], str] = {}
    for job, options in training.evaluations.items():
        overlay, given = overlay_of(job), {**training.options, **options}
        config = read_config(bundle, training.network, overlays=[*_other_overlays(training), overlay], job="train")
        config["section"] = config.get("section", "validation")  # which train.json evaluates without an overlay
        path, section = (given.get(key) or content(config, key) for key in ("dataset_dir", "section"))
        dataset = load_dataset(path)
        dataset.items(section)
        former = known.setdefault((overlay, dataset.name, section), job)
        if former != job:
            raise InputError(
                f"{training.method}: '{former}' and '{job}' both evaluate {section} of a data set named "
                f"'{dataset.name}'; prepare one by another name, or leave one evaluation out"
            )


def is_done(training: Training, output: Path) -> bool:
    """Whether nothing of it is left to do."""
    state = read_state(output / training.name)
    return state["plan"] == training.plan() and all(
        state["done"].get(job) == options for job, options in _jobs(training).items()
    )


def _jobs(training: Training) -> dict[str, Mapping[str, Any]]:
    """What is to be done, in this order, with its options."""
    jobs = {"train": {}, **training.evaluations}
    return jobs if training.certificate is None else {**jobs, CERTIFICATE: training.certificate}


def read_state(folder: Path) -> dict[str, Any]:
    """The plan of a training, and its jobs that are done."""
    path = folder / STATE
    if not path.exists():
        return {"plan": None, "done": {}}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {"plan": dict(state["plan"]), "done": dict(state["done"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({error!r}); remove the folder, or give another output folder") from error


def _refuse_another_plan(training: Training, folder: Path, state: Mapping[str, Any]) -> None:
    known, plan = state["plan"], training.plan()
    changed = [] if known is None else [key for key in plan if known.get(key) != plan[key]]
    if changed:
        raise InputError(
            f"{folder}: was trained with {changed[0]} {known.get(changed[0])}, now it is {plan[changed[0]]}; give "
            "another output folder, or remove this one"
        )


def _run(training: Training, place: Place, job: str, settings: Mapping[str, Any]) -> None:
    """Run the bundle once."""
    folder, configs = place.output / training.name, place.bundle / "configs"
    several = place.processes > 1 and job == "train"
    overlays = [
        *training.overlays,
        *(["multi_gpu_train"] if several else []),
        *([overlay_of(job)] if job != "train" else []),
    ]
    files = [str(configs / f"{name}.json") for name in ("train", *overlays)]
    given = {
        "bundle_root": place.bundle,
        "ckpt_dir": folder / "models",
        "output_dir": folder,
        "tracking_uri": place.tracking_uri,
        "experiment": place.experiment,
        "run_name": training.name,
        "method": training.method,
        f"tags#{MLFLOW_PARENT_RUN_ID}": place.parent_run,
        "threads": training.threads,
        **training.options,
        **settings,
    }
    words = [command_word(key, value) for key, value in given.items()]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={place.processes}"]
    start = [sys.executable, *(torchrun if several else [])]
    _call(training, place, job, [*start, "-m", "monai.bundle", "run", "--config_file", str(files), *words])


def _certify(training: Training, place: Place, options: Mapping[str, Any]) -> None:
    """Measure what the trained weights keep of turns, zoom and shifts."""
    folder = place.output / training.name
    network, others = training.network, _other_overlays(training)
    config = read_config(place.bundle, network, overlays=others)
    known = [name for name in training.options if name.partition("#")[0] in config and name != "dataset_dir"]
    data = _dataset(training, place.bundle, "inference")
    given = {"data": data if isinstance(data, str) else data[0], **options}
    command = [sys.executable, "-m", "monai_seunet.cli", "certify", "--bundle", str(place.bundle), "--network", network]
    command += [f"--overlay={name}" for name in others]
    command += [f"--set={write_setting(name, training.options[name])}" for name in known]
    command += ["--checkpoint", str(folder / "models" / "model.pt"), "--output", str(folder / CERTIFICATE)]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    _call(training, place, CERTIFICATE, [*command, "--tracking-uri", place.tracking_uri])


def _other_overlays(training: Training) -> list[str]:
    return [name for name in training.overlays if not name.startswith("networks/")]


def _dataset(training: Training, bundle: Path, job: str) -> Any:
    """The folder of its data set, or several: from its options, else from the configs."""
    config = read_config(bundle, training.network, overlays=_other_overlays(training), job=job)
    return training.options.get("dataset_dir") or content(config, "dataset_dir")


def _call(training: Training, place: Place, job: str, command: list[str]) -> None:
    """Run a program, its words in a log file.

    Raises:
        InputError: with its last words, where it fails.
    """
    log = place.output / training.name / f"{job}.log"
    environment = {**ALLOCATOR, **os.environ, "OMP_NUM_THREADS": str(training.threads)}
    with log.open("a") as file:
        held = () if place.lock is None else (place.lock,)
        ended = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, cwd=place.cwd, pass_fds=held
        )
    if ended.returncode:
        lines = [line for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
        raise InputError(f"{training.name}: {job} failed ({lines[-1] if lines else 'no word'}); see {log}")
