import shutil
import tarfile

import numpy as np
import pytest
from layouts import label_of, prepare, prepared_set, write_image

from monai_seunet.data.sets.dsb2018 import KINDS, judge_kind, read_kinds
from monai_seunet.reading.raster import read_raster

FOUR_TILES = [
    "01d44a26f6680c42ba94c9bc6339228579a95d0e2695b149b7cc0c9592b21baf",
    "0d3640c1f1b80f24e94cc9a5f3e1d9e8db7bf6af7d4aba920265f46cadc25e37",
    "709e094e39629a9ca21e187f007b331074694e443db40289447c1111f7e267e7",
    "bf4a61bb81589c9a67e3343408befd3e135af5e88b50c17f998f2131d24bc271",
]


def grey(level, seed):
    pixels = np.random.default_rng(seed).integers(-9, 10, (24, 32)) + level
    return np.dstack([pixels] * 3 + [np.full((24, 32), 255)]).astype(np.uint8)


def coloured(seed):
    pixels = np.random.default_rng(seed).integers(0, 20, (24, 32, 4)) + np.array([170, 140, 200, 0])
    pixels[:, :, 3] = 255
    return pixels.astype(np.uint8)


@pytest.fixture
def source(tmp_path):
    """Two images of each kind in the official layout; levels so far apart that each is a group of its own."""
    images = {f"f{i}": grey(30 + 40 * i, i) for i in range(2)} | {f"b{i}": grey(180 + 40 * i, i) for i in range(2)}
    images |= {"h0": coloured(0), "h1": 255 - coloured(1) // 2}
    for name, pixels in images.items():
        pixels[:, :, 3] = 255
        home = tmp_path / "download" / "stage1_train" / name
        write_image(home / "images" / f"{name}.png", pixels)
        for number in range(3):
            mask = np.zeros((24, 32), np.uint8)
            mask[2 : 8 + 6 * (number == 2), 10 * number : 10 * number + 12] = 255  # neighbours overlap by two columns
            write_image(home / "masks" / f"{number}.png", mask)
    return tmp_path / "download"


def run(source, *options):
    return prepare("dsb2018", source, "--validation", "0.5", *options)


@pytest.mark.parametrize(("kind", "shape"), [("fluorescence", ()), ("brightfield", ()), ("histology", (3,))])
def test_a_kind_is_written_in_its_channels(source, kind, shape):
    assert run(source, "--kind", kind) == 0
    dataset, items = prepared_set(source)
    assert dataset.name == f"dsb2018_{kind}" and dataset.licence == "CC0 1.0" and dataset.label_kind == "instances"
    assert sorted(items) == [f"{kind[0]}0", f"{kind[0]}1"]
    assert {item["kind"] for item in items.values()} == {kind}
    for name, item in items.items():
        pixels = read_raster(item["image"]).pixels
        assert pixels.shape == (24, 32, *shape)
        original = read_raster(source / f"stage1_train/{name}/images/{name}.png").pixels
        assert np.array_equal(pixels, original[:, :, :3] if shape else original[:, :, 0])
    assert dataset.split["groups"] == {"validation": 1, "training": 1}
    assert sorted(dataset.sources) == sorted(f"{n}/{part}" for n in items for part in (f"images/{n}.png", "masks"))


def test_masks_become_one_label_in_which_no_nucleus_is_lost(source):
    assert run(source, "--kind", "histology") == 0
    label = label_of(prepared_set(source)[1]["h0"])
    assert label.dtype == np.uint16 and list(np.unique(label)) == [0, 1, 2, 3]
    assert (label[2:8, 20:22] == 2).all(), "of nuclei 2 and 3, the smaller has the pixels of both"
    assert (label > 0).sum() == 6 * 20 + 12 * 12


def test_all_kinds_together_are_rgb(source):
    assert run(source) == 0
    items = prepared_set(source)[1]
    assert len(items) == 6 and {item["kind"] for item in items.values()} == set(KINDS)
    assert all(read_raster(item["image"]).pixels.shape == (24, 32, 3) for item in items.values())


def test_a_table_of_kinds_goes_above_the_pixels(source):
    (source / "kinds.csv").write_text("id,kind,n\nf0,brightfield,3\nh0,brightfield,3\nh1,fluorescence,3\n")
    assert run(source, "--kind", "brightfield") == 0
    items = prepared_set(source)[1]
    assert {"f0", "b0", "b1"} <= items.keys() and "h0" in items, "a coloured smear is taken by its luminance"
    assert run(source, "--kind", "fluorescence", "--overwrite") == 2, "f1 alone cannot be split"


def test_the_images_of_a_list_alone_are_taken(source, capsys):
    table = source.parent / "images.csv"
    table.write_text("id,kind\nf0,fluorescence\nf1,fluorescence\nh0,histology\ngone,histology\n")
    assert run(source, "--images", str(table)) == 1
    assert prepared_set(source)[1].keys() == {"f0", "f1", "h0"}
    assert "lacks 1 image(s)" in capsys.readouterr().err
    assert run(source, "--images", str(table.with_name("none.csv")), "--overwrite") == 2
    assert "none.csv" in capsys.readouterr().err


def test_an_archive_gives_the_same_files(source):
    def pictures():
        return {path.name: path.read_bytes() for path in (source.parent / "set").rglob("*.png")}

    assert run(source, "--kind", "histology") == 0
    first, archive = pictures(), source.parent / "dsb.tar.gz"
    with tarfile.open(archive, "w:gz") as tape:
        tape.add(source / "stage1_train", "stage1_train")
    shutil.rmtree(source)
    assert run(archive, "--kind", "histology", "--overwrite") == 0
    assert list(prepared_set(source)[0].sources) == ["dsb.tar.gz"] and pictures() == first


@pytest.mark.parametrize(
    ("spoil", "message", "left"),
    [
        (
            lambda home: write_image(home / "masks/0.png", np.zeros((9, 9), np.uint8)),
            "h0/masks/0.png: the mask has [9, 9] pixels",
            2,
        ),
        (lambda home: write_image(home / "masks/0.png", np.zeros((24, 32), np.uint8)), "h0: 1 mask(s) are empty", 3),
        (lambda home: shutil.copy(home / "masks/0.png", home / "masks/00.png"), "h0: 1 mask(s) are covered", 3),
        (lambda home: shutil.rmtree(home / "masks"), "h0: 1 image(s) and 0 masks", 2),
        (lambda home: shutil.rmtree(home / "images"), "h0: 0 image(s) and", 2),
        (lambda home: (home / "images/h0.png").write_bytes(b"x"), "cannot be read", 2),
    ],
)
def test_what_is_not_perfect_is_listed(source, capsys, spoil, message, left):
    shutil.copytree(source / "stage1_train/h1", source / "stage1_train/h2")
    write_image(source / "stage1_train/h2/images/h1.png", coloured(5) // 3)
    spoil(source / "stage1_train/h0")
    assert run(source, "--kind", "histology") == 1
    assert message in capsys.readouterr().err and len(prepared_set(source)[1]) == left


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: shutil.rmtree(s / "stage1_train"), "holds no stage1_train/ID/images"),
        (lambda s: (s / "kinds.csv").write_text("id,kind\nf0,moon\n"), "kind of f0 is 'moon'"),
        (lambda s: (s / "kinds.csv").write_text("name\nf0\n"), "columns id and kind"),
        (shutil.rmtree, "no such folder or archive"),
    ],
)
def test_mistakes_end_in_one_line(source, refused, spoil, message):
    spoil(source)
    refused(run(source), message)
    assert not (source.parent / "set").exists()


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (np.full((8, 8, 3), 20), "fluorescence"),
        (np.full((8, 8, 3), 220), "brightfield"),
        (np.full((8, 8, 3), (230, 225, 235)), "histology"),
        (np.full((1024, 1024, 3), (230, 225, 235)), "brightfield"),
        (np.full((1024, 1024, 3), (180, 150, 200)), "histology"),
    ],
)
def test_kinds_by_pixels(image, kind):
    assert judge_kind(image.astype(np.uint8)) == kind


