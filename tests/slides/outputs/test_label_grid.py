"""Label images have the pixels of the image or of a region, whatever the network works at, and say where they lie."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from nuclei_fields import painted

from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry
from monai_seunet.slides.outputs.labels import LabelRows, label_notes, write_label_tiff
from monai_seunet.slides.outputs.results import check_label_sizes, write_objects
from monai_seunet.utils.errors import InputError

SCALES = [(0.5, 0.4996), (1.0, 1.0), (2.0, 2.0), (2.0, 0.75), (3.3, 3.3)]
REGION = (3, 7, 41, 50)  # top, left, bottom, right


def working_labels(blocks: list[Objects], size: tuple[int, int]) -> np.ndarray:
    """Numbers of the nuclei in working pixels; these do not overlap."""
    image, first = np.zeros(size, np.int64), 0
    for objects in blocks:
        part = painted(objects, size)
        image = np.where(part > 0, part + first, image)
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


def pixels(places: list[tuple[int, int]]) -> Objects:
    """Nuclei of one working pixel each."""
    count, first = len(places), np.array(places, np.int64)
    ones = np.ones(count, np.int64)
    ring = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float32)
    boxes = np.concatenate([first, first + 1], axis=1)
    centres = first + 0.5
    return Objects(
        boxes, [np.ones((1, 1), bool)] * count, [ring + p for p in first], ones, centres, ones, ones / 1.0, ones
    )


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("region", "corner"), [(None, (0, 0)), (REGION, (0, 0)), (REGION, (2, 1))])
def test_a_pixel_has_the_label_at_its_centre_and_bands_change_nothing(
    blocks: list[Objects],
    geometry: SlideGeometry,
    scale: tuple[float, float],
    region: tuple[int, int, int, int] | None,
    corner: tuple[int, int],
) -> None:
    base = (round((150 + corner[0]) / scale[0]), round((190 + corner[1]) / scale[1]))
    here = replace(geometry, scale=scale, base=base, region=region, corner=corner)
    expected = sampled(working_labels(blocks, geometry.size), here)
    assert len(np.unique(expected)) > 3
    for height in (1, 7, len(expected)):
        rows = LabelRows(blocks, here)
        bands = [rows.read(y, min(y + height, len(expected))) for y in range(0, len(expected), height)]
        assert np.array_equal(np.concatenate(bands), expected)
        assert rows.missing == sum(map(len, blocks)) - len(np.unique(expected)) + 1


def test_rows_that_are_not_of_the_slide_are_background(geometry: SlideGeometry) -> None:
    """A slide of 9 rows has 2 at a quarter of its scale: nobody has looked at the last one."""
    corner = replace(geometry, size=(2, 2), scale=(0.25, 0.25), base=(9, 9))
    assert LabelRows([pixels([(1, 1)])], corner).read(0, 9).tolist() == [
        [int(4 <= y < 8 and 4 <= x < 8) for x in range(9)] for y in range(9)
    ]


@pytest.mark.parametrize("formats", [("labels",), ("nrrd", "labels")])
def test_nuclei_without_a_pixel_are_counted(tmp_path: Path, geometry: SlideGeometry, formats: tuple[str, ...]) -> None:
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


def test_pixels_of_the_network_are_noted(geometry: SlideGeometry) -> None:
    part = replace(geometry, base=(300, 381), corner=(10, 20), region=(30, 50, 100, 120), labels_at="network")
    rows = LabelRows([], part)
    assert rows.read(0, 150).shape == (150, 190)
    assert label_notes(rows, ["labels.ome.tif"]) == [
        "labels_at is network: the label image (labels.ome.tif) has 190 x 150 pixels of 0.5008 x 0.5 µm from "
        "x 40.032, y 20 of the slide, the region 70 x 70 pixels of 0.2502 x 0.25 µm from x 50, y 30 of the slide"
    ]
    same = replace(geometry, scale=(1.0, 1.0), labels_at="network")
    assert label_notes(LabelRows([], same), ["labels.ome.tif"]) == []


def test_memory_is_that_of_a_band_of_the_image(tmp_path: Path, geometry: SlideGeometry) -> None:
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


def test_the_limit_of_memory_counts_the_pixels_that_are_written(tmp_path: Path, geometry: SlideGeometry) -> None:
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
def test_the_plane_of_a_region_has_a_position(
    tmp_path: Path, geometry: SlideGeometry, changes: dict[str, object], position: tuple[str, str, str, str]
) -> None:
    """Of the centre of its first pixel, from the centre of the first pixel of the slide."""
    part = replace(geometry, base=(300, 381), corner=(10, 20), region=(30, 50, 100, 120), **changes)
    with tifffile.TiffFile(write_label_tiff(tmp_path / "x.ome.tif", LabelRows([], part))) as tif:
        plane = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]["Plane"]
    assert plane["PositionY"] == pytest.approx(float(position[0]))
    assert plane["PositionX"] == pytest.approx(float(position[2]), abs=1e-3)
    assert (plane["PositionYUnit"], plane["PositionXUnit"]) == position[1::2]
    assert (plane["TheC"], plane["TheZ"], plane["TheT"]) == (0, 0, 0)
    with tifffile.TiffFile(write_label_tiff(tmp_path / "y.ome.tif", LabelRows([], geometry))) as tif:
        assert "<Plane" not in tif.ome_metadata
