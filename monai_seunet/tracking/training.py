"""A training as one MLflow run that can be found, reviewed and continued."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Events
from mlflow.entities import Metric, Run, RunStatus
from mlflow.exceptions import MlflowException
from monai.engines import Workflow
from monai.handlers import MLFlowHandler
from monai.utils import CommonKeys

from monai_seunet.data.datalist import SECTIONS, PreparedDataset
from monai_seunet.tracking.client import code_tags, connect, experiment_id, log_command, mlflow_errors
from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)


def split_hash(dataset: PreparedDataset) -> str:
    """Eight hexadecimal digits that name which image is in which section, wherever the data set lies."""
    names = {section: [dataset.name_of(item) for item in getattr(dataset, section)] for section in SECTIONS}
    return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()[:8]


class RunTrackingHandler(MLFlowHandler):
    """MONAI's `MLFlowHandler` for one run that has a name and tags and can be continued.

    Logged are: the parameters, the command and the config files that it names, loss and learning rate of every
    iteration, `engine.state.metrics`, `engine.state.scale_state` and the mean `step_seconds` and `step_cpu_seconds`
    (of all threads of this process; loading included) of every epoch, and the metrics of the evaluator.
    The values of an epoch are written together at its end. A resumed run repeats an epoch whose values were written
    before it was killed and whose checkpoint was not: values that the run has are not written again.

    Attach it to the trainer, after the handlers that restore a state. `engine.state.run_id` names the run; where it is
    set before the start, that run is continued.

    Args:
        tracking_uri: SQLite file or server. The environment's MLFLOW_TRACKING_URI wins over it.
        experiment_name: of the experiment.
        tags: to find the run by; `network`, `data` and `seed` also make its default name.
        params: what stays the same in the whole run.
        evaluator: whose metrics are logged by the epoch of the trainer.
        run_name: None for `network-data-seed`.
        artifacts: files or folders to upload at the end.

    Raises:
        InputError: for a tracking URI that MLflow does not take, or a server that does not answer.
    """

    experiment: Any
    cur_run: Any

    def __init__(
        self,
        tracking_uri: str,
        experiment_name: str,
        tags: Mapping[str, Any],
        params: Mapping[str, Any],
        evaluator: Workflow | None = None,
        run_name: str | None = None,
        artifacts: Sequence[Path] | None = None,
    ) -> None:
        connect(tracking_uri)  # first: it lays out a new store
        try:
            super().__init__(
                tracking_uri=tracking_uri,
                experiment_name=experiment_name,
                run_name=run_name or "-".join(str(tags[key]) for key in ("network", "data", "seed") if key in tags),
                artifacts=artifacts,
                close_on_complete=True,
            )
        except (ValueError, MlflowException) as error:
            raise InputError(f"tracking_uri '{tracking_uri}': {_first_line(error)}") from error
        self.params = dict(params)
        self.tags = {key: str(value) for key, value in tags.items()}
        self.evaluator = evaluator
        self._points: list[Metric] = []
        self._written: dict[str, int] = {}  # the last step of every metric of a run that is continued
        self._clocks: list[tuple[float, float]] = []  # wall, processor: epoch's start, latest step

    def attach(self, engine: Any) -> None:
        """Follow a trainer, and its evaluator."""
        super().attach(engine)
        engine.add_event_handler(Events.EPOCH_STARTED, self.epoch_started)
        engine.add_event_handler(Events.ITERATION_STARTED, self.iteration_started)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self.fail)
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.EPOCH_COMPLETED, self.validated)

    def start(self, engine: Any) -> None:
        """Create the run or continue it."""
        with mlflow_errors(self.client):
            self.experiment = self.client.get_experiment(experiment_id(self.client, self.experiment_name))
        run: Run = self._continued(getattr(engine.state, "run_id", None)) or self._created()
        self.cur_run = run
        engine.state.run_id = run.info.run_id
        self.experiment_param = {k: v for k, v in self.params.items() if k not in run.data.params}
        super().start(engine)
        logger.info("MLflow run '%s' (%s) at %s", self.run_name, run.info.run_id, self.client.tracking_uri)

    def _continued(self, run_id: str | None) -> Run | None:
        if run_id is None:
            return None
        try:
            self.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))
            run = self.client.get_run(run_id)
            self._written = {
                name: max(point.step for point in self.client.get_metric_history(run_id, name))
                for name in run.data.metrics
            }
            return run
        except MlflowException:
            logger.warning("the MLflow run %s of the checkpoint is not at this tracking URI; a new one starts", run_id)
            return None

    def _created(self) -> Run:
        tags = {**code_tags(), **self.tags}
        run = self.client.create_run(self.experiment.experiment_id, run_name=self.run_name, tags=tags)
        log_command(self.client, run.info.run_id)
        return run

    def epoch_started(self, _: Any) -> None:
        """Start the clocks."""
        self._clocks = [_clocks()]

    def iteration_started(self, engine: Any) -> None:
        """Remember the learning rate of this step, which a schedule changes at its end."""
        self._remember({"learning_rate": engine.optimizer.param_groups[0]["lr"]}, engine.state.iteration)

    def iteration_completed(self, engine: Any) -> None:
        """Remember the loss until the epoch ends."""
        loss = engine.state.output[CommonKeys.LOSS].item()
        self._clocks[1:] = [_clocks()]  # after a device has given the loss
        self._remember({"loss": loss}, engine.state.iteration)

    def epoch_completed(self, engine: Any) -> None:
        """Write what the epoch brought."""
        (start, cpu_start), (end, cpu_end) = self._clocks[0], self._clocks[-1]
        steps = (engine.state.iteration - 1) % engine.state.epoch_length + 1  # a budget of time may end an epoch
        clocks = {"step_seconds": (end - start) / steps, "step_cpu_seconds": (cpu_end - cpu_start) / steps}
        states = {**engine.state.metrics, **getattr(engine.state, "scale_state", {})}
        self._remember({**states, **clocks}, engine.state.epoch)
        self._write()

    def _remember(self, values: Mapping[str, Any], step: int) -> None:
        now = int(time.time() * 1000)
        self._points += [
            Metric(name, float(value), now, step)
            for name, value in values.items()
            if step > self._written.get(name, -1)
        ]

    def _write(self) -> None:
        self.client.log_batch(self.cur_run.info.run_id, metrics=self._points)
        self._points.clear()

    def validated(self, evaluator: Workflow) -> None:
        """Remember the metrics of the evaluator, which counts epochs as the trainer does."""
        self._remember(evaluator.state.metrics, evaluator.state.epoch)

    def complete(self) -> None:
        """Write what came after the last epoch."""
        self._write()
        super().complete()

    def fail(self, engine: Any, error: BaseException) -> None:
        """Mark the run as failed, or as killed from the keyboard, and let the error through."""
        if self.cur_run is not None:
            status = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
            self.client.set_terminated(self.cur_run.info.run_id, RunStatus.to_string(status))
            self.cur_run = None
        raise error


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
