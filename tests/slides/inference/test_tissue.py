import numpy as np
import pytest
from PIL import Image
from slide_files import ArraySlide, halved, noise, overwrite_tile, write_pyramid

from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference.tissue import TissueMask, find_tissue, thumbnail_scale
from monai_seunet.utils.errors import InputError

GLASS, EOSIN, NUCLEI, PALE = (243, 241, 244), (225, 150, 190), (110, 70, 140), (235, 205, 222)
SIZE = 400


def canvas(colour=GLASS, jitter=3):
    pixels = np.broadcast_to(np.array(colour), (SIZE, SIZE, 3)) + noise(SIZE, SIZE) % (jitter + 1)
    return pixels.clip(0, 255).astype(np.uint8)


def with_tissue(colour=EOSIN, **options):
    pixels = canvas(**options)
    pixels[100:300, 120:320] = canvas(colour)[100:300, 120:320]
    pixels[150:200, 150:200] = NUCLEI
    return pixels


def mask_of(pixels, mpp=1.0):
    return find_tissue(ArraySlide([pixels]), mpp).mask.repeat(2, 0).repeat(2, 1)  # cells of 2 µm


EMPTY = {
    "white": canvas((255, 255, 255), 0),
    "glass": canvas(),
    "tinted glass": canvas((235, 228, 222)),
    "grey": canvas((180, 180, 180)),
    "flat grey": canvas((180, 180, 180), 0),
    "shaded": (canvas() * np.linspace(0.75, 1, SIZE)[:, None, None]).astype(np.uint8),
    "black": canvas((0, 0, 0), 0),
    "padding": canvas((2, 4, 3)),
}


@pytest.mark.parametrize("kind", EMPTY)
@pytest.mark.parametrize("mpp", [1.0, None])
def test_there_is_no_tissue_on_an_empty_slide(kind, mpp):
    mask = find_tissue(ArraySlide([EMPTY[kind]]), mpp)
    assert mask.fraction == 0 and not mask.touches(0, 0, SIZE, SIZE)


@pytest.mark.parametrize("colour", [EOSIN, PALE, NUCLEI])
def test_tissue_is_found_with_a_margin(colour):
    mask = mask_of(with_tissue(colour))
    assert mask[100:300, 120:320].all()  # the nuclei inside do not make the rest of it glass
    assert mask[85:315, 220].all() and mask[200, 105:335].all() and not mask[:70].any() and not mask[330:].any()


@pytest.mark.parametrize("colour", [EOSIN, PALE])
def test_an_image_full_of_tissue_stays_whole(colour):
    pixels = canvas(colour)
    pixels[150:200, 150:350] = NUCLEI
    assert mask_of(pixels).all()


def test_borders_ink_and_specks_are_no_tissue():
    pixels = with_tissue()
    pixels[:, :40] = 0  # padding
    pixels[20:60, 100:380] = (40, 70, 180)  # a pen, blue
    pixels[340:380, 100:380] = (40, 150, 80)  # and green
    pixels[200:204, 380:384] = NUCLEI  # 16 µm²
    mask = mask_of(pixels)
    assert mask[100:300, 120:320].all()
    assert not mask[:70].any() and not mask[330:].any() and not mask[:, :60].any() and not mask[:, 350:].any()


@pytest.mark.parametrize(("mpp", "filled"), [(1.0, True), (4.0, False)])
def test_holes_are_filled_where_they_are_small(mpp, filled):
    pixels = with_tissue()
    pixels[130:280, 150:300] = canvas()[130:280, 150:300]
    assert find_tissue(ArraySlide([pixels]), mpp).touches(200, 220, 210, 230) == filled


@pytest.mark.parametrize("bright", [True, False])
def test_images_without_colours_are_taken_whole(bright):
    grey = with_tissue().mean(axis=2, keepdims=True).astype(np.uint8).repeat(3, 2)
    assert mask_of(grey if bright else 255 - grey).all()


def test_all_takes_all_without_reading():
    slide = ArraySlide([EMPTY["white"]])
    assert find_tissue(slide, 1.0, "all").fraction == 1 and not slide.log
    with pytest.raises(InputError, match="choose otsu or all"):
        find_tissue(slide, 1.0, "network")


def test_a_thumbnail_comes_from_a_coarse_level():
    pixels = with_tissue()
    levels = [pixels, halved(pixels), halved(halved(pixels))]
    slide = ArraySlide(levels)
    find_tissue(slide, 0.5)
    assert {level for level, _, _ in slide.log} == {2}
    assert max(height for _, height, _ in slide.log) <= 64  # in strips


