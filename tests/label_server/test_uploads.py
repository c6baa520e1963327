"""Images and labels that come in: what is no use is refused with a reason, and nothing is lost."""

import io
import os

import numpy as np
import pytest
import requests
from conftest import detail, png, xml
from PIL import Image

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("script.py", b"import os", "not a readable image format"),
        ("model.pt", b"\x80\x02", "not a readable image format"),
        ("broken.png", b"\x89PNG\r\n\x1a\nrubbish", "cannot be read"),
        ("empty.tif", b"", "empty"),
        ("text.svs", b"no slide", "does not recognise this .svs slide"),
    ],
)
def test_uploads_that_are_no_image_are_refused(server, name, content, message):
    answer = server.put_image("new", content, name)
    assert answer.status_code == 400 and message in detail(answer), answer.text
    assert server.get("/datastore/image?image=new").status_code == 404


def test_an_image_is_not_replaced_by_another(server, crops):
    before = (server.folder / f"{crops[3].name}.png").read_bytes()
    answer = server.put_image(crops[3].name, png(crops[4].pixels))
    assert answer.status_code == 400 and "another name" in detail(answer)
    for same in (before, png(crops[3].pixels)):
        assert server.put_image(crops[3].name, same).ok
    assert (server.folder / f"{crops[3].name}.png").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.png", b"", "empty"),
        ("m.png", b"\x89PNG\r\n\x1a\nrubbish", "cannot be read"),
        ("m.png", png(np.zeros((5, 7), np.uint8)), "7 x 5 pixels, its image 384 x 384"),
        ("m.png", png(np.full((384, 384), 9, np.uint8)), "class numbers"),
        ("m.xml", b"<a>", "cannot be read as XML"),
        ("m.xml", b"<ASAP_Annotations />", "no outline of nucleus"),
        ("m.xml", xml((1, 1), (500, 1), (500, 20)), "beyond the 384 x 384 pixels"),
        ("m.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "DTD"),
        ("m.exe", b"MZ", "not a readable label format"),
    ],
)
def test_labels_that_do_not_fit_are_refused_and_the_former_one_stays(server, crops, name, content, message):
    image, good = crops[4].name, crops[4].mask
    assert server.put_label(image, png(good)).ok
    answer = server.put_label(image, content, name)
    assert answer.status_code == 400 and message in detail(answer), answer.text
    assert np.array_equal(Image.open(io.BytesIO(server.final_label(image).content)), good)


def test_labels_that_are_replaced_or_removed_are_kept(server, crops):
    replaced, removed = crops[5].name, crops[7].name
    other = (crops[5].instances > 1).astype(np.uint8)
    for image, mask in ((replaced, crops[5].mask), (replaced, other), (removed, crops[7].mask)):
        assert server.put_label(image, png(mask)).ok
    answer = requests.delete(f"{server.url}/datastore/label?id={removed}&tag=final", timeout=20)
    assert answer.ok and server.final_label(removed).status_code == 404
    for image in (replaced, removed):
        assert list((server.folder / "labels" / "final" / "replaced").glob(f"*{image}.png"))
    assert requests.delete(f"{server.url}/datastore/image?id={removed}", timeout=20).status_code == 405


def test_refused_uploads_leave_nothing(server):
    before, small = set(os.listdir(server.workspace / "tmp")), png(np.zeros((5, 7), np.uint8))
    for _ in range(3):
        assert server.put_label("slide", small).status_code == 400
        assert server.put_image("n", b"PK", "x.zip").status_code == 400
    answer = server.put_label("nowhere", small)
    assert answer.status_code == 404 and "nowhere" in detail(answer)
    assert set(os.listdir(server.workspace / "tmp")) <= before


def test_numbers_that_json_has_not_do_not_get_in(server, crops):
    image = crops[6].name
    answer = server.put_label(image, png(crops[6].mask), data={"params": '{"a": NaN}'})
    assert answer.status_code == 400 and "NaN" in detail(answer)
    answer = server.put("/datastore/image/info", params={"image": image}, data={"info": '{"x": NaN}'})
    assert answer.status_code == 400
    assert server.get("/datastore/?output=all").ok
