"""Write the parts of folders as users have them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def write_image(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def link_images(source: Path, target: Path, stems: Iterable[str]) -> Path:
    """A few of the images of a folder, with their masks, as links."""
    chosen = set(stems)
    for folder in ("images", "masks"):
        (target / folder).mkdir(parents=True)
        for file in (source / folder).iterdir():
            if file.stem in chosen:
                (target / folder / file.name).symlink_to(file)
    return target


def aperio_xml(*outlines: list[tuple[float, float]], head: str = "") -> str:
    regions = (
        "<Region><Vertices>" + "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in outline) + "</Vertices></Region>"
        for outline in outlines
    )
    return f"{head}<Annotations><Annotation><Regions>{''.join(regions)}</Regions></Annotation></Annotations>"
