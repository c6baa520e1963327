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
    """Inference task that segments the requested region, in windows that do not depend on the client's tiles."""

    def __init__(self, model: Model) -> None:
        segmenter = model.segmenter
        labels = {name: number for number, name in enumerate(segmenter.model.classes) if number}
        text = f"Nuclei at any magnification and in any orientation ({segmenter.model.name})"
        super().__init__(InferType.SEGMENTATION, labels, 2, text, choices(segmenter))
        self.model = model

    def info(self) -> dict[str, Any]:
        """Return the description that clients show."""
        return {**super().info(), "pathology": True, "nuclick": False}

    def is_valid(self) -> bool:
        """Return whether the weights exist."""
        return self.model.workspace.weights.exists()

    def get_path(self, validate: bool = True) -> str | None:
        """Return the file of the weights in use, or None if it is missing."""
        path = self.model.workspace.weights
        return str(path) if path.exists() or not validate else None

    def __call__(self, request: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Answer a request of MONAI Label.

        Returns:
            The file of a mask or of outlines (None for `json`), and the results: counts, warnings and durations.

        Raises:
            InputError: for an image or options that cannot be used.
        """
        image, start = Path(request["image"]), time.perf_counter()
        checked = read_request(request, self.model.segmenter, _mask_suffix(image))
        with tempfile.TemporaryDirectory(dir=self.model.workspace.scratch) as folder, self.model.busy:
            answer = _Answer(checked, image, self.model.workspace.scratch)
            waited = time.perf_counter() - start
            result = checked.segmenter.run(image, Path(folder) / "run")
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
    """Answer in the requested format."""

    def __init__(self, request: InferRequest, image: Path, folder: Path) -> None:
        self.request, self.image, self.folder = request, image, folder
        self.file: str | None = None
        self.content: dict[str, Any] = {}
        self.count = 0

    def write(self, blocks: Sequence[Objects], geometry: SlideGeometry) -> None:
        answer, region = self.request.answer, self.request.segmenter.options.region
        large = self._large(blocks, geometry)
        if answer == INLINE:
            self.content = {"annotations": as_annotations(list(large), geometry, region)}
        elif answer in MASKS:
            self.file = str(write_mask(self._name(answer), list(large), geometry, region))
        else:
            self.file = str(WRITERS[answer](self._name(answer), large, geometry))

    def _large(self, blocks: Sequence[Objects], geometry: SlideGeometry) -> Iterator[Objects]:
        """Yield and count the nuclei that are large enough for the client."""
        for objects in blocks:
            large = objects.select(objects.areas / (geometry.scale[0] * geometry.scale[1]) >= self.request.min_pixels)
            self.count += len(large)
            yield large

    def _name(self, suffix: str) -> Path:
        """Return a new file name, which clients may show; MONAI Label removes the file after it is sent."""
        stem = self.image.name.split(".")[0]
        return self.folder / f"{stem}-{uuid.uuid4().hex[:8]}{suffix}"


def _mask_suffix(image: Path) -> str:
    """Return the format of the mask: that of a volume, so that 3D Slicer aligns both, else PNG."""
    name = image.name.lower()
    return next((suffix for suffix in VOLUMES if name.endswith(suffix)), ".png")
