import pickle

import numpy as np
import pytest
from PIL import Image
from slide_files import ArraySlide, noise, pyramid, write_pyramid

from monai_seunet.reading.opening import open_slide
from monai_seunet.slides.inference import view as view_module
from monai_seunet.slides.inference.view import WEIGHT_BITS, SlideView, axis_weights
from monai_seunet.utils.errors import InputError

SCALES = [1.0, 0.5, 0.25, 0.9999, 0.7, 0.499, 0.37, (0.8, 0.31), 0.06, 1.3, 2.0, (2.7, 0.9), (1 / 3, 1 / 7)]


def cut(whole, y, x, height, width):
    """What a region must be, taken out of the whole picture."""
    result = np.full((height, width, whole.shape[2]), 255, np.uint8)
    rows, columns = np.arange(y, y + height), np.arange(x, x + width)
    seen = ((rows >= 0) & (rows < whole.shape[0]))[:, None] & ((columns >= 0) & (columns < whole.shape[1]))[None]
    inside = whole[rows.clip(0, whole.shape[0] - 1)][:, columns.clip(0, whole.shape[1] - 1)]
    result[seen] = inside[seen]
    return result


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_a_region_is_the_same_alone_and_in_the_whole(scale, channels):
    view = SlideView(ArraySlide(pyramid()), scale, channels)
    whole = view.read(0, 0, view.height, view.width)
    random = np.random.default_rng(1)
    for _ in range(25):
        y, x = (int(random.integers(-20, length + 10)) for length in (view.height, view.width))
        height, width = (int(size) for size in random.integers(1, 90, 2))
        assert np.array_equal(view.read(y, x, height, width), cut(whole, y, x, height, width))


def test_resampling_by_pillow_breaks_that_law():
    """The control: the usual way to resample a window is not good enough."""
    pixels, scale = noise(300, 300), 0.7
    whole = np.asarray(Image.fromarray(pixels).resize((210, 210), Image.Resampling.BILINEAR))
    part = Image.fromarray(pixels[100:200, 100:200]).resize((70, 70), Image.Resampling.BILINEAR)
    assert not np.array_equal(np.asarray(part), whole[70:140, 70:140]) and scale * 100 == pytest.approx(70)


@pytest.mark.parametrize("scale", [0.5, 0.7, 0.37, 0.06, 1.3, 2.0, (0.8, 0.31)], ids=str)
def test_pixels_are_those_of_pillow_to_a_level(scale):
    pixels = noise(300, 400)
    view = SlideView(ArraySlide([pixels]), scale)
    height, width = int(300 * view.scale[0]), int(400 * view.scale[1])
    box = (0, 0, width / view.scale[1], height / view.scale[0])
    theirs = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=box)
    ours = view.read(0, 0, height, width).astype(int)
    assert np.abs(ours - np.asarray(theirs)).max() <= 1


def test_a_file_reads_like_an_array(tmp_path):
    levels = pyramid()
    with open_slide(write_pyramid(tmp_path / "a.tif", levels)) as slide:
        copy = pickle.loads(pickle.dumps(SlideView(slide, 0.43)))
        assert np.array_equal(copy.read(-5, 30, 60, 70), SlideView(ArraySlide(levels), 0.43).read(-5, 30, 60, 70))


@pytest.mark.parametrize(
    ("scale", "level", "exact"),
    [
        (1.0, 0, True),
        (2.0, 0, False),
        (0.51, 0, False),
        (0.5, 1, True),
        (0.5004, 1, True),
        (0.503, 1, False),
        (0.3, 1, False),
        ((0.25, 0.3), 1, False),
        (0.25, 2, True),
        (0.1, 2, False),
    ],
)
def test_the_coarsest_level_that_is_fine_enough_is_read(scale, level, exact):
    slide = ArraySlide(pyramid(256, 320))
    view = SlideView(slide, scale)
    pixels = view.read(0, 0, view.height, view.width)
    assert {read[0] for read in slide.log} == {level}
    assert np.array_equal(pixels, slide.arrays[level]) == exact
    if exact:
        assert view.scale == (0.5**level,) * 2  # what it became, so coordinates stay true


