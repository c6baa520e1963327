"""Tiles from images that are loaded once."""

import pytest
import torch
from monai.data import DataLoader, MetaTensor
from monai.transforms import Compose, Lambdad, RandFlipd

from monai_seunet.data.tiles import TileDataset
from monai_seunet.utils.errors import InputError


class Loader:
    """Makes the image that an index names, and counts how often."""

    def __init__(self, size: tuple[int, int] = (50, 50), label_size: tuple[int, int] | None = None) -> None:
        self.calls, self.size, self.label_size = 0, size, label_size or size

    def __call__(self, item: dict) -> dict:
        self.calls += 1
        area = self.size[0] * self.size[1]
        image = torch.arange(area, dtype=torch.float32).reshape(1, *self.size) + 1e6 * item["index"]
        name = {"filename_or_obj": f"{item['index']}.png"}
        return {"image": MetaTensor(image, meta=name), "label": MetaTensor(torch.zeros(1, *self.label_size)), **item}


def test_every_image_is_loaded_once_and_cut_exactly():
    load = Loader()
    tiles = TileDataset([{"index": 0}, {"index": 1}], load, 20, 15, progress=False)
    assert len(tiles) == 2 * 9
    for _ in range(2):
        items = [tiles[index] for index in range(len(tiles))]
    assert load.calls == 2
    whole = load({"index": 1})["image"]
    assert torch.equal(items[13]["image"], whole[:, 15:35, 15:35])
    assert items[13]["index"] == 1
    assert items[13]["image"].affine[:2, 3].tolist() == [15, 15]


def test_overlapping_tiles_share_their_memory():
    tiles = TileDataset([{"index": 0}], Loader(), 20, 10, progress=False)
    storages = {item["image"].untyped_storage().data_ptr() for item in tiles.data}
    assert len(storages) == 1


def test_writing_into_an_item_does_not_reach_the_cache():
    spoil = Lambdad("image", lambda image: image.mul_(0))
    tiles = TileDataset([{"index": 1}], Loader(), 20, 10, random_transform=spoil, progress=False)
    assert tiles[0]["image"].max() == 0
    assert tiles.data[0]["image"].min() >= 1e6


def test_random_transforms_are_drawn_anew_and_together_for_image_and_label():
    flip = Compose([RandFlipd(["image", "label"], prob=0.5, spatial_axis=0)]).set_random_state(0)
    tiles = TileDataset([{"index": 0}], Loader(), 20, 10, random_transform=flip, progress=False)
    firsts = {tiles[0]["image"][0, 0, 0].item() for _ in range(20)}
    assert firsts == {0.0, 19 * 50.0}


def test_tiles_go_through_a_data_loader():
    tiles = TileDataset([{"index": 0}], Loader(), 20, 15, progress=False)
    batches = list(DataLoader(tiles, batch_size=4))
    assert batches[0]["image"].shape == (4, 1, 20, 20)


def test_a_random_transform_in_the_cached_part_is_refused():
    with pytest.raises(ValueError, match=r"RandFlipd.*random_transform"):
        TileDataset([{"index": 0}], Compose([Loader(), RandFlipd("image")]), 20, 10, progress=False)


@pytest.mark.parametrize(
    ("load", "message"),
    [(Loader((15, 50)), "7.png: tile is 20 pixels"), (Loader((50, 50), (50, 49)), "7.png: sizes differ")],
)
def test_images_that_cannot_be_cut_are_named(load, message):
    with pytest.raises(InputError, match=message):
        TileDataset([{"index": 7}], load, 20, 10, progress=False)


def test_the_context_of_a_tile_ends_at_the_image():
    tiles = TileDataset([{"index": 0}], Loader(), 20, 10, progress=False)
    wide = TileDataset([{"index": 0}], Loader(), 20, 10, progress=False, context=7)
    assert len(wide) == len(tiles)
    height, width = Loader()({"index": 0})["image"].shape[1:]
    sizes = [tuple(item["image"].shape[1:]) for item in wide]
    assert sizes[0] == (27, 27) and max(sizes) == (min(34, height), min(34, width))
    assert all(item["label"].shape[1:] == item["image"].shape[1:] for item in wide)
