"""What the segmentation of a slide gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from monai_seunet.slides.nuclei.objects import ObjectFiles
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.results import GEOMETRY, OBJECTS
from monai_seunet.utils.errors import InputError


class SlideResult(Mapping[str, Any]):
    """The result of a slide: a mapping of what its `result.json` says, and its nuclei.

    Args:
        folder: folder of the results.
        facts: content of `result.json`.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self.facts = folder, dict(facts)

    def __getitem__(self, name: str) -> Any:
        return self.facts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)

    @property
    def objects(self) -> ObjectFiles:
        """The nuclei, block by block; none of them is kept in memory.

        Raises:
            InputError: where the format `objects` was not asked for.
        """
        self._require_objects()
        return ObjectFiles(sorted((self.folder / OBJECTS).glob("*.npz")))

    @cached_property
    def geometry(self) -> SlideGeometry:
        """Name, sizes and classes of the slide.

        Raises:
            InputError: where the format `objects` was not asked for.
        """
        self._require_objects()
        values = json.loads((self.folder / OBJECTS / GEOMETRY).read_text(encoding="utf-8"))
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return SlideGeometry(**fields)

    def _require_objects(self) -> None:
        if not (self.folder / OBJECTS / GEOMETRY).exists():
            raise InputError(f"{self.folder}: holds no nuclei as arrays; add objects to formats")
