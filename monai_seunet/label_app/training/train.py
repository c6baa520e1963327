"""Training on what is labelled so far; the new weights are used where they score at least as well."""

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

from monai_seunet.config.read import read_config
from monai_seunet.config.texts import TEXTS, literal
from monai_seunet.label_app.inference.model import Model
from monai_seunet.label_app.training.parent import end_with_parent
from monai_seunet.label_app.training.training_set import make_training_set
from monai_seunet.networks.scale_unet import ScaleUNet
from monai_seunet.report.scales.report import ScaleReport
from monai_seunet.tracking.client import sqlite_uri
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.utils.files import write_text

LAST = "last.json"
# what clients may choose, and the id of train.json that it is
OPTIONS = {
    "max_epochs": "epochs",
    "train_batch_size": "batch_size",
    "max_minutes": "max_minutes",
    "max_lr": "max_lr",
    "crop_size": "crop_size",
    "val_interval": "val_interval",
}
DEFAULTS = {
    "max_epochs": 50,
    "train_batch_size": 4,
    "max_minutes": 60.0,
    "max_lr": 0.002,
    "crop_size": 192,
    "val_interval": 5,
}

MOST = {
    "max_epochs": 10_000,
    "train_batch_size": 64,
    "max_minutes": 10_000,
    "max_lr": 100,
    "crop_size": 1024,
    "val_interval": 10_000,
}

logger = logging.getLogger(__name__)


class NucleiTrainTask(TrainTask):
    """Goes on training the weights in use, through the bundle's `train.json`.

    A part of the images is held back. On it the weights before and after are scored; only weights that score at least
    as well are used. Those before are kept in `versions`. Each training is a run in MLflow.

    Args:
        model: the network.
    """

    def __init__(self, model: Model) -> None:
        super().__init__("Train on the labelled images")
        self.model, self.workspace = model, model.workspace

    def config(self) -> dict[str, Any]:
        """Options as clients show them."""
        return dict(DEFAULTS)

    def stats(self) -> dict[str, Any]:
        """What the last training gave."""
        try:
            return dict(json.loads((self.workspace.runs / LAST).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def check(self, request: Mapping[str, Any], datastore: Datastore) -> None:
        """Refuse a training that cannot be, before it is started.

        Raises:
            InputError: for options out of range, or too few labels.
        """
        crop = _overrides(request)["crop_size"]
        network = self.model.segmenter.model.network
        least = network.least_side() if isinstance(network, ScaleUNet) else 1
        if crop < least:
            raise InputError(f"crop_size is {crop}; the octaves of the network need {least} pixels or more")
        count = len(datastore.datalist())
        if count < 2:
            raise InputError(f"{count} labelled image(s); a training needs two or more: one is held back to score it")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, in a process that MONAI Label starts for it.

        Returns:
            Scores before and after, and which weights are used from now on.
        """
        end_with_parent()
        try:
            self.check(request, datastore)
            return self._train(_overrides(request), datastore.datalist())
        except Exception as error:
            known = find_input_error(error)
            if known is None:
                raise
            logger.error("%s", known)
            sys.exit(f"error: {known}")  # the last line of what the client is shown

    def _train(self, overrides: Mapping[str, Any], items: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        segmenter = self.model.segmenter
        run = self.workspace.runs / time.strftime("train-%Y%m%d-%H%M%S")
        outcome = make_training_set(items, segmenter, run / "data")
        for problem in outcome.problems:
            logger.warning("left out: %s", problem)
        before = self._score(run, self.workspace.weights, "before")
        classes_alone = {"train_directions": False}  # labels of annotators number no nuclei
        self._run(
            "train",
            run,
            {**overrides, **classes_alone, "pretrained": literal(str(self.workspace.weights)), "run_name": run.name},
        )
        after = self._score(run, run / "models" / "model.pt", "after")
        used = after >= before
        if used:
            self._replace(run)
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

    def _replace(self, run: Path) -> None:
        kept = self.workspace.versions / f"before-{run.name}.pt"
        kept.write_bytes(self.workspace.weights.read_bytes())
        self.workspace.replace_weights(run / "models" / "model.pt")

    def _score(self, run: Path, weights: Path, name: str) -> float:
        """Mean IoU of foreground on what is held back, at its own scale."""
        folder = run / f"score-{name}"
        options = {
            "checkpoint": literal(str(weights)),
            "report_dir": literal(str(folder)),
            "scales": [1.0],
            "equivariance": False,
            "run_name": f"{run.name}-{name}",  # for weights that MLflow does not know; else of their training
        }
        self._run("evaluate", run, options)
        report = ScaleReport.load(folder / "report.json")
        return report.scores.mean(report.final)

    def _run(self, job: str, run: Path, options: Mapping[str, Any]) -> None:
        from monai.bundle import run as run_bundle

        place, configs = self.workspace, self.workspace.bundle / "configs"
        overlays = [f"networks/{place.network}", *place.overlays, *(["evaluate"] if job == "evaluate" else [])]
        known = read_config(place.bundle, place.network, overlays=place.overlays, job="train")
        ids = {name: value for name, value in place.settings.items() if name.partition("#")[0] in known}
        ids |= {name: literal(str(value)) for name, value in ids.items() if name in TEXTS and value is not None}
        ids |= {} if place.width is None else {"width": place.width}
        run_bundle(
            config_file=[str(configs / f"{name}.json") for name in ("train", *overlays)],
            bundle_root=literal(str(place.bundle)),
            dataset_dir=literal(str(run / "data")),
            ckpt_dir=literal(str(run / "models")),
            output_dir=literal(str(run)),
            tracking_uri=literal(sqlite_uri(place.runs / "mlruns.db")),
            experiment="annotations",
            **{**ids, "fusion": self.model.segmenter.model.fusion, **options},
        )


def _overrides(request: Mapping[str, Any]) -> dict[str, Any]:
    """Ids of train.json for the options of a client.

    Raises:
        InputError: naming an option out of range.
    """
    overrides: dict[str, Any] = {}
    for name, default in DEFAULTS.items():
        value = request.get(name)
        try:
            number = type(default)(default if value in (None, "") else value)
        except (TypeError, ValueError, OverflowError):
            number = -1
        if isinstance(value, bool) or not 0 < number <= MOST[name]:
            raise InputError(f"{name} is {value!r}; give a number above 0 and at most {MOST[name]:g}, as {default}")
        overrides[OPTIONS[name]] = number
    crop = overrides["crop_size"]
    return {**overrides, "tile_size": 2 * crop, "tile_stride": crop}
