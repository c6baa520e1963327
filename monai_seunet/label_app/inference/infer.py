"""Inference on images and on regions of slides."""

from __future__ import annotations

import logging
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from monai_seunet.label_app.inference.answers import as_annotations, write_mask
from monai_seunet.label_app.inference.model import Model
from monai_seunet.label_app.inference.request import INLINE, MASKS, InferRequest, choices, read_request
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geojson import write_asap, write_dsa, write_geojson
from monai_seunet.slides.outputs.results import SlideResult

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
        # A mask has the format of its volume, so 3D Slicer aligns both.
        suffix = next((suffix for suffix in VOLUMES if image.name.lower().endswith(suffix)), ".png")
        checked = read_request(request, self.model.segmenter, suffix)
        with tempfile.TemporaryDirectory(dir=self.model.workspace.scratch) as folder, self.model.busy:
            waited = time.perf_counter() - start
            result = checked.segmenter.run(image, Path(folder) / "run")
            file, content, count = _write_answer(checked, image, self.model.workspace.scratch, result)
        latencies = {"wait": waited, **result["seconds"], "total": time.perf_counter() - start}
        params = {
            "label_names": self.labels,
            "nuclei": count,
            "resolution": result["resolution"],
            "warnings": [warning["text"] for warning in result["warnings"]],
            "notes": result["notes"],
            "latencies": {name: round(seconds, 2) for name, seconds in latencies.items()},
            **content,
        }
        logger.info("%s: %d nuclei in %.1f s", image.name, count, latencies["total"])
        return file, params


def _write_answer(
    request: InferRequest, image: Path, folder: Path, result: SlideResult
) -> tuple[str | None, dict[str, Any], int]:
    """Write the answer in the requested format; return its file, its content, and the number of nuclei."""
    geometry = result.geometry
    region = request.segmenter.options.region
    counts: list[int] = []

    def large_enough() -> Iterator[Objects]:
        for objects in result.objects:
            large = objects.select(objects.areas / (geometry.scale[0] * geometry.scale[1]) >= request.min_pixels)
            counts.append(len(large))
            yield large

    if request.answer == INLINE:
        return None, {"annotations": as_annotations(list(large_enough()), geometry, region)}, sum(counts)
    # Clients may show the name; MONAI Label removes the file after it is sent.
    file = folder / f"{image.name.split('.')[0]}-{uuid.uuid4().hex[:8]}{request.answer}"
    if request.answer in MASKS:
        write_mask(file, list(large_enough()), geometry, region)
    else:
        WRITERS[request.answer](file, large_enough(), geometry)
    return str(file), {}, sum(counts)
