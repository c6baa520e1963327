"""The device that a user names."""

from __future__ import annotations

import torch

from monai_seunet.utils.errors import InputError

ADVICE = "give cpu, cuda or cuda:N"


def find_device(device: str | torch.device | None = None) -> torch.device:
    """The device of that name, which this machine has.

    Args:
        device: as `cpu`, `cuda` or `cuda:0`; None for a GPU where there is one.

    Raises:
        InputError: where the name means nothing to PyTorch, or the machine has no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device) if isinstance(device, str | torch.device) else None
    except RuntimeError:
        found = None
    if found is None or found.type == "meta":  # which computes nothing
        raise InputError(f"device is '{device}', which PyTorch does not know; {ADVICE}")
    if found.type == "cuda":
        _check_gpu(found)
    elif found.type != "cpu":
        try:
            torch.empty(1, device=found)
        except Exception as error:  # what is raised depends on the kind of device
            raise InputError(f"device is '{device}', but this PyTorch has no such device; {ADVICE}") from error
    return found


def _check_gpu(device: torch.device) -> None:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        raise InputError(f"device is '{device}', but this PyTorch sees no CUDA device; give cpu")
    if (device.index or 0) >= count:
        known = ", ".join(f"cuda:{number}" for number in range(count))
        raise InputError(f"device is '{device}', but this PyTorch sees {known} alone; give one of these, or cpu")