@pytest.mark.parametrize(
    ("size", "mpp", "scale"),
    [
        ((100_000, 50_000), 0.25, 2048 / 100_000),
        ((1000, 1000), 0.25, 0.125),
        ((1000, 1000), None, 0.25),
        ((1000, 1000), 8.0, 1.0),
        ((1, 1), None, 0.25),
    ],
)
def test_cells_of_the_mask_have_a_sensible_size(size, mpp, scale):
    slide = ArraySlide([np.broadcast_to(np.uint8(0), (*size, 3))])
    assert thumbnail_scale(slide, mpp) == pytest.approx(scale)


@pytest.mark.parametrize("colour", [GLASS, EOSIN])
def test_an_image_of_one_pixel(colour):
    mask = find_tissue(ArraySlide([np.full((1, 1, 3), colour, np.uint8)]))
    assert mask.mask.shape == (1, 1) and mask.touches(0, 0, 1, 1) == (colour == EOSIN)


def test_regions_touch_tissue_exactly_where_their_cells_do():
    cells, base = np.random.default_rng(0).random((7, 11)) < 0.1, (23, 37)
    mask = TissueMask(cells, base)
    fine = cells.repeat(base[0], 0).repeat(base[1], 1)  # on a grid that both divide: no rounding
    for y, x, height, width in np.random.default_rng(1).integers((-5, -5, 1, 1), (25, 40, 12, 12), (300, 4)).tolist():
        top, left = max(y, 0) * 7, max(x, 0) * 11
        expected = fine[top : max(y + height, 0) * 7, left : max(x + width, 0) * 11].any()
        assert mask.touches(y, x, y + height, x + width) == expected
    assert mask.touches(-50, -50, 5000, 5000) and mask.share(23, 0, 30, 10) == 0
    assert mask.share(0, 0, *base) == mask.fraction == cells.mean()


def test_the_mask_is_a_picture(tmp_path):
    mask = TissueMask(np.random.default_rng(0).random((50, 60)) < 0.5, (503, 601))
    mask.save(tmp_path / "new ä" / "tissue.png")
    assert [path.name for path in (tmp_path / "new ä").iterdir()] == ["tissue.png"]
    read = TissueMask.load(tmp_path / "new ä" / "tissue.png")
    assert np.array_equal(read.mask, mask.mask) and read.base == mask.base
    with Image.open(tmp_path / "new ä" / "tissue.png") as image:
        assert set(np.unique(image)) == {0, 255}


def test_masks_that_cannot_be_read_or_written(tmp_path):
    Image.fromarray(noise(5, 5)).save(tmp_path / "other.png")
    (tmp_path / "text.png").write_text("no picture")
    for name in ("other.png", "text.png", "missing.png"):
        with pytest.raises(InputError, match=rf"{name}: no tissue mask"):
            TissueMask.load(tmp_path / name)
    with pytest.raises(InputError, match="cannot be written"):
        TissueMask(np.ones((2, 2), bool), (2, 2)).save(tmp_path / "text.png" / "tissue.png")


def test_a_level_that_cannot_be_read_is_named(tmp_path):
    path = write_pyramid(tmp_path / "a.tif", [with_tissue(), halved(with_tissue())])
    overwrite_tile(path, page=1, tile=3)
    with open_slide(path) as slide, pytest.raises(InputError, match=r"a\.tif: level 1, "):
        find_tissue(slide, 1.0)


@pytest.mark.data
@pytest.mark.parametrize("mpp", [0.25, None])
def test_nuclei_of_fields_full_of_tissue_are_kept(data_dir, mpp):
    for path in sorted((data_dir / "monuseg/MoNuSeg 2018 Training Data/Tissue Images").glob("*.tif"))[::5]:
        with open_slide(path) as slide:
            mask = Image.fromarray(find_tissue(slide, mpp).mask).resize((slide.width, slide.height))
        nuclei = np.asarray(Image.open(data_dir / "monuseg" / "binary_masks" / f"{path.stem}.png")) > 0
        assert np.asarray(mask)[nuclei].mean() >= 0.99


@pytest.mark.data
@pytest.mark.parametrize("mpp", [0.499, None])
def test_tissue_of_a_real_slide(data_dir, mpp):
    with open_slide(data_dir / "slides" / "cmu_small_region.svs") as slide:
        mask = find_tissue(slide, mpp)
    assert 0.3 < mask.fraction < 0.5
    assert mask.touches(1300, 1000, 1310, 1010) and not mask.touches(1400, 100, 2967, 400)
