import re
from pathlib import Path

import monai_seunet

PACKAGE = Path(monai_seunet.__file__).parent
# What decodes an image or lists a folder of images, and where else it is no file of a user.
DECODERS = r"\bImage\.open\(|imread\(|TiffFile\(|OpenSlide\(|nibabel\.load|ElementTree|expat|png_decode|XMLParser"
OF_OUR_OWN = {
    "slides/inference/tissue.py": 1,  # the tissue mask that a former run wrote, whose text chunk is read
    "experiments/report.py": 1,  # a picture of the report, for its size
}


def test_no_second_place_decodes_files_of_people():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        calls = re.findall(DECODERS, path.read_text(encoding="utf-8"))
        if calls and not name.startswith("reading/"):
            found[name] = len(calls)
    assert found == OF_OUR_OWN


def test_the_reader_stands_below_all_that_uses_it():
    rooms = ("data", "slides", "label_app", "transforms", "evaluation", "writers", "networks")
    for path in (PACKAGE / "reading").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used = re.findall(rf"from monai_seunet\.({'|'.join(rooms)})\b", text)
        assert not used, f"{path.name} uses {used}"
