"""A server that goes on: with clients that leave, long inferences, and after it was killed."""

import io
import json
import os
import signal
import socket
import threading
import time

import numpy as np
import pytest
from conftest import png, save_png, serving
from PIL import Image

pytestmark = pytest.mark.usefixtures("goes_on")


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
    with serving(folder, weights) as first:
        assert first.put_label("a", png(crops[3].mask)).ok
        os.killpg(first.process.pid, signal.SIGKILL)
    (folder / "datastore_v2.json").write_text('{"half of')
    with serving(folder, weights) as second:
        assert np.array_equal(Image.open(io.BytesIO(second.final_label("a").content)), crops[3].mask)
        assert list(folder.glob("*damaged*"))
