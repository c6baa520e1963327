"""What strangers may not do: leave the folder, run code, act from other web pages, replace weights."""

import json
import os
import pickle
import subprocess
import sys

import psutil
import pytest
import requests
from conftest import detail, png

from monai_seunet.label_app.labels.datastore import CheckedDatastore

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    "image",
    ["nowhere", "../secret", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "away", "label.json", ".seunet/label.json", ""],
)
def test_only_images_of_the_folder_are_there(server, image):
    secret = str(server.folder.parent / "secret.png")
    for name in (image, secret, str(server.folder / "slide.svs"), str(server.workspace / "label.json")):
        for answer in (
            server.post(f"/infer/nuclei?image={name}", data={"params": "{}"}),
            server.post(f"/infer/wsi/nuclei?image={name}&output=asap", json={}),
            server.get(f"/datastore/image?image={name}"),
        ):
            assert answer.status_code in ((404,) if name else (400, 404)), (name, answer.text)
    answer = server.post("/infer/nuclei?image=slide2", data={"params": json.dumps({"image": secret})})
    assert answer.status_code == 404 and secret in detail(answer)


def test_a_link_that_leads_out_is_not_followed(server):
    assert server.get("/datastore/image?image=away").status_code == 404
    assert "slide" in server.client.datastore()["objects"] and "away" not in server.client.datastore()["objects"]
    for strategy in ("first", "random", "disagreement") * 4:
        sample = server.client.next_sample(strategy, {})
        assert sample["id"] != "away" and sample["path"].startswith(str(server.folder))


def test_an_image_that_becomes_a_link_that_leads_out_is_not_named(tmp_path, crops):
    image, secret = tmp_path / "images" / "one.png", tmp_path / "secret.png"
    image.parent.mkdir()
    for file in (image, secret):
        file.write_bytes(png(crops[0].pixels))
    datastore = CheckedDatastore(image.parent, ["nucleus"], watch=False)
    assert datastore.get_image_info("one")["path"] == datastore.get_image_uri("one") == str(image)
    image.unlink()
    image.symlink_to(secret)
    assert datastore.get_image_info("one")["path"] == datastore.get_image_uri("one") == ""


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", ".hidden", "a/b"])
def test_uploads_stay_in_the_folder(server, crops, name):
    answer = server.put_image(name, png(crops[0].pixels))
    assert answer.status_code == 400 and "without folders" in detail(answer)
    files = {"label": ("x.png", png(crops[3].mask))}
    answer = server.put("/datastore/label", params={"image": crops[3].name, "tag": name}, files=files)
    assert answer.status_code == 400 and "choose final or original" in detail(answer)
    assert not [path for path in server.folder.parent.rglob("*evil*")]


def test_uploads_are_bounded(server):
    answer = server.put_image("big", os.urandom(21 * 2**20))
    assert answer.status_code == 413, answer.text


def test_archives_are_not_unpacked(server):
    answer = server.put("/session/?uncompress=true", files=[("files", ("a.zip", b"PK"))])
    assert answer.status_code == 400 and "archives" in detail(answer)


DOORS = ["put /model/nuclei", "delete /model/nuclei", "get /proxy/dicom/x", "get /datastore/dataset", "get /ohif/"]


@pytest.mark.parametrize("door", [*DOORS, "post /reload"])
def test_doors_that_annotators_do_not_need_are_closed(server, door):
    method, path = door.split()
    weights = server.workspace / "bundle" / "models" / "model.pt"
    before, files = weights.read_bytes(), {"file": ("m.pt", b"x")} if method == "put" else None
    answer = requests.request(method, server.url + path, timeout=20, files=files)
    assert answer.status_code in (404, 405) and weights.read_bytes() == before


def test_other_names_and_pages_are_refused(server):
    assert server.get("/info/", headers={"Host": "evil.example"}).status_code == 400
    assert "access-control-allow-origin" not in server.get("/info/", headers={"Origin": "http://evil.example"}).headers
    for origin, status in (("http://evil.example", 403), (server.url, 404)):
        assert server.post("/train/other", json={}, headers={"Origin": origin}).status_code == status


def test_other_machines_are_not_answered(server):
    process = psutil.Process(server.process.pid)
    everything = [one for each in (process, *process.children(recursive=True)) for one in each.net_connections()]
    listening = {one.laddr.ip for one in everything if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_weights_that_run_code_are_not_loaded(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    command = [sys.executable, "-m", "monai_seunet.label_app", str(tmp_path), "--checkpoint", str(tmp_path / "evil.pt")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "not a checkpoint" in ended.stderr and "Traceback" not in ended.stderr
    assert not (tmp_path / "ran").exists()
