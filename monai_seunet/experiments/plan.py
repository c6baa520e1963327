"""An experiment as a file says it: which networks are trained how, and by what they are compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monai_seunet.config.defaults import DEFAULT_NETWORK
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import file_name

FOLDER = "experiments"  # in the configs of a bundle
TRAINING_KEYS = {"overlays", "options", "evaluations", "certificate", "seeds"}


@dataclass(frozen=True)
class Training:
    """One network, trained once and evaluated.

    Attributes:
        method: as it is called in tables and figures; all seeds of a method are averaged there.
        seed: of the training.
        overlays: files in the bundle's `configs` that change `train.json`, in this order.
        options: ids of the config and their values.
        evaluations: overlays that evaluate it, with their own options; `overlay@name` where one does so several times.
        certificate: options of `monai-seunet certify`; None for no certificate.
    """

    method: str
    seed: int
    overlays: tuple[str, ...]
    options: Mapping[str, Any]
    evaluations: Mapping[str, Mapping[str, Any]]
    certificate: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Of the run in MLflow, and of the folder."""
        return f"{self.method}-{self.seed}"

    @property
    def network(self) -> str:
        """Name of the overlay that chooses the network; that of the bundle's default where none does."""
        found = [name.removeprefix("networks/") for name in self.overlays if name.startswith("networks/")]
        return found[-1] if found else DEFAULT_NETWORK

    @property
    def threads(self) -> int:
        """CPU threads that it takes."""
        return int(self.options.get("threads", 1))

    def plan(self) -> dict[str, Any]:
        """All that the file says of its weights, as plain values; not how many processes share the training."""
        values = asdict(self)
        del values["evaluations"], values["certificate"]
        return dict(json.loads(json.dumps(values)))


def overlay_of(evaluation: str) -> str:
    """The overlay of an evaluation: what follows the @ only names it."""
    return evaluation.partition("@")[0]


@dataclass(frozen=True)
class Claim:
    """What an experiment is to show: one method scores higher than another by some points.

    Attributes:
        better: a method.
        than: another one.
        points: least difference of the mean scores, in percent.
    """

    better: str
    than: str
    points: float

    @property
    def methods(self) -> tuple[str, ...]:
        """That it is about."""
        return self.better, self.than


@dataclass(frozen=True)
class RangeClaim:
    """What an experiment is to show: the score of a method depends little on the scale.

    Attributes:
        method: that it is about.
        range: most that the largest score over the scales is above the smallest, in points of percent.
    """

    method: str
    range: float

    @property
    def methods(self) -> tuple[str, ...]:
        """That it is about."""
        return (self.method,)


@dataclass(frozen=True)
class Experiment:
    """Trainings that are compared.

    Attributes:
        name: of the file.
        title: of the report.
        about: what is asked, and what all trainings have in common; some sentences.
        trainings: in the order in which they are run: the first seed of every method first.
        claims: what it is to show.
        tables: further tables, each of some of the methods, by their title.
        source: what the file holds.
        fusion: of the scale groups, that stands for all networks in scores over scales and in claims; None: the one
            that each is configured with.
    """

    name: str
    title: str
    about: str
    trainings: tuple[Training, ...]
    claims: tuple[Claim | RangeClaim, ...]
    tables: Mapping[str, tuple[str, ...]]
    source: Mapping[str, Any]
    fusion: str | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """In the order of the file."""
        return tuple(dict.fromkeys(training.method for training in self.trainings))


