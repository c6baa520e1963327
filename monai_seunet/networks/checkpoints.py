"""Checkpoint files, with atomic writing and a check that the weights fit the network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write

NETWORK_KEY = "network"
EXTRA_STATE_KEY = "_extra_state"  # torch's name for values that are no weights


def save_checkpoint(content: Mapping[str, Any], path: str | Path) -> None:
    """Write a checkpoint in one atomic step; an error leaves the earlier file.

    Args:
        content: state dictionary, or a dictionary of state dictionaries.
        path: path of the file; its folder is created.

    Raises:
        InputError: the file cannot be written, for example on a full disk.
    """
    path = Path(path)
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            torch.save(content, file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        raise InputError(f"{path}: the checkpoint could not be written ({_reason(error, path.parent)})") from error


def load_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU without running code from the file.

    Raises:
        InputError: the file is missing or is no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; train first, or correct the path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises errors of any type for damaged files
        raise InputError(f"{path}: not a checkpoint of PyTorch weights; give the file that a training wrote") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}, not the weights of a network")
    return content


def gives_directions(path: str | Path) -> bool:
    """Return whether the options in a checkpoint say that the network gives directions; False for a missing file.

    Raises:
        InputError: the file is no checkpoint.
    """
    if not Path(path).is_file():
        return False
    content = load_checkpoint(path)
    options = content.get(NETWORK_KEY, content).get(EXTRA_STATE_KEY)
    return options is not None and bool(json.loads(bytes(options.tolist())).get("directions", False))


Net = TypeVar("Net", bound=nn.Module)


def load_weights(network: Net, path: str | Path) -> Net:
    """Load the weights of a checkpoint into a network and return the network.

    Args:
        network: network that gets the weights.
        path: file of the weights (`model.pt`) or of the state of a training (`last.pt`).

    Raises:
        InputError: the file is missing, is no checkpoint, or belongs to another network.
    """
    content = load_checkpoint(path)
    apply_weights(network, content.get(NETWORK_KEY, content), path)
    return network


def apply_weights(network: nn.Module, weights: Mapping[str, torch.Tensor], source: str | Path) -> None:
    """Load a state dictionary that must fit the network exactly.

    Raises:
        InputError: an entry differs; the message names the file `source`.
    """
    difference = _difference(network.state_dict(), weights)
    try:
        if not difference:
            network.load_state_dict(dict(weights))
    except InputError as error:  # the options that are stored with the weights differ
        difference = str(error)
    if difference:
        raise InputError(
            f"{source}: checkpoint of another network than this {type(network).__name__}: {difference}; "
            "name the overlays, width, num_octaves, scales_per_octave, directions, group and in_channels (or "
            "haematoxylin) that it was trained with"
        )


def _difference(expected: Mapping[str, torch.Tensor], weights: Mapping[str, Any]) -> str:
    """Describe the first difference between the weights and the expected ones; empty for none."""
    missing = [key for key in expected if key not in weights]
    # missing weights tell more than missing options
    missing = [key for key in missing if not key.endswith(EXTRA_STATE_KEY)] or missing
    if missing:
        return f"{len(missing)} of {len(expected)} entries are missing, the first is '{missing[0]}'"
    unknown = [key for key in weights if key not in expected]
    if unknown:
        return f"{len(unknown)} entries are unknown, the first is '{unknown[0]}'"
    for key, tensor in expected.items():
        if key.endswith(EXTRA_STATE_KEY):
            continue
        shape = getattr(weights[key], "shape", None)
        if shape != tensor.shape:
            got = "no tensor" if shape is None else list(shape)
            return f"'{key}' is {got} in the file and {list(tensor.shape)} in the network"
    return ""


def _reason(error: BaseException, folder: Path) -> str:
    cause = error if isinstance(error, OSError) else error.__context__
    reason = getattr(cause, "strerror", None) or str(error).splitlines()[0]
    if folder.is_dir():
        free = shutil.disk_usage(folder).free
        reason += f"; {free / 2**20:.0f} MiB are free there; make room or give another --ckpt_dir"
    return reason
