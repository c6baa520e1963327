"""What a server finds in its folder when it is started again."""

from repository import ROOT

from monai_seunet.label_app.training.train import training_settings
from monai_seunet.label_app.workspace import SETTINGS, Workspace, network_of


def test_a_server_goes_on_with_the_network_of_its_weights(tmp_path, monkeypatch):
    assert network_of(tmp_path) is None
    monkeypatch.setattr("monai_seunet.label_app.workspace.configure_segmenter", lambda *_: None)
    bundle = tmp_path / "bundle"
    for name in ("configs/inference_wsi.json", "models/model.pt"):
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text("{}")
    Workspace(tmp_path / "place", "plain_unet").prepare(bundle, None)
    assert network_of(tmp_path / "place") == "plain_unet"
    (tmp_path / "place" / SETTINGS).write_text("damaged")
    assert network_of(tmp_path / "place") is None


def test_settings_of_slides_alone_do_not_stop_a_training():
    of_slides = {"tissue": "all", "preprocessing#depth": 2, "network_def#of_slides#depth": 2}
    shared = {"stain": "false", "network_def#order": 2, "device": "cpu"}
    space = Workspace(ROOT, "seunet_octaves", width=12, settings={**of_slides, **shared})
    assert training_settings(space) == {**shared, "stain": False, "width": 12}
