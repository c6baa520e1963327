"""Inference on images and on regions of slides."""

from __future__ import annotations

import logging
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from monai_seunet.label_app.inference.answers import as_annotations, write_mask
from monai_seunet.label_app.inference.model import Model
from monai_seunet.label_app.inference.request import INLINE, MASKS, InferRequest, choices, read_request
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import write_asap, write_dsa, write_geojson
from monai_seunet.slides.outputs.geometry import SlideGeometry

WRITERS = {".xml": write_asap, ".json": write_dsa, ".geojson": write_geojson, ".geojson.gz": write_geojson}
VOLUMES = (".nii.gz", ".nii", ".nrrd", ".mha")

logger = logging.getLogger(__name__)


class NucleiInferTask(InferTask):
    """Finds nuclei; reads only what is asked for, in windows that the network takes, whatever tiles a client names.

    Args:
        model: the network.
    """

    def __init__(self, model: Model) -> None:
        segmenter = model.segmenter
        labels = {name: number for number, name in enumerate(segmenter.model.classes) if number}
        text = f"Nuclei at any magnification and in any orientation ({segmenter.model.name})"
        super().__init__(InferType.SEGMENTATION, labels, 2, text, choices(segmenter))
        self.model = model

    def info(self) -> dict[str, Any]:
        """What clients show."""
        return {**super().info(), "pathology": True, "nuclick": False}

    def is_valid(self) -> bool:
        """Whether there are weights."""
        return self.model.workspace.weights.exists()

    def get_path(self, validate: bool = True) -> str | None:
        """File of the weights in use."""
        path = self.model.workspace.weights
        return str(path) if path.exists() or not validate else None

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Answer a request of MONAI Label.

        Returns:
            The file of a mask or of outlines, None for `json`; and what was found, in numbers.

        Raises:
            InputError: for an image or options that cannot be used.
        """
        image, start = Path(request["image"]), time.perf_counter()
        asked = read_request(request, self.model.segmenter, _mask_suffix(image))
        with tempfile.TemporaryDirectory(dir=self.model.workspace.scratch) as folder, self.model.busy:
            answer = _Answer(asked, image, self.model.workspace.scratch)
            waited = time.perf_counter() - start
            result = asked.segmenter.run(image, Path(folder) / "run")
            answer.write(result.objects, result.geometry)
        latencies = {"wait": waited, **result["seconds"], "total": time.perf_counter() - start}
        params = {
            "label_names": self.labels,
            "nuclei": answer.count,
            "resolution": result["resolution"],
            "warnings": [warning["text"] for warning in result["warnings"]],
            "notes": result["notes"],
            "latencies": {name: round(seconds, 2) for name, seconds in latencies.items()},
            **answer.content,
        }
        logger.info("%s: %d nuclei in %.1f s", image.name, answer.count, latencies["total"])
        return answer.file, params


class _Answer:
    """Makes of nuclei what was asked for."""

    def __init__(self, asked: InferRequest, image: Path, folder: Path) -> None:
        self.asked, self.image, self.folder = asked, image, folder
        self.file: str | None = None
        self.content: dict[str, Any] = {}
        self.count = 0

    def write(self, blocks: Sequence[Objects], geometry: SlideGeometry) -> None:
        asked = self.asked
        kept, region = self._large(blocks, geometry), asked.segmenter.options.region
        if asked.answer == INLINE:
            self.content = {"annotations": as_annotations(list(kept), geometry, region)}
        elif asked.answer in MASKS:
            self.file = str(write_mask(self._name(asked.answer), list(kept), geometry, region))
        else:
            self.file = str(WRITERS[asked.answer](self._name(asked.answer), kept, geometry))

    def _large(self, blocks: Sequence[Objects], geometry: SlideGeometry) -> Iterator[Objects]:
        """Without what is smaller than the client wants; counted on the way."""
        for objects in blocks:
            large = objects.select(objects.areas / (geometry.scale[0] * geometry.scale[1]) >= self.asked.min_pixels)
            self.count += len(large)
            yield large

    def _name(self, suffix: str) -> Path:
        """A new name, by which the client may save it; MONAI Label removes the file when it is sent."""
        stem = self.image.name.split(".")[0]
        return self.folder / f"{stem}-{uuid.uuid4().hex[:8]}{suffix}"


def _mask_suffix(image: Path) -> str:
    """Masks of volumes have their format, so that 3D Slicer lays them over each other; all others are PNG."""
    name = image.name.lower()
    return next((suffix for suffix in VOLUMES if name.endswith(suffix)), ".png")
