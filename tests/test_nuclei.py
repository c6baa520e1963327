"""Three lines of Python find the same nuclei as the command."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import MetaTensor
from skimage.data import immunohistochemistry

from monai_seunet import segment
from monai_seunet.cli import main
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.slides.outputs import overlay
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("image") / "ihc.png", immunohistochemistry())


@pytest.fixture(scope="module")
def nuclei(image):
    return segment(image, mpp=0.5)


def test_the_command_finds_the_same_nuclei(image, nuclei, tmp_path):
    words = ["segment", str(image), "--mpp", "0.5", "-o", str(tmp_path / "out"), "--workers", "0"]
    assert main(words) == 0
    table = pd.read_parquet(tmp_path / "out" / "ihc" / "objects.parquet")
    pd.testing.assert_frame_equal(nuclei.table, table)
    assert len(nuclei) == len(table) > 50
    (row,) = pd.read_csv(tmp_path / "out" / "counts.csv").to_dict("records")
    assert row["model"] == nuclei.result["model"] == "nuclei_he_free" and row["warnings"] == "stain_not_he"
    assert (tmp_path / "out" / "ihc" / "overlay.png").stat().st_size > 100_000


def test_labels_scales_and_table_describe_the_same_nuclei(nuclei):
    assert nuclei.labels.shape == nuclei.scales.shape == (512, 512) and nuclei.mpp == (0.5, 0.5)
    assert set(np.unique(nuclei.labels)) == {0, *nuclei.table["label"]}
    row = nuclei.table.loc[nuclei.table["area_px"].idxmax()]
    inside = nuclei.labels == row["label"]
    assert inside.sum() == pytest.approx(row["area_px"], rel=0.1)
    assert np.bincount(nuclei.scales[inside]).argmax() == row["scale_group"]


@pytest.mark.parametrize("offset", [0, 123_456])
def test_a_printed_table_shows_number_place_area_and_confidence(nuclei, monkeypatch, offset):
    monkeypatch.setenv("COLUMNS", "80")
    places = [name for name in nuclei.table if name.endswith("_px") and name[:2] in ("x_", "y_", "bo")]
    table = nuclei.table.assign(**{name: nuclei.table[name] + offset for name in places})  # as on a large slide
    with pd.option_context("display.width", 80, "display.max_columns", 0):
        shown = str(table).splitlines()[0].split()
    assert {"label", "x_px", "y_px", "area_px", "area_um2", "confidence"} <= {*shown} and "..." in shown
    with pd.option_context("display.max_columns", 20):  # a notebook
        hidden = {*table} - {*re.findall(r"<th>(\w+)</th>", table._repr_html_())}
    assert hidden and all(name.startswith("box_") for name in hidden)


def test_arrays_and_tensors_are_segmented_like_their_file(nuclei):
    pixels = immunohistochemistry()
    tracked = MetaTensor(torch.as_tensor(np.moveaxis(pixels, 2, 0).copy()), meta={"mpp": 0.5})
    tracked.affine = torch.diag(torch.tensor([0.5, 0.5, 1.0, 1.0], dtype=torch.float64))
    for image, mpp in ((pixels, 0.5), (tracked, None)):
        again = segment(image, mpp=mpp)
        assert np.array_equal(again.labels, nuclei.labels) and again.mpp == nuclei.mpp


def test_results_are_written_in_the_formats_of_other_programs(nuclei, tmp_path):
    features = json.loads(nuclei.to_geojson(tmp_path / "a.geojson").read_text())["features"]
    assert len(features) == len(pd.read_csv(nuclei.to_csv(tmp_path / "a.csv"))) == len(nuclei)
    assert len(pd.read_parquet(nuclei.to_parquet(tmp_path / "a.parquet"))) == len(nuclei)
    drawn = read_image(nuclei.to_png(tmp_path / "a.png")).pixels
    assert drawn.shape[2] == 3 and (drawn == (240, 228, 66)).all(axis=2).sum() > 1000  # yellow outlines


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 3)), "array of float64 and shape [8, 8, 3]"),
        (MetaTensor(torch.full((3, 8, 8), -1.0)), "array of float32 and shape [3, 8, 8]"),
        (np.zeros((8, 8, 4), np.uint8), "array of uint8 and shape [8, 8, 4]"),
        (
            np.zeros((64, 64), np.uint8),
            "no shipped model is made for grey bright-field images; nuclei_fluorescence is made only for fluorescence",
        ),
    ],
)
def test_other_arrays_are_refused(image, message):
    with pytest.raises(InputError) as error:
        segment(image)
    assert message in str(error.value)


def test_grey_images_have_their_model():
    y, x = np.mgrid[:128, :128]
    image = (30 + 200 * (np.hypot(y - 60, x - 70) < 12)).astype(np.uint8)
    blue = np.stack([np.zeros_like(image), np.zeros_like(image), image], axis=2)
    for dark in (image, np.repeat(image[:, :, None], 3, axis=2), blue):
        found = segment(dark, "nuclei_fluorescence", mpp=0.5)
        assert len(found) == 1 and not found.warnings


def test_bright_field_images_are_a_warning_of_the_model_for_fluorescence():
    pixels = immunohistochemistry()[:128, :128]
    for bright in (pixels, pixels[:, :, 1]):
        (warning,) = segment(bright, "nuclei_fluorescence", mpp=0.5).warnings
        assert "the background is bright" in warning and "no shipped model is made for grey bright-field" in warning


def test_a_large_slide_becomes_a_thumbnail_with_dots(image, nuclei, tmp_path, monkeypatch):
    monkeypatch.setattr(overlay, "LARGEST", 256)
    with open_slide(image) as slide:
        view, result = SlideView(slide, 2.0, 3), nuclei.result
        thumbnail = slide.read(level=0, y=0, x=0, height=512, width=512)[::2, ::2]
        path = overlay.write_overlay(tmp_path / "a.png", result.objects, result.geometry, view, thumbnail)
    drawn = read_image(path).pixels
    dots = (drawn != thumbnail).any(axis=2)
    assert drawn.shape == (256, 256, 3) and 0.9 * len(nuclei) < dots.sum() <= len(nuclei)
    row = nuclei.table.iloc[0]
    assert dots[int(row["y_px"] / 2), int(row["x_px"] / 2)]
