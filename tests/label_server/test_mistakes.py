"""What annotators ask for by mistake: the right status, in words that they understand."""

import pytest
from conftest import detail, png, save_png, serving, wait_until

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{no json", "not JSON"),
        ('{"threshold": 7}', "threshold is 7"),
        ('{"groups": "9"}', "groups are"),
        ("3", "give an object"),
        ('{"mpp": NaN}', "NaN is not a JSON number"),
        ('{"mpp": 10}', "mpp is 10"),
        ('{"location": [1e400, 0], "size": [5, 5]}', "location"),
        ('{"location": [0, 0], "size": [0.5, 20]}', "size"),
        ('{"location": [0, 0], "size": [99999, 99999]}', "size"),
        ('{"groups": [[1]]}', "groups"),
        ('{"model": ["nuclei"]}', "model"),
        ('{"threshold": true}', "threshold"),
        ('{"save_label": true, "label_tag": "final"}', "only people"),
    ],
)
def test_mistakes_in_the_options_are_told(server, params, message):
    answer = server.post("/infer/nuclei?image=slide", data={"params": params})
    assert answer.status_code == 400 and message in str(detail(answer)), answer.text


ASAP = "/infer/wsi/nuclei?image=slide&output=asap"


@pytest.mark.parametrize(
    ("path", "options", "status", "message"),
    [
        ("/infer/nuclei?image=broken", {"data": {"params": "{}"}}, 400, "broken.png"),
        ("/infer/wsi/nuclei?image=broken&output=dsa", {"json": {}}, 400, "broken.png"),
        ("/infer/other?image=slide", {"data": {"params": "{}"}}, 400, "choose nuclei"),
        (ASAP, {"json": {"location": [9000, 0], "size": [5, 5]}}, 400, "outside"),
        (ASAP, {"json": {"location": "x"}}, 422, ""),
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
        ("/infer/nuclei", {"data": {"params": "{}"}}, 400, "Image"),
    ],
)
def test_mistakes_are_told(server, path, options, status, message):
    answer = server.post(path, **options)
    assert answer.status_code == status and message in str(detail(answer)), answer.text


def test_training_needs_labels(weights, crops, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    save_png(folder / "a.png", crops[3].pixels)
    with serving(folder, weights) as server:
        for count in range(2):
            answer = server.post("/train/nuclei", json={})
            assert answer.status_code == 400 and f"{count} labelled image" in detail(answer)
            assert server.put_label("a", png(crops[3].mask)).ok
        assert server.get("/train/").status_code == 404
        wait_until(lambda: server.get("/info/").ok, 10)
