"""What MLflow keeps of the trainings of an experiment: all that a report is made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT

from monai_seunet.experiments.tracking import children
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.report.evaluation_report import EvaluationReport
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.utils.files import file_name
from monai_seunet.utils.progress import progress_bar

EVALUATIONS: dict[str, type[EvaluationReport]] = {"evaluation": ScaleReport, "rotation": RotationReport}
COMMAND, CERTIFICATE = "config/command.txt", "certificate"
SYMMETRY_ERROR = "certificate/rotation.max_relative_error_float64"
WANTED = ("report.json", "panels.npz", "filters.png", "sigmas.png", "equivariance.png")


@dataclass(frozen=True)
class Evaluated:
    """What was evaluated how: evaluations that agree in all of it can be compared.

    Attributes:
        kind: of the evaluation, one of `EVALUATIONS`.
        section: of the data set.
        data: name of the data set.
        split: hash of which image is in which section; empty where that is not known.
    """

    kind: str
    section: str
    data: str
    split: str


@dataclass(frozen=True)
class Record:
    """One training.

    Attributes:
        name: of the run.
        method: as tables and figures call it.
        data: name of the data set that it was trained on.
        split: hash of which image of that is in which section.
        seed: of the training.
        commit: of the code; empty where it is not known.
        command: that trained it.
        steps: of the training.
        step_seconds: of the processor, for one training step; NaN where it is not known.
        minutes: of all training steps; neither validation nor a pause before it was resumed.
        state: `finished`, `running`, `failed` or `killed`, as MLflow knows it.
        reports: folders of its evaluations, by what they are of; those on its own data set first.
        symmetry_error: largest relative error of the trained network's logits in float64 under the group that it
            promises, else under all quarter turns and mirrors; NaN where that was not measured.
        certificate: picture of what the weights keep of turns, zoom and shifts; None where that was not measured.
    """

    name: str
    method: str
    data: str
    split: str
    seed: str
    commit: str
    command: str
    steps: int
    step_seconds: float
    minutes: float
    state: str
    reports: dict[Evaluated, Path]
    symmetry_error: float
    certificate: Path | None


def read_records(client: MlflowClient, parent: Run, folder: Path) -> list[Record]:
    """Fetch the trainings of an experiment.

    Args:
        client: of the tracking server.
        parent: run of the experiment.
        folder: where their files go.
    """
    runs = children(client, parent)
    return [
        _record(client, run, folder / file_name(str(run.info.run_name)))
        for run in progress_bar(runs, desc="runs", unit="run")
    ]


def _record(client: MlflowClient, run: Run, folder: Path) -> Record:
    tags, number = run.data.tags, run.info.run_id
    steps = max((point.step for point in client.get_metric_history(number, "loss")), default=0)
    named = {file.path for file in client.list_artifacts(number, "config")}
    command = _download(client, number, COMMAND, folder).read_text(encoding="utf-8") if COMMAND in named else ""
    return Record(
        name=str(run.info.run_name),
        method=tags.get("network", ""),
        data=tags.get("data", ""),
        split=tags.get("split", ""),
        seed=tags.get("seed", ""),
        commit=tags.get(MLFLOW_GIT_COMMIT, ""),
        command=command,
        steps=steps,
        step_seconds=_mean(client, number, "step_cpu_seconds"),
        minutes=steps * _mean(client, number, "step_seconds") / 60,
        state=run.info.status.lower(),
        reports=_reports(client, run, folder),
        symmetry_error=run.data.metrics.get(SYMMETRY_ERROR, float("nan")),
        certificate=_certificate(client, number, folder),
    )


def _mean(client: MlflowClient, run: str, metric: str) -> float:
    values = [point.value for point in client.get_metric_history(run, metric)]
    return float(nan_mean(np.array(values))) if values else float("nan")


def _reports(client: MlflowClient, run: Run, folder: Path) -> dict[Evaluated, Path]:
    """The evaluations of a run, each of the data set that its report names, whatever the training was on."""
    data, split = run.data.tags.get("data", ""), run.data.tags.get("split", "")
    found = {}
    for kind, place in _fetch(client, run.info.run_id, folder):
        report = EVALUATIONS[kind].load(place / "report.json")
        own = split if report.data == data else ""  # of reports that do not say it
        found[Evaluated(kind, report.section or kind, report.data, report.split or own)] = place
    return dict(sorted(found.items(), key=lambda pair: (pair[0].data, pair[0].split) != (data, split)))


def _fetch(client: MlflowClient, run: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Download the evaluations of a run, by their kind; one without a report has not ended and is left out."""
    for kind in EVALUATIONS:
        for section in client.list_artifacts(run, kind):
            names = {Path(file.path).name for file in client.list_artifacts(run, section.path)}
            if "report.json" in names:
                for name in sorted(names.intersection(WANTED)):
                    _download(client, run, f"{section.path}/{name}", folder / section.path)
                yield kind, folder / section.path


def _certificate(client: MlflowClient, run: str, folder: Path) -> Path | None:
    """The page of a certificate, where there is one."""
    path = f"{CERTIFICATE}/certificate.png"
    known = {file.path for file in client.list_artifacts(run, CERTIFICATE)}
    return _download(client, run, path, folder / CERTIFICATE) if path in known else None


def _download(client: MlflowClient, run: str, path: str, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return Path(client.download_artifacts(run, path, str(folder)))
