"""What the configs of a bundle choose, for commands that are no bundle run: network, weights, preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from monai_seunet.config.texts import RENAMED, TEXTS, keep_texts, literal
from monai_seunet.networks.checkpoints import load_weights
from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.errors import InputError, find_input_error


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
        bundle: folder that holds `configs/`.
        network: name of a file in `configs/networks`, without its suffix.
        width: channels of the finest level; None for that of the config.
        settings: values by id; those of `texts.TEXTS` are texts, others may be expressions.
        overlays: names of further files in `configs`, without their suffix, as `data/dsb_fluorescence`.
        job: name of the file in `configs` that the overlays change.

    Raises:
        InputError: where a file is missing or no config, or an id is unknown.
    """
    bundle = Path(bundle).expanduser()
    configs = bundle / "configs"
    if not (configs / f"{job}.json").is_file():
        raise InputError(f"{bundle}: holds no configs/{job}.json; give the folder of a bundle")
    config = ConfigParser()
    files = [_overlay(configs, name) for name in (f"networks/{network}", *overlays)]
    config.read_config([configs / f"{job}.json", *files])
    for name in TEXTS:
        if name in config:
            config[name] = keep_texts(name, config[name])
    config["bundle_root"] = literal(str(bundle))
    for name, value in {**({} if width is None else {"width": width}), **(settings or {})}.items():
        _change(config, name, value)
    return config


def _overlay(configs: Path, name: str) -> Path:
    """File of an overlay that can be read."""
    path = configs / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in path.parent.glob("*.json")))
        raise InputError(f"{path}: no such overlay; choose one of {known}")
    try:
        ConfigParser.load_config_file(path)
    except ValueError as error:
        raise InputError(f"{path}: not a config ({error}); correct it") from error
    return path


def _change(config: ConfigParser, name: str, value: Any) -> None:
    parent = name.rpartition("#")[0] or name
    if parent not in config:
        text = f"; it is called {RENAMED[name]} now" if name in RENAMED else ", such as network_def#group"
        raise InputError(f"setting '{name}': give an id of the config{text}")
    if name in TEXTS:
        value = [literal(str(one)) for one in value] if isinstance(value, list) else value and literal(str(value))
    config[name] = value


def content(config: ConfigParser, name: str) -> Any:
    """What an id of a config stands for.

    Raises:
        InputError: where it cannot be made, such as a network with an unknown option.
    """
    try:
        return config.get_parsed_content(name)
    except Exception as error:  # of whatever the config names
        cause = find_input_error(error) or InputError(
            f"the config's '{name}' cannot be made ({_innermost(error)}); correct the overlay or the settings"
        )
        raise cause from error


def trained_network(config: ConfigParser, checkpoint: str | Path | None = None) -> tuple[Network, Path]:
    """The network of a config with its weights, in evaluation mode on the CPU, and the file of the weights.

    Args:
        config: of `read_config`.
        checkpoint: None for that of the config.

    Raises:
        InputError: where the network cannot be made, or the file is missing or of another network.
    """
    if checkpoint:
        config["checkpoint"] = literal(str(checkpoint))
    path = Path(content(config, "checkpoint")).expanduser()
    return load_weights(content(config, "network_def"), path).eval(), path


def _innermost(error: BaseException) -> str:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error).splitlines()[0] if str(error) else type(error).__name__
