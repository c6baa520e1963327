"""Slides with dark nuclei, and a network that finds them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
import tifffile
import torch
from torch import nn

from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.inference.preprocessing import Preprocessing
from monai_seunet.slides.model import SlideModel, SlideOptions
from monai_seunet.slides.segmenter import SlideSegmenter

CENTRES = [(40, 60), (40, 90), (127, 128), (129, 200), (200, 128), (255, 256), (300, 60), (350, 350), (180, 320)]


RADIUS = 9


class DarkNetwork(Network):
    """Two scale groups that call dark pixels nuclei, the second one in the right half of a window only."""

    num_scales = 2

    def __init__(self):
        super().__init__(in_channels=3, out_channels=2, stride=16)
        self.limit = nn.Parameter(torch.tensor(0.4))

    def outputs(self, x):
        dark = 40 * (self.limit - x.mean(1))
        return torch.stack([torch.stack([-dark, dark], 1), torch.stack([-dark, 0.5 * dark], 1)], 1)


def draw(path: Path, mpp: float | None = 0.25, side: int = 400, centres=CENTRES) -> Path:
    """Pink tissue with dark nuclei on white glass."""
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), 245, np.uint8)
    pixels[10 : side - 10, 10 : side - 10] = (225, 170, 200)
    for row, column in centres:
        pixels[(y + 0.5 - row) ** 2 + (x + 0.5 - column) ** 2 < RADIUS**2] = (60, 40, 90)
    options = {} if mpp is None else {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), **options)
    return path


def segmenter(**changes) -> SlideSegmenter:
    given = {"window": 128, "window_overlap": 32, "window_context": 16, "window_batch": 3, "block": 128} | changes
    preprocessing = Preprocessing(stain_target=None, standardise=False)
    return SlideSegmenter(SlideModel(DarkNetwork().eval(), preprocessing, "p_max"), SlideOptions(**given), workers=0)


def with_model(made: SlideSegmenter, **changes) -> SlideSegmenter:
    return replace(made, model=replace(made.model, **changes))


def content(folder: Path) -> dict[str, object]:
    """All results as bytes, without the times."""
    found = {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}
    found["result.json"] = {k: v for k, v in json.loads(found["result.json"]).items() if k not in ("seconds", "job")}
    found.pop("summary.html", None)
    return found


def polygons(folder: Path) -> list[shapely.Polygon]:
    features = json.loads((folder / "objects.geojson").read_text())["features"]
    return [shapely.geometry.shape(feature["geometry"]) for feature in features]


class Killed(BaseException):
    pass


def pixels_of(slide):
    return tifffile.imread(slide)
