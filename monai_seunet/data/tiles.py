"""A data set of the tiles of images, each of which is loaded only once."""

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
    """All overlapping tiles of all images; every image is loaded and transformed only once.

    Tiles are views of the cached images, so overlap needs no memory. An item is a dictionary of one tile after the
    random transforms; its affine holds the position of the tile.

    Args:
        data: MONAI data list with one dictionary for each image.
        transform: deterministic transforms, such as loading and normalisation, whose result is cached.
        tile: side of a tile in pixels, or (height, width); 400 in the paper.
        stride: distance between tiles in pixels, or (rows, columns); 200 in the paper.
        random_transform: transforms that are applied whenever a tile is requested.
        keys: keys that are cut if they are present, all of one size; every tile keeps the other keys unchanged.
        progress: whether a terminal shows a bar while the images are loaded.
        context: pixels of the image around a tile that its item has, too, for random crops at small scales.

    Raises:
        InputError: an image is smaller than a tile, or a label has another size than its image.
        ValueError: `transform` has a random transform, which would be drawn only once.
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
        context: int = 0,
    ) -> None:
        random = [part for part in Compose(transform).flatten().transforms if isinstance(part, RandomizableTrait)]
        if random:
            raise ValueError(f"{type(random[0]).__name__} in transform is random; move it to random_transform")
        images = CacheDataset(data, transform, progress=progress and bars_are_shown(), copy_cache=False)
        tiles = [crop for index in range(len(images)) for crop in _cut(images[index], keys, tile, stride, context)]
        super().__init__(tiles, random_transform)

    def _transform(self, index: int) -> Any:
        # Random transforms may write in place, and tiles share memory, so each transform receives a copy.
        sample = self.data[index]
        copies = {key: value.clone() for key, value in sample.items() if isinstance(value, torch.Tensor)}
        return self.transform({**sample, **copies})


def check_crop(crop: int, tile: int) -> None:
    """Raise an InputError for random crops larger than a tile, which MONAI would silently shrink."""
    if crop > tile:
        raise InputError(f"crop_size {crop} is more than tile_size {tile}; give a crop of at most {tile} pixels")


def _cut(
    sample: dict, keys: Sequence[Hashable], tile: int | Sequence[int], stride: int | Sequence[int], context: int
) -> list[dict]:
    present = [key for key in keys if key in sample]
    sizes = {key: tuple(sample[key].shape[1:]) for key in present}
    name = sample[present[0]].meta.get("filename_or_obj", "image")
    if len(set(sizes.values())) > 1:
        raise InputError(f"{name}: sizes differ ({sizes}); image and label must have the same height and width")
    try:
        grid = tile_grid(sizes[present[0]], tile, stride)
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error
    crops = [
        SpatialCrop(roi_slices=[slice(max(0, part.start - context), part.stop + context) for part in parts])
        for parts in grid
    ]
    return [{**sample, **{key: crop(sample[key]) for key in present}} for crop in crops]
