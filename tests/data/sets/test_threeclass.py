import numpy as np
import pytest
from layouts import label_of, prepare, prepared_set, write_image

from monai_seunet.reading.raster import read_raster

CLASSES = np.zeros((20, 24), np.uint8)
CLASSES[3:15, 4:18], CLASSES[5:13, 6:16] = 1, 2


def write_pair(folder, name, seed, values=(0, 1, 2), bits=8, between=""):
    image = np.random.default_rng(seed).integers(0, 2**bits, CLASSES.shape).astype(np.uint8 if bits == 8 else np.uint16)
    write_image(folder / "images" / between / f"{name}.png", image)
    write_image(folder / "masks" / between / f"{name}.png", np.array(values, np.uint8)[CLASSES])
    return image


@pytest.fixture
def source(tmp_path):
    for number in range(4):
        write_pair(tmp_path / "src", f"w{number // 2}_{number}", number)
    return tmp_path / "src"


@pytest.mark.parametrize(("border", "expected"), [("background", CLASSES == 2), ("nucleus", CLASSES > 0)])
def test_three_classes_become_two(source, border, expected):
    assert prepare("threeclass", source, "--border", border) == 0
    dataset, items = prepared_set(source)
    assert dataset.classes == ("background", "nucleus") and dataset.label_kind == "classes"
    assert len(dataset.training) == 3 and len(dataset.validation) == 1
    assert all(np.array_equal(label_of(item), expected) for item in items.values())


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_images_keep_their_channel_and_bits(tmp_path, bits):
    images = {f"w{number}": write_pair(tmp_path / "src", f"w{number}", number, bits=bits) for number in range(3)}
    assert prepare("threeclass", tmp_path / "src") == 0
    for name, item in prepared_set(tmp_path / "src")[1].items():
        pixels = read_raster(item["image"]).pixels
        assert pixels.dtype == images[name].dtype and np.array_equal(pixels, images[name])


def test_the_values_are_an_option(tmp_path, capsys):
    for number in range(3):
        write_pair(tmp_path / "src", f"w{number}", number, values=(255, 128, 0))
    assert prepare("threeclass", tmp_path / "src") == 2
    assert "correct --values" in capsys.readouterr().err
    assert prepare("threeclass", tmp_path / "src", "--values", "255,128,0") == 0
    assert all(np.array_equal(label_of(item), CLASSES == 2) for item in prepared_set(tmp_path / "src")[1].values())


def prepared_sections(source, counts, share, inner=False):
    """Sizes and origin of the sections that are made of those of a source with so many pairs in each."""
    for section, count in counts.items():
        for number in range(count):
            write_pair(source if inner else source / section, f"w{number}", number, between=section if inner else "")
    assert prepare("threeclass", source, "--validation", share) == 0
    dataset, _ = prepared_set(source)
    return [len(part) for part in (dataset.training, dataset.validation, dataset.test)], dataset.split


@pytest.mark.parametrize("inner", [False, True])
def test_sections_of_the_source_are_kept(tmp_path, inner):
    found = prepared_sections(tmp_path / "src", {"train": 3, "val": 2, "test": 1}, "0.9", inner)
    assert found == ([3, 2, 1], {"by": "the source"})
    again = prepare("threeclass", tmp_path / "src", "--overwrite", "--group", r"w\d")
    assert again == 2, "the wells would lie on two sides"


def test_without_validation_a_share_of_the_training_is_taken(tmp_path):
    assert prepared_sections(tmp_path / "src", {"train": 4, "test": 2}, "0.25")[0] == [3, 1, 2]


def test_groups_keep_a_well_on_one_side(source):
    assert prepare("threeclass", source, "--group", r"^(w\d)_", "--validation", "0.5") == 0
    dataset, _ = prepared_set(source)
    assert {item["group"] for item in dataset.training}.isdisjoint(item["group"] for item in dataset.validation)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda s: write_image(s / "masks/w0_0.png", np.full((20, 24), 9, np.uint8)), "the mask holds 9"),
        (lambda s: write_image(s / "masks/w0_0.png", np.zeros((9, 9), np.uint8)), "its image has [20, 24]"),
        (
            lambda s: write_image(s / "images/w0_0.png", np.eye(20, 72, dtype=np.uint8).reshape(20, 24, 3)),
            "the channels differ",
        ),
        (lambda s: (s / "masks/w0_0.png").unlink(), "no mask"),
    ],
)
def test_a_bad_pair_is_skipped_and_listed(source, capsys, spoil, message):
    spoil(source)
    assert prepare("threeclass", source) == 1
    assert message in capsys.readouterr().err and len(prepared_set(source)[1]) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--values", "0,1"], "three whole numbers"),
        (["--values", "0,1,x"], "three whole numbers"),
        (["--values", "0,1,1"], "different numbers"),
        (["--group", "slide(.*"], "no regular expression"),
        (["--masks", "labels"], "labels: no such folder"),
    ],
)
def test_wrong_options_end_in_one_line(source, refused, options, message):
    refused(prepare("threeclass", source, *options), message)
    assert not (source.parent / "set").exists()


def test_real_pictures_in_this_layout(data_dir, tmp_path):
    """Grey versions of two real H&E tiles, with a border drawn round their outlined nuclei."""
    from scipy.io import loadmat
    from skimage.color import rgb2gray
    from skimage.segmentation import find_boundaries

    masks = {}
    for name in ("patch1", "patch2"):
        instances = loadmat(data_dir / f"cellseg/masks/{name}.mat")["inst_map"]
        grey = rgb2gray(read_raster(data_dir / f"cellseg/imgs/{name}.png").pixels[..., :3])
        masks[name] = np.where(find_boundaries(instances, mode="inner"), 1, 2 * (instances > 0)).astype(np.uint8)
        write_image(tmp_path / f"src/images/{name}.png", np.round(65535 * grey).astype(np.uint16))
        write_image(tmp_path / f"src/masks/{name}.png", masks[name])
    assert prepare("threeclass", tmp_path / "src") == 0
    for name, item in prepared_set(tmp_path / "src")[1].items():
        assert np.array_equal(label_of(item), masks[name] == 2) and label_of(item).any()
