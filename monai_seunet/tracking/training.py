"""Record of a training in one MLflow run."""

from __future__ import annotations

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

from monai_seunet.data.datalist import PreparedDataset
from monai_seunet.tracking.client import code_tags, connect, experiment_id, log_command, mlflow_errors
from monai_seunet.tracking.inputs import log_dataset
from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)


class RunTrackingHandler(MLFlowHandler):
    """MONAI's `MLFlowHandler` for one run that has a name and tags and can be continued.

    It logs parameters, the command line and its config files; loss and learning rate of every iteration; after every
    epoch `engine.state.metrics`, `engine.state.scale_state`, the metrics of the evaluator, and the mean `step_seconds`
    and `step_cpu_seconds` (all threads of this process, with loading). Values of an epoch are written at its end. A
    resumed run may repeat an epoch that was logged before; its values are not written twice.

    Attach it to the trainer, after the handlers that restore a state. If `engine.state.run_id` is set before the start,
    that run is continued; otherwise the handler sets it.

    Args:
        tracking_uri: SQLite file or server; the variable MLFLOW_TRACKING_URI overrides it.
        experiment_name: name of the experiment.
        tags: tags of the run; `network`, `data` and `seed` also make its default name.
        params: values that are constant during the run.
        evaluator: evaluator whose metrics are logged at the epochs of the trainer.
        run_name: name of the run, or None for `network-data-seed`.
        artifacts: files or folders to upload at the end.
        dataset: data set whose training and validation images are inputs of the run; None logs no inputs.

    Raises:
        InputError: for an invalid tracking URI, or a server that does not answer.
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
        dataset: PreparedDataset | None = None,
    ) -> None:
        connect(tracking_uri)  # before MONAI's client, because it creates a new store safely
        try:
            super().__init__(
                tracking_uri=tracking_uri,
                experiment_name=experiment_name,
                run_name=run_name or "-".join(str(tags[key]) for key in ("network", "data", "seed") if key in tags),
                artifacts=artifacts,
                close_on_complete=True,
            )
        except (ValueError, MlflowException) as error:
            raise InputError(f"tracking_uri '{tracking_uri}': {str(error).splitlines()[0]}") from error
        self.params = dict(params)
        self.tags = {key: str(value) for key, value in tags.items()}
        self.evaluator = evaluator
        self.dataset = dataset
        self._points: list[Metric] = []
        self._written: dict[str, int] = {}  # last step of every metric of a continued run
        self._clocks: list[tuple[float, float]] = []  # wall and CPU seconds at the start of the epoch and the last step

    def attach(self, engine: Any) -> None:
        """Attach the handler to a trainer and to its evaluator."""
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
        run: Run = self._continue_run(getattr(engine.state, "run_id", None)) or self._create_run()
        self.cur_run = run
        engine.state.run_id = run.info.run_id
        if self.dataset is not None:
            log_dataset(self.client, run.info.run_id, self.dataset, ("training", "validation"))
        self.experiment_param = {k: v for k, v in self.params.items() if k not in run.data.params}
        super().start(engine)
        logger.info("MLflow run '%s' (%s) at %s", self.run_name, run.info.run_id, self.client.tracking_uri)

    def _continue_run(self, run_id: str | None) -> Run | None:
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
            logger.warning("this tracking URI has no run %s of the checkpoint; a new run starts", run_id)
            return None

    def _create_run(self) -> Run:
        tags = {**code_tags(), **self.tags}
        run = self.client.create_run(self.experiment.experiment_id, run_name=self.run_name, tags=tags)
        log_command(self.client, run.info.run_id)
        return run

    def epoch_started(self, _: Any) -> None:
        """Start the clocks."""
        self._clocks = [_clocks()]

    def iteration_started(self, engine: Any) -> None:
        """Store the learning rate of this step before the schedule changes it."""
        self._store({"learning_rate": engine.optimizer.param_groups[0]["lr"]}, engine.state.iteration)

    def iteration_completed(self, engine: Any) -> None:
        """Store the loss until the end of the epoch."""
        loss = engine.state.output[CommonKeys.LOSS].item()
        self._clocks[1:] = [_clocks()]  # after the device has computed the loss
        self._store({"loss": loss}, engine.state.iteration)

    def epoch_completed(self, engine: Any) -> None:
        """Write the values of the epoch."""
        (start, cpu_start), (end, cpu_end) = self._clocks[0], self._clocks[-1]
        steps = (engine.state.iteration - 1) % engine.state.epoch_length + 1  # a time budget may end an epoch early
        clocks = {"step_seconds": (end - start) / steps, "step_cpu_seconds": (cpu_end - cpu_start) / steps}
        states = {**engine.state.metrics, **getattr(engine.state, "scale_state", {})}
        self._store({**states, **clocks}, engine.state.epoch)
        self._write()

    def _store(self, values: Mapping[str, Any], step: int) -> None:
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
        """Store the metrics of the evaluator, whose epoch number is that of the trainer."""
        self._store(evaluator.state.metrics, evaluator.state.epoch)

    def complete(self) -> None:
        """Write values that were stored after the last epoch."""
        self._write()
        super().complete()

    def fail(self, engine: Any, error: BaseException) -> None:
        """Mark the run as failed, or as killed after a keyboard interrupt, and raise the error."""
        if self.cur_run is not None:
            status = RunStatus.KILLED if isinstance(error, KeyboardInterrupt) else RunStatus.FAILED
            self.client.set_terminated(self.cur_run.info.run_id, RunStatus.to_string(status))
            self.cur_run = None
        raise error


def _clocks() -> tuple[float, float]:
    return time.monotonic(), time.process_time()
