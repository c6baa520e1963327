"""What goes wrong at annotators: the right status, words that they understand, and a server that goes on."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import detail, save_png, serving, wait_until
from PIL import Image


def png(pixels) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


def xml(*points) -> bytes:
    places = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
    one = f'<Annotation Name="nucleus" PartOfGroup="nucleus"><Coordinates>{places}</Coordinates></Annotation>'
    return f"<ASAP_Annotations><Annotations>{one}</Annotations></ASAP_Annotations>".encode()


@pytest.fixture(autouse=True)
def up_before_and_after(server):
    yield
    assert server.get("/info/").ok and server.process.poll() is None


@pytest.mark.parametrize(
    "image",
    ["nowhere", "../secret", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "away", "label.json", ".seunet/label.json", ""],
)
def test_only_images_of_the_folder_are_there(server, image):
    secret = str(server.folder.parent / "secret.png")
    for name in (image, secret, str(server.folder / "slide.svs"), str(server.workplace / "label.json")):
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


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", ".hidden", "a/b"])
def test_uploads_stay_in_the_folder(server, crops, name):
    files = {"file": ("x.png", png(crops[0].pixels))}
    answer = server.put("/datastore/image", params={"image": name}, files=files)
    assert answer.status_code == 400 and "without folders" in detail(answer)
    files = {"label": ("x.png", png(crops[3].instances.astype(bool).astype(np.uint8)))}
    answer = server.put("/datastore/label", params={"image": crops[3].name, "tag": name}, files=files)
    assert answer.status_code == 400 and "choose final or original" in detail(answer)
    assert not [path for path in server.folder.parent.rglob("*evil*")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("script.py", b"import os", "no image that can be read"),
        ("model.pt", b"\x80\x02", "no image that can be read"),
        ("broken.png", b"\x89PNG\r\n\x1a\nrubbish", "cannot be read"),
        ("empty.tif", b"", "empty"),
        ("text.svs", b"no slide", "no .svs slide"),
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


def test_uploads_are_bounded(server):
    answer = server.put(
        "/datastore/image", params={"image": "big"}, files={"file": ("big.png", os.urandom(21 * 2**20))}
    )
    assert answer.status_code == 413, answer.text


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
        ("m.exe", b"MZ", "no label that can be read"),
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


def test_a_label_for_no_image_is_refused(server):
    answer = server.put("/datastore/label?image=nowhere", files={"label": ("m.png", png(np.zeros((5, 5), np.uint8)))})
    assert answer.status_code == 404 and "nowhere" in detail(answer)


@pytest.mark.parametrize(
    ("path", "options", "status", "message"),
    [
        ("/infer/nuclei?image=broken", {"data": {"params": "{}"}}, 400, "broken.png"),
        ("/infer/wsi/nuclei?image=broken&output=dsa", {"json": {}}, 400, "broken.png"),
        ("/infer/nuclei?image=slide", {"data": {"params": "{no json"}}, 400, "not JSON"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"threshold": 7}'}}, 400, "threshold is 7"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"groups": "9"}'}}, 400, "groups are"),
        ("/infer/other?image=slide", {"data": {"params": "{}"}}, 400, "there is nuclei"),
        (
            "/infer/wsi/nuclei?image=slide&output=asap",
            {"json": {"location": [9000, 0], "size": [5, 5]}},
            400,
            "outside",
        ),
        ("/infer/wsi/nuclei?image=slide&output=asap", {"json": {"location": "x"}}, 422, ""),
        ("/activelearning/best", {"json": {}}, 404, "disagreement, random, first"),
        ("/train/other", {"json": {}}, 404, "there is nuclei"),
        ("/train/nuclei", {"json": {"max_epochs": -3}}, 400, "max_epochs is -3"),
        ("/train/nuclei", {"json": {"max_epochs": True}}, 400, "max_epochs is True"),
        ("/train/nuclei", {"json": {"crop_size": 100003}}, 400, "crop_size is 100003"),
        ("/train/nuclei", {"json": {"model": ["x"]}}, 400, "model cannot be chosen so"),
        ("/train/nuclei", {"json": {"gpus": [1]}}, 400, "gpus cannot be chosen so"),
        ("/train/nuclei?run_sync=true", {"json": {}}, 400, "run_sync"),
        ("/batch/infer/nuclei?run_sync=true", {}, 400, "run_sync"),
        ("/batch/infer/other", {}, 404, "there is nuclei"),
        ("/infer/nuclei?image=slide", {"data": {"params": "3"}}, 400, "give an object"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"mpp": NaN}'}}, 400, "NaN is no number"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"mpp": 10}'}}, 400, "mpp is 10"),
        (
            "/infer/nuclei?image=slide",
            {"data": {"params": '{"location": [1e400, 0], "size": [5, 5]}'}},
            400,
            "location",
        ),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"location": [0, 0], "size": [0.5, 20]}'}}, 400, "size"),
        (
            "/infer/nuclei?image=slide",
            {"data": {"params": '{"location": [0, 0], "size": [99999, 99999]}'}},
            400,
            "size",
        ),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"groups": [[1]]}'}}, 400, "groups"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"model": ["nuclei"]}'}}, 400, "model"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"threshold": true}'}}, 400, "threshold"),
        ("/infer/nuclei", {"data": {"params": "{}"}}, 400, "Image"),
        (
            "/infer/nuclei?image=slide",
            {"data": {"params": '{"save_label": true, "label_tag": "final"}'}},
            400,
            "those of people",
        ),
    ],
)
def test_mistakes_are_told(server, path, options, status, message):
    answer = server.post(path, **options)
    assert answer.status_code == status and message in str(detail(answer)), answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("put", "/model/nuclei"),
        ("delete", "/model/nuclei"),
        ("get", "/proxy/dicom/x"),
        ("get", "/datastore/dataset"),
        ("get", "/ohif/"),
        ("post", "/reload"),
    ],
)
def test_doors_that_annotators_do_not_need_are_closed(server, method, path):
    import requests

    before = (server.workplace / "bundle" / "models" / "model.pt").read_bytes()
    answer = requests.request(
        method, server.url + path, timeout=20, files={"file": ("m.pt", b"x")} if method == "put" else None
    )
    assert answer.status_code in (404, 405)
    assert (server.workplace / "bundle" / "models" / "model.pt").read_bytes() == before


def test_other_names_and_pages_are_refused(server):
    assert server.get("/info/", headers={"Host": "evil.example"}).status_code == 400
    assert "access-control-allow-origin" not in server.get("/info/", headers={"Origin": "http://evil.example"}).headers
    port = int(server.url.rsplit(":", 1)[1])
    with socket.socket() as elsewhere:  # bound to loopback alone
        address = socket.gethostbyname(socket.gethostname())
        if not address.startswith("127."):
            assert elsewhere.connect_ex((address, port)) != 0


def test_other_pages_cannot_act(server):
    for origin, status in (("http://evil.example", 403), (server.url, 404)):
        assert server.post("/train/other", json={}, headers={"Origin": origin}).status_code == status


def test_refused_uploads_leave_nothing(server):
    before = set(os.listdir(server.workplace / "tmp"))
    for _ in range(3):
        files = {"label": ("m.png", png(np.zeros((5, 7), np.uint8)))}
        assert server.put("/datastore/label", params={"image": "slide"}, files=files).status_code == 400
        assert (
            server.put("/datastore/image", params={"image": "n"}, files={"file": ("x.zip", b"PK")}).status_code == 400
        )
    assert set(os.listdir(server.workplace / "tmp")) <= before


def test_numbers_that_json_has_not_do_not_get_in(server, crops):
    image = crops[6].name
    label = {"label": ("l.png", png((crops[6].instances > 0).astype(np.uint8)))}
    answer = server.put("/datastore/label", params={"image": image}, files=label, data={"params": '{"a": NaN}'})
    assert answer.status_code == 400 and "NaN" in detail(answer)
    answer = server.put("/datastore/image/info", params={"image": image}, data={"info": '{"x": NaN}'})
    assert answer.status_code == 400
    assert server.get("/datastore/?output=all").ok


def test_a_label_that_is_removed_is_kept(server, crops):
    image = crops[7].name
    label = {"label": ("l.png", png((crops[7].instances > 0).astype(np.uint8)))}
    assert server.put("/datastore/label", params={"image": image}, files=label).ok
    import requests

    answer = requests.delete(f"{server.url}/datastore/label?id={image}&tag=final", timeout=20)
    assert answer.ok and server.get(f"/datastore/label?label={image}&tag=final").status_code == 404
    assert list((server.folder / "labels" / "final" / "replaced").glob(f"*{image}.png"))
    assert requests.delete(f"{server.url}/datastore/image?id={image}", timeout=20).status_code == 405


def test_archives_are_not_unpacked(server):
    answer = server.put("/session/?uncompress=true", files=[("files", ("a.zip", b"PK"))])
    assert answer.status_code == 400 and "archives" in detail(answer)


def test_an_image_of_a_session_is_answered(server, crops, tmp_path):
    session = server.client.create_session(str(save_png(tmp_path / "own.png", crops[3].pixels)))["session_id"]
    file, params = server.client.infer("nuclei", "", {}, session_id=session)
    assert params["nuclei"] > 10 and file.endswith(".png")
    server.client.remove_session(session)
    assert server.post(f"/infer/nuclei?session_id={session}", data={"params": "{}"}).status_code == 404


def test_a_client_that_goes_away_holds_nobody_up(server):
    port = int(server.url.rsplit(":", 1)[1])
    body = json.dumps({"location": [0, 0], "size": [600, 600]})
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as gone:
            lines = ["POST /infer/wsi/nuclei?image=slide&output=asap HTTP/1.1", "Host: 127.0.0.1"]
            lines += [f"Content-Length: {len(body)}", "Content-Type: application/json", "", body]
            gone.sendall("\r\n".join(lines).encode())
    start = time.monotonic()
    assert server.get("/info/").ok and time.monotonic() - start < 20


def test_others_are_answered_during_an_inference(server):
    done = threading.Event()

    def slow():
        server.post("/infer/wsi/nuclei?image=slide&output=asap", json={"location": [0, 0], "size": [2000, 2000]})
        done.set()

    thread = threading.Thread(target=slow)
    thread.start()
    time.sleep(1)
    waits = []
    while not done.is_set():
        start = time.monotonic()
        assert server.get("/info/").ok
        waits.append(time.monotonic() - start)
        time.sleep(0.3)
    thread.join()
    assert len(waits) > 3 and max(waits) < 3, waits


def test_a_server_that_was_killed_finds_everything_again(images, weights, crops, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    save_png(folder / "a.png", crops[3].pixels)
    mask = (crops[3].instances > 0).astype(np.uint8)
    with serving(folder, weights) as first:
        assert first.put("/datastore/label?image=a", files={"label": ("l.png", png(mask))}).ok
        os.killpg(first.process.pid, signal.SIGKILL)
    (folder / "datastore_v2.json").write_text('{"half of')
    with serving(folder, weights) as second:
        kept = second.get("/datastore/label?label=a&tag=final")
        assert np.array_equal(np.array(Image.open(io.BytesIO(kept.content))), mask)
        assert list(folder.glob("*damaged*"))


def test_weights_that_run_code_are_not_loaded(images, tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "evil.pt").write_bytes(pickle.dumps(Evil()))
    command = [sys.executable, "-m", "monai_seunet.label_app", str(tmp_path), "--checkpoint", str(tmp_path / "evil.pt")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2 and "not a checkpoint" in ended.stderr and "Traceback" not in ended.stderr
    assert not (tmp_path / "ran").exists()


def test_training_needs_labels(images, weights, crops, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    save_png(folder / "a.png", crops[3].pixels)
    with serving(folder, weights) as server:
        for count in range(2):
            answer = server.post("/train/nuclei", json={})
            assert answer.status_code == 400 and f"{count} labelled image" in detail(answer)
            mask = (crops[3].instances > 0).astype(np.uint8)
            assert server.put("/datastore/label?image=a", files={"label": ("l.png", png(mask))}).ok
        assert server.get("/train/").status_code == 404
        wait_until(lambda: server.get("/info/").ok, 10)
