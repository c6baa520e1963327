"""Label images and maps lie on the image that was segmented, pixel by pixel, and in every program."""

import json
from dataclasses import replace
from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import tifffile
from dark_slides import TISSUE, save, segmenter

from monai_seunet.reading.raster import read_raster
from monai_seunet.slides.segmenter import SlideSegmenter
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster

CENTRES = [(45, 60), (40, 120), (127, 129), (131, 200), (201, 57), (200, 140), (196, 215)]
SIZE = (250, 270)
NUCLEUS = (60, 40, 90)


def discs(radius: float) -> np.ndarray:
    """Numbers of planted discs, (250, 270)."""
    y, x = np.indices(SIZE) + 0.5
    found = np.zeros(SIZE, int)
    for number, (row, column) in enumerate(CENTRES, 1):
        found[(y - row) ** 2 + (x - column) ** 2 < radius**2] = number
    return found


def plant(path: Path, mpp: tuple[float, float] | None, radius: float = 12) -> Path:
    """Dark discs on pink tissue; µm (y, x) per pixel."""
    return save(path, np.where(discs(radius)[..., None] > 0, np.uint8(NUCLEUS), np.uint8(TISSUE)), mpp)


def made(formats: tuple[str, ...], **changes: object) -> SlideSegmenter:
    return replace(segmenter(tissue="all", **changes), formats=formats)


def overlaps(labels: np.ndarray, truth: np.ndarray, corner: tuple[int, int] = (0, 0)) -> dict[int, float]:
    """IoU of every disc whose centre is in the image with the nucleus there."""
    result = {}
    for number, (row, column) in enumerate(CENTRES, 1):
        y, x = row - corner[0], column - corner[1]
        if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]:
            one, other = truth == number, labels == labels[y, x]
            result[number] = float((one & other).sum() / (one | other).sum()) if labels[y, x] else 0.0
    return result


@pytest.mark.parametrize(
    ("mpp", "working", "radius"),
    [
        ((0.25, 0.25), (250, 270), 12),
        ((0.5, 0.5), (500, 540), 8),
        ((0.125, 0.125), (125, 135), 18),
        ((0.4, 0.4), (400, 432), 12),
        ((0.25, 0.5), (250, 540), 12),
        (None, (250, 270), 12),
    ],
)
def test_labels_lie_on_the_image(tmp_path, mpp, working, radius):
    slide, out = plant(tmp_path / "a.tif", mpp, radius), tmp_path / "out"
    result = made(("labels", "nifti", "nrrd", "maps")).run(slide, out)
    labels = tifffile.imread(out / "labels.ome.tif")
    assert labels.shape == SIZE and result["objects"] == len(CENTRES)
    assert min(overlaps(labels, discs(radius)).values()) > 0.85
    for name in ("labels.nii.gz", "labels.nrrd"):
        raster = read_raster(out / name)
        assert np.array_equal(raster.pixels, labels)
        assert raster.pixel_size == (None if mpp is None else pytest.approx(mpp, rel=1e-4))
    with tifffile.TiffFile(out / "labels.ome.tif") as tif:
        said = tifffile.xml2dict(tif.ome_metadata)["OME"]["Image"]["Pixels"]
    known = (said.get("PhysicalSizeY"), said.get("PhysicalSizeX"))
    assert known == ((None, None) if mpp is None else pytest.approx(mpp))
    rasters = json.loads((out / "result.json").read_text())["rasters"]
    expected = {"height": 250, "width": 270, "downsample": [1, 1], "corner": [0, 0], "mpp": mpp and pytest.approx(mpp)}
    for name, file in (("labels", "labels.ome.tif"), ("nifti", "labels.nii.gz"), ("nrrd", "labels.nrrd")):
        assert rasters[name] == {"file": file, **expected}
    assert (rasters["maps"]["height"], rasters["maps"]["width"]) == working
    assert rasters["maps"]["downsample"] == pytest.approx([250 / working[0], 270 / working[1]])
    assert rasters["tissue"]["downsample"][0] * rasters["tissue"]["height"] == pytest.approx(250)
    assert not any("labels_at" in note for note in result["notes"])


@pytest.mark.parametrize("mpp", [(0.25, 0.25), (0.5, 0.5), (0.25, 0.5), None])
@pytest.mark.parametrize("region", [(51, 33, 157, 129), (151, 101, 300, 300), (-20, -10, 161, 99)])
def test_labels_of_a_region_are_those_of_the_image_there(tmp_path, mpp, region):
    slide = plant(tmp_path / "a.tif", mpp)
    made(("labels",)).run(slide, tmp_path / "whole")
    result = made(("labels",), region=region, window_context=32).run(slide, tmp_path / "part")
    whole, part = (tifffile.imread(tmp_path / name / "labels.ome.tif") for name in ("whole", "part"))
    x, y, width, height = region
    top, left, bottom, right = max(y, 0), max(x, 0), min(y + height, 250), min(x + width, 270)
    inside = [whole[row, column] for row, column in CENTRES if top <= row < bottom and left <= column < right]
    assert part.shape == (bottom - top, right - left) and result["objects"] == len(inside) > 1
    crop = whole[top:bottom, left:right]
    assert np.array_equal(part > 0, np.isin(crop, inside))
    assert min(overlaps(part, discs(12)[top:bottom, left:right], (top, left)).values()) > 0.85
    said = result["rasters"]["labels"]
    assert (said["corner"], said["height"], said["width"]) == ([top, left], bottom - top, right - left)


