"""Training on the labelled images; the server uses the new weights if they score at least as well as the old ones."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from pydantic import Field

from monai_seunet.config.overlays import has_id
from monai_seunet.config.read import change_config, read_config
from monai_seunet.config.texts import literal
from monai_seunet.label_app.inference.model import Model
from monai_seunet.label_app.options import ClientOptions
from monai_seunet.label_app.training.parent import end_with_parent
from monai_seunet.label_app.training.training_set import make_training_set
from monai_seunet.label_app.workspace import Workspace
from monai_seunet.networks.scale_unet import ScaleUNet
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.client import sqlite_uri
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.utils.files import write_text

LAST = "last.json"
logger = logging.getLogger(__name__)


def _up_to(most: int, default: float, kind: str = "a whole number", **options: Any) -> Any:
    text = f"{kind} > 0 and <= {most}, such as {default:g}"
    return Field(default, gt=0, le=most, description=text, **options)


class TrainOptions(ClientOptions):
    """Options of clients; an alias is the id in train.json.

    A whole number may be written as 5, 5.0 or "5"; a fraction such as 5.7 is an error and is not rounded.
    """

    max_epochs: int = _up_to(10_000, 50, serialization_alias="epochs")
    train_batch_size: int = _up_to(64, 4, serialization_alias="batch_size")
    max_minutes: float = _up_to(10_000, 60.0, "a number")
    max_lr: float = _up_to(100, 0.002, "a number")
    crop_size: int = _up_to(1024, 192)
    val_interval: int = _up_to(10_000, 5)


class NucleiTrainTask(TrainTask):
    """Training task that fine-tunes the weights in use with the bundle's `train.json`.

    Some images are held back to score the weights before and after. New weights are used only if they score at least as
    well; the folder `versions` keeps the old ones. Each training is a run in MLflow.
    """

    def __init__(self, model: Model) -> None:
        super().__init__("Train on the labelled images")
        self.model, self.workspace = model, model.workspace

    def config(self) -> dict[str, Any]:
        """Return the options that clients show."""
        return TrainOptions().model_dump()

    def stats(self) -> dict[str, Any]:
        """Return the result of the last training."""
        try:
            return dict(json.loads((self.workspace.runs / LAST).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def check(self, request: Mapping[str, Any], datastore: Datastore) -> None:
        """Check a training before it starts.

        Raises:
            InputError: for an option out of range, or too few labels.
        """
        crop = _overrides(request)["crop_size"]
        network = self.model.segmenter.model.network
        least = network.least_side() if isinstance(network, ScaleUNet) else 1
        if crop < least:
            raise InputError(f"crop_size is {crop}; give at least {least} pixels for the octaves of the network")
        count = len(datastore.datalist())
        if count < 2:
            raise InputError(f"{count} labelled image(s); label at least two: one is held back to score the training")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, in a process that MONAI Label starts.

        Returns:
            The scores before and after, and whether the server uses the new weights.
        """
        end_with_parent()
        try:
            self.check(request, datastore)
            return self._train(_overrides(request), datastore.datalist())
        except Exception as error:
            input_error = find_input_error(error)
            if input_error is None:
                raise
            logger.error("%s", input_error)
            sys.exit(f"error: {input_error}")  # clients show this line last

    def _train(self, overrides: Mapping[str, Any], items: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        segmenter = self.model.segmenter
        run = self.workspace.runs / time.strftime("train-%Y%m%d-%H%M%S")
        outcome = make_training_set(items, segmenter, run / "data")
        for problem in outcome.problems:
            logger.warning("left out: %s", problem)
        before = self._score(run, self.workspace.weights, "before")
        options = {
            **overrides,
            "train_directions": False,  # labels of annotators do not separate single nuclei
            "pretrained": literal(str(self.workspace.weights)),
            "run_name": run.name,
        }
        self._run("train", run, options)
        after = self._score(run, run / "models" / "model.pt", "after")
        used = after >= before
        if used:
            backup = self.workspace.versions / f"before-{run.name}.pt"
            backup.write_bytes(self.workspace.weights.read_bytes())
            self.workspace.replace_weights(run / "models" / "model.pt")
        result = {
            "images": sum(outcome.counts.values()),
            "held_back": outcome.counts.get("validation", 0),
            "score_before": round(before, 4),
            "score_after": round(after, 4),
            "used": used,
            "run": run.name,
        }
        write_text(self.workspace.runs / LAST, json.dumps(result, indent=1) + "\n")
        chosen = "the new weights are used" if used else "the old weights stay"
        logger.info(
            "IoU on %d image(s) held back: %.3f before, %.3f after: %s", result["held_back"], before, after, chosen
        )
        return result

    def _score(self, run: Path, weights: Path, name: str) -> float:
        """Return the mean foreground IoU on the images held back, at their original scale."""
        folder = run / f"score-{name}"
        options = {
            "checkpoint": literal(str(weights)),
            "report_dir": literal(str(folder)),
            "scales": [1.0],
            "equivariance": False,
            "run_name": f"{run.name}-{name}",  # only for weights without a training run in MLflow
        }
        self._run("evaluate", run, options)
        report = ScaleReport.load(folder / "report.json")
        return report.scores.mean(report.final)

    def _run(self, job: str, run: Path, options: Mapping[str, Any]) -> None:
        from monai.bundle import run as run_bundle

        space, configs = self.workspace, self.workspace.bundle / "configs"
        overlays = [f"networks/{space.network}", *space.overlays, *(["evaluate"] if job == "evaluate" else [])]
        run_bundle(
            config_file=[str(configs / f"{name}.json") for name in ("train", *overlays)],
            bundle_root=literal(str(space.bundle)),
            dataset_dir=literal(str(run / "data")),
            ckpt_dir=literal(str(run / "models")),
            output_dir=literal(str(run)),
            tracking_uri=literal(sqlite_uri(space.runs / "mlruns.db")),
            experiment="annotations",
            **{**training_settings(space), "fusion": self.model.segmenter.model.fusion, **options},
        )


def training_settings(space: Workspace) -> dict[str, Any]:
    """Return the width and the settings of a workspace that train.json has, too, by id, as a bundle takes them.

    Other settings are of slides alone, for example of their tissue.
    """
    config = read_config(space.bundle, space.network, overlays=space.overlays, job="train")
    settings = {name: value for name, value in space.settings.items() if has_id(config.get(), name)}
    settings |= {} if space.width is None else {"width": space.width}
    change_config(config, settings)
    return {name: config[name] for name in settings}  # texts are escaped, and switches are read


def _overrides(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids of train.json for the options of a client, see `TrainOptions.read`."""
    options = TrainOptions.read(request)
    return {**options.model_dump(by_alias=True), "tile_size": 2 * options.crop_size, "tile_stride": options.crop_size}
