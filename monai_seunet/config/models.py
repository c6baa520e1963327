"""The trained models of a bundle: what they are for, their licence and their scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from monai_seunet.config.defaults import default_bundle
from monai_seunet.utils.errors import InputError, did_you_mean

MODELS = "models/models.json"


class TrainedModel(NamedTuple):
    """A trained model of a bundle.

    Attributes:
        name: name of the model, and of its overlay in `configs/weights`.
        task: what it segments.
        colour: whether it takes RGB images of stained tissue; False for grey images.
        licence: licence of the weights, which follows from the training data.
        commercial_use: whether the licence allows commercial use.
        data: training data and their licences.
        scores: AJI, PQ and F1 of nuclei by `monai-seunet segment` in %, by data set; see the model card.
    """

    name: str
    task: str
    colour: bool
    licence: str
    commercial_use: bool
    data: str
    scores: Mapping[str, Sequence[float]]

    @property
    def overlay(self) -> str:
        """Name of the overlay that selects the model."""
        return f"weights/{self.name}"

    @property
    def terms(self) -> str:
        """The licence in one phrase."""
        return f"{self.licence}, {'any use' if self.commercial_use else 'non-commercial use only'}"


def trained_models(bundle: str | Path | None = None) -> dict[str, TrainedModel]:
    """Return the models of a bundle by their names, the default first.

    Args:
        bundle: folder of the bundle; None for the bundle of the package.

    >>> list(trained_models())
    ['nuclei_he_free', 'nuclei_he', 'nuclei_fluorescence']
    """
    path = Path(bundle or default_bundle()).expanduser() / MODELS
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: TrainedModel(name, **facts) for name, facts in content.items()}
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: no list of models ({error}); give the folder of a bundle") from error


def find_model(name: str, bundle: str | Path | None = None) -> TrainedModel:
    """Return a model of a bundle.

    Raises:
        InputError: the bundle has no such model.

    >>> find_model("nuclei_he").terms
    'CC BY-NC-SA 4.0, non-commercial use only'
    """
    models = trained_models(bundle)
    if name not in models:
        advice = did_you_mean(name, models)
        raise InputError(f"model '{name}' is unknown{advice or ';'} choose one of {', '.join(models)}")
    return models[name]
