"""Inference requests of clients, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from monai_seunet.fusion import STRATEGIES
from monai_seunet.label_app.inference.answers import MAX_PIXELS
from monai_seunet.label_app.options import ClientOptions, Whole
from monai_seunet.reading.pixel_size import PLAUSIBLE_MPP
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


Pair = Annotated[Sequence[Whole], Field(min_length=2, max_length=2)]
LEAST_MPP, MOST_MPP = PLAUSIBLE_MPP


class InferOptions(ClientOptions):
    """Options of clients; None is the server's value."""

    mpp: Annotated[float, Field(ge=LEAST_MPP, le=MOST_MPP)] | Literal["auto"] | None = Field(
        None, description=f"the µm per pixel of the image, from {LEAST_MPP:g} to {MOST_MPP:g}, or auto"
    )
    threshold: float | None = Field(None, ge=0, le=1, description="a number from 0 to 1")
    min_area: float | None = Field(None, ge=0, description="a number of at least 0")
    min_poly_area: float = Field(0.0, ge=0, description="a number of at least 0")
    groups: list[Whole] | Literal["auto"] | None = Field(None, description="all, auto, or numbers such as 1,2")
    location: Pair = Field((0, 0), description="two whole numbers, such as [0, 0]")
    size: Pair = Field((0, 0), description="two whole numbers, such as [512, 512]")

    @field_validator("groups", mode="before")
    @classmethod
    def _read_groups(cls, value: Any) -> Any:
        value = _first_choice(value)
        if value in ("all", "auto"):
            return None if value == "all" else value
        return value if isinstance(value, list) else [int(number) for number in str(value).split(",")]

    @property
    def region(self) -> tuple[int, ...] | None:
        """x, y, width and height; None for the whole image, for which clients send the size 0 or -1."""
        return (*self.location, *self.size) if min(self.size) > 0 else None


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
    asked = InferOptions.read(request)
    if isinstance(asked.mpp, float) and options.network_mpp and asked.mpp > MAX_ENLARGED * options.network_mpp:
        most = MAX_ENLARGED * options.network_mpp
        raise InputError(f"mpp is {asked.mpp:g}; give the µm per pixel of the image, at most {most:g}")
    rules = {"threshold": asked.threshold, "min_area": asked.min_area}
    nuclei = replace(options.nuclei, **{name: value for name, value in rules.items() if value is not None})
    options = replace(options, nuclei=nuclei, region=asked.region, mpp=asked.mpp, groups=asked.groups)
    fusion = str(_first_choice(request.get("fusion")) or segmenter.model.fusion)
    answer = _answer(request, mask)
    if answer in MASKS and options.region and options.region[2] * options.region[3] > MAX_PIXELS:
        raise InputError(
            f"size is {list(options.region[2:])}; a mask has at most {MAX_PIXELS} pixels: ask for outlines"
        )
    model = replace(segmenter.model, fusion=fusion)
    chosen = replace(segmenter, model=model, options=options, formats=("objects",))
    return InferRequest(chosen, answer, asked.min_poly_area)


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


def _first_choice(value: Any) -> Any:
    """Return the default of a list of choices, because some clients send the whole list back."""
    return value[0] if isinstance(value, list) and value and isinstance(value[0], str) else value