def test_large_regions_are_read_in_pieces_without_seams(monkeypatch):
    slide = ArraySlide([noise(300, 500)])
    view = SlideView(slide, 0.3)
    whole = view.read(0, 0, view.height, view.width)
    monkeypatch.setattr(view_module, "PIECE", 100)
    slide.log.clear()
    assert np.array_equal(view.read(0, 0, view.height, view.width), whole)
    assert len(slide.log) > 10 and max(height * width for _, height, width in slide.log) <= 110**2


@pytest.mark.parametrize("size", [(101, 77), (1, 1)])
@pytest.mark.parametrize("scale", [0.01, 0.1, 0.37, 0.4, 1.0, 1.7, 3.0])
def test_flat_colours_stay_to_the_last_pixel_of_the_border(scale, size):
    view = SlideView(ArraySlide([np.full((*size, 3), (250, 3, 77), np.uint8)]), scale)
    assert (view.height, view.width) == tuple(max(1, round(side * scale)) for side in size)
    assert (view.read(0, 0, view.height, view.width) == (250, 3, 77)).all()


@pytest.mark.parametrize("ratio", [0.01, 0.33, 0.5, 1.0, 1.001, 3.7])
def test_weights_sum_to_one_and_lie_around_their_pixel(ratio):
    matrix, first, last = axis_weights(3, 40, ratio, 5000)
    assert (matrix.sum(axis=1) == 1 << WEIGHT_BITS).all() and matrix.min() >= 0
    centres = matrix @ (np.arange(first, last) + 0.5) / (1 << WEIGHT_BITS)
    assert np.allclose(centres, (np.arange(3, 40) + 0.5) / ratio, atol=0.01 / min(ratio, 1))


def test_one_channel_is_the_grey_of_a_grey_image():
    grey = noise(50, 60, 1)
    assert np.array_equal(SlideView(ArraySlide([grey.repeat(3, 2)]), 1.0, channels=1).read(0, 0, 50, 60), grey)


def test_points_go_back_to_the_base_level():
    view = SlideView(ArraySlide(pyramid(256, 320)), (0.5004, 0.5004))
    assert np.allclose(view.to_base(np.array([[0, 0], [128, 160]])), [[0, 0], [256, 320]])
    view = SlideView(ArraySlide(pyramid(256, 320)), (0.4, 0.3))
    assert np.allclose(view.to_base(np.array([[4.0, 3.0]])), [[10, 10]])


@pytest.mark.parametrize(("scale", "channels"), [(0.0, 3), (-1.0, 3), ((0.5, float("nan")), 3), (1.0, 2)])
def test_impossible_views(scale, channels):
    with pytest.raises(ValueError, match=r"scale|channels"):
        SlideView(ArraySlide(pyramid()), scale, channels)


@pytest.mark.data
def test_a_real_slide_through_the_view(data_dir):
    with open_slide(data_dir / "slides" / "cmu_small_region.svs") as slide:
        view = SlideView(slide, 0.499 / 0.81)
        whole = view.read(300, 300, 400, 400)
        assert np.array_equal(view.read(411, 377, 128, 128), whole[111:239, 77:205])
        base = slide.read(0, 0, 0, 1000, 1000)
    size = (616, 616)
    theirs = Image.fromarray(base).resize(size, Image.Resampling.BILINEAR, box=(0, 0, *(616 / view.scale[0],) * 2))
    assert np.abs(whole[:300, :300].astype(int) - np.asarray(theirs)[300:600, 300:600]).max() <= 1


def test_damage_comes_through():
    class Broken(ArraySlide):
        def _read_inside(self, *place):
            raise OSError("corrupt\ntile")

    with pytest.raises(InputError, match=r"array\.svs: level 0, rows .* \(corrupt\); the file is damaged"):
        SlideView(Broken(pyramid()), 0.7).read(0, 0, 10, 10)
