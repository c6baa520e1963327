"""What annotators ask for by mistake: the right status, in words that they understand."""

import pytest
from conftest import detail, png, save_png, serving, wait_until

from monai_seunet.label_app.training.train import TrainOptions

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{no json", "not JSON"),
        ('{"threshold": 7}', "threshold is 7; give a number from 0 to 1"),
        ('{"threshold": true}', "threshold is True; give a number from 0 to 1"),
        ('{"min_area": -1}', "min_area is -1; give a number of at least 0"),
        ('{"min_poly_area": "few"}', "min_poly_area is 'few'; give a number of at least 0"),
        ('{"groups": "9"}', "groups are"),
        ('{"groups": "1,x"}', "groups is '1,x'; give all, auto, or numbers such as 1,2"),
        ('{"groups": [[1]]}', "groups is [[1]]; give all, auto, or numbers such as 1,2"),
        ('{"groups": [1, true]}', "groups is [1, True]; give all, auto, or numbers such as 1,2"),
        ("3", "give an object"),
        ('{"mpp": NaN}', "NaN is not a JSON number"),
        ('{"mpp": "nan"}', "mpp is 'nan'; give the µm per pixel of the image, from 0.02 to 20, or auto"),
        ('{"mpp": 1e-30}', "mpp is 1e-30; give the µm per pixel of the image, from 0.02 to 20, or auto"),
        ('{"mpp": 10}', "mpp is 10; give the µm per pixel of the image, at most 2"),
        ('{"location": [1e400, 0], "size": [5, 5]}', "location is [inf, 0]; give two whole numbers, such as [0, 0]"),
        ('{"location": [1, true], "size": [5, 5]}', "location is [1, True]; give two whole numbers, such as [0, 0]"),
        ('{"location": "x", "size": [5, 5]}', "location is 'x'; give two whole numbers, such as [0, 0]"),
        ('{"location": [0, 0], "size": [0.5, 20]}', "size is [0.5, 20]; give two whole numbers, such as [512, 512]"),
        ('{"location": [0, 0], "size": [5]}', "size is [5]; give two whole numbers, such as [512, 512]"),
        ('{"location": [0, 0], "size": [99999, 99999]}', "size is [99999, 99999]; a mask has at most"),
        ('{"model": ["nuclei"]}', "model"),
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


WHOLE, NUMBER = "give a whole number > 0 and <=", "give a number > 0 and <="


@pytest.mark.parametrize(
    ("name", "value", "advice"),
    [
        ("max_epochs", 0, f"{WHOLE} 10000, such as 50"),
        ("max_epochs", 5.7, f"{WHOLE} 10000, such as 50"),
        ("max_epochs", True, f"{WHOLE} 10000, such as 50"),
        ("max_epochs", "many", f"{WHOLE} 10000, such as 50"),
        ("train_batch_size", 65, f"{WHOLE} 64, such as 4"),
        ("max_minutes", -1, f"{NUMBER} 10000, such as 60"),
        ("max_lr", "fast", f"{NUMBER} 100, such as 0.002"),
        ("crop_size", 100003, f"{WHOLE} 1024, such as 192"),
        ("val_interval", [5], f"{WHOLE} 10000, such as 5"),
    ],
)
def test_options_of_a_training_out_of_range_are_told(server, name, value, advice):
    answer = server.post("/train/nuclei", json={name: value})
    assert answer.status_code == 400 and detail(answer) == f"{name} is {value!r}; {advice}", answer.text


@pytest.mark.parametrize("value", [5, 5.0, "5"])
def test_a_whole_number_may_be_written_as_a_float_or_a_text(value):
    epochs = TrainOptions.read({"max_epochs": value}).max_epochs
    assert epochs == 5 and isinstance(epochs, int)


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
