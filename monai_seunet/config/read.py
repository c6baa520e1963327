"""Networks, weights and other objects from a bundle's configs, for commands that are no bundle run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from monai_seunet.config.numbers import require_number
from monai_seunet.config.overlays import config_files, has_id, read_ids, unknown_id
from monai_seunet.config.texts import TEXTS, as_switch, keep_texts, literal
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.errors import InputError, find_input_error, innermost


def read_config(
    bundle: str | Path,
    network: str,
    width: int | None = None,
    settings: Mapping[str, Any] | None = None,
    overlays: Sequence[str] = (),
    job: str = "inference",
) -> ConfigParser:
    """Read the config of a job with the overlay of a network, and change ids.

    Args:
        bundle: folder of the bundle with `configs/`.
        network: name of a file in `configs/networks`, without its suffix.
        width: number of channels of the finest level; None for the value of the config.
        settings: values by id; values of `texts.TEXTS` are texts, others can be expressions, or switches as text.
        overlays: names of further files in `configs` without their suffix, such as `data/dsb_fluorescence`.
        job: name of the file in `configs` that the overlays change.

    Raises:
        InputError: a file is missing or is no config, or an id is unknown.
    """
    bundle = Path(bundle).expanduser()
    files = config_files(bundle, network, overlays, job)
    read_ids(files)  # refuses a file that is no config
    config = ConfigParser()
    config.read_config(files)
    for name in TEXTS:
        if name in config:
            config[name] = keep_texts(name, config[name])
    config["bundle_root"] = literal(str(bundle))
    change_config(config, {**({} if width is None else {"width": width}), **(settings or {})})
    return config


def change_config(config: ConfigParser, settings: Mapping[str, Any]) -> None:
    """Change ids of a config.

    Args:
        config: config of a job.
        settings: values by id, see `read_config`.

    Raises:
        InputError: an id is unknown, or the value of a number is none.
    """
    for name, value in settings.items():
        if not has_id(config.get(), name):
            raise unknown_id(config.get(), name)
        require_number(config.get(), name, value)
        if name in TEXTS:
            value = [literal(str(item)) for item in value] if isinstance(value, list) else value and literal(str(value))
        config[name] = as_switch(name, value)


def content(config: ConfigParser, name: str) -> Any:
    """Return the object or value of an id.

    Raises:
        InputError: the object cannot be made, for example a network with an unknown option.
    """
    try:
        return config.get_parsed_content(name)
    except Exception as error:  # a config can name any class or function
        first = innermost(error)
        reason = next(iter(str(first).splitlines()), type(first).__name__)
        cause = find_input_error(error)
        if cause is None:
            cause = InputError(f"the config's '{name}' cannot be made ({reason}); correct the overlay or the settings")
        raise cause from error


def trained_network(config: ConfigParser, checkpoint: str | Path | None = None) -> tuple[Network, Path]:
    """Return the network of a config with its weights, in evaluation mode on the CPU, and the file of the weights.

    Args:
        config: result of `read_config`.
        checkpoint: file of the weights; None for the file of the config.

    Raises:
        InputError: the network cannot be made, or the file is missing or belongs to another network.
    """
    if checkpoint:
        config["checkpoint"] = literal(str(checkpoint))
    path = Path(content(config, "checkpoint")).expanduser()
    return load_weights(content(config, "network_def"), path).eval(), path
