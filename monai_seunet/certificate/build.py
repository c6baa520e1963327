"""Certificate of a network: all measurements beside those of a control network."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import monai
import numpy as np
import torch
from tqdm import tqdm

from monai_seunet.certificate.measure import (
    DTYPES,
    ELEMENTS,
    foreground_share,
    promised_group,
    rotation_errors,
    shift_errors,
    tried_shifts,
    tried_sides,
)
from monai_seunet.certificate.subject import Subject
from monai_seunet.metrics.equivariance import EquivarianceErrors, centre, measure_equivariance
from monai_seunet.networks.layers.rotation.point_group import POINT_GROUPS, point_group
from monai_seunet.utils.progress import progress_bar

FORMAT = "monai_seunet certificate 1"
ZOOMS = tuple(2.0 ** (k / 2) for k in range(-4, 5))


@dataclass(frozen=True)
class Pictures:
    """One image with the predictions of both networks for it and for the image turned by 90 degrees.

    Attributes:
        image: (h, w, 3) in [0, 1].
        predictions: classes (h, w) of the image, for network and control.
        turned_back: classes (h, w) of the turned image after turning back, for network and control.
    """

    image: np.ndarray
    predictions: tuple[np.ndarray, np.ndarray]
    turned_back: tuple[np.ndarray, np.ndarray]


def make_certificate(
    subject: Subject, control: Subject, images: Sequence[torch.Tensor], data: dict[str, Any], crop: int
) -> dict[str, Any]:
    """Measure both networks.

    Args:
        subject: network to certify.
        control: network whose errors are shown beside for comparison.
        images: preprocessed images (C, H, W).
        data: description of the images.
        crop: side of the crops for turns and shifts, in pixels; zoomed crops have at most twice this side.

    Returns:
        The certificate as values for JSON.
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
    """Measure relative errors under quarter turns and mirrors, for each of `tried_sides` and each data type."""
    sides = tried_sides(crop, max(subject.stride, control.stride))
    errors: dict[str, dict[str, Any]] = {"network": {}, "control": {}}
    jobs = list(product((("network", subject), ("control", control)), sides, DTYPES))
    with progress_bar(desc="turns and mirrors", unit="image", total=len(jobs) * len(images)) as bar:
        for (key, measured), kind, name in jobs:
            values = rotation_errors(measured.network, _counted(images, bar), sides[kind], DTYPES[name])
            errors[key].setdefault(kind, {})[name] = values
    group = promised_group(subject.network)
    num_elements = POINT_GROUPS[group if group != "p1" else "p4m"] - 1  # without the identity

    def largest(key: str, dtype: str) -> float | None:
        values = errors[key]["multiple"][dtype]
        return None if values is None else max(values[:num_elements])

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
    """Measure E_Err and the error matrices of both networks."""

    def measure(measured: Subject) -> EquivarianceErrors:
        network = measured.network
        with torch.no_grad():
            return measure_equivariance(network, images, ZOOMS, largest, int(network.level_stride))

    errors, control_errors = measure(subject), measure(control)
    return {
        "e_err": errors.mean,
        "control_e_err": control_errors.mean,
        "largest_side": largest,
        "network": errors.to_dict(),
        "control": control_errors.to_dict(),
    }


def _shift(subject: Subject, control: Subject, images: Sequence[torch.Tensor], window: int) -> dict[str, Any]:
    """Measure differences between overlapping windows, shifted by one pixel and by multiples of the stride."""
    stride = max(subject.stride, control.stride)
    shifts = tried_shifts(window, stride)
    all_errors: dict[str, list[dict[str, Any]]] = {}
    for key, measured in (("network", subject), ("control", control)):
        predict = measured.predict_groups()
        bar = progress_bar(shifts, desc=f"shifts of the {key}", unit="shift")
        all_errors[key] = [asdict(shift_errors(predict, images, window, shift)) for shift in bar]
    margin = window // 4

    def at_margin(key: str, name: str, shift: int) -> float:
        errors = next(errors for errors in all_errors[key] if errors["shift"] == shift)
        return float(errors[name][errors["margins"].index(margin)])

    numbers = {}
    for key, prefix in (("network", ""), ("control", "control_")):
        for amount, shift in (("stride", stride), ("one_pixel", 1)):
            numbers[f"{prefix}difference_by_{amount}"] = at_margin(key, "differences", shift)
            numbers[f"{prefix}changed_by_{amount}"] = at_margin(key, "changed", shift)
    return {"window": window, "stride": stride, "margin": margin, **numbers, **all_errors}


def take_pictures(subject: Subject, control: Subject, image: torch.Tensor, crop: int) -> Pictures:
    """Predict the centre of an image with both networks, as it is and turned by 90 degrees."""
    turn = point_group("p4")
    patch = centre(image, tried_sides(crop, max(subject.stride, control.stride))["multiple"])
    plain, turned = [], []
    for predict in (subject.predict(), control.predict()):
        plain.append(predict(patch).argmax(0).numpy())
        turned.append(turn.act(3, predict(turn.act(1, patch)).argmax(0)).numpy())
    picture = _visible(patch.expand(3, -1, -1) if len(patch) == 1 else patch[:3])
    return Pictures(picture.permute(1, 2, 0).numpy(), (plain[0], plain[1]), (turned[0], turned[1]))


def _visible(image: torch.Tensor) -> torch.Tensor:
    """Return an image in [0, 1]; a standardised image is scaled so that its low and high quantiles become 0 and 1."""
    if image.min() >= 0 and image.max() <= 1:
        return image
    low, high = torch.quantile(image.flatten(), torch.tensor([0.005, 0.995], dtype=image.dtype))
    return ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
