import errno
import hashlib
from dataclasses import replace

import numpy as np
import pytest
from layouts import write_image
from PIL import Image
from slide_files import noise

from monai_seunet.data.datalist import load_dataset
from monai_seunet.data.prepare import Facts, Sample, as_label, prepare_dataset, read_grey
from monai_seunet.reading.raster import read_raster
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of

FACTS = Facts("tiny", "for tests", "none")


def sample(name, tmp_path, **changes):
    source = tmp_path / f"{name}.src"
    source.write_text(name)
    label = np.arange(54).reshape(6, 9) * 1000
    return Sample(name, noise(6, 9, seed=len(name)), label, name, {source.name: source}, **changes)


def split(groups):
    names = sorted(groups)
    return {name: "validation" if name == names[0] else "training" for name in names}, {"by": "test"}


def reader(*samples, remark=None, error=None):
    def read(problems):
        if remark:
            problems.append(remark)
        yield from samples
        if error:
            raise error

    return read


def test_a_data_set_is_written_and_read_back(tmp_path):
    samples = [sample(name, tmp_path) for name in ("a", "bb", "ccc")]
    outcome = prepare_dataset(FACTS, [reader(s) for s in samples], split, tmp_path / "new" / "set")
    assert outcome.counts == {"training": 2, "validation": 1} and outcome.exit_code == 0
    dataset = load_dataset(tmp_path / "new" / "set")
    assert [item["group"] for item in dataset.training] == ["bb", "ccc"]
    assert np.array_equal(read_raster(dataset.validation[0]["image"]).pixels, samples[0].image)
    assert np.array_equal(read_raster(dataset.validation[0]["label"]).pixels, samples[0].label)
    assert dataset.sources["a.src"] == hashlib.sha256(b"a").hexdigest() == sha256_of(tmp_path / "a.src")
    assert dataset.split == {"by": "test"}
    assert str(tmp_path) not in (tmp_path / "new/set/dataset.json").read_text(), "of this machine"


def test_two_runs_give_the_same_bytes(tmp_path):
    for run in ("one", "two"):
        prepare_dataset(FACTS, [reader(sample(name, tmp_path)) for name in ("a", "bb")], split, tmp_path / run)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.*"))
    assert len(files) == 5
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_a_source_that_cannot_be_used_is_skipped_whole_and_listed(tmp_path):
    bad = reader(sample("x", tmp_path), error=InputError("x.tif: broken"))
    readers = [reader(sample("a", tmp_path)), bad, reader(sample("bb", tmp_path), remark="bb: clipped")]
    outcome = prepare_dataset(FACTS, readers, split, tmp_path / "set", problems=["lonely.xml"])
    assert outcome.problems == ["lonely.xml", "x.tif: broken", "bb: clipped"] and outcome.exit_code == 1
    assert not (tmp_path / "set/images/x.png").exists() and "x.src" not in load_dataset(tmp_path / "set").sources


def no_split(groups):
    raise ValueError("1 group(s) cannot give")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("failure", "error", "message"),
    [
        ("nothing", InputError, "broken; nothing is left to prepare"),
        ("no split", InputError, r"no split of 2 image.*cannot give"),
        ("twins", InputError, "two images are called 'a'"),
        ("disk", InputError, r"a\.png: cannot be written \(No space left"),
        ("killed", KeyboardInterrupt, None),
    ],
)
def test_nothing_half_written_stays(tmp_path, monkeypatch, failure, error, message):
    readers = [reader(sample(name, tmp_path)) for name in ("a", "bb")]
    if failure == "nothing":
        readers = [reader(error=InputError("a.tif: broken"))]
    elif failure == "twins":
        readers *= 2
    elif failure == "disk":
        monkeypatch.setattr(Image.Image, "save", full_disk)
    elif failure == "killed":
        readers.append(reader(error=KeyboardInterrupt()))
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(error, match=message):
        prepare_dataset(FACTS, readers, no_split if failure == "no split" else split, tmp_path / "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_only_a_prepared_data_set_is_replaced_and_only_if_asked(tmp_path):
    readers = [reader(sample("a", tmp_path))]
    home = tmp_path / "home"
    home.mkdir()
    prepare_dataset(FACTS, readers, split, home)  # an empty folder may be taken
    with pytest.raises(InputError, match="--overwrite"):
        prepare_dataset(FACTS, readers, split, home)
    with pytest.raises(InputError):
        prepare_dataset(FACTS, [reader(error=InputError("broken"))], split, home, overwrite=True)
    assert len(load_dataset(home).validation) == 1, "a failed replacement keeps the old one"
    prepare_dataset(FACTS, [reader(sample("bb", tmp_path))], split, home, overwrite=True)
    assert [path.name for path in (home / "images").iterdir()] == ["bb.png"]
    (home / "dataset.json").unlink()
    with pytest.raises(InputError, match="is no prepared data set"):
        prepare_dataset(FACTS, readers, split, home, overwrite=True)
    assert (home / "images/bb.png").exists()


@pytest.mark.parametrize(
    ("spacings", "common", "warned"),
    [((0.5, 0.505), 0.5, False), ((None, None), None, False), ((0.25, 0.5), None, True), ((0.25, None), None, True)],
)
def test_mpp_holds_for_the_data_set_where_images_agree(tmp_path, spacings, common, warned):
    readers = [reader(sample("x" * i, tmp_path, mpp=mpp)) for i, mpp in enumerate(spacings, 1)]
    outcome = prepare_dataset(FACTS, readers, split, tmp_path / "set")
    assert load_dataset(tmp_path / "set").mpp == common and bool(outcome.problems) == warned
    for i, mpp in enumerate(spacings, 1):
        written = read_raster(tmp_path / f"set/images/{'x' * i}.png").mpp
        assert written == (None if mpp is None else pytest.approx(mpp, rel=1e-4))


def test_what_was_changed_on_reading_is_said_once_for_all_images(tmp_path):
    samples = [sample(name, tmp_path) for name in ("a", "b", "c")]
    samples[:2] = [replace(one, notes=["CMYK converted to RGB"]) for one in samples[:2]]
    outcome = prepare_dataset(FACTS, [reader(one) for one in samples], split, tmp_path / "set")
    assert outcome.notes == ["a and 1 other image: CMYK converted to RGB"] and outcome.exit_code == 0


def test_a_grey_data_set_takes_no_colours(tmp_path):
    grey = noise(5, 6, 1)[:, :, 0]
    assert np.array_equal(read_grey(write_image(tmp_path / "grey.png", np.dstack([grey] * 3))).pixels, grey)
    with pytest.raises(InputError, match=r"colours\.png: the channels differ, but a grey image is expected"):
        read_grey(write_image(tmp_path / "colours.png", noise(5, 6)))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros((9, 6)), r"\[9, 6\], its image has \[6, 9\]"),
        (np.zeros((6, 9, 3)), "shape"),
        (np.full((6, 9), 0.5), "whole numbers"),
        (np.full((6, 9), -1), "whole numbers"),
        (np.full((6, 9), 65536), "whole numbers"),
    ],
)
def test_labels_that_16_bits_cannot_hold_are_refused(tmp_path, label, message):
    with pytest.raises(InputError, match=message):
        as_label(label, (6, 9, 3), tmp_path)


def test_temporary_folders_lie_beside_the_destination(tmp_path):
    seen = []

    def look(problems):
        seen.extend(path.name for path in tmp_path.iterdir() if path.is_dir())
        yield sample("a", tmp_path)

    prepare_dataset(FACTS, [look], split, tmp_path / "set")
    assert len(seen) == 1 and seen[0].startswith(".set.")
