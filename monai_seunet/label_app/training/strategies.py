"""Strategies that choose the next image: at random, or by the disagreement of the scale groups."""

from __future__ import annotations

import hashlib
import json
import logging
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from monai_seunet.label_app.inference.model import Model
from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.preprocessing import choose_tiles, stain_of
from monai_seunet.slides.inference.tissue import find_tissue
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.inference.window_predictor import foreground
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.slides.work_folder import fingerprint
from monai_seunet.utils.errors import InputError, find_input_error
from monai_seunet.utils.files import write_text

SIDE = 512  # side of a tile in working pixels
TILES = 4  # tiles that are scored in each image
IMAGES = 16  # new images that are scored in one request

logger = logging.getLogger(__name__)


class AnyImage(Strategy):
    """Random unlabelled image; MONAI Label's own strategy fails if all images were proposed in the same second."""

    def __init__(self) -> None:
        super().__init__("Any image")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Return the id of an image, or None if all images are labelled."""
        images = datastore.get_unlabeled_images()
        return {"id": random.choice(images)} if images else None


class Disagreement(Strategy):
    """Unlabelled image that contains the tile on which the scale groups disagree most, with this tile as its region.

    Scores of images are stored until the weights change. One request scores at most 16 new images.
    """

    def __init__(self, model: Model) -> None:
        super().__init__("Image on which the scale groups disagree most")
        self.model = model

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """Return id, disagreement and region (`bbox`: x, y, width, height), or None if all images are labelled.

        Raises:
            InputError: for a network without scale groups, or if no image can be read.
        """
        images = datastore.get_unlabeled_images()
        if not images:
            return None
        segmenter = self.model.segmenter
        if segmenter.model.num_scales < 2:
            raise InputError(f"{segmenter.model.name} has no scale groups; choose random or first")
        scores = {}
        problem = InputError("no image could be read")
        new_scores = 0
        for image in random.sample(images, len(images)):
            path = Path(datastore.get_image_uri(image))
            file = self._file(path, segmenter)
            if not file.exists():
                if new_scores == IMAGES:
                    continue
                new_scores += 1
                try:
                    with self.model.busy:
                        score = most_disagreed(path, segmenter)
                except Exception as error:
                    input_error = find_input_error(error)
                    logger.warning("not scored: %s", input_error or path, exc_info=input_error is None)
                    problem = InputError(str(input_error or f"{path}: {error}"))
                    problem.__cause__ = error
                    continue
                write_text(file, json.dumps(score))
            scores[image] = json.loads(file.read_text(encoding="utf-8"))
        if not scores:
            raise problem
        best = max(sorted(scores), key=lambda image: scores[image]["disagreement"])
        return {"id": best, **scores[best]}

    def _file(self, path: Path, segmenter: SlideSegmenter) -> Path:
        identity = [fingerprint(path) if path.is_file() else str(path), segmenter.model.weights]
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
        return self.model.workspace.cache / f"disagreement-{name}.json"


def most_disagreed(path: str | Path, segmenter: SlideSegmenter) -> dict[str, Any]:
    """Return the tile of an image on which the scale groups disagree most.

    Args:
        path: file of the image.
        segmenter: segmenter whose network has several scale groups.

    Returns:
        The `disagreement` in bits, and the `bbox` of the tile: x, y, width and height in pixels of the image.
    """
    network, device = segmenter.model.network, segmenter.model.used_device
    with open_slide(path) as slide:
        resolution, channels = resolve(slide), int(segmenter.model.network.in_channels)
        view = SlideView(slide, resolution.scale_to(segmenter.options.network_mpp), channels)
        tissue = find_tissue(slide, resolution.mpp, segmenter.options.tissue_method(channels))
        side = min(SIDE, max(view.height, view.width))
        places = choose_tiles(view, tissue, side, TILES)
        tiles = [view.read(y, x, side, side) for y, x in places]
        profile = stain_of(tiles) if segmenter.model.preprocessing.stain_target is not None else None
        prepare = segmenter.model.preprocessing.for_slide(profile, lambda: tiles)
        scores = []
        for tile in tiles:
            pixels = prepare(tile)[None]
            probability = foreground(network, pixels, device, device.type == "cuda", [(0, 0)], (side, side))
            scores.append(disagreement(probability[0, :, : len(segmenter.model.classes) - 1]))  # no directions
        if not scores:
            return {"disagreement": 0.0, "bbox": [0, 0, slide.width, slide.height]}
        best = int(np.argmax(scores))
        corners = view.to_base(np.array(places[best]) + np.array([[0, 0], [side, side]]))
        (top, left), (bottom, right) = np.minimum(np.rint(corners), (slide.height, slide.width)).astype(int).tolist()
    return {"disagreement": round(float(scores[best]), 4), "bbox": [left, top, right - left, bottom - top]}


def disagreement(probability: torch.Tensor) -> float:
    """Return the mean Jensen-Shannon divergence of the scale groups, in bits, over pixels where one sees a nucleus.

    Invariant: it is 0 if all groups agree, at most log2(S), at most 1 for a single class, and independent of the order
    of the groups.

    Args:
        probability: (S, N - 1, H, W) probabilities of the foreground classes, for S groups and N classes.

    >>> disagreement(torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1))
    1.0
    """
    whole = torch.cat([1 - probability.sum(1, keepdim=True), probability], 1).clamp(0, 1)
    divergence = _entropy(whole.mean(0, keepdim=True))[0] - _entropy(whole).mean(0)
    seen = probability.sum(1).amax(0) >= 0.5
    return float(divergence[seen].mean()) if seen.any() else 0.0


def _entropy(probability: torch.Tensor) -> torch.Tensor:
    return -torch.special.xlogy(probability, probability).sum(1) / np.log(2)
