"""Images and labels that come in: what is no use is refused with a reason, and nothing is lost."""

from __future__ import annotations

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
    answer = server.put("/datastore/image", params={"image": "new"}, files={"file": (name, content)})
    assert answer.status_code == 400 and message in detail(answer), answer.text
    assert server.get("/datastore/image?image=new").status_code == 404


def test_an_image_is_not_replaced_by_another(server, crops):
    before = (server.folder / f"{crops[3].name}.png").read_bytes()
    answer = server.put(
        "/datastore/image", params={"image": crops[3].name}, files={"file": ("x.png", png(crops[4].pixels))}
    )
    assert answer.status_code == 400 and "another name" in detail(answer)
    for same in (before, png(crops[3].pixels)):
        assert server.put("/datastore/image", params={"image": crops[3].name}, files={"file": ("x.png", same)}).ok
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
    image = crops[4].name
    good = (crops[4].instances > 0).astype(np.uint8)
    assert server.put("/datastore/label", params={"image": image}, files={"label": ("l.png", png(good))}).ok
    answer = server.put("/datastore/label", params={"image": image}, files={"label": (name, content)})
    assert answer.status_code == 400 and message in detail(answer), answer.text
    kept = server.get(f"/datastore/label?label={image}&tag=final")
    assert np.array_equal(np.array(Image.open(io.BytesIO(kept.content))), good)


def test_a_label_that_is_replaced_is_kept(server, crops):
    image = crops[5].name
    for number in range(2):
        mask = (crops[5].instances > number).astype(np.uint8)
        assert server.put("/datastore/label", params={"image": image}, files={"label": ("l.png", png(mask))}).ok
    assert list((server.folder / "labels" / "final" / "replaced").glob(f"*{image}.png"))


def test_a_label_that_is_removed_is_kept(server, crops):
    image = crops[7].name
    label = {"label": ("l.png", png((crops[7].instances > 0).astype(np.uint8)))}
    assert server.put("/datastore/label", params={"image": image}, files=label).ok

    answer = requests.delete(f"{server.url}/datastore/label?id={image}&tag=final", timeout=20)
    assert answer.ok and server.get(f"/datastore/label?label={image}&tag=final").status_code == 404
    assert list((server.folder / "labels" / "final" / "replaced").glob(f"*{image}.png"))
    assert requests.delete(f"{server.url}/datastore/image?id={image}", timeout=20).status_code == 405


def test_a_label_for_no_image_is_refused(server):
    answer = server.put("/datastore/label?image=nowhere", files={"label": ("m.png", png(np.zeros((5, 5), np.uint8)))})
    assert answer.status_code == 404 and "nowhere" in detail(answer)


def test_refused_uploads_leave_nothing(server):
    before = set(os.listdir(server.workspace / "tmp"))
    for _ in range(3):
        files = {"label": ("m.png", png(np.zeros((5, 7), np.uint8)))}
        assert server.put("/datastore/label", params={"image": "slide"}, files=files).status_code == 400
        assert (
            server.put("/datastore/image", params={"image": "n"}, files={"file": ("x.zip", b"PK")}).status_code == 400
        )
    assert set(os.listdir(server.workspace / "tmp")) <= before


def test_numbers_that_json_has_not_do_not_get_in(server, crops):
    image = crops[6].name
    label = {"label": ("l.png", png((crops[6].instances > 0).astype(np.uint8)))}
    answer = server.put("/datastore/label", params={"image": image}, files=label, data={"params": '{"a": NaN}'})
    assert answer.status_code == 400 and "NaN" in detail(answer)
    answer = server.put("/datastore/image/info", params={"image": image}, data={"info": '{"x": NaN}'})
    assert answer.status_code == 400
    assert server.get("/datastore/?output=all").ok
