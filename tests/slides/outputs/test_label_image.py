"""Label images hold every nucleus under its number, whatever the tiles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from nuclei_fields import RULES, discs, maps_of, painted

from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.slides.outputs import labels
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.labels import LabelRows, write_label_raster, write_label_tiff
from monai_seunet.utils.errors import InputError


@pytest.fixture(scope="module")
def network(geometry: SlideGeometry) -> SlideGeometry:
    """Label images in the pixels of the network."""
    return replace(geometry, labels_at="network")


def whole(blocks: list[Objects], size: tuple[int, int]) -> np.ndarray:
    """Painted block by block; these nuclei do not overlap."""
    image, first = np.zeros(size, np.int64), 0
    for objects in blocks:
        part = painted(objects, size)
        assert not (image[part > 0]).any()
        image += np.where(part > 0, part + first, 0)
        first += len(objects)
    return image


@pytest.mark.parametrize("height", [1, 7, 64, 150])
def test_bands_of_any_height_give_the_same_image(blocks: list[Objects], network: SlideGeometry, height: int) -> None:
    rows = LabelRows(blocks, network)
    bands = [rows.read(y, min(y + height, 150)) for y in range(0, 150, height)]
    assert np.array_equal(np.concatenate(bands), whole(blocks, network.size))


def test_more_nuclei_than_16_bits_number_have_numbers_of_their_own(tmp_path: Path, network: SlideGeometry) -> None:
    y, x = np.indices((256, 260)).reshape(2, -1)
    ones = np.ones(len(x), np.int64)
    pixel, ring = np.ones((1, 1), bool), np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float32)
    boxes = np.stack([y, x, y + 1, x + 1], axis=1)
    nuclei = Objects(boxes, [pixel] * len(x), [ring] * len(x), ones, boxes[:, :2] + 0.5, ones, ones / 1.0, ones)
    expected = np.arange(1, 256 * 260 + 1).reshape(256, 260)
    rows = LabelRows([nuclei], replace(network, size=(256, 260)))
    assert np.array_equal(tifffile.imread(write_label_tiff(tmp_path / "x.ome.tif", rows)), expected)
    assert np.array_equal(read_raster(write_label_raster(tmp_path / "x.mha", rows)).pixels, expected)


def test_of_nuclei_in_one_another_the_inner_is_on_top_in_any_order(network: SlideGeometry) -> None:
    small = replace(network, size=(60, 60))
    ring = discs((60, 60), (30, 30, 28)) & ~discs((60, 60), (30, 30, 20))
    rules = RULES._replace(whole_area=1e9)
    outer = find_nuclei(maps_of(ring), rules)
    inner = find_nuclei(maps_of(discs((60, 60), (30, 30, 6))), rules)
    one, other = LabelRows([outer, inner], small).read(0, 60), LabelRows([inner, outer], small).read(0, 60)
    assert one[30, 30] == 2 and one[30, 15] == 1 and one[30, 5] == 1
    assert np.array_equal(np.array([0, 2, 1])[other], one)


def test_the_pyramid_is_read_back(
    tmp_path: Path, blocks: list[Objects], network: SlideGeometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "TILE", 32)
    files = ObjectFiles([part.save(tmp_path / "work" / f"{k}.npz") for k, part in enumerate(blocks)])
    path = write_label_tiff(tmp_path / "labels.ome.tif", LabelRows(files, network))
    expected = whole(blocks, network.size)
    with tifffile.TiffFile(path) as tif:
        (series,) = tif.series
        assert tif.is_ome and not tif.is_bigtiff and series.axes == "YX"
        assert [level.shape for level in series.levels] == [(150, 190), (38, 48), (10, 12)]
        read = [level.asarray() for level in series.levels]
        assert tif.pages[0].is_tiled and tif.pages[0].compression == 8 and read[0].dtype == np.uint32
        pixels = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"]) == pytest.approx((0.2502 / 0.4996, 0.5))
    assert pixels["PhysicalSizeXUnit"] == "µm"
    assert np.array_equal(read[0], expected)
    assert np.array_equal(read[1][:37, :47], expected[2::4, 2::4])
    assert np.array_equal(read[2][:9, :11], read[1][2::4, 2::4][:9, :11])
    assert set(np.unique(read[2])) <= set(np.unique(expected))
    again = write_label_tiff(tmp_path / "again.ome.tif", LabelRows(files, network))
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.ome.tif", "labels.ome.tif", "work"]


def test_images_beyond_four_gibibytes_are_bigtiff(
    tmp_path: Path, blocks: list[Objects], network: SlideGeometry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "BIGGEST_CLASSIC", 100_000)
    with tifffile.TiffFile(write_label_tiff(tmp_path / "x.ome.tif", LabelRows(blocks, network))) as tif:
        assert tif.is_bigtiff
        assert np.array_equal(tif.asarray(), whole(blocks, network.size))


@pytest.mark.parametrize("size", [(3, 5), (600, 700)])
def test_no_nuclei_give_an_empty_image(tmp_path: Path, unknown_frame: SlideGeometry, size: tuple[int, int]) -> None:
    path = write_label_tiff(tmp_path / "x.ome.tif", LabelRows([], replace(unknown_frame, size=size, scale=(1.0, 1.0))))
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].shape == size and not tif.asarray().any()
        assert "PhysicalSize" not in tif.ome_metadata


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nrrd"])
def test_volumes_for_3d_slicer(tmp_path: Path, blocks: list[Objects], network: SlideGeometry, name: str) -> None:
    rows = LabelRows(blocks, network)
    raster = read_raster(write_label_raster(tmp_path / name, rows))
    assert np.array_equal(raster.pixels, whole(blocks, network.size))
    assert raster.pixel_size == pytest.approx((0.5, 0.2502 / 0.4996))
    with pytest.raises(InputError, match=r"150 x 190 pixels take .* GiB of memory.*labels\.ome\.tif"):
        write_label_raster(tmp_path / "y.nrrd", rows, max_bytes=100_000)
    assert not (tmp_path / "y.nrrd").exists()
