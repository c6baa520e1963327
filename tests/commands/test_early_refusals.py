"""Mistakes that can be seen without the network are refused before torch and MONAI are imported."""

import os
from pathlib import Path

import pytest
from alone import run_alone
from dark_slides import draw
from PIL import Image
from repository import BUNDLE

from monai_seunet.commands.network_options import require_output_folder, require_paths
from monai_seunet.utils.errors import InputError

NOBODY = 65534  # user id

SET = "did you mean network_mpp"
MODEL = "model 'nuclei_hee' is unknown; did you mean nuclei_he"
OVERLAY = "no such overlay; did you mean seunet_fixed"
NETWORK = [  # mistakes of all commands that take a network, and of those that take a model
    (["--set", "netwrk_mpp=1"], SET),
    (["--set", "fusion=mean"], "fusion is 'mean'; choose one of arithmetic, "),
    (["--set", "source_mpp=1"], "it is called mpp now"),
    (["--model", "nuclei_hee"], MODEL),
    (["--network", "seunet_fixd"], OVERLAY),
    (["--overlay", "data/monusg"], "did you mean monuseg?"),
]
COMMANDS = {
    "segment": ["a.tif"],
    "mpp": ["a.tif"],
    "export": ["--format", "onnx"],
    "calibrate": ["--data", "set"],
    "certify": ["--data", "a.tif", "--output", "new"],
    "register": ["--data", "a.tif", "--name", "x"],
}
OWN = {
    "segment a.tif": [
        (["--formats", "geojsn"], "format 'geojsn' is unknown; did you mean geojson"),
        (["--formats", ","], "--formats names no format"),
        (["--formats", "csv", "geojson"], "commas and without spaces, as --formats geojson,csv"),
        (["--formats", "csv,", "geojson"], "commas and without spaces"),
        (["--groups", "1", "2"], "as --groups 1,2"),
        (["--mpp", "900"], "mpp is 900"),
        (["--mpp", "0.25", "--power", "40"], "both given"),
        (["--set", "min_area=abc"], "min_area is 'abc'; give a number"),
        (["--set", "threshold=0,5"], "threshold is '0,5'; give a number, as 0.5"),
        (["--power", "0"], "objective power is 0"),
        (["--region", "1,2,3"], "region is [1, 2, 3]"),
        (["--workers", "-1"], "workers is -1"),
        (["--ouput", "x"], "unrecognized arguments: --ouput x; did you mean --output?"),
        (["--ouput=x"], "did you mean --output?"),
        (["--device", "cuda"], "unrecognized arguments: --device cuda; see monai-seunet segment --help"),
        (["--tissue", "ots"], "--tissue 'ots' is unknown; did you mean otsu?"),
        (["-o", "notes.txt"], "notes.txt: is a file"),
        (["-o", "notes.txt/new"], "notes.txt: is a file"),
        (["-o", "mine"], "counts.csv: would be replaced"),
    ],
    "segment": [
        (["notes.txt"], "notes.txt: unknown image format"),
        (["empty.svs"], "empty.svs: the file is empty"),
        (["empty.svs", "notes.txt"], "none of 2 files can be read; the first: "),
        (["set"], "holds no image that can be read"),
        (["mine/counts.csv"], "needs a header with the column slide"),
        (["--formats", "csv", "csv", "a.tif"], "as --formats geojson,csv"),
    ],
    "mpp": [
        (["notes.txt"], "notes.txt: unknown image format"),
        (["set"], "holds no image that can be read"),
        (["a.tif", "-o", "mine"], "mine: a folder"),
        (["a.tif", "-o", "notes.txt"], "notes.txt: exists already; give another name or --overwrite"),
        (["a.tif", "-o", "old.csv"], "old.html: exists already; give another name or --overwrite"),
        (["a.tif", "-o", "new.html"], "new.html: is the name of the page"),
        (["a.tif", "-o", "notes.txt/mpp.csv"], "notes.txt: is a file"),
    ],
    "segmnt": [(["a.tif"], "command 'segmnt' is unknown; did you mean segment?")],
    "zzz": [([], "command 'zzz' is unknown; choose one of prepare, segment, ")],
    "prepare": [
        (["monusg"], "kind 'monusg' is unknown; did you mean monuseg?"),
        (["folder", "a", "b", "--validaton", "1"], "did you mean --validation"),
    ],
    "export": [
        (["--format", "instansge"], "--format 'instansge' is unknown; did you mean instanseg?"),
        (["-o", "net.h5"], "net.h5: unknown format"),
        (["-o", "net.ts", "--format", "onnx"], "net.ts: no name for a file of format onnx"),
        (["-o", "old.ts"], "old.ts: exists already; give another name or --overwrite"),
        (["-o", "mine.ts", "--overwrite"], "mine.ts: a folder"),
        (["-o", "mine", "--format", "instanseg"], "mine: exists already; give another folder or --overwrite"),
        (["-o", "mine", "--format", "instanseg", "--overwrite"], "mine: holds no rdf.yaml"),
        (["-o", "notes.txt/net.ts"], "notes.txt: is a file"),
        (["--format", "instanseg", "--licence", "secret"], "licence is 'secret'"),
        (["--format", "instanseg", "--fused"], "--fused has no effect on format instanseg"),
        (["--size", "0", "16"], "size is 0 x 16"),
    ],
    "calibrate": [
        (["--data", "mine"], "mine/dataset.json: no such data set"),
        (["--data", "set"], "dataset.json: the key 'classes' is missing"),
        (["--data", "set", "--output", "notes.txt/mpp.json"], "notes.txt: is a file"),
    ],
    "certify --data a.tif": [
        (["--output", "notes.txt"], "notes.txt: is a file"),
        (["--output", "new", "--control-network", "plain_unt"], "did you mean plain_unet"),
        (["--output", "new", "--control-checkpoint", "gone.pt"], "gone.pt: no such checkpoint"),
        (["--output", "new", "--images", "0"], "images is 0; give at least 1"),
    ],
    "compare": [
        (["mine", "--out", "new"], "report.json: not readable as JSON"),
        (["report.json", "--out", "new", "--fusion", "mean"], "fusion is 'mean'; choose one of arithmetic, "),
        (["report.json", "--out", "notes.txt"], "notes.txt: is a file"),
    ],
    "experiment": [
        (["instnces"], "did you mean instances?"),
        (["instances", "--processes", "0"], "--processes 0: give 1 or more"),
        (["instances", "--torchrun", "0"], "--torchrun 0: give 1 or more"),
        (["instances", "--only", "foo"], "--only foo: choose from"),
        (["instances", "--output", "notes.txt"], "notes.txt: is a file"),
    ],
    "restore": [(["mine"], "mine"), (["set", "--output", "notes.txt"], "notes.txt: is a file")],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image, files and folders of the user, and the bundle."""
    draw(tmp_path / "a.tif")
    (tmp_path / "notes.txt").write_text("mine")
    for name in ("old.ts", "old.html"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "report.json").write_text("{}")
    (tmp_path / "empty.svs").touch()
    for name in ("mine", "mine.ts", "set"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine" / "counts.csv").write_text("a,b\n1,2\n")
    (tmp_path / "set" / "dataset.json").write_text("{}")
    (tmp_path / "bundle").symlink_to(BUNDLE)
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_mistakes_are_refused_before_large_imports(folder):
    mistakes = [([name, *words, *wrong], text) for name, words in COMMANDS.items() for wrong, text in NETWORK]
    mistakes += [([*name.split(), *wrong], text) for name, listed in OWN.items() for wrong, text in listed]
    before = names(folder)
    tried, answers = run_alone([words for words, _ in mistakes], folder)
    told = [(words, text, answer) for (words, text), answer in zip(mistakes, answers, strict=True)]
    wrong = [each for each in told if each[2][0] != 2 or each[1] not in each[2][1]]
    assert not wrong, "\n".join(map(str, wrong))
    long = [each for each in told if not each[2][1].startswith("error: ") or each[2][1].count("\n") != 1]
    assert not long, "\n".join(map(str, long))
    assert tried == [] and names(folder) == before


def test_what_is_right_goes_on_to_the_imports(folder):  # the control
    right = [[name, *words] for name, words in COMMANDS.items() if name != "calibrate"]
    right += [["export"], ["segment", "a.tif", "--set", "network_mpp=1", "--set", "min_area=null"]]
    right += [["mpp", "a.tif", "-o", "old.csv", "--overwrite"]]
    right += [["experiment", "instances", "--list", "--output", "notes.txt"]]  # which writes nothing
    _, answers = run_alone(right, folder)
    for (code, shown), words in zip(answers, right, strict=True):
        assert str(code).startswith("ImportError") and "error: " not in shown, (words, code, shown)


@pytest.mark.parametrize(
    ("hidden", "words", "extra"),
    [
        ("bioimageio", ["export", "--format", "bioimageio"], "bioimageio"),
        ("onnx", ["export", "--format", "onnx"], "onnx"),
        ("distributed", ["segment", "a.tif", "--scheduler", "tcp://host:8786"], "cluster"),
        ("spatialdata", ["segment", "a.tif", "--formats", "spatialdata"], "spatial"),
    ],
)
def test_a_missing_extra_is_asked_for_before_large_imports(folder, hidden, words, extra):
    tried, ((code, shown),) = run_alone([words], folder, [hidden])
    assert code == 2 and shown.endswith(f'pip install "monai-seunet[{extra}]"\n') and tried == []


def test_a_grey_picture_is_an_image(folder):
    Image.new("L", (40, 40)).save(folder / "grey.png")
    _, ((code, shown),) = run_alone([["segment", "grey.png"]], folder)
    assert str(code).startswith("ImportError") and "slide" not in shown


@pytest.fixture
def locked(tmp_path):
    """A folder that this process may not enter, also if root runs the tests."""
    tmp_path.chmod(0)
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(NOBODY, NOBODY, 0)
    yield tmp_path
    if is_root:
        os.setresuid(0, 0, 0)
    tmp_path.chmod(0o700)


def test_folders_that_the_user_may_not_enter_are_refused(locked):
    with pytest.raises(InputError, match="you may not write there"):
        require_output_folder(locked / "new" / "results")
    with pytest.raises(InputError, match=r"a\.tif: you may not look there"):
        require_paths([locked / "a.tif"])
