"""Experiments from JSON files: trainings, evaluations and claims."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.native.strategies import STRATEGIES
from monai_seunet.utils.errors import InputError, did_you_mean
from monai_seunet.utils.files import file_name

FOLDER = "experiments"  # folder in the configs of a bundle
TRAINING_KEYS = {"overlays", "options", "evaluations", "certificate", "seeds", "folds"}


@dataclass(frozen=True)
class Training:
    """One training of a network with its evaluations.

    Attributes:
        method: name in tables and figures, which average all seeds of a method.
        seed: seed of the training.
        overlays: files in the bundle's `configs` that change `train.json`, in this order.
        options: values by id of the config.
        evaluations: options by overlay; `overlay@name` for several evaluations with the same overlay.
        certificate: options of `monai-seunet certify`; None for no certificate.
        fold: number of the fold and number of folds of a cross-validation; None for the split of the data set.
    """

    method: str
    seed: int
    overlays: tuple[str, ...]
    options: Mapping[str, Any]
    evaluations: Mapping[str, Mapping[str, Any]]
    certificate: Mapping[str, Any] | None = None
    fold: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """Name of the run in MLflow, and of the folder."""
        return f"{self.method}-{self.seed}" + ("" if self.fold is None else f"-fold{self.fold[0]}")

    @property
    def names(self) -> set[str]:
        """Names that select the training: of its method, of all folds of its seed, and its own."""
        return {self.method, f"{self.method}-{self.seed}", self.name}

    @property
    def network(self) -> str:
        """Name of the overlay of the network; the bundle's default network if there is none."""
        networks = [name.removeprefix("networks/") for name in self.overlays if name.startswith("networks/")]
        return networks[-1] if networks else DEFAULT_NETWORK

    @property
    def threads(self) -> int:
        """Number of CPU threads."""
        return int(self.options.get("threads", 1))

    def plan(self) -> dict[str, Any]:
        """Return the values of the file that change the weights, for JSON."""
        values = asdict(self)
        del values["evaluations"], values["certificate"]
        if self.fold is None:
            del values["fold"]  # the plans of earlier versions lack it
        return dict(json.loads(json.dumps(values)))


def overlay_of(evaluation: str) -> str:
    """Return the overlay of an evaluation, without the name after the @."""
    return evaluation.partition("@")[0]


@dataclass(frozen=True)
class Claim:
    """Claim that one method has a higher mean score than another, or that its score hardly depends on the scale.

    Attributes:
        methods: method with the higher score and method with the lower score, or one method with a small range.
        bound: smallest difference of the mean scores, or largest range over the scales, in points of percent.
    """

    methods: tuple[str, ...]
    bound: float

    @property
    def label(self) -> str:
        """Name of the claim in tables."""
        return " - ".join(self.methods) if len(self.methods) == 2 else f"range of {self.methods[0]} (at most)"

    def holds(self, measured: float) -> bool:
        """Return whether a measured difference or range agrees with the claim."""
        return measured >= self.bound if len(self.methods) == 2 else measured <= self.bound


@dataclass(frozen=True)
class Experiment:
    """Trainings that are compared.

    Attributes:
        name: name of the file.
        title: title of the report.
        about: question of the experiment and description of its trainings, in some sentences.
        trainings: trainings in the order of their runs, the first seed of every method first.
        claims: claims that the report checks.
        tables: methods of further tables by the title of the table.
        source: content of the file.
        fusion: fusion strategy for scores over scales and for claims; None for the strategy of each config.
    """

    name: str
    title: str
    about: str
    trainings: tuple[Training, ...]
    claims: tuple[Claim, ...]
    tables: Mapping[str, tuple[str, ...]]
    source: Mapping[str, Any]
    fusion: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the file."""
        return tuple(dict.fromkeys(training.method for training in self.trainings))


def read_experiment(bundle: str | Path, name: str) -> Experiment:
    """Read an experiment.

    The keys `overlays`, `options`, `evaluations`, `certificate`, `seeds` and `folds` of the file are for all trainings,
    and `trainings` adds such keys for every method. The other keys are `title`, `about`, `claims`, `tables` and
    `fusion`.

    Args:
        bundle: folder of the bundle with `configs/`.
        name: name of a file in `configs/experiments` without its suffix, or path of a file.

    Raises:
        InputError: the file is missing or damaged, or names an unknown key or overlay.
    """
    folder = Path(bundle).expanduser() / "configs" / FOLDER
    path = Path(name) if name.endswith(".json") else folder / f"{name}.json"
    if not path.is_file():
        names = sorted(file.stem for file in folder.glob("*.json"))
        advice = did_you_mean(path.stem, names) or ";"
        choices = ", ".join(names) or "none here"
        raise InputError(f"{path}: no such experiment{advice} choose one of {choices}, or give a file")
    experiment = load_experiment(path, path.stem)
    for training in experiment.trainings:
        for overlay in (*training.overlays, *map(overlay_of, training.evaluations)):
            if not (folder.parent / f"{overlay}.json").is_file():
                raise InputError(f"{path}: {training.method} names the overlay '{overlay}', which is not in the bundle")
    return experiment


def load_experiment(path: Path, name: str) -> Experiment:
    """Read the file of an experiment without a look at the overlays.

    Args:
        path: path of the file.
        name: name of the experiment.

    Raises:
        InputError: the file is no JSON, a key is unknown or missing, a claim or table names an unknown method, or a
            method or evaluation has a name that cannot be a folder.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no JSON ({error}); correct it") from error
    try:
        experiment = Experiment(name=name, source=content, **_fields(**content))
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not an experiment ({error}); correct it") from error
    for method in experiment.methods:
        if method != file_name(method):
            raise InputError(f"{path}: '{method}' cannot name a folder; call it '{file_name(method)}'")
    for evaluation in dict.fromkeys(name for training in experiment.trainings for name in training.evaluations):
        overlay, at, name = evaluation.partition("@")
        if at and name != file_name(name):
            raise InputError(f"{path}: '{evaluation}' cannot name a folder; call it '{overlay}@{file_name(name)}'")
    claimed = [method for claim in experiment.claims for method in claim.methods]
    for method in (*claimed, *(method for methods in experiment.tables.values() for method in methods)):
        if method not in experiment.methods:
            raise InputError(f"{path}: '{method}' is none of its trainings: {', '.join(experiment.methods)}")
    return experiment


