"""What clients ask for, and the masks and outlines that they get: of the image or the region, and where it lies."""

from dataclasses import replace

import itk
import numpy as np
import pytest
import shapely
from dark_slides import CENTRES, RADIUS, draw, segmenter

from monai_seunet.label_app.inference.answers import as_annotations, write_mask
from monai_seunet.label_app.inference.request import choices, read_request
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError


def answers(request, tmp_path, mpp=0.25):
    """Mask and outlines of the test slide."""
    asked = read_request(request, segmenter(window_context=32), ".png")
    region = asked.segmenter.options.region
    result = asked.segmenter.run(draw(tmp_path / "a.tif", mpp), tmp_path / "out")
    found = list(result.objects), result.geometry, region
    return {"mask": read_raster(write_mask(tmp_path / "mask.png", *found)).pixels, "json": as_annotations(*found)}


def truth(x, y, width, height):
    rows, columns = np.mgrid[y : y + height, x : x + width] + 0.5
    centres = [(r, c) for r, c in CENTRES if y <= r < y + height and x <= c < x + width]
    return np.any([(rows - r) ** 2 + (columns - c) ** 2 < RADIUS**2 for r, c in centres], axis=0)


@pytest.mark.parametrize("mpp", [0.25, 0.5])
@pytest.mark.parametrize("region", [None, (30, 20, 250, 300), (200, 150, 300, 400), (-10, -20, 150, 130)])
def test_masks_and_outlines_are_those_of_the_region(tmp_path, region, mpp):
    request = {} if region is None else {"location": region[:2], "size": list(region[2:])}
    made, region = answers(request, tmp_path, mpp), region or (0, 0, 400, 400)
    expected = truth(*region)
    assert made["mask"].shape == expected.shape
    both = ((made["mask"] > 0) & expected).sum()
    assert 2 * both / ((made["mask"] > 0).sum() + expected.sum()) > 0.93
    (part,) = made["json"]
    assert part["annotation"]["location"] == list(region[:2])
    (element,) = part["annotation"]["elements"]
    polygons = [shapely.Polygon(contour) for contour in element["contours"]]
    inside = [c for c in CENTRES if 0 <= c[1] - region[0] < region[2] and 0 <= c[0] - region[1] < region[3]]
    assert len(polygons) == len(inside)
    for row, column in inside:
        assert any(polygon.contains(shapely.Point(column, row)) for polygon in polygons)


def test_choices_are_taken_and_lists_of_choices_mean_their_first():
    base = segmenter()
    request = {"threshold": "0.7", "min_area": 3, "mpp": "0.5", "groups": "2", "fusion": "p_max"}
    asked = read_request(request, base, ".png")
    options = asked.segmenter.options
    assert (options.nuclei.threshold, options.nuclei.min_area, options.mpp) == (0.7, 3.0, 0.5)
    assert options.groups == [2] and asked.segmenter.model.fusion == "p_max" and asked.answer == ".png"
    same = read_request(choices(base), base, ".nii.gz")
    assert same.segmenter.options == base.options and same.segmenter.model.fusion == base.model.fusion
    assert same.answer == ".nii.gz"
    assert read_request({"output": "image", "result_extension": ".xml"}, base, ".png").answer == ".xml"
    assert read_request({"output": "json"}, base, ".png").answer == "json"
    region = read_request({"location": (1.0, 0), "size": [5, 6.0]}, base, ".png").segmenter.options.region
    assert region == (1, 0, 5, 6), "whole numbers as floats, too"
    whole = read_request({"location": [-1, -1], "size": [-1, -1]}, base, ".png").segmenter.options
    assert whole.region is None and whole.tissue == base.options.tissue


@pytest.mark.parametrize(
    "request_",
    [
        {"threshold": 2},
        {"threshold": "much"},
        {"min_area": -1},
        {"mpp": "wide"},
        {"mpp": 0},
        {"mpp": 1e-30},
        {"groups": [1, True]},
        {"location": [1, True], "size": [2, 3]},
        {"groups": "1,x"},
        {"fusion": "best"},
        {"result_extension": ".exe"},
        {"location": [1], "size": [2, 3]},
        {"location": "x", "size": [2, 3]},
    ],
)
def test_mistakes_name_the_option(request_):
    with pytest.raises(InputError, match=next(iter(request_))):
        read_request(request_, segmenter(), ".png")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("region", [None, (31, 21, 250, 300), (-10, -20, 250, 230)])
def test_a_mask_lies_where_the_region_is(tmp_path, suffix, region):
    slide = draw(tmp_path / "a.tif", mpp=(0.25, 0.5))
    result = replace(segmenter(region=region, window_context=32), formats=("objects",)).run(slide, tmp_path / "out")
    write_mask(tmp_path / f"mask{suffix}", list(result.objects), result.geometry, region)
    x, y, width, height = region or (0, 0, 400, 400)
    mask = read_raster(tmp_path / f"mask{suffix}")
    assert mask.pixels.shape == (height, width) and mask.pixels[127 - y, 128 - x] == 1
    assert mask.pixel_size == pytest.approx((0.25, 0.5))
    image = itk.imread(str(tmp_path / f"mask{suffix}"))
    side = -1 if suffix == ".nii.gz" else 1  # x of NIfTI runs to the right, that of ITK to the left
    assert list(image.GetOrigin())[:2] == pytest.approx([side * x * 0.0005, side * y * 0.00025], abs=1e-9)