def test_real_images_are_judged_as_their_table_says_and_split_by_picture(data_dir, tmp_path):
    """An image of each kind, and the four tiles of one picture."""
    tape = data_dir / "dsb2018/stage1_train_subset.tar.gz"
    kinds = read_kinds(data_dir / "dsb2018/kinds.csv")
    chosen = [name for kind in KINDS for name in [n for n, k in sorted(kinds.items()) if k == kind][:1]] + FOUR_TILES
    with tarfile.open(tape) as archive:
        members = [member for member in archive if any(name in member.name for name in chosen)]
        archive.extractall(tmp_path / "src", members, filter="data")
    assert prepare("dsb2018", tmp_path / "src") == 0
    items = prepared_set(tmp_path / "src")[1]
    assert {name: item["kind"] for name, item in items.items()} == {name: kinds[name] for name in chosen}
    assert len({items[name]["group"] for name in FOUR_TILES}) == 1
    assert len({item["group"] for item in items.values()}) >= 3


def test_what_macos_leaves_beside_a_mask_is_no_mask(source, capsys):
    assert run(source) == 0
    first = {name: item["kind"] for name, item in prepared_set(source)[1].items()}
    for folder in ("images", "masks"):
        (source / "stage1_train/b0" / folder / "._m.png").write_bytes(b"\0\5\x16\7" + b"\0" * 60)
    assert run(source, "--overwrite") == 0 and "._m" not in capsys.readouterr().err
    assert {name: item["kind"] for name, item in prepared_set(source)[1].items()} == first
