import json
import math
import re
from typing import Any

import numpy as np
import pytest
from stain_images import BUNDLE_TARGET, STAINS

from monai_seunet.transforms.stain import StainProfile
from monai_seunet.transforms.stain.profile import as_target, warn_of_stains
from monai_seunet.utils.errors import InputError

MATRIX = tuple(map(tuple, STAINS.tolist()))
GOOD: dict[str, Any] = {"matrix": MATRIX, "max_concentrations": (1.9, 1.0)}


def at_angle(degrees: float) -> StainProfile:
    """A profile whose stains are so far apart."""
    first = np.array([0.6, 0.7, 0.4]) / np.linalg.norm([0.6, 0.7, 0.4])
    across = np.cross(first, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across)
    second = math.cos(math.radians(degrees)) * first + math.sin(math.radians(degrees)) * across * np.sign(-across[0])
    return StainProfile((tuple(first), tuple(second)), (1.9, 1.0), origin="made up")


def test_json_round_trip(tmp_path):
    profile = StainProfile(
        **GOOD, method="macenko", penalty=0.02, percentile=95, tissue_pixels=1234, origin="Präparat 7"
    )
    profile.save(tmp_path / "p.json")
    assert StainProfile.load(tmp_path / "p.json") == profile
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("matrix", ((0.6, 0.7, 0.4),)),
        ("matrix", ((0.6, 0.7, 0.4), (0.2, 0.9, math.nan))),
        ("matrix", ((0.6, 0.8, 0.0), (-0.6, 0.8, 0.0))),
        ("matrix", ((0.6, 0.7, 0.4), (2.0, 0.9, 0.3))),
        ("matrix", (MATRIX[0], MATRIX[0])),
        ("matrix", ((0.0, 0.0, 0.0), MATRIX[1])),
        ("matrix", "red"),
        ("max_concentrations", (1.0, 1e-4)),
        ("max_concentrations", (1.0, math.inf)),
        ("max_concentrations", (1.0, -1.0)),
        ("max_concentrations", (1.0,)),
        ("penalty", -0.1),
        ("penalty", math.nan),
        ("percentile", 0),
        ("percentile", 101),
        ("brightest", (0.1,)),
        ("brightest", "red"),
    ],
)
def test_impossible_numbers_are_refused(field, value, tmp_path):
    with pytest.raises(ValueError, match=field):
        StainProfile(**{**GOOD, field: value})
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({**GOOD, field: value}))
    with pytest.raises(InputError, match=rf"bad\.json: {field}|bad\.json: .*matrix"):
        StainProfile.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "not a stain profile"),
        ('{"matrix": [[1, 0, 0], [0, 1, 0]]}', "not a stain profile"),
        (json.dumps({**GOOD, "angle": 3}), "not a stain profile"),
    ],
)
def test_other_files_are_refused(text, message, tmp_path):
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        StainProfile.load(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json: the stain profile cannot be read"):
        StainProfile.load(tmp_path / "absent.json")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        StainProfile(**GOOD).save(tmp_path / "file" / "p.json")


@pytest.mark.parametrize("degrees", [5.0, 5.9, 6.1, 9.9, 10.1, 20.0])
def test_target_and_source_need_stains_apart(degrees, recwarn):
    profile = at_angle(degrees)
    assert profile.angle == pytest.approx(degrees, abs=1e-6)
    if degrees > 10:
        assert as_target(profile) is profile
    else:
        with pytest.raises(InputError, match=rf"made up: .* {degrees:.1f}° apart"):
            as_target(profile)
    if degrees > 6:
        warn_of_stains(profile)
        assert not recwarn.list
    else:
        with pytest.warns(UserWarning, match=rf"made up: .* {degrees:.1f}° apart.* whole slide"):
            warn_of_stains(profile)


DAB, PEN = (0.27, 0.57, 0.78), (0.05, 0.99, 0.1)
RED_STAIN, BLUE_STAIN = (0.8, 0.5, 0.35), (0.6, 0.6, 0.5)  # more red than green; as much red as green


@pytest.mark.parametrize(
    ("stains", "brightest", "code"),
    [
        (MATRIX, (0.95, 0.9, 0.95), None),
        (MATRIX, (0.8, 0.5, 0.8), None),  # dense tissue absorbs green
        (MATRIX, (0.6, 0.9, 0.95), "colour_cast"),
        (MATRIX, (0.95, 0.9, 0.6), "colour_cast"),
        (MATRIX, (), None),
        ((MATRIX[0], DAB), (), "stain_not_he"),
        (((0.65, 0.7, 0.29), BLUE_STAIN), (), "stain_not_he"),
        ((RED_STAIN, MATRIX[1]), (), "stain_not_he"),
        (((0.6, 0.6, 0.53), PEN), (), "stain_not_he"),  # too far apart
    ],
)
def test_colours_that_are_not_those_of_haematoxylin_and_eosin_are_told(stains, brightest, code):
    rows = tuple(tuple(np.array(row) / np.linalg.norm(row)) for row in stains)
    profile = StainProfile(rows, (1.9, 1.0), origin="made up", brightest=brightest)
    assert (profile.warning and profile.warning.code) == code
    if code is not None:
        with pytest.warns(UserWarning, match=f"made up: {re.escape(profile.warning.text)}"):
            warn_of_stains(profile)


def test_profiles_of_older_versions_are_read(tmp_path):
    StainProfile(**GOOD, brightest=(0.9, 0.8, 0.9)).save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert content.pop("brightest") == [0.9, 0.8, 0.9]
    (tmp_path / "p.json").write_text(json.dumps(content))
    assert StainProfile.load(tmp_path / "p.json") == StainProfile(**GOOD)


def test_the_bundle_ships_a_target_with_its_origin():
    target = as_target(str(BUNDLE_TARGET))
    assert "CC0" in target.origin and target.method == "vahadane" and target.tissue_pixels > 100_000
    assert target.matrix[0][0] > target.matrix[1][0], "haematoxylin comes first"
