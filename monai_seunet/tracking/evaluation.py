"""Records of evaluations in the MLflow run of their training."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ignite.engine import Engine, Events
from mlflow.entities import Metric, Run
from mlflow.exceptions import MlflowException
from monai.engines import Workflow
from monai.handlers import MLFlowHandler

from monai_seunet.data.datalist import PreparedDataset
from monai_seunet.metrics.confusion import nan_mean
from monai_seunet.metrics.objects.scores import SCORES as OBJECT_SCORES
from monai_seunet.metrics.rotation_scores import LEVELS
from monai_seunet.networks.checkpoints import load_checkpoint
from monai_seunet.report.evaluation_report import EvaluationReport
from monai_seunet.report.rotations.report import RotationReport
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.client import code_tags, connect, experiment_id, log_command, replace_artifacts
from monai_seunet.tracking.inputs import log_dataset
from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)

Points = list[tuple[str, float, int]]  # (name, value, step) of metrics


def training_run(checkpoint: str | Path) -> str | None:
    """Return the id of the MLflow run that trained a checkpoint, as `last.pt` beside it states, or None."""
    try:
        trainer = load_checkpoint(Path(checkpoint).parent / "last.pt").get("trainer")
    except InputError:
        return None
    return trainer.get("run_id") if isinstance(trainer, Mapping) else None


def part_of_run(report: EvaluationReport, tags: Mapping[str, str]) -> str:
    """Return the name of an evaluation in a run: the section, or `data-section` for another data set than the run's.

    Evaluations on several data sets can therefore share the run of a training.

    Args:
        report: report of the evaluation.
        tags: tags of the run; `data` and `split` identify its data set.
    """
    section = report.section or "evaluation"
    if all(tags.get(name, getattr(report, name)) == getattr(report, name) for name in ("data", "split")):
        return section
    data = re.sub(r"[^\w.-]", "_", report.data)  # MLflow refuses other characters
    return f"{data}-{section}"


def report_metrics(report: ScaleReport, part: str) -> Points:
    """Return the metrics of a report for MLflow as (name, value, step).

    The step of a curve is the index in the grid of scales. `score_over_scales` is the curve of the final prediction,
    which compares networks with and without scale groups. Other curves are `over_scales.` with `p_ens`, `head_1`, ...,
    `scale`, `best_head`, `e_err`, the names of `metrics.objects.scores.SCORES`, and `calibration_error.` with `pixels`
    and `objects`. Single numbers have step 0. All names begin with the part, so validation and test can share a run.

    Args:
        report: report of the evaluation.
        part: name of the evaluation in the run, see `part_of_run`.
    """
    scores = report.scores
    points = [(f"{part}/mean_score_over_scales", scores.mean(report.final), 0)]
    points += [(f"{part}/mean_over_scales.{_key(name)}", scores.mean(name), 0) for name in scores.predictors]
    final = scores.curve(report.final).tolist()
    points += [(f"{part}/score_over_scales", value, step) for step, value in enumerate(final)]
    curves: dict[str, list[float]] = {_key(name): scores.curve(name).tolist() for name in scores.predictors}
    curves |= {"scale": list(scores.scales), "best_head": [float(head) for head in scores.best_heads()]}
    if 1.0 in scores.scales:
        points.append((f"{part}/score_at_scale_1", final[scores.scales.index(1.0)], 0))
    if report.equivariance is not None:
        points.append((f"{part}/e_err", report.equivariance.mean, 0))
        curves["e_err"] = report.equivariance.errors.tolist()
    others = {f"calibration_error.{name}": counts.error for name, counts in report.calibrations().items()}
    if report.objects is not None:
        others |= {name: report.objects.curve(name) for name in OBJECT_SCORES}
    for name, curve in others.items():
        points.append((f"{part}/mean_{name}_over_scales", float(nan_mean(curve)), 0))
        curves[name] = curve.tolist()
        if 1.0 in scores.scales:
            points.append((f"{part}/{name}_at_scale_1", curves[name][scores.scales.index(1.0)], 0))
    for name, values in curves.items():
        points += [(f"{part}/over_scales.{name}", value, step) for step, value in enumerate(values)]
    return points


def rotation_metrics(report: RotationReport, part: str) -> Points:
    """Return the metrics of a rotation report for MLflow as (name, value, step).

    The metrics are all scores of the final prediction for the original images (`pixel_f1`, `object_f1`, `aji`, `pq`,
    ...), `f1_difference.pixel` and `f1_difference.object` with their signed means and shares of zeros, and the mean F1
    of every pose, whose step is the index of the pose. All names begin with the part.

    Args:
        report: report of the evaluation.
        part: name of the evaluation in the run, see `part_of_run`.
    """
    scores = report.scores
    points = [(f"{part}/{name}", value, 0) for name, value in scores.summary(report.final).items()]
    predictor = scores.predictors.index(report.final)
    for level in LEVELS:
        means = nan_mean(scores.scores[f"{level}_f1"][..., predictor], 0)
        points += [(f"{part}/over_poses.{level}_f1", float(value), step) for step, value in enumerate(means)]
    return points


class ReportTrackingHandler(MLFlowHandler):
    """Handler that logs the report of a `ScaleReportHandler` to MLflow: scores, tables, figures and tags.

    It uses the run `run_id` if the tracking server has it, for example that of the training (`training_run`), and a new
    run otherwise. It replaces the files of an earlier evaluation of the same part (`part_of_run`); MLflow keeps the old
    metrics in its history. Attach it after the `ScaleReportHandler`.

    Args:
        tracking_uri: SQLite file or server; the variable MLFLOW_TRACKING_URI overrides it.
        experiment_name: name of the experiment.
        run_id: id of the run to continue, or None for a new run.
        run_name: name of a new run, or None for `method-data-evaluation`.
        tags: tags of a new run.
        dataset: data set of the evaluation, an input of the run; None logs no input.
    """

    report_key = "scale_report"
    folder = "evaluation"
    tag = "evaluated"

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str,
        run_id: str | None = None,
        run_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        dataset: PreparedDataset | None = None,
    ) -> None:
        connect(tracking_uri)  # before MONAI's client, because it creates a new store safely
        super().__init__(tracking_uri=tracking_uri, experiment_name=experiment_name, run_name=run_name)
        self.run_id = run_id
        self.tags = {key: str(value) for key, value in (tags or {}).items()}
        self.dataset = dataset

    def attach(self, engine: Engine) -> None:
        """Attach the handler to an evaluator."""
        engine.add_event_handler(Events.COMPLETED, self.log_report)

    def log_report(self, engine: Workflow) -> None:
        """Log the report to the run."""
        report = getattr(engine.state, self.report_key, None)
        if report is None:
            return
        continued = self._find_run()
        run = continued or self._create_run(report)
        run_id, part, now = run.info.run_id, part_of_run(report, run.data.tags), int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in self.points(report, part) if value == value]
        self.client.log_batch(run_id, metrics=metrics)
        replace_artifacts(self.client, run, f"{self.folder}/{part}", getattr(engine.state, f"{self.report_key}_files"))
        if self.dataset is not None and report.section:
            log_dataset(self.client, run_id, self.dataset, [report.section])
        self.client.set_tag(run_id, f"{self.tag}.{part}", report.checkpoint or "yes")
        if continued is None:  # a continued run keeps the status and the end of its training
            self.client.set_terminated(run_id)
        logger.info("MLflow run '%s' (%s) at %s", run.info.run_name, run_id, self.client.tracking_uri)

    def points(self, report: Any, part: str) -> Points:
        """Return the metrics of a report as (name, value, step); all names begin with the part."""
        return report_metrics(report, part)

    def _find_run(self) -> Run | None:
        if self.run_id is None:
            return None
        try:
            return self.client.get_run(self.run_id)
        except MlflowException:
            logger.warning("this tracking URI has no run %s of the training; a new run starts", self.run_id)
            return None

    def _create_run(self, report: ScaleReport | RotationReport) -> Run:
        experiment = experiment_id(self.client, self.experiment_name)
        name = self.run_name or f"{report.method}-{report.data}-evaluation"
        run = self.client.create_run(experiment, run_name=name, tags={**code_tags(), **self.tags})
        log_command(self.client, run.info.run_id)
        return run


class RotationTrackingHandler(ReportTrackingHandler):
    """Handler that logs the report of a `RotationReportHandler` to MLflow; see `ReportTrackingHandler`."""

    report_key = "rotation_report"
    folder = "rotation"
    tag = "evaluated_rotation"

    def points(self, report: Any, part: str) -> Points:
        """Return the metrics of a report as (name, value, step); all names begin with the part."""
        return rotation_metrics(report, part)


def _key(predictor: str) -> str:
    return predictor.replace(" ", "_")