def read_experiment(bundle: str | Path, name: str) -> Experiment:
    """Read an experiment.

    The file has `title`, `about`, and `overlays`, `options`, `evaluations`, `certificate` and `seeds` for all
    trainings; `trainings` gives for every method its own, which are added to those; and `claims`, `tables` and
    `fusion`.

    Args:
        bundle: folder that holds `configs/`.
        name: of a file in `configs/experiments` without its suffix, or the path of a file.

    Raises:
        InputError: where the file is missing or damaged, or names an unknown key or overlay.
    """
    folder = Path(bundle).expanduser() / "configs" / FOLDER
    path = Path(name) if name.endswith(".json") else folder / f"{name}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))) or "none here"
        raise InputError(f"{path}: no such experiment; choose one of {known}, or give a file") from error
    except ValueError as error:
        raise InputError(f"{path}: no JSON ({error}); correct it") from error
    experiment = parse_experiment(path.stem, content, str(path))
    for training in experiment.trainings:
        for overlay in (*training.overlays, *map(overlay_of, training.evaluations)):
            if not (folder.parent / f"{overlay}.json").is_file():
                raise InputError(f"{path}: {training.method} names the overlay '{overlay}', which is not in the bundle")
    return experiment


def parse_experiment(name: str, content: Mapping[str, Any], where: str) -> Experiment:
    """Make an experiment of what its file holds.

    Args:
        name: of the experiment.
        content: of the file.
        where: it comes from, for messages.

    Raises:
        InputError: for unknown or missing keys, methods that are none of the trainings, or names of methods or
            evaluations that cannot name a folder.
    """
    try:
        experiment = Experiment(name=name, source=content, **_fields(**content))
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{where}: not an experiment ({error}); correct it") from error
    for method in experiment.methods:
        if method != file_name(method):
            raise InputError(f"{where}: '{method}' cannot name a folder; call it '{file_name(method)}'")
    for evaluation in dict.fromkeys(name for training in experiment.trainings for name in training.evaluations):
        overlay, at, name = evaluation.partition("@")
        if at and name != file_name(name):
            raise InputError(f"{where}: '{evaluation}' cannot name a folder; call it '{overlay}@{file_name(name)}'")
    claimed = [method for claim in experiment.claims for method in claim.methods]
    for method in (*claimed, *(method for methods in experiment.tables.values() for method in methods)):
        if method not in experiment.methods:
            raise InputError(f"{where}: '{method}' is none of its trainings: {', '.join(experiment.methods)}")
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
    """The fields of an experiment; `common` holds the keys for all trainings."""
    from monai_seunet.fusion import STRATEGIES  # with torch, which a missing file does not need

    if fusion not in (None, *STRATEGIES):
        raise ValueError(f"fusion is '{fusion}'; choose one of {', '.join(STRATEGIES)}")
    for owner, keys in {"the file": common, **trainings}.items():
        unknown = set(keys) - TRAINING_KEYS
        if unknown:
            raise ValueError(f"{owner} has the unknown key '{min(unknown)}'")
    planned = [
        (place, _training(method, seed, common, own))
        for method, own in trainings.items()
        for place, seed in enumerate(own.get("seeds", common.get("seeds", [0])))
    ]
    return {
        "title": title,
        "about": about,
        "trainings": tuple(training for _, training in sorted(planned, key=lambda pair: pair[0])),
        "claims": tuple(map(_claim, claims)),
        "tables": {name: tuple(methods) for name, methods in (tables or {}).items()},
        "fusion": fusion,
    }


def _training(method: str, seed: int, common: Mapping[str, Any], own: Mapping[str, Any]) -> Training:
    """One training, by the keys for all trainings and those of its method."""
    overlays = (*(common.get("overlays") or ()), *(own.get("overlays") or ()))
    options, evaluations = ({**(common.get(key) or {}), **(own.get(key) or {})} for key in ("options", "evaluations"))
    evaluations = {} if own.get("evaluations") == {} else evaluations
    return Training(
        method, int(seed), overlays, options, evaluations, own.get("certificate", common.get("certificate"))
    )


def _claim(values: Mapping[str, Any]) -> Claim | RangeClaim:
    """A claim of the kind that its keys tell."""
    key, kind = ("range", RangeClaim) if "range" in values else ("points", Claim)
    claim: Claim | RangeClaim = kind(**values)
    if isinstance(values[key], bool) or not isinstance(values[key], int | float):
        raise TypeError(f"the claim of {claim.methods[0]} has '{key}' {values[key]!r}, which is no number")
    return claim
