from __future__ import annotations

import numpy as np
import pytest
import tifffile

from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference import preprocessing as slide_stain
from monai_seunet.slides.inference.preprocessing import choose_tiles, slide_profile
from monai_seunet.slides.inference.tissue import TissueMask, find_tissue
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.transforms.stain import NoTissueError, fit_profile

GRID = 24  # tiles a side


@pytest.fixture
def tile(monkeypatch):
    monkeypatch.setattr(slide_stain, "TILE", 16)
    return 16


@pytest.fixture
def slide(tmp_path):
    """Two stains by the Beer–Lambert law; the right half is glass."""
    random, side = np.random.default_rng(0), GRID * 16
    stains = np.array([[0.65, 0.70, 0.29], [0.20, 0.93, 0.31]])
    amount = random.random((side, side, 2)) * np.where(random.random((side, side, 1)) < 0.3, (1.5, 0.1), (0.05, 0.8))
    amount[:, side // 2 :] = 0
    pixels = np.round(255 * np.exp(-amount @ stains)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    with open_slide(tmp_path / "a.tif") as opened:
        yield opened


def left_half(slide, height=GRID):
    mask = np.zeros((GRID, GRID), bool)
    mask[:height, : GRID // 2] = True
    return TissueMask(mask, (slide.height, slide.width))


def test_tiles_are_spread_over_the_tissue(slide, tile):
    places = choose_tiles(SlideView(slide), left_half(slide), slide_stain.TILE, slide_stain.TILES)
    assert len(places) == len(set(places)) == slide_stain.TILES
    assert all(x < slide.width // 2 for _, x in places)
    rows = np.array([y for y, _ in places])
    assert rows.min() <= 16 and rows.max() >= slide.height - 32 and len(set(rows)) >= 20
    assert places == choose_tiles(SlideView(slide), left_half(slide), slide_stain.TILE, slide_stain.TILES)
    assert choose_tiles(SlideView(slide), left_half(slide, 1), slide_stain.TILE, slide_stain.TILES) == [
        (0, 16 * x) for x in range(GRID // 2)
    ]


def test_tissue_too_small_to_fill_a_tile_is_taken(slide):
    mask = np.zeros((GRID, GRID), bool)
    mask[3, 4] = True
    assert choose_tiles(SlideView(slide, 2.0), TissueMask(mask, (slide.height, slide.width)), slide_stain.TILE, 32) == [
        (0, 0)
    ]


def test_the_profile_is_that_of_the_tiles_and_is_kept(slide, tile, tmp_path):
    path, view, tissue = tmp_path / "stain_profile.json", SlideView(slide), left_half(slide)
    profile = slide_profile(view, tissue, path)
    tiles = list(slide_stain._read(view, choose_tiles(view, tissue, slide_stain.TILE, slide_stain.TILES)))
    assert all(one.shape == (3, 16, 16) for one in tiles)
    assert profile.matrix == fit_profile(tiles).matrix
    assert profile.tissue_pixels > 1000 and "a.tif" in profile.origin
    stamp = path.stat().st_mtime_ns
    assert slide_profile(view, tissue, path) == profile
    assert path.stat().st_mtime_ns == stamp
    path.write_text("damaged")
    assert slide_profile(view, tissue, path) == profile


@pytest.mark.parametrize("change", ["resolution", "tissue", "method"])
def test_a_profile_of_other_settings_is_not_taken(slide, tile, tmp_path, change):
    path = tmp_path / "stain_profile.json"
    first = slide_profile(SlideView(slide), left_half(slide), path)
    second = slide_profile(
        SlideView(slide, 0.5 if change == "resolution" else 1.0),
        left_half(slide, 2) if change == "tissue" else left_half(slide),
        path,
        "macenko" if change == "method" else "vahadane",
    )
    assert second != first


def test_a_blank_slide_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "b.tif", np.full((200, 200, 3), 243, np.uint8), photometric="rgb")
    with open_slide(tmp_path / "b.tif") as slide, pytest.raises(NoTissueError, match=r"b\.tif: no tissue is on"):
        slide_profile(SlideView(slide), find_tissue(slide), tmp_path / "stain_profile.json")
    assert not (tmp_path / "stain_profile.json").exists()


@pytest.mark.data
def test_a_real_slide_has_two_stains(data_dir, tmp_path):
    with open_slide(data_dir / "slides" / "cmu_small_region.svs") as slide:
        view, tissue = SlideView(slide, 0.5), find_tissue(slide, 0.499)
        profile = slide_profile(view, tissue, tmp_path / "stain_profile.json")
    assert profile.angle > 15 and profile.tissue_pixels > 100_000
