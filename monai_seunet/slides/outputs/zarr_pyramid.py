"""Maps of a slide as OME-Zarr: probabilities, winning scale groups, and directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from monai_seunet.drawing.overlay import CONTOUR_COLOURS
from monai_seunet.slides.nuclei.areas import NO_GROUP
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.utils.progress import progress_bar

if TYPE_CHECKING:
    import zarr

CHUNK = 512
FACTOR = 2  # factor between levels, as most viewers expect it


class MapArrays(NamedTuple):
    """Arrays of the finest level for writing in strips, with the values of `Maps`; `scale` has the groups.

    Chunks without values need no space. Where nothing was computed, probabilities are 0 and groups 255.

    Attributes:
        probability: probabilities (C, H, W) uint8 of the foreground classes, in 255ths; 0 where nothing was computed.
        scale: index (H, W) uint8 of the winning scale group; 255 where nothing was computed.
        directions: directions (2, H, W) int8 to the centres, y and x, 127 for 1; None if the network gives none.
    """

    probability: zarr.Array
    scale: zarr.Array
    directions: zarr.Array | None = None


def create_maps(
    path: str | Path, geometry: SlideGeometry, chunk: tuple[int, int] | None = None, directions: bool = False
) -> MapArrays:
    """Create an OME-Zarr folder (version 0.4) with one level of the images `probability` and `scale`.

    Args:
        path: path of the folder; an existing folder is replaced.
        geometry: geometry of the slide.
        chunk: height and width of the chunks of the finest level; None for 512 x 512. Strips of this height are
            written without reading chunks first.
        directions: True to add the image `directions`, which gets no coarser levels.
    """
    import zarr

    root = zarr.open_group(path, mode="w", zarr_format=2)
    arrays = []
    images: list[tuple[str, int, tuple[str, ...] | None, str]] = [
        ("probability", 0, geometry.classes, "uint8"),
        ("scale", NO_GROUP, None, "uint8"),
    ]
    if directions:
        images.append(("directions", 0, ("down", "right"), "int8"))
    for name, fill, channels, dtype in images:
        group = root.create_group(name)
        shape = geometry.size if channels is None else (len(channels), *geometry.size)
        arrays.append(_create_level(group, 0, shape, fill, chunk, dtype))
        group.attrs.update(_metadata(name, geometry, [shape[-2:]], channels))
    return MapArrays(*arrays)


def open_maps(path: str | Path, mode: str = "r+") -> MapArrays:
    """Open the finest level of the folder that `create_maps` made, with mode `r` or `r+`."""
    import zarr

    root = zarr.open_group(path, mode=mode, zarr_format=2)  # type: ignore[arg-type]
    directions = _array(root, "directions/0") if "directions" in root else None
    return MapArrays(_array(root, "probability/0"), _array(root, "scale/0"), directions)


def add_levels(path: str | Path, geometry: SlideGeometry) -> None:
    """Add coarser levels down to one chunk: means of 2 x 2 probabilities, and every second scale group.

    Invariant: repeated calls give the same levels. Limits: four chunks of every channel are in memory.

    Args:
        path: folder with a complete finest level.
        geometry: geometry of the slide.
    """
    import zarr

    root = zarr.open_group(path, mode="r+", zarr_format=2)
    for name, reduce, channels in (("probability", mean_of_four, geometry.classes), ("scale", every_second, None)):
        group = root[name]
        assert isinstance(group, zarr.Group)
        finer, sizes = _array(group, "0"), [geometry.size]
        while max(sizes[-1]) > CHUNK:
            sizes.append((-(-sizes[-1][0] // FACTOR), -(-sizes[-1][1] // FACTOR)))
            coarser = _create_level(group, len(sizes) - 1, (*finer.shape[:-2], *sizes[-1]), finer.fill_value)
            chunks = list(_chunks(*sizes[-1]))
            for chunk, enlarged in progress_bar(chunks, desc=f"{name} {len(sizes) - 1}", leave=False):
                part = np.asarray(finer[enlarged])
                if (part != finer.fill_value).any():
                    coarser[chunk] = reduce(part)
            finer = coarser
        group.attrs.update(_metadata(name, geometry, sizes, channels))


def mean_of_four(part: np.ndarray) -> np.ndarray:
    """Return means of 2 x 2 pixels of (..., H, W) uint8, rounded half up; odd sizes are padded with the last pixel.

    >>> mean_of_four(np.array([[1, 2], [3, 4]], np.uint8)).tolist()
    [[3]]
    """
    height, width = part.shape[-2:]
    even = np.pad(part, [(0, 0)] * (part.ndim - 2) + [(0, height % 2), (0, width % 2)], mode="edge").astype(np.uint16)
    total = even[..., ::2, ::2] + even[..., 1::2, ::2] + even[..., ::2, 1::2] + even[..., 1::2, 1::2]
    return ((total + 2) // 4).astype(np.uint8)


def every_second(part: np.ndarray) -> np.ndarray:
    """Return every second row and column of (..., H, W)."""
    return part[..., ::FACTOR, ::FACTOR]


def _create_level(
    group: zarr.Group,
    level: int,
    shape: tuple[int, ...],
    fill: int,
    chunk: tuple[int, int] | None = None,
    dtype: str = "uint8",
) -> zarr.Array:
    return group.create_array(
        str(level),
        shape=shape,
        chunks=(1,) * (len(shape) - 2) + (chunk or (CHUNK, CHUNK)),
        dtype=dtype,
        fill_value=fill,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        config={"write_empty_chunks": False},
        overwrite=True,
    )


def _array(group: zarr.Group, name: str) -> zarr.Array:
    import zarr

    array = group[name]
    assert isinstance(array, zarr.Array)
    return array


def _chunks(height: int, width: int) -> Iterator[tuple[Any, Any]]:
    """Yield the index of every chunk (all channels), row by row, and the index of the same area one level finer."""
    for y in range(0, height, CHUNK):
        for x in range(0, width, CHUNK):
            bottom, right = min(y + CHUNK, height), min(x + CHUNK, width)
            yield np.s_[..., y:bottom, x:right], np.s_[..., FACTOR * y : FACTOR * bottom, FACTOR * x : FACTOR * right]


def _metadata(
    name: str, geometry: SlideGeometry, sizes: Sequence[tuple[int, ...]], channels: tuple[str, ...] | None
) -> dict[str, Any]:
    """Return the attributes of one image.

    References:
        https://ngff.openmicroscopy.org/0.4: multiscales, omero.
    """
    known = geometry.working_mpp is not None
    space = [{"name": axis, "type": "space"} | ({"unit": "micrometer"} if known else {}) for axis in "yx"]
    front = [{"name": "c", "type": "channel"}] if channels is not None else []
    datasets = []
    finest = geometry.working_mpp or (1.0, 1.0)
    position = geometry.network_grid.position
    for level in range(len(sizes)):
        pixel = [float(mpp) * FACTOR**level for mpp in finest]
        steps: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0] * len(front) + pixel}]
        # the mean of several pixels has its centre between them
        between = (FACTOR**level - 1) / 2 if channels is not None else 0.0
        shift = [float(mpp) * between + start for mpp, start in zip(finest, position, strict=True)]
        if any(shift):
            steps.append({"type": "translation", "translation": [0.0] * len(front) + shift})
        datasets.append({"path": str(level), "coordinateTransformations": steps})
    image = {"version": "0.4", "name": f"{geometry.name} {name}", "axes": front + space, "datasets": datasets}
    if channels is None:
        return {"multiscales": [image | {"type": "nearest"}]}
    least, most = (-127, 127) if name == "directions" else (0, 255)
    window = {"min": least, "max": most, "start": least, "end": most}
    colours = [CONTOUR_COLOURS[k % len(CONTOUR_COLOURS)][1:] for k in range(len(channels))]
    shown = [
        {"label": channel, "color": colour, "window": window, "active": True}
        for channel, colour in zip(channels, colours, strict=True)
    ]
    return {"multiscales": [image | {"type": "mean"}], "omero": {"version": "0.4", "channels": shown}}
