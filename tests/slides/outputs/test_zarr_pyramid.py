"""OME-Zarr that independent readers open, and levels that are means of the ones below."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models.v04 import Image

from monai_seunet.slides.outputs import zarr_pyramid
from monai_seunet.slides.outputs.results import move_maps
from monai_seunet.slides.outputs.zarr_pyramid import add_levels, create_maps, mean_of_four, open_maps

SIZE = (150, 190)


@pytest.fixture
def folder(tmp_path, geometry, monkeypatch) -> Path:
    """Maps that are empty in the lower half."""
    monkeypatch.setattr(zarr_pyramid, "CHUNK", 32)
    draw, path = np.random.default_rng(0), tmp_path / "maps.ome.zarr"
    maps = create_maps(path, geometry)
    assert maps.probability.shape == (2, *SIZE) and maps.scale.shape == SIZE
    maps.probability[:, :64] = draw.integers(0, 256, (2, 64, 190), dtype=np.uint8)
    maps.scale[:64] = draw.integers(0, 5, (64, 190), dtype=np.uint8)
    add_levels(path, geometry)
    return path


def test_levels_are_means_and_nearest(folder):
    root = zarr.open_group(folder, mode="r")
    for name in ("probability", "scale"):
        levels = [root[f"{name}/{level}"][:] for level in range(4)]
        assert [level.shape[-2:] for level in levels] == [SIZE, (75, 95), (38, 48), (19, 24)]
        for finer, coarser in pairwise(levels):
            if name == "scale":
                assert np.array_equal(coarser, finer[::2, ::2])
                continue
            even = finer[:, : finer.shape[1] // 2 * 2, : finer.shape[2] // 2 * 2].astype(float)
            mean = even.reshape(2, even.shape[1] // 2, 2, even.shape[2] // 2, 2).mean(axis=(2, 4))
            assert np.abs(coarser[:, : mean.shape[1], : mean.shape[2]] - mean).max() <= 0.5
    assert (levels[0][64:] == 255).all() and (levels[3][9:] == 255).all()


def test_an_independent_reader_opens_it(folder, geometry):
    for name, axes in (("probability", "cyx"), ("scale", "yx")):
        (node,) = list(Reader(parse_url(str(folder / name)))())
        assert [axis["name"] for axis in node.metadata["axes"]] == list(axes)
        assert [level.shape[-2:] for level in node.data] == [SIZE, (75, 95), (38, 48), (19, 24)]
        steps = node.metadata["coordinateTransformations"]
        sizes = np.array([0.5, 0.2502 / 0.4996])
        np.testing.assert_allclose([step[0]["scale"][-2:] for step in steps], [sizes * 2**level for level in range(4)])
        # from the centre of the first base pixel, of 0.25 µm, to that of the first pixel
        moved = [0.125, 0.375, 0.875, 1.875] if name == "probability" else [0.125] * 4
        assert [step[1]["translation"][-2] if len(step) > 1 else 0.0 for step in steps] == moved
        assert np.array_equal(node.data[1].compute(), zarr.open_group(folder, mode="r")[f"{name}/1"][:])


def test_the_metadata_meet_the_model_of_version_0_4(folder):
    for name in ("probability", "scale"):
        image = Image.from_zarr(zarr.open_group(folder / name, mode="r", zarr_format=2))
        assert len(image.attributes.multiscales[0].datasets) == 4
    attributes = json.loads((folder / "probability" / ".zattrs").read_text())
    assert [channel["label"] for channel in attributes["omero"]["channels"]] == ["nucleus", "mitosis, late"]


def test_what_was_not_computed_takes_no_room(folder):
    files = [path for path in folder.rglob("*") if path.name.isdigit() and path.is_file()]
    chunks = {path.relative_to(folder).as_posix() for path in files}
    assert "probability/0/1/1/5" in chunks and "scale/0/1/5" in chunks
    assert not any(chunk.startswith(("probability/0/0/2/", "scale/0/2/", "scale/1/1/")) for chunk in chunks)


def test_levels_may_be_added_again_and_maps_are_opened_to_be_written_on(folder, geometry):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    add_levels(folder, geometry)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    open_maps(folder).probability[1, 100:140, 3:50] = 7
    assert (open_maps(folder, "r").probability[1, 100:140, 3:50] == 7).all()
    assert open_maps(folder, "r").scale.fill_value == 255


def test_chunks_of_a_killed_run_do_not_move_with_the_maps(folder, geometry, tmp_path):
    before = sorted(path.relative_to(folder) for path in folder.rglob("*"))
    (folder / "scale" / "0" / "0" / "0.1f2e3d.partial").touch()
    (tmp_path / "out").mkdir()
    move_maps(folder, tmp_path / "out", geometry)
    moved = tmp_path / "out" / "maps.ome.zarr"
    assert sorted(path.relative_to(moved) for path in moved.rglob("*")) == before


def test_empty_and_small_slides(tmp_path, unknown_frame):
    small = replace(unknown_frame, size=(20, 33), classes=("nucleus",))
    create_maps(tmp_path / "x", small)
    add_levels(tmp_path / "x", small)
    (node,) = list(Reader(parse_url(str(tmp_path / "x" / "probability")))())
    assert [level.shape for level in node.data] == [(1, 20, 33)] and not node.data[0].compute().any()
    assert "unit" not in node.metadata["axes"][1]


def test_odd_ends_are_means_of_what_is_there():
    assert mean_of_four(np.array([[0, 1, 10], [2, 3, 20], [200, 100, 255]], np.uint8)).tolist() == [[2, 15], [150, 255]]
