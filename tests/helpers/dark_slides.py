"""Slides with dark nuclei, and a network that finds them."""

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
from monai_seunet.slides.model import SlideModel
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.segmenter import SlideSegmenter

CENTRES = [(40, 60), (40, 90), (127, 128), (129, 200), (200, 128), (255, 256), (300, 60), (350, 350), (180, 320)]
RADIUS = 9
TISSUE = (225, 170, 200)


class DarkNetwork(Network):
    """Two scale groups that call dark pixels nuclei, the second one in the right half of a window only."""

    num_scales = 2

    def __init__(self):
        super().__init__(in_channels=3, out_channels=2, stride=16)
        self.limit = nn.Parameter(torch.tensor(0.4))

    def outputs(self, x):
        dark = 40 * (self.limit - x.mean(1))
        return torch.stack([torch.stack([-dark, dark], 1), torch.stack([-dark, 0.5 * dark], 1)], 1)


def save(path: Path, pixels: np.ndarray, mpp: float | tuple[float, float] | None = None) -> Path:
    """A tiled TIFF, with its µm (y, x) per pixel where they are known."""
    down, across = np.broadcast_to(mpp or 1, 2)
    known = {"resolution": (1e4 / across, 1e4 / down), "resolutionunit": "CENTIMETER"} if mpp else {}
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), **known)
    return path


def draw(path: Path, mpp: float | tuple[float, float] | None = 0.25, side: int = 400, centres=CENTRES) -> Path:
    """Pink tissue with dark nuclei on white glass."""
    y, x = np.mgrid[:side, :side]
    pixels = np.full((side, side, 3), 245, np.uint8)
    pixels[10 : side - 10, 10 : side - 10] = TISSUE
    for row, column in centres:
        pixels[(y + 0.5 - row) ** 2 + (x + 0.5 - column) ** 2 < RADIUS**2] = (60, 40, 90)
    return save(path, pixels, mpp)


def white(path: Path) -> Path:
    """Glass alone."""
    return save(path, np.full((200, 300, 3), 250, np.uint8))


def segmenter(network: Network | None = None, **changes) -> SlideSegmenter:
    given = {"window": 128, "window_overlap": 32, "window_context": 16, "window_batch": 3, "block": 128} | changes
    model = SlideModel((network or DarkNetwork()).eval(), Preprocessing(stain_target=None, standardise=False), "p_max")
    return SlideSegmenter(model, SlideOptions(**given), workers=0)


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
    """Stands for a signal that nobody sees."""

    @classmethod
    def now(cls, *_: object) -> None:
        raise cls
