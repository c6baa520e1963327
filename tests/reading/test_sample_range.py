"""Which stored values are black and white."""

import pickle

import numpy as np
import pytest
import tifffile
from layouts import write_image, write_medical

from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image
from monai_seunet.reading.sample_range import SampleRange, range_of_colours, range_of_grey
from monai_seunet.reading.tiff import level as tiff_level


def camera(seed: int = 0, size: tuple[int, int] = (60, 70)) -> np.ndarray:
    """Faint squares of 500 to 900 on a ground of about 150, as a camera of 12 bits has them."""
    rng = np.random.default_rng(seed)
    image = rng.integers(140, 160, size)
    for top, left, value in zip(rng.integers(0, 50, 9), rng.integers(0, 60, 9), range(500, 950, 50), strict=True):
        image[top : top + 6, left : left + 6] = value
    return image.astype(np.uint16)


def test_values_between_lie_in_proportion():
    found = SampleRange(100, 355).in_8_bits(np.array([0, 100, 101, 200, 355, 4000], np.uint16))
    assert found.dtype == np.uint8 and found.tolist() == [0, 0, 1, 100, 255, 255]
    every = np.arange(1 << 16, dtype=np.uint16)
    assert np.array_equal(SampleRange(0, 65535).in_8_bits(every), np.round(every / 257.0))


def test_grey_is_shown_from_its_darkest_to_its_brightest_value():
    image = camera()
    low, high = range_of_grey([image])
    assert 140 <= low < 160 and high == 900
    assert range_of_grey([image[:30], image[30:]])[1] == 900
    hot = image.copy()
    hot[20, 20], hot[40, 41] = 65535, 0
    assert range_of_grey([hot]) == (low, high), "a hot pixel does not count"
    hot[20:22, 20:22] = 4000
    assert range_of_grey([hot]) == (low, 4000), "a square of four does"
    assert range_of_grey([image.T]) == (low, high)


@pytest.mark.parametrize("image", [np.full((5, 6), 60000, np.uint16), np.full((1, 9), 7, np.uint16), np.uint16([[7]])])
def test_flat_images_stay_as_bright_as_they_are(image):
    assert (range_of_grey([image]).in_8_bits(image) == 255).all()
    dark = np.zeros_like(image)
    assert not range_of_grey([dark]).in_8_bits(dark).any()
    assert range_of_grey([]) == (0, 1)


def test_noise_alone_is_not_stretched_to_black_and_white():
    noise = np.random.default_rng(0).integers(140, 160, (60, 70)).astype(np.uint16)
    shown = range_of_grey([noise]).in_8_bits(noise)
    assert shown.min() > 100 and shown.std() < 50
    assert SampleRange(int(noise.min()), int(noise.max())).in_8_bits(noise).std() > 65, "the control: stretched"


@pytest.mark.parametrize(("most", "white"), [(200, 255), (256, 1023), (1023, 1023), (3000, 4095), (60000, 65535)])
def test_colours_are_shown_by_the_bits_that_they_need(most, white):
    colours = np.full((6, 7, 3), 100, np.uint16)
    colours[2:4, 3:5, 1] = most
    assert range_of_colours([colours[:, :, 0], colours]) == (0, white)
    colours[0, 0] = 65535
    assert range_of_colours([colours]) == (0, white), "a hot pixel does not count"
    assert range_of_colours([]) == (0, 255)


TIFFS = {
    "a.tif": {},
    "tiles.tif": {"tile": (16, 16)},
    "deflated.tif": {"compression": "zlib", "rowsperstrip": 8},
    "inverted.tif": {"photometric": "miniswhite"},
}


@pytest.mark.parametrize("name", [*TIFFS, "a.png", "a.nrrd"])
def test_faint_nuclei_of_12_bits_keep_their_contrast(tmp_path, name):
    image = camera()
    if name in TIFFS:
        tifffile.imwrite(tmp_path / name, image, **{"photometric": "minisblack", **TIFFS[name]})
    else:
        (write_image if name == "a.png" else write_medical)(tmp_path / name, image)
    with open_slide(tmp_path / name) as slide:
        shown = slide.read(0, 0, 0, *image.shape)[:, :, 0].astype(float)
        assert any("16 bits converted to 8, 1" in note and "to 900 as 0 to 255" in note for note in slide.notes)
    shown = 255 - shown if name == "inverted.tif" else shown
    assert len(np.unique(shown[image >= 500])) == len(np.unique(image[image >= 500])) > 3
    assert shown[image >= 500].min() > 100 and shown[image < 200].max() < 10
    full = SampleRange(0, 65535).in_8_bits(image)
    assert len(np.unique(full[image >= 500])) <= 3, "the control: of the full range they would keep hardly a level"


LARGE = {
    "a lattice of tiles": {"tile": (16, 16)},
    "rows": {"rowsperstrip": 1},
    "deflated rows": {"rowsperstrip": 1, "compression": "zlib"},
}


