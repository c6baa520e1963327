"""Outputs are named after their image and hold what was predicted."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from monai_seunet.networks.nets import PlainUNet, SEUNet
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.save import SaveMap, SaveMapd, SaveOverlayd


def of_file(values: torch.Tensor, name: str = "/scans/slide.1.svs", mpp: float | None = 0.5) -> MetaTensor:
    spacing = mpp or 1.0
    meta = {"filename_or_obj": name} | ({} if mpp is None else {"mpp": mpp})
    return MetaTensor(values, affine=torch.diag(torch.tensor([spacing, spacing, 1.0, 1.0])), meta=meta)


@pytest.fixture
def item(generator):
    labels = torch.zeros(1, 40, 90, dtype=torch.uint8)
    labels[:, 10:30, 20:60] = 1
    return {
        "original": of_file(torch.randint(0, 256, (3, 40, 90), generator=generator, dtype=torch.uint8)),
        "classes": of_file(labels),
        "pred": of_file(torch.rand(2, 40, 90, generator=generator).softmax(0)),
        "scale": of_file(torch.randint(0, 5, (1, 40, 90), generator=generator, dtype=torch.uint8)),
    }


def test_maps_are_named_after_the_image_and_reopen_as_they_were(tmp_path, item):
    options = {"postfix": ["label", "probability", "scale"], "extension": [".png", ".tif", ".nii.gz"]}
    save = SaveMapd(["classes", "pred", "scale"], tmp_path / "new", skip_channels=[0, 1, 0], **options)
    assert save(item).keys() == item.keys()
    files = {path.name: read_raster(path) for path in (tmp_path / "new").iterdir()}
    assert sorted(files) == ["slide.1_label.png", "slide.1_probability.tif", "slide.1_scale.nii.gz"]
    saved = (item["classes"][0], item["pred"][1], item["scale"][0])
    for (_, file), expected in zip(sorted(files.items()), saved, strict=True):
        assert np.array_equal(file.pixels, expected.numpy()) and file.mpp == pytest.approx(0.5)


def test_array_equals_dictionary(tmp_path, item):
    SaveMap(tmp_path / "array", "pred", ".tif", skip_channels=1)(item["pred"])
    SaveMapd("pred", tmp_path / "dictionary", extension=".tif", skip_channels=1)(item)
    for form in ("array", "dictionary"):
        assert np.array_equal(read_raster(tmp_path / form / "slide.1_pred.tif").pixels, item["pred"][1].numpy())


def test_two_images_of_one_name_are_not_overwritten(tmp_path, item):
    save = SaveMap(tmp_path, "label")
    save(item["classes"])
    save(item["classes"])  # the same image again may
    with pytest.raises(InputError, match=r"slide\.1_label\.png.*/scans/slide\.1\.svs and /other/slide\.1\.png"):
        save(of_file(1 - item["classes"], "/other/slide.1.png"))
    assert read_raster(tmp_path / "slide.1_label.png").pixels.sum() == 800


def test_an_unknown_format_is_found_before_the_work(tmp_path):
    with pytest.raises(InputError, match=r"\.jpg: unknown image format"):
        SaveMap(tmp_path, "label", ".jpg")


def test_an_image_without_name_is_refused(tmp_path):
    with pytest.raises(ValueError, match="filename_or_obj"):
        SaveMap(tmp_path)(torch.zeros(1, 4, 4))


def test_overlays(tmp_path, item):
    network = SEUNet(width=5, num_levels=2)
    SaveOverlayd("original", "classes", tmp_path, "scale", network, class_names=["background", "nucleus"])(item)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["slide.1_overlay.png", "slide.1_scales_overlay.png"]
    overlay = read_raster(tmp_path / "slide.1_overlay.png")
    assert overlay.mpp == pytest.approx(0.5) and overlay.pixels.shape[0] > 40, "a legend is below"
    changed = (overlay.pixels[:40] != np.moveaxis(item["original"].numpy(), 0, -1)).any(2)
    assert changed[10:12, 20:60].all() and not changed[:10].any()
    assert not changed[13:27, 23:57].any(), "the inside of the object stays visible"


@pytest.mark.parametrize("brightest", [200, 4000])
def test_grey_images_of_8_and_16_bits_are_drawn_on(tmp_path, item, brightest):
    grey = torch.linspace(0, brightest, 40 * 90).round().int().reshape(1, 40, 90)
    SaveOverlayd("original", "classes", tmp_path)({**item, "original": of_file(grey)})
    pixels = read_raster(tmp_path / "slide.1_overlay.png").pixels
    assert pixels.shape == (40, 90, 3) and pixels[-1, -1].tolist() == [min(brightest, 255)] * 3
    assert (pixels[:10] == pixels[:10, :, :1]).all() and (pixels[10, 20:60] != pixels[10, 20:60, :1]).any()


def test_no_picture_of_scales_without_groups(tmp_path, item):
    SaveOverlayd("original", "classes", tmp_path, "scale", PlainUNet(width=4, num_levels=2))(item)
    assert [path.name for path in tmp_path.iterdir()] == ["slide.1_overlay.png"]


def test_the_legend_counts_in_pixels_of_the_image(tmp_path, monkeypatch, item):
    network = SEUNet(width=5, num_levels=2, sigma_ranges="paper")
    assert network.first_sigmas() == pytest.approx([0.25, 0.75, 1.25, 1.75, 2.25])
    shown: list[str] = []
    monkeypatch.setattr(
        "monai_seunet.writers.save.add_legend",
        lambda picture, entries, title="": shown.extend(name for _, name in entries) or picture,
    )
    SaveOverlayd("original", "classes", tmp_path, "scale", network, working_mpp=1.0)(item)
    assert shown[:2] == ["0.5 px (0.25 µm)", "1.5 px (0.75 µm)"]  # the network's pixels were twice as large