def _fields(
    *,
    title: str,
    about: str,
    trainings: Mapping[str, Mapping[str, Any]],
    claims: Sequence[Mapping[str, Any]] = (),
    tables: Mapping[str, list[str]] | None = None,
    fusion: str | None = None,
    **common: Any,
) -> dict[str, Any]:
    """Return the fields of an experiment; `common` has the keys for all trainings."""
    if fusion not in (None, *STRATEGIES):
        raise ValueError(f"fusion is '{fusion}'; choose one of {', '.join(STRATEGIES)}")
    for owner, keys in {"the file": common, **trainings}.items():
        unknown = set(keys) - TRAINING_KEYS
        if unknown:
            raise ValueError(f"{owner} has the unknown key '{min(unknown)}'")
    planned = [
        ((position, 0 if fold is None else fold[0]), _training(method, seed, fold, common, changes))
        for method, changes in trainings.items()
        for position, seed in enumerate(changes.get("seeds", common.get("seeds", [0])))
        for fold in _folds(method, changes.get("folds", common.get("folds")))
    ]
    return {
        "title": title,
        "about": about,
        "trainings": tuple(training for _, training in sorted(planned, key=lambda pair: pair[0])),
        "claims": tuple(map(_claim, claims)),
        "tables": {name: tuple(methods) for name, methods in (tables or {}).items()},
        "fusion": fusion,
    }


def _folds(method: str, folds: Any) -> list[tuple[int, int] | None]:
    """Return the folds of a method: all of a number, or a single None."""
    if folds is None:
        return [None]
    if not isinstance(folds, int) or isinstance(folds, bool) or folds < 2:
        raise ValueError(f"'folds' of {method} is {folds!r}; give a whole number of at least 2")
    return [(fold, folds) for fold in range(folds)]


def _training(
    method: str, seed: int, fold: tuple[int, int] | None, common: Mapping[str, Any], changes: Mapping[str, Any]
) -> Training:
    """Make a training from the keys for all trainings and the keys of its method."""
    overlays = (*(common.get("overlays") or ()), *(changes.get("overlays") or ()))
    options = {**(common.get("options") or {}), **(changes.get("options") or {})}
    evaluations = {**(common.get("evaluations") or {}), **(changes.get("evaluations") or {})}
    if changes.get("evaluations") == {}:
        evaluations = {}
    certificate = changes.get("certificate", common.get("certificate"))
    return Training(method, int(seed), overlays, options, evaluations, certificate, fold)


def _claim(values: Mapping[str, Any]) -> Claim:
    """Return the claim of an entry of the file."""
    names, key = (("method",), "range") if "range" in values else (("better", "than"), "points")
    if set(values) != {*names, key}:
        raise ValueError(f"a claim has the keys {', '.join(values)} instead of {', '.join((*names, key))}")
    if isinstance(values[key], bool) or not isinstance(values[key], int | float):
        raise TypeError(f"the claim of {values[names[0]]} has '{key}' {values[key]!r}, which is no number")
    return Claim(tuple(values[name] for name in names), values[key])
