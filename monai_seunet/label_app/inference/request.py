"""Inference requests of clients, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monai_seunet.fusion import STRATEGIES
from monai_seunet.label_app.inference.answers import MAX_PIXELS
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError

MAX_ENLARGED = 8  # limit of enlargement: a wrong mpp would keep the server busy for hours
INLINE = "json"
OUTLINES = (".xml", ".json", ".geojson", ".geojson.gz")
NAMES = {"asap": ".xml", "dsa": ".json", "geojson": ".geojson"}  # names of the formats in MONAI Label's clients
MASKS = (".png", ".tif", ".tiff", ".nii", ".nii.gz", ".nrrd", ".mha")


@dataclass(frozen=True)
class InferRequest:
    """Inference request.

    Attributes:
        segmenter: segmenter with the client's options.
        answer: format of the answer: `INLINE`, or the suffix of a file of outlines or of a mask.
        min_pixels: smallest area of a nucleus in pixels of the image.
    """

    segmenter: SlideSegmenter
    answer: str
    min_pixels: float = 0.0


def read_request(request: Mapping[str, Any], segmenter: SlideSegmenter, mask: str) -> InferRequest:
    """Read a request of MONAI Label.

    Args:
        request: options of the client by id; `choices` lists the ids of this model.
        segmenter: segmenter with the server's options.
        mask: suffix of the mask if the client chooses no format.

    Raises:
        InputError: for an option out of range; it names the id.
    """
    options = segmenter.options
    mpp = _read_mpp(request.get("mpp"))
    if isinstance(mpp, float) and options.network_mpp and mpp > MAX_ENLARGED * options.network_mpp:
        raise InputError(
            f"mpp is {mpp:g}; give the µm per pixel of the image, at most {MAX_ENLARGED * options.network_mpp:g}"
        )
    nuclei = replace(
        options.nuclei,
        threshold=_number(request, "threshold", options.nuclei.threshold, 0, 1),
        min_area=_number(request, "min_area", options.nuclei.min_area, 0, math.inf),
    )
    options = replace(
        options,
        nuclei=nuclei,
        region=_region(request),
        mpp=mpp,
        groups=_groups(request.get("groups")),
    )
    fusion = str(_first_choice(request.get("fusion")) or segmenter.model.fusion)
    answer = _answer(request, mask)
    if answer in MASKS and options.region and options.region[2] * options.region[3] > MAX_PIXELS:
        raise InputError(
            f"size is {list(options.region[2:])}; a mask has at most {MAX_PIXELS} pixels: ask for outlines"
        )
    chosen = replace(segmenter, model=replace(segmenter.model, fusion=fusion), options=options, formats=("objects",))
    return InferRequest(chosen, answer, _number(request, "min_poly_area", 0, 0, math.inf))


def choices(segmenter: SlideSegmenter) -> dict[str, Any]:
    """Return the options that clients show; the first entry of a list is the default."""
    groups = segmenter.model.num_scales
    options = segmenter.options
    auto = ["auto"] if segmenter.model.calibration and Path(segmenter.model.calibration).exists() else []
    return {
        "mpp": "",
        "threshold": options.nuclei.threshold,
        "min_area": "" if options.nuclei.min_area is None else options.nuclei.min_area,
        "fusion": [segmenter.model.fusion, *(name for name in STRATEGIES if name != segmenter.model.fusion)],
        "groups": ["all", *auto, *(str(number + 1) for number in range(groups))] if groups > 1 else ["all"],
    }


def _answer(request: Mapping[str, Any], mask: str) -> str:
    chosen = str(request.get("output") or request.get("result_extension") or mask).lower()
    if chosen in ("image", "all"):
        chosen = str(request.get("result_extension") or mask).lower()
    answer = NAMES.get(chosen, chosen)
    if answer not in (INLINE, *OUTLINES, *MASKS):
        raise InputError(f"result_extension is '{chosen}'; choose one of {', '.join((*MASKS, *OUTLINES, INLINE))}")
    return answer


def _region(request: Mapping[str, Any]) -> tuple[int, int, int, int] | None:
    location, size = request.get("location") or (0, 0), request.get("size") or (0, 0)
    try:
        (x, y), (width, height) = (tuple(int(value) for value in pair) for pair in (location, size))
        if [x, y, width, height] != [*location, *size]:
            raise ValueError("not whole")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"location is {location} and size {size}; give two whole numbers each") from error
    return (x, y, width, height) if width > 0 and height > 0 else None  # clients send 0 or -1 for the whole image


def _number(request: Mapping[str, Any], name: str, default: Any, least: float, most: float) -> Any:
    """Return the number that the client sent, or the default."""
    value = request.get(name)
    if value is None or value == "":
        return default
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not least <= number <= most:
        limits = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        raise InputError(f"{name} is {value!r}; give a number {limits}")
    return number


def _read_mpp(value: Any) -> float | str | None:
    if value in (None, "", "auto"):
        return value or None
    return float(_number({"mpp": value}, "mpp", 0.0, 1e-9, math.inf))


def _groups(value: Any) -> Sequence[int] | str | None:
    value = _first_choice(value)
    if value in (None, "", "all"):
        return None
    if value == "auto":
        return "auto"
    try:
        return [int(number) for number in (value if isinstance(value, list) else str(value).split(","))]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"groups is '{value}'; give all, auto, or numbers such as 1,2") from error


def _first_choice(value: Any) -> Any:
    """Return the default of a list of choices, because some clients send the whole list back."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else value
