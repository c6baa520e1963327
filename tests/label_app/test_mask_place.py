"""Masks for 3D Slicer have the size of the image or the region, its µm per pixel, and lie where the region is."""

from __future__ import annotations

from dataclasses import replace

import itk
import pytest
import tifffile
from dark_slides import draw, segmenter

from monai_seunet.label_app.inference.answers import write_mask
from monai_seunet.reading.raster import read_raster


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("region", [None, (31, 21, 250, 300), (-10, -20, 250, 230)])
def test_a_mask_lies_where_the_region_is(tmp_path, suffix, region):
    slide = tmp_path / "a.tif"
    pixels = tifffile.imread(draw(tmp_path / "b.tif"))
    tifffile.imwrite(slide, pixels, photometric="rgb", resolution=(20_000, 40_000), resolutionunit="CENTIMETER")

    result = replace(segmenter(region=region, window_context=32), formats=("objects",)).run(slide, tmp_path / "out")
    write_mask(tmp_path / f"mask{suffix}", list(result.objects), result.geometry, region)
    x, y, width, height = region or (0, 0, 400, 400)
    mask = read_raster(tmp_path / f"mask{suffix}")
    assert mask.pixels.shape == (height, width) and mask.pixels[127 - y, 128 - x] == 1
    assert mask.pixel_size == pytest.approx((0.25, 0.5))
    image = itk.imread(str(tmp_path / f"mask{suffix}"))
    side = -1 if suffix == ".nii.gz" else 1  # x of NIfTI runs to the right, that of ITK to the left
    assert list(image.GetOrigin())[:2] == pytest.approx([side * x * 0.0005, side * y * 0.00025], abs=1e-9)
