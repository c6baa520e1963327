import numpy as np
import pytest
import tifffile
import torch

from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference import preprocessing as slide_stain
from monai_seunet.slides.inference.preprocessing import choose_tiles, slide_profile
from monai_seunet.slides.inference.tissue import TissueMask, find_tissue
from monai_seunet.slides.inference.view import SlideView
from monai_seunet.transforms.stain import NoTissueError, fit_profile

GRID = 24  # tiles a side


@pytest.fixture
def slide(tmp_path, monkeypatch):
    """Two stains by the Beer–Lambert law; the right half is glass. Tiles are small."""
    monkeypatch.setattr(slide_stain, "TILE", 16)
    random, side = np.random.default_rng(0), GRID * 16
    stains = np.array([[0.65, 0.70, 0.29], [0.20, 0.93, 0.31]])
    amount = random.random((side, side, 2)) * np.where(random.random((side, side, 1)) < 0.3, (1.5, 0.1), (0.05, 0.8))
    amount[:, side // 2 :] = 0
    pixels = np.round(255 * np.exp(-amount @ stains)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", tile=(64, 64), compression="zlib")
    with open_slide(tmp_path / "a.tif") as opened:
        yield opened


def tissue_at(slide, *cells):
    mask = np.zeros((GRID, GRID), bool)
    mask[cells] = True
    return TissueMask(mask, (slide.height, slide.width))


def left_half(slide, height=GRID):
    return tissue_at(slide, slice(height), slice(GRID // 2))


def tiles_of(view, tissue):
    return choose_tiles(view, tissue, slide_stain.TILE, slide_stain.TILES)


def test_tiles_are_spread_over_the_tissue(slide):
    places = tiles_of(SlideView(slide), left_half(slide))
    assert len(places) == len(set(places)) == slide_stain.TILES
    assert all(x < slide.width // 2 for _, x in places)
    rows = np.array([y for y, _ in places])
    assert rows.min() <= 16 and rows.max() >= slide.height - 32 and len(set(rows)) >= 20
    assert places == tiles_of(SlideView(slide), left_half(slide))
    assert tiles_of(SlideView(slide), left_half(slide, 1)) == [(0, 16 * x) for x in range(GRID // 2)]


def test_tissue_too_small_to_fill_a_tile_is_taken(slide):
    assert choose_tiles(SlideView(slide, 2.0), tissue_at(slide, 3, 4), 512, slide_stain.TILES) == [(0, 0)]


def test_the_profile_is_that_of_the_tiles_and_is_kept(slide, tmp_path):
    path, view, tissue = tmp_path / "stain_profile.json", SlideView(slide), left_half(slide)
    profile = slide_profile(view, tissue, path)
    places = tiles_of(view, tissue)
    tiles = [torch.from_numpy(one).permute(2, 0, 1) for one in view.tiles(places, slide_stain.TILE)]
    assert all(one.shape == (3, 16, 16) for one in tiles)
    assert profile.matrix == fit_profile(tiles).matrix
    assert profile.tissue_pixels > 1000 and "a.tif" in profile.origin
    stamp = path.stat().st_mtime_ns
    assert slide_profile(view, tissue, path) == profile
    assert path.stat().st_mtime_ns == stamp
    path.write_text("damaged")
    assert slide_profile(view, tissue, path) == profile


@pytest.mark.parametrize("change", [{"scale": 0.5}, {"height": 2}, {"method": "macenko"}])
def test_a_profile_of_other_settings_is_not_taken(slide, tmp_path, change):
    def profile(scale=1.0, height=GRID, method="vahadane"):
        return slide_profile(SlideView(slide, scale), left_half(slide, height), tmp_path / "stain.json", method)

    assert profile() == profile() != profile(**change)


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