@pytest.mark.parametrize("mpp", [(0.25, 0.25), (0.5, 0.5), (0.25, 0.5), None])
@pytest.mark.parametrize("labels_at", ["image", "network"])
@pytest.mark.parametrize(("name", "suffix"), [("nifti", ".nii.gz"), ("nrrd", ".nrrd")])
def test_programs_lay_a_region_over_the_image(tmp_path, mpp, labels_at, name, suffix):
    """As ITK places pixels, hence 3D Slicer: the whole image is one that the writer here has made."""
    slide, out = plant(tmp_path / "a.tif", mpp), tmp_path / "out"
    result = made((name,), region=(51, 33, 157, 129), window_context=16, labels_at=labels_at).run(slide, out)
    part = itk.imread(str(out / f"labels{suffix}"))
    whole = itk.imread(str(write_raster(tmp_path / f"whole{suffix}", discs(12), mpp)))
    said = result["rasters"][name]
    assert list(part.GetLargestPossibleRegion().GetSize()) == [said["width"], said["height"]]
    for y, x in ((0, 0), (20, 31)):  # centres of pixels
        place = whole.TransformPhysicalPointToContinuousIndex(part.TransformIndexToPhysicalPoint((x, y)))
        steps = zip((y, x), said["corner"], said["downsample"], strict=True)
        expected = [corner + (index + 0.5) * step - 0.5 for index, corner, step in steps]
        assert list(place)[::-1] == pytest.approx(expected, abs=1e-3)
    if labels_at == "image":
        assert said["corner"] == [33, 51]
        assert (said["height"], said["width"]) == (129, 157)
        assert read_raster(out / f"labels{suffix}").pixels[127 - 33, 129 - 51] > 0
    if name == "nifti":
        down, across = mpp or (1, 1)
        offset = nibabel.load(out / "labels.nii.gz").affine[:2, 3]
        half = [0, 0] if labels_at == "image" else [0.5 * step - 0.5 for step in said["downsample"]]
        corner = np.array(said["corner"]) + half
        assert offset == pytest.approx([corner[1] * across, corner[0] * down], abs=1e-3)


def test_maps_of_a_region_say_where_they_lie(tmp_path):
    slide, out = plant(tmp_path / "a.tif", (0.5, 0.5)), tmp_path / "out"
    result = made(("maps",), region=(51, 33, 157, 129), window_context=16).run(slide, out)
    said = result["rasters"]["maps"]
    assert said["corner"] == [33 - 8, 51 - 8] and said["downsample"] == [0.5, 0.5]
    for name, front in (("probability", [0.0]), ("scale", [])):
        attributes = json.loads((out / "maps.ome.zarr" / name / ".zattrs").read_text())
        scale, move = attributes["multiscales"][0]["datasets"][0]["coordinateTransformations"]
        assert scale["scale"][-2:] == [0.25, 0.25]
        assert move["translation"] == [*front, 25 * 0.5 - 0.125, 43 * 0.5 - 0.125]


def test_labels_in_the_pixels_of_the_network_are_asked_for_and_noted(tmp_path):
    slide, out = plant(tmp_path / "a.tif", (0.5, 0.5)), tmp_path / "out"
    result = made(("labels",), labels_at="network").run(slide, out)
    assert tifffile.imread(out / "labels.ome.tif").shape == (500, 540)
    said = result["rasters"]["labels"]
    assert said["mpp"] == [0.25, 0.25] and said["downsample"] == [0.5, 0.5]
    assert (
        "labels_at is network: the label image (labels.ome.tif) has 540 x 500 pixels of 0.25 µm from x 0, y 0 of the "
        "image, the image 270 x 250 pixels of 0.5 µm from x 0, y 0 of the image"
    ) in result["notes"]
    with pytest.raises(InputError, match="labels_at is 'base'; choose image or network"):
        segmenter(labels_at="base")


def test_a_region_below_the_last_row_is_refused(tmp_path):
    """At a scale of 0.4 the last of 100 working rows reaches beyond the 249 rows of the slide."""
    slide = save(tmp_path / "a.tif", np.full((249, 249, 3), TISSUE, np.uint8))
    with pytest.raises(InputError, match="lies outside its 249 x 249 pixels"):
        made(("labels",), mpp=0.1, region=(0, 249, 20, 20)).run(slide, tmp_path / "out")