@pytest.mark.parametrize("kind", LARGE)
def test_all_of_an_image_that_is_not_large_is_looked_at(tmp_path, kind):
    rng = np.random.default_rng(0)
    image = rng.integers(140, 160, (63 * 16, 8 * 16)).astype(np.uint16)
    image[500:506, 61:67] = 900  # one nucleus
    image[700, 20:22] = 65535  # two hot pixels, which are no square
    tifffile.imwrite(tmp_path / "a.tif", image, photometric="minisblack", **LARGE[kind])
    with open_slide(tmp_path / "a.tif") as slide:
        assert any("to 900 as 0 to 255" in note for note in slide.notes)


@pytest.mark.parametrize("kind", LARGE)
def test_parts_of_a_large_image_are_looked_at_all_over_it(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(tiff_level, "RANGE_PIXELS", 1 << 15)
    monkeypatch.setattr(tiff_level, "PIECE_SAMPLES", 1 << 10)
    image = np.random.default_rng(0).integers(140, 160, (512, 512)).astype(np.uint16)
    image[:, 200:300] = 900
    image[100:400] += 300
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, image, photometric="minisblack", **LARGE[kind])
    calls, decode = [], tiff_level.TiffLevel._samples
    monkeypatch.setattr(
        tiff_level.TiffLevel, "_samples", lambda level, *place: calls.append(1) or decode(level, *place)
    )
    with open_slide(path) as slide:
        looked = len(calls)
        assert 0 < looked <= (128 if kind == "a lattice of tiles" else 64), "an eighth of it"
        whole = slide.read(0, 0, 0, 512, 512)
        calls.clear()
        with slide.for_thread() as other, pickle.loads(pickle.dumps(slide)) as copy:
            assert not calls, "another thread or process does not look again"
            for one in (other, copy):
                assert np.array_equal(one.read(0, 130, 250, 90, 80), whole[130:220, 250:330])
                assert one.notes == slide.notes
        assert any("to 1200 as 0 to 255" in note for note in slide.notes) and whole.max() == 255


def test_a_value_is_as_bright_on_all_levels(tmp_path):
    image = camera(size=(512, 512))
    image[:256] += 1000
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(image, photometric="minisblack", tile=(64, 64), subifds=1)
        file.write(image[::2, ::2], photometric="minisblack", tile=(64, 64), subfiletype=1)
    with open_slide(tmp_path / "a.tif") as slide:
        assert len(slide.levels) == 2
        assert np.array_equal(slide.read(1, 0, 0, 256, 256), slide.read(0, 0, 0, 512, 512)[::2, ::2])


def test_what_has_a_range_of_its_own_keeps_it(tmp_path):
    """Inks, whose zero is white, and samples of which the file says how many bits they have."""
    inks = np.random.default_rng(0).integers(0, 900, (40, 50, 4)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "inks.tif", inks, photometric="separated")
    packed = np.random.default_rng(0).integers(0, 500, (40, 48, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "packed.tif", packed, photometric="rgb", bitspersample=12)
    clear = np.dstack([packed, np.full(packed.shape[:2], 65535, np.uint16)])
    tifffile.imwrite(tmp_path / "clear.tif", clear, photometric="rgb", extrasamples=["unassalpha"])
    with open_slide(tmp_path / "inks.tif") as slide:
        assert slide.read(0, 0, 0, 40, 50).min() > 245
    with open_slide(tmp_path / "packed.tif") as slide:
        assert np.array_equal(slide.read(0, 0, 0, 40, 48), SampleRange(0, 4095).in_8_bits(packed))
    with open_slide(tmp_path / "clear.tif") as slide:
        assert np.array_equal(slide.read(0, 0, 0, 40, 48), SampleRange(0, 1023).in_8_bits(packed))


def test_tiles_that_were_not_scanned_do_not_count(tmp_path):
    image = camera(size=(64, 64))
    tiles = [image[y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32)]
    options = {"shape": (64, 64), "dtype": np.uint16, "tile": (32, 32), "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", iter([tiles[0], None, None, tiles[3]]), **options)
    with open_slide(tmp_path / "a.tif") as slide:
        shown = slide.read(0, 0, 0, 64, 64)[:, :, 0]
        assert (shown[:32, 32:] == 255).all()
        assert np.array_equal(shown[:32, :32], range_of_grey([tiles[0], tiles[3]]).in_8_bits(tiles[0]))


def test_colours_of_12_bits_are_as_bright_as_of_8(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", np.round(colours * (4095 / 255)).astype(np.uint16), photometric="rgb")
    with open_slide(tmp_path / "a.tif") as slide:
        assert np.array_equal(slide.read(0, 0, 0, 40, 50), colours)
        assert "16 bits converted to 8, 0 to 4095 as 0 to 255" in slide.notes
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, colours)
