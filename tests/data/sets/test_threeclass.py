import numpy as np
import pytest
from layouts import write_image

from monai_seunet.cli import main
from monai_seunet.data.datalist import load_dataset
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


def run(source, *options):
    return main(["prepare", "threeclass", str(source), str(source.parent / "set"), *options])


def dataset_of(source):
    return load_dataset(source.parent / "set")


@pytest.mark.parametrize(("border", "expected"), [("background", CLASSES == 2), ("nucleus", CLASSES > 0)])
def test_three_classes_become_two(source, border, expected):
    assert run(source, "--border", border) == 0
    dataset = dataset_of(source)
    assert dataset.classes == ("background", "nucleus") and dataset.label_kind == "classes"
    assert len(dataset.training) == 3 and len(dataset.validation) == 1
    assert all(np.array_equal(read_raster(item["label"]).pixels, expected) for item in dataset.training)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_images_keep_their_channel_and_bits(tmp_path, bits):
    images = {f"w{number}": write_pair(tmp_path / "src", f"w{number}", number, bits=bits) for number in range(3)}
    assert run(tmp_path / "src") == 0
    for item in dataset_of(tmp_path / "src").training:
        pixels = read_raster(item["image"]).pixels
        assert pixels.dtype == images[item["group"]].dtype and np.array_equal(pixels, images[item["group"]])


def test_the_values_are_an_option(tmp_path, capsys):
    for number in range(3):
        write_pair(tmp_path / "src", f"w{number}", number, values=(255, 128, 0))
    assert run(tmp_path / "src") == 2
    assert "correct --values" in capsys.readouterr().err
    assert run(tmp_path / "src", "--values", "255,128,0") == 0
    label = read_raster(dataset_of(tmp_path / "src").training[0]["label"]).pixels
    assert np.array_equal(label, CLASSES == 2)


@pytest.mark.parametrize("inner", [False, True])
def test_sections_of_the_source_are_kept(tmp_path, inner):
    for section, count in (("train", 3), ("val", 2), ("test", 1)):
        for number in range(count):
            folder = tmp_path / "src" if inner else tmp_path / "src" / section
            write_pair(folder, f"w{number}", number, between=section if inner else "")
    assert run(tmp_path / "src", "--validation", "0.9") == 0
    dataset = dataset_of(tmp_path / "src")
    assert [len(part) for part in (dataset.training, dataset.validation, dataset.test)] == [3, 2, 1]
    assert dataset.split == {"by": "the source"}
    assert run(tmp_path / "src", "--overwrite", "--group", r"w\d") == 2, "the wells would lie on two sides"


def test_without_validation_a_share_of_the_training_is_taken(tmp_path):
    for section, count in (("train", 4), ("test", 2)):
        for number in range(count):
            write_pair(tmp_path / "src" / section, f"w{number}", number)
    assert run(tmp_path / "src", "--validation", "0.25") == 0
    dataset = dataset_of(tmp_path / "src")
    assert [len(part) for part in (dataset.training, dataset.validation, dataset.test)] == [3, 1, 2]


def test_groups_keep_a_well_on_one_side(source):
    assert run(source, "--group", r"^(w\d)_", "--validation", "0.5") == 0
    dataset = dataset_of(source)
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
    assert run(source) == 1
    assert message in capsys.readouterr().err
    assert len(dataset_of(source).training) == 2


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
    refused(run(source, *options), message)
    assert not (source.parent / "set").exists()


def test_real_pictures_in_this_layout(data_dir, tmp_path):
    """Grey versions of two real H&E tiles, with a border drawn round their outlined nuclei."""
    from scipy.io import loadmat
    from skimage.color import rgb2gray
    from skimage.segmentation import find_boundaries

    for name in ("patch1", "patch2"):
        real = data_dir / "cellseg"
        instances = loadmat(real / f"masks/{name}.mat")["inst_map"]
        grey = np.round(65535 * rgb2gray(read_raster(real / f"imgs/{name}.png").pixels[..., :3])).astype(np.uint16)
        mask = np.where(find_boundaries(instances, mode="inner"), 1, 2 * (instances > 0)).astype(np.uint8)
        write_image(tmp_path / f"src/images/{name}.png", grey)
        write_image(tmp_path / f"src/masks/{name}.png", mask)
    assert run(tmp_path / "src") == 0
    for item in dataset_of(tmp_path / "src").training:
        label = read_raster(item["label"]).pixels
        mask = read_raster(tmp_path / f"src/masks/{item['group']}.png").pixels
        assert np.array_equal(label, mask == 2) and label.any()
