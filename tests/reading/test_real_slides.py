"""Real files of scanners and programs, against OpenSlide and tifffile."""

import re
import warnings

import numpy as np
import openslide
import pytest
import tifffile

from monai_seunet.reading.names import find_slides
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image
from monai_seunet.reading.reader import HistologyReader

SCANNED = ("cmu_small_region.svs", "tcga_cr_7395.svs", "dicomwsi_camelyon_multiframe.dcm", "small.svs")


@pytest.mark.data
@pytest.mark.parametrize("name", SCANNED)
def test_levels_and_sizes_are_those_of_openslide(data_dir, name):
    path = data_dir / "slides" / name
    with open_slide(path) as slide, openslide.OpenSlide(path) as theirs:
        assert [(level.width, level.height) for level in slide.levels] == list(theirs.level_dimensions)
        assert [level.downsample for level in slide.levels] == pytest.approx(theirs.level_downsamples, rel=1e-3)
        said = [theirs.properties.get(f"openslide.mpp-{axis}") for axis in "yx"]
        assert slide.mpp == (None if None in said else pytest.approx([float(side) for side in said]))
        power = theirs.properties.get("openslide.objective-power")
        assert slide.objective_power == (None if power is None else float(power))
        for number, (width, height) in enumerate(theirs.level_dimensions):
            if not theirs.level_downsamples[number].is_integer():
                continue  # OpenSlide interpolates there, differently for each region
            read = slide.read(number, 0, 0, height, width)
            rgba = np.asarray(theirs.read_region((0, 0), number, (width, height)))
            seen = rgba[:, :, 3] == 255
            assert np.array_equal(read[seen], rgba[seen][:, :3]) and (read[rgba[:, :, 3] == 0] == 255).all()


@pytest.mark.data
@pytest.mark.parametrize("name", SCANNED[:2])
def test_levels_of_aperio_are_those_of_tifffile(data_dir, name):
    path = data_dir / "slides" / name
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        levels = tiff.series[0].levels
        assert [(level.height, level.width) for level in slide.levels] == [level.shape[:2] for level in levels]
        said = re.search(r"MPP = ([0-9.]+)", tiff.pages[0].description)
        assert slide.mpp == (None if said is None else pytest.approx([float(said[1])] * 2))
        part = slide.read(0, 100, 200, 300, 400).astype(int)
        difference = np.abs(part - tiff.pages[0].asarray()[100:400, 200:600])
    assert difference.mean() < 0.5 and difference.max() <= 8  # decoders of JPEG round differently


@pytest.mark.data
def test_an_ome_tiff_of_qupath_is_that_of_tifffile(data_dir):
    path = data_dir / "slides" / "qupath_cells.ome.tif"
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        pixels = np.moveaxis(tiff.series[0].asarray(), 0, 2)
        assert [(level.height, level.width) for level in slide.levels] == [(131, 93)] == [pixels.shape[:2]]
        assert np.array_equal(slide.read(0, 0, 0, 131, 93), pixels)
        assert 'PhysicalSizeX="0.25"' in tiff.ome_metadata and slide.mpp == pytest.approx((0.25, 0.25), rel=1e-3)


@pytest.mark.data
def test_a_dicom_series_is_listed_once(data_dir, tmp_path):
    content = (data_dir / "slides" / SCANNED[2]).read_bytes()
    series = b"1.3.6.1.4.1.11129.5.7.0.1.517182092386.24422120.1688792467737634"
    for name, replaced in (("a.dcm", series), ("b.dcm", series), ("c.dcm", series[:-1] + b"5")):
        (tmp_path / name).write_bytes(content.replace(series, replaced))
    (tmp_path / "d.dcm").write_bytes(b"no DICOM")
    assert [path.name for path in find_slides(tmp_path)] == ["a.dcm", "c.dcm", "d.dcm"]


@pytest.mark.data
@pytest.mark.parametrize("name", [*SCANNED, "qupath_cells.ome.tif"])
def test_they_are_the_same_in_inference(data_dir, name):
    path = data_dir / "slides" / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        pixels, meta = HistologyReader(channels=3).get_data([path])
    raster = read_image(path, 3)
    assert np.array_equal(pixels, raster.pixels) and meta.get("mpp") == raster.mpp
