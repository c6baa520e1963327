"""Devices by name."""

from __future__ import annotations

import torch

from monai_seunet.utils.errors import InputError

ADVICE = "give cpu, cuda or cuda:N"


def find_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device of a name.

    Args:
        device: device or name, such as `cpu`, `cuda` or `cuda:0`; None for a GPU if the machine has one, else the CPU.

    Raises:
        InputError: PyTorch does not know the name, or the machine has no such device.

    >>> find_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        parsed = torch.device(device) if isinstance(device, str | torch.device) else None
    except RuntimeError:
        parsed = None
    if parsed is None or parsed.type == "meta":  # the device `meta` computes nothing
        raise InputError(f"device is '{device}', which PyTorch does not know; {ADVICE}")
    if parsed.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise InputError(f"device is '{device}', but this PyTorch sees no CUDA device; give cpu")
        if (parsed.index or 0) >= count:
            gpus = ", ".join(f"cuda:{number}" for number in range(count))
            raise InputError(f"device is '{device}', but this PyTorch sees {gpus} alone; give one of these, or cpu")
    elif parsed.type != "cpu":
        try:
            torch.empty(1, device=parsed)
        except Exception as error:  # the type of the error depends on the device
            raise InputError(f"device is '{device}', but this PyTorch has no such device; {ADVICE}") from error
    return parsed
