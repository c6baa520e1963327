"""Label images hold every nucleus under its number, in pixels of the image or of the network, wherever they lie."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from nuclei_fields import RULES, discs, maps_of, painted
from PIL import Image

from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.slides.outputs import labels
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.labels import LabelRows, label_notes, write_label_raster, write_label_tiff
from monai_seunet.slides.outputs.results import check_label_sizes, write_objects
from monai_seunet.utils.errors import InputError

SCALES = [(0.5, 0.4996), (1.0, 1.0), (2.0, 2.0), (2.0, 0.75), (3.3, 3.3)]
REGION = (3, 7, 41, 50)  # top, left, bottom, right


@pytest.fixture(scope="module")
def network(geometry) -> SlideGeometry:
    """Label images in the pixels of the network."""
    return replace(geometry, labels_at="network")


@pytest.fixture(scope="module")
def part(geometry) -> SlideGeometry:
    """A region of a part of a slide."""
    return replace(geometry, base=(300, 381), corner=(10, 20), region=(30, 50, 100, 120))


@pytest.fixture(scope="module")
def working_labels(blocks, geometry) -> np.ndarray:
    """Numbers of the nuclei in working pixels, painted block by block; these nuclei do not overlap."""
    image, first = np.zeros(geometry.size, np.int64), 0
    for objects in blocks:
        own = painted(objects, geometry.size)
        assert not image[own > 0].any()
        image += np.where(own > 0, own + first, 0)
        first += len(objects)
    return image


def sampled(image: np.ndarray, geometry: SlideGeometry) -> np.ndarray:
    """The working pixel at the centre of every base pixel, one by one."""
    top, left, bottom, right = geometry.region or (0, 0, *geometry.base_size)
    result = np.zeros((bottom - top, right - left), np.int64)
    for y in range(top, bottom):
        for x in range(left, right):
            row = int((y + 0.5) * geometry.scale[0]) - geometry.corner[0]
            column = int((x + 0.5) * geometry.scale[1]) - geometry.corner[1]
            if 0 <= row < image.shape[0] and 0 <= column < image.shape[1]:
                result[y - top, x - left] = image[row, column]
    return result


def pixels(places: Sequence[Sequence[int]]) -> Objects:
    """Nuclei of one working pixel each."""
    count, first = len(places), np.array(places, np.int64)
    ones, masks = np.ones(count, np.int64), [np.ones((1, 1), bool)] * count
    rings = list(first[:, None] + np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float32))
    boxes = np.concatenate([first, first + 1], axis=1)
    return Objects(boxes, masks, rings, ones, first + 0.5, ones, *[ones / 1.0, ones] * 3)


def in_bands(rows: LabelRows, count: int, height: int) -> np.ndarray:
    return np.concatenate([rows.read(y, min(y + height, count)) for y in range(0, count, height)])


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("region", "corner"), [(None, (0, 0)), (REGION, (0, 0)), (REGION, (2, 1))])
def test_a_pixel_has_the_label_at_its_centre_in_any_bands(blocks, geometry, working_labels, scale, region, corner):
    base = (round((150 + corner[0]) / scale[0]), round((190 + corner[1]) / scale[1]))
    here = replace(geometry, scale=scale, base=base, region=region, corner=corner)
    expected = sampled(working_labels, here)
    assert len(np.unique(expected)) > 3
    for height in (1, 7, len(expected)):
        rows = LabelRows(blocks, here)
        assert np.array_equal(in_bands(rows, len(expected), height), expected)
        assert rows.missing == sum(map(len, blocks)) - len(np.unique(expected)) + 1


@pytest.mark.parametrize("height", [1, 7, 64, 150])
def test_bands_of_any_height_give_the_same_image(blocks, network, working_labels, height):
    assert np.array_equal(in_bands(LabelRows(blocks, network), 150, height), working_labels)


def test_more_nuclei_than_16_bits_number_have_numbers_of_their_own(tmp_path, network):
    size = (256, 260)
    rows = LabelRows([pixels(np.argwhere(np.ones(size)))], replace(network, size=size))
    expected = np.arange(1, 256 * 260 + 1).reshape(size)
    assert np.array_equal(tifffile.imread(write_label_tiff(tmp_path / "x.ome.tif", rows)), expected)
    assert np.array_equal(read_raster(write_label_raster(tmp_path / "x.mha", rows)).pixels, expected)


def test_of_nuclei_in_one_another_the_inner_is_on_top_in_any_order(network):
    small = replace(network, size=(60, 60))
    ring = discs((60, 60), (30, 30, 28)) & ~discs((60, 60), (30, 30, 20))
    rules = RULES._replace(whole_area=1e9)
    outer = find_nuclei(maps_of(ring), rules)
    inner = find_nuclei(maps_of(discs((60, 60), (30, 30, 6))), rules)
    one, other = LabelRows([outer, inner], small).read(0, 60), LabelRows([inner, outer], small).read(0, 60)
    assert one[30, 30] == 2 and one[30, 15] == 1 and one[30, 5] == 1
    assert np.array_equal(np.array([0, 2, 1])[other], one)


def test_the_pyramid_is_read_back(tmp_path, blocks, network, working_labels, monkeypatch):
    monkeypatch.setattr(labels, "TILE", 32)
    files = ObjectFiles([part.save(tmp_path / "work" / f"{k}.npz") for k, part in enumerate(blocks)])
    path = write_label_tiff(tmp_path / "labels.ome.tif", LabelRows(files, network))
    with tifffile.TiffFile(path) as tif:
        (series,) = tif.series
        assert tif.is_ome and not tif.is_bigtiff and series.axes == "YX"
        assert [level.shape for level in series.levels] == [(150, 190), (38, 48), (10, 12)]
        read = [level.asarray() for level in series.levels]
        assert tif.pages[0].is_tiled and tif.pages[0].compression == 8 and read[0].dtype == np.uint32
        said = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (said["PhysicalSizeX"], said["PhysicalSizeY"]) == pytest.approx((0.2502 / 0.4996, 0.5))
    assert said["PhysicalSizeXUnit"] == "µm"
    assert np.array_equal(read[0], working_labels)
    assert np.array_equal(read[1][:37, :47], working_labels[2::4, 2::4])
    assert np.array_equal(read[2][:9, :11], read[1][2::4, 2::4][:9, :11])
    assert set(np.unique(read[2])) <= set(np.unique(working_labels))
    again = write_label_tiff(tmp_path / "again.ome.tif", LabelRows(files, network))
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.ome.tif", "labels.ome.tif", "work"]


def test_space_ranger_takes_the_labels_of_a_scan_as_a_mask(tmp_path, blocks, geometry):
    """Its check opens them with Pillow: one page of 32 bits, of the size of the microscope image."""
    path = write_label_tiff(tmp_path / "labels.ome.tif", LabelRows(blocks, geometry))
    with Image.open(path) as mask:
        assert (mask.mode, mask.n_frames, mask.size) == ("I", 1, geometry.base_size[::-1])
        assert np.array_equal(np.asarray(mask), tifffile.imread(path))
    assert tifffile.imread(path).shape == geometry.base_size and tifffile.imread(path).dtype == np.uint32


def test_images_beyond_four_gibibytes_are_bigtiff(tmp_path, blocks, network, working_labels, monkeypatch):
    monkeypatch.setattr(labels, "BIGGEST_CLASSIC", 100_000)
    with tifffile.TiffFile(write_label_tiff(tmp_path / "x.ome.tif", LabelRows(blocks, network))) as tif:
        assert tif.is_bigtiff and np.array_equal(tif.asarray(), working_labels)


@pytest.mark.parametrize("size", [(3, 5), (600, 700)])
def test_no_nuclei_give_an_empty_image(tmp_path, unknown_frame, size):
    path = write_label_tiff(tmp_path / "x.ome.tif", LabelRows([], replace(unknown_frame, size=size, scale=(1.0, 1.0))))
    with tifffile.TiffFile(path) as tif:
        assert tif.series[0].shape == size and not tif.asarray().any()
        assert "PhysicalSize" not in tif.ome_metadata


@pytest.mark.parametrize("name", ["x.nii.gz", "x.nrrd"])
def test_volumes_for_3d_slicer(tmp_path, blocks, network, working_labels, name):
    rows = LabelRows(blocks, network)
    raster = read_raster(write_label_raster(tmp_path / name, rows))
    assert np.array_equal(raster.pixels, working_labels)
    assert raster.pixel_size == pytest.approx((0.5, 0.2502 / 0.4996))
    with pytest.raises(InputError, match=r"150 x 190 pixels take .* GiB of memory.*labels\.ome\.tif"):
        write_label_raster(tmp_path / "y.nrrd", rows, max_bytes=100_000)
    assert not (tmp_path / "y.nrrd").exists()


def test_rows_that_are_not_of_the_slide_are_background(geometry):
    """A slide of 9 rows has 2 at a quarter of its scale: nobody has looked at the last one."""
    corner = replace(geometry, size=(2, 2), scale=(0.25, 0.25), base=(9, 9))
    expected = np.zeros((9, 9))
    expected[4:8, 4:8] = 1
    assert np.array_equal(LabelRows([pixels([(1, 1)])], corner).read(0, 9), expected)


@pytest.mark.parametrize("formats", [("labels",), ("nrrd", "labels")])
def test_nuclei_without_a_pixel_are_counted(tmp_path, geometry, formats):
    """Of an image of a quarter of the working pixels a side: pixel 2 of every 4 is at the centre."""
    small = replace(geometry, size=(40, 40), scale=(4.0, 4.0), mpp=(1.0, 1.0))
    nuclei = [pixels([(2, 2), (3, 9)]), pixels([(16, 20), (18, 22), (30, 31)])]
    files = ObjectFiles([part.save(tmp_path / f"{number}.npz") for number, part in enumerate(nuclei)])
    (note,) = write_objects(tmp_path, formats, files, small).notes
    assert note.startswith("3 nuclei are smaller than a pixel of the image and not in the label image (labels.")
    assert "--labels-at network" in note
    assert np.flatnonzero(tifffile.imread(tmp_path / "labels.ome.tif")).tolist() == [0, 45]
    assert write_objects(tmp_path, ("csv",), files, small).notes == []
    assert write_objects(tmp_path, formats, files, replace(small, scale=(1.0, 1.0))).notes == []
    one = LabelRows([pixels([(1, 2)])], replace(small, region=(0, 0, 9, 9)))
    one.read(0, 9)
    (note,) = label_notes(one, ["x.nrrd"])
    assert note.startswith("1 nucleus is smaller than a pixel of the image, or has no pixel in the region, and not in")


def test_pixels_of_the_network_are_noted(geometry, part):
    rows = LabelRows([], replace(part, labels_at="network"))
    assert rows.read(0, 150).shape == (150, 190)
    assert label_notes(rows, ["labels.ome.tif"]) == [
        "labels_at is network: the label image (labels.ome.tif) has 190 x 150 pixels of 0.5008 x 0.5 µm from "
        "x 40.032, y 20 of the image, the region 70 x 70 pixels of 0.2502 x 0.25 µm from x 50, y 30 of the image"
    ]
    same = replace(geometry, scale=(1.0, 1.0), labels_at="network")
    assert label_notes(LabelRows([], same), ["labels.ome.tif"]) == []


def test_memory_is_that_of_a_band_of_the_image(tmp_path, geometry):
    """An image of 2 µm: 512 of its rows are 4096 working rows, which would take 131 MB."""
    coarse = replace(geometry, size=(8000, 8000), scale=(8.0, 8.0), mpp=(2.0, 2.0))
    rows = LabelRows([pixels([(y, y) for y in range(4, 8000, 8)])], coarse)
    write_label_tiff(tmp_path / "a.ome.tif", rows)  # imports what it needs
    tracemalloc.start()
    path = write_label_tiff(tmp_path / "a.ome.tif", rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    assert np.array_equal(tifffile.imread(path), np.diag(np.arange(1, 1001)))


def test_the_limit_of_memory_counts_the_pixels_that_are_written(tmp_path, geometry):
    fine = replace(geometry, size=(10_000, 10_000), scale=(0.5, 0.5))  # 0.37 GiB for the network, 1.49 for the image
    with pytest.raises(InputError, match=r"labels\.nrrd: labels of 20000 x 20000 pixels take 1\.5 GiB.*or a region"):
        check_label_sizes(tmp_path, ("labels", "nrrd"), fine)
    for kept in (replace(fine, labels_at="network"), replace(fine, region=(0, 0, 10_000, 10_000))):
        check_label_sizes(tmp_path, ("labels", "nifti", "nrrd"), kept)
    check_label_sizes(tmp_path, ("labels",), fine)


@pytest.mark.parametrize(
    ("changes", "position"),
    [
        ({"labels_at": "image"}, ("7.5", "µm", "12.510", "µm")),
        ({"labels_at": "network"}, ("5.125", "µm", "10.141", "µm")),
        ({"labels_at": "image", "mpp": None}, ("30.0", "pixel", "50.0", "pixel")),
    ],
)
def test_the_plane_of_a_region_has_a_position(tmp_path, geometry, part, changes, position):
    """Of the centre of its first pixel, from the centre of the first pixel of the slide."""
    rows = LabelRows([], replace(part, **changes))
    with tifffile.TiffFile(write_label_tiff(tmp_path / "x.ome.tif", rows)) as tif:
        plane = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]["Plane"]
    assert plane["PositionY"] == pytest.approx(float(position[0]))
    assert plane["PositionX"] == pytest.approx(float(position[2]), abs=1e-3)
    assert (plane["PositionYUnit"], plane["PositionXUnit"]) == position[1::2]
    assert (plane["TheC"], plane["TheZ"], plane["TheT"]) == (0, 0, 0)
    with tifffile.TiffFile(write_label_tiff(tmp_path / "y.ome.tif", LabelRows([], geometry))) as tif:
        assert "<Plane" not in tif.ome_metadata
