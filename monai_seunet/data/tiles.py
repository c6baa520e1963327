"""A data set of tiles cut from images that are loaded once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from monai.data import CacheDataset, Dataset
from monai.transforms import Compose, SpatialCrop
from monai.transforms.traits import RandomizableTrait

from monai_seunet.data.tile_grid import tile_grid
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.progress import bars_are_shown


class TileDataset(Dataset):
    """All overlapping tiles of all images; every image is loaded and prepared once.

    Tiles are views into the cached images, so that overlap costs no memory. An item is one tile as a dictionary, after
    the random transforms; its affine tells where it lies.

    Args:
        data: MONAI data list, one dictionary an image.
        transform: deterministic transforms (load, normalise ...) whose result is kept in memory.
        tile: side of a tile in pixels, or (height, width); the paper takes 400.
        stride: step between tiles in pixels, or (rows, columns); the paper takes 200.
        random_transform: transforms drawn anew every time that a tile is taken.
        keys: items that are cut, where they are there; all of one size. The others go unchanged with every tile.
        progress: show a bar on a terminal while the images are loaded.

    Raises:
        InputError: for an image smaller than a tile, or a label of another size than its image.
        ValueError: where `transform` holds a random transform, which would be drawn only once.
    """

    def __init__(
        self,
        data: Sequence[dict],
        transform: Callable,
        tile: int | Sequence[int],
        stride: int | Sequence[int],
        random_transform: Callable | None = None,
        keys: Sequence[Hashable] = ("image", "label", "instances"),
        progress: bool = True,
    ) -> None:
        random = [t for t in Compose(transform).flatten().transforms if isinstance(t, RandomizableTrait)]
        if random:
            raise ValueError(f"{type(random[0]).__name__} in transform is random; move it to random_transform")
        images = CacheDataset(data, transform, progress=progress and bars_are_shown(), copy_cache=False)
        tiles = [piece for index in range(len(images)) for piece in _cut(images[index], keys, tile, stride)]
        super().__init__(tiles, random_transform)

    def _transform(self, index: int) -> Any:
        # Random transforms may write in place, and the tiles share their memory.
        sample = self.data[index]
        own = {key: value.clone() for key, value in sample.items() if isinstance(value, torch.Tensor)}
        return self.transform({**sample, **own})


def check_crop(crop: int, tile: int) -> None:
    """Refuse random crops that do not fit into a tile, which MONAI would cut down without a word.

    Raises:
        InputError: where the crop is larger.
    """
    if crop > tile:
        raise InputError(f"crop_size {crop} is more than tile_size {tile}; give a crop of at most {tile} pixels")


def _cut(sample: dict, keys: Sequence[Hashable], tile: int | Sequence[int], stride: int | Sequence[int]) -> list[dict]:
    present = [key for key in keys if key in sample]
    sizes = {key: tuple(sample[key].shape[1:]) for key in present}
    name = sample[present[0]].meta.get("filename_or_obj", "image")
    if len(set(sizes.values())) > 1:
        raise InputError(f"{name}: sizes differ ({sizes}); image and label must have the same height and width")
    try:
        grid = tile_grid(sizes[present[0]], tile, stride)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    crops = [SpatialCrop(roi_slices=slices) for slices in grid]
    return [{**sample, **{key: crop(sample[key]) for key in present}} for crop in crops]
