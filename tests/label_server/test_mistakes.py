"""What annotators ask for by mistake: the right status, in words that they understand."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import detail, png, save_png, serving, wait_until

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    ("path", "options", "status", "message"),
    [
        ("/infer/nuclei?image=broken", {"data": {"params": "{}"}}, 400, "broken.png"),
        ("/infer/wsi/nuclei?image=broken&output=dsa", {"json": {}}, 400, "broken.png"),
        ("/infer/nuclei?image=slide", {"data": {"params": "{no json"}}, 400, "not JSON"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"threshold": 7}'}}, 400, "threshold is 7"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"groups": "9"}'}}, 400, "groups are"),
        ("/infer/other?image=slide", {"data": {"params": "{}"}}, 400, "choose nuclei"),
        (
            "/infer/wsi/nuclei?image=slide&output=asap",
            {"json": {"location": [9000, 0], "size": [5, 5]}},
            400,
            "outside",
        ),
        ("/infer/wsi/nuclei?image=slide&output=asap", {"json": {"location": "x"}}, 422, ""),
        ("/activelearning/best", {"json": {}}, 404, "disagreement, random, first"),
        ("/train/other", {"json": {}}, 404, "choose nuclei"),
        ("/train/nuclei", {"json": {"max_epochs": -3}}, 400, "max_epochs is -3"),
        ("/train/nuclei", {"json": {"max_epochs": True}}, 400, "max_epochs is True"),
        ("/train/nuclei", {"json": {"crop_size": 100003}}, 400, "crop_size is 100003"),
        ("/train/nuclei", {"json": {"crop_size": 100}}, 400, "give at least 128 pixels"),
        ("/train/nuclei", {"json": {"model": ["x"]}}, 400, "model cannot be chosen by a client"),
        ("/train/nuclei", {"json": {"gpus": [1]}}, 400, "gpus cannot be chosen by a client"),
        ("/train/nuclei?run_sync=true", {"json": {}}, 400, "run_sync"),
        ("/batch/infer/nuclei?run_sync=true", {}, 400, "run_sync"),
        ("/batch/infer/other", {}, 404, "choose nuclei"),
        ("/infer/nuclei?image=slide", {"data": {"params": "3"}}, 400, "give an object"),
        ("/infer/nuclei?image=slide", {"data": {"params": '{"mpp": NaN}'}}, 400, "NaN is not a JSON number"),
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
            "only people",
        ),
    ],
)
def test_mistakes_are_told(server, path, options, status, message):
    answer = server.post(path, **options)
    assert answer.status_code == status and message in str(detail(answer)), answer.text


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
