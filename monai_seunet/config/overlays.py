"""Config files of a job and their ids, read without MONAI, so mistakes are found before large imports."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai_seunet.config.texts import RENAMED
from monai_seunet.utils.errors import InputError, did_you_mean

NO_IDS = ("imports", "initialize", "run")  # steps of a job, which a setting cannot change


def config_files(bundle: str | Path, network: str, overlays: Sequence[str] = (), job: str = "inference") -> list[Path]:
    """Return the config file of a job and its overlays, in the order in which they are merged.

    Args:
        bundle: folder of the bundle with `configs/`.
        network: name of a file in `configs/networks`, without its suffix.
        overlays: names of further files in `configs` without their suffix, such as `data/dsb_fluorescence`.
        job: name of the file in `configs` that the overlays change.

    Raises:
        InputError: a file is missing.

    >>> from monai_seunet.config.defaults import default_bundle
    >>> [path.name for path in config_files(default_bundle(), "seunet")]
    ['inference.json', 'seunet.json']
    """
    configs = Path(bundle).expanduser() / "configs"
    if not (configs / f"{job}.json").is_file():
        raise InputError(f"{configs.parent}: holds no configs/{job}.json; give the folder of a bundle")
    return [configs / f"{job}.json", *(_overlay(configs, name) for name in (f"networks/{network}", *overlays))]


def _overlay(configs: Path, name: str) -> Path:
    path = configs / f"{name}.json"
    if not path.is_file():
        names = sorted(file.stem for file in path.parent.glob("*.json"))
        advice = did_you_mean(path.stem, names)
        raise InputError(f"{path}: no such overlay{advice or ';'} choose one of {', '.join(names)}")
    return path


def read_ids(files: Iterable[Path]) -> dict[str, Any]:
    """Merge config files as MONAI does, without its lists of steps.

    Args:
        files: result of `config_files`.

    Raises:
        InputError: a file is no JSON object.
    """
    merged: dict[str, Any] = {}
    for path in files:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a config ({error}); correct it") from error
        for key, value in content.items():
            *parents, last = _keys(key.lstrip("+"))
            part: Any = merged
            for parent in parents:
                part = part.get(parent) if isinstance(part, dict) else None
            if isinstance(part, dict):
                part[last] = value
    return merged


def has_id(content: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting can change an id: the id exists, or is a part of one that exists.

    >>> config = {"width": 3, "network_def": {"order": 1}}
    >>> has_id(config, "width"), has_id(config, "network_def#group"), has_id(config, "group")
    (True, True, False)
    """
    part: Any = content
    keys = _keys(name)
    for key in keys[: max(1, len(keys) - 1)]:
        if isinstance(part, list) and key.isdecimal() and int(key) < len(part):
            part = part[int(key)]
        elif isinstance(part, Mapping) and key in part:
            part = part[key]
        else:
            return False
    return True


def unknown_id(content: Mapping[str, Any], name: str) -> InputError:
    """Return the error about an id that a config does not have, with the known ids of similar names."""
    if name in RENAMED:
        return InputError(f"setting '{name}': no such id in the config; it is called {RENAMED[name]} now")
    known: dict[str, str] = {}  # parts by their last name, such as group for network_def#group
    for full in _ids(content):
        known.setdefault(full.rpartition("#")[2], full)
    advice = did_you_mean(name, known, known) or "; give one, such as network_mpp or stain"
    return InputError(f"setting '{name}': no such id in the config{advice}")


def _ids(content: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the ids of a config, those of the first level first."""
    names = [key for key in content if not key.startswith("_") and key not in NO_IDS]
    yield from (f"{prefix}{key}" for key in names)
    for key in names:
        if isinstance(content[key], Mapping):
            yield from _ids(content[key], f"{prefix}{key}#")


def _keys(name: str) -> list[str]:
    return re.split("#|::", name)
