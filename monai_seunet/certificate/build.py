"""The certificate: every figure of a network beside that of its control."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import monai
import numpy as np
import torch
from tqdm import tqdm

from monai_seunet.certificate.measure import (
    DTYPES,
    ELEMENTS,
    centre,
    foreground_share,
    promised_group,
    rotation_errors,
    shift_errors,
    tried_shifts,
    tried_sides,
)
from monai_seunet.certificate.subject import Subject
from monai_seunet.metrics import EquivarianceErrors, measure_equivariance
from monai_seunet.networks.layers.rotation.point_group import POINT_GROUPS, point_group
from monai_seunet.networks.unet.base import Network
from monai_seunet.utils.progress import progress_bar

FORMAT = "monai_seunet certificate 1"
ZOOMS = tuple(2.0 ** (k / 2) for k in range(-4, 5))


@dataclass(frozen=True)
class Pictures:
    """One image, and what both networks make of it as it is, and turned by 90 degrees and back.

    Attributes:
        image: (h, w, 3), in [0, 1].
        predictions: for network and control the classes of the image, (h, w).
        turned_back: the classes of the turned image, turned back.
    """

    image: np.ndarray
    predictions: tuple[np.ndarray, np.ndarray]
    turned_back: tuple[np.ndarray, np.ndarray]


def make_certificate(
    subject: Subject, control: Subject, images: Sequence[torch.Tensor], data: dict[str, Any], crop: int
) -> dict[str, Any]:
    """Measure both networks.

    Args:
        subject: the network that is certified.
        control: the network beside it.
        images: preprocessed, (C, H, W) each.
        data: what is said of them.
        crop: side of the pieces that turns and shifts are tried on; zoomed pieces have up to twice that.

    Returns:
        Plain values for JSON.
    """
    import monai_seunet

    return {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "network": subject.to_dict(),
        "control": control.to_dict(),
        "data": data,
        "prediction": {
            "foreground_share": foreground_share(subject.predict(), images, crop),
            "control_foreground_share": foreground_share(control.predict(), images, crop),
        },
        "rotation": _rotation(subject, control, images, crop),
        "zoom": _zoom(subject, control, images, 2 * crop),
        "shift": _shift(subject, control, images, crop),
        "versions": {
            "monai_seunet": monai_seunet.__version__,
            "torch": torch.__version__,
            "monai": monai.__version__,
            "python": platform.python_version(),
        },
    }


def _rotation(subject: Subject, control: Subject, images: Sequence[torch.Tensor], crop: int) -> dict[str, Any]:
    """Relative errors under quarter turns and mirrors, by kind of side and dtype."""
    sides = tried_sides(crop, max(subject.stride, control.stride))
    errors: dict[str, dict[str, Any]] = {"network": {}, "control": {}}
    jobs = [
        (key, one, kind, name)
        for key, one in (("network", subject), ("control", control))
        for kind in sides
        for name in DTYPES
    ]
    with progress_bar(desc="turns and mirrors", unit="image", total=len(jobs) * len(images)) as bar:
        for key, one, kind, name in jobs:
            found = rotation_errors(one.network, _counted(images, bar), sides[kind], DTYPES[name])
            errors[key].setdefault(kind, {})[name] = found
    group = promised_group(subject.network)
    judged = POINT_GROUPS[group if group != "p1" else "p4m"] - 1  # elements without the identity

    def largest(key: str, dtype: str) -> float | None:
        found = errors[key]["multiple"][dtype]
        return None if found is None else max(found[:judged])

    return {
        "group": group,
        "judged_over": "p4m" if group == "p1" else group,
        "max_relative_error_float64": largest("network", "float64"),
        "max_relative_error_float32": largest("network", "float32"),
        "control_max_relative_error": largest("control", "float64"),
        "elements": list(ELEMENTS),
        "sides": sides,
        **errors,
    }


def _counted(images: Sequence[torch.Tensor], bar: tqdm) -> Iterator[torch.Tensor]:
    for image in images:
        yield image
        bar.update()


def _zoom(subject: Subject, control: Subject, images: Sequence[torch.Tensor], largest: int) -> dict[str, Any]:
    """E_Err and the matrices of both."""

    def measure(one: Subject) -> EquivarianceErrors:
        with torch.no_grad():
            return measure_equivariance(_Heads(one.network), images, ZOOMS, largest, int(one.network.level_stride))

    network, other = measure(subject), measure(control)
    return {
        "e_err": network.mean,
        "control_e_err": other.mean,
        "largest_side": largest,
        "network": network.to_dict(),
        "control": other.to_dict(),
    }


class _Heads(torch.nn.Module):
    """The logits of every scale group, of a network that would fuse them."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.heads = network.heads
        self.all_heads = network.all_heads
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.heads(x)


def _shift(subject: Subject, control: Subject, images: Sequence[torch.Tensor], window: int) -> dict[str, Any]:
    """Differences between overlapping windows, for one pixel and for multiples of the stride."""
    stride = max(subject.stride, control.stride)
    shifts = tried_shifts(window, stride)
    found: dict[str, list[dict[str, Any]]] = {}
    for key, one in (("network", subject), ("control", control)):
        predict = one.predict_groups()
        bar = progress_bar(shifts, desc=f"shifts of the {key}", unit="shift")
        found[key] = [asdict(shift_errors(predict, images, window, shift)) for shift in bar]
    margin = window // 4

    def at_margin(key: str, name: str, shift: int) -> float:
        errors = next(errors for errors in found[key] if errors["shift"] == shift)
        return float(errors[name][errors["margins"].index(margin)])

    return {
        "window": window,
        "stride": stride,
        "margin": margin,
        **{
            f"{prefix}{name}": at_margin(key, entry, shift)
            for key, prefix in (("network", ""), ("control", "control_"))
            for name, entry, shift in (
                ("difference_by_stride", "differences", stride),
                ("changed_by_stride", "changed", stride),
                ("difference_by_one_pixel", "differences", 1),
                ("changed_by_one_pixel", "changed", 1),
            )
        },
        **found,
    }


def take_pictures(subject: Subject, control: Subject, image: torch.Tensor, crop: int) -> Pictures:
    """What both networks make of the middle of an image, and of the same turned by 90 degrees."""
    turn = point_group("p4")
    piece = centre(image, tried_sides(crop, max(subject.stride, control.stride))["multiple"])
    plain, turned = [], []
    for predict in (subject.predict(), control.predict()):
        plain.append(predict(piece).argmax(0).numpy())
        turned.append(turn.act(3, predict(turn.act(1, piece)).argmax(0)).numpy())
    shown = _visible(piece.expand(3, -1, -1) if len(piece) == 1 else piece[:3])
    return Pictures(shown.permute(1, 2, 0).numpy(), (plain[0], plain[1]), (turned[0], turned[1]))


def _visible(image: torch.Tensor) -> torch.Tensor:
    """An image in [0, 1]; one that was standardised, between its percentiles."""
    if image.min() >= 0 and image.max() <= 1:
        return image
    low, high = torch.quantile(image.flatten(), torch.tensor([0.005, 0.995], dtype=image.dtype))
    return ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
