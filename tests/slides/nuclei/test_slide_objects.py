"""Nuclei come back from their files as they were."""

import numpy as np
import pytest
from nuclei_fields import RULES, maps_of, random_maps, rows_of

from monai_seunet.slides.nuclei.areas import measure
from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.nuclei.objects import ObjectFiles, Objects
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize("origin", [(0, 0), (90_000, 150_001)])
def test_what_is_saved_is_loaded(tmp_path, origin):
    found = find_nuclei(random_maps(0), RULES, origin)
    assert len(found) > 50
    again = Objects.load(found.save(tmp_path / "a" / "block.npz"))
    assert rows_of(again) == rows_of(found)
    for name in ("boxes", "areas", "centroids", "classes", "confidences", "groups"):
        assert getattr(again, name).dtype == getattr(found, name).dtype
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["block.npz"]


def test_no_nuclei_and_notes_are_saved_too(tmp_path):
    none = measure([], maps_of(np.zeros((4, 4), bool)), (0, 0), ("größer als 10 pixels", "cut"))
    again = Objects.load(none.save(tmp_path / "none.npz"))
    assert len(again) == 0 and again.notes == none.notes
    assert again.boxes.shape == (0, 4) and again.masks == again.contours == []


def test_damaged_files_are_named(tmp_path):
    path = find_nuclei(random_maps(0), RULES).save(tmp_path / "block.npz")
    content = path.read_bytes()
    for damage in (content[:-100], content[: len(content) // 2], b"", content[:200] + b"xxxx" + content[204:]):
        path.write_bytes(damage)
        with pytest.raises(InputError, match=r"block\.npz: not the nuclei of a block"):
            Objects.load(path)
    np.savez(path, boxes=np.zeros((2, 4)))
    with pytest.raises(InputError, match=r"block\.npz"):
        Objects.load(path)
    with pytest.raises(InputError, match=r"missing\.npz"):
        Objects.load(tmp_path / "missing.npz")


def test_pickled_content_is_not_run(tmp_path):
    np.savez(tmp_path / "evil.npz", boxes=np.array([object()]))
    with pytest.raises(InputError, match=r"evil\.npz"):
        Objects.load(tmp_path / "evil.npz")


def test_files_are_a_sequence(tmp_path):
    parts = [find_nuclei(random_maps(seed), RULES, (1000 * seed, 0)) for seed in range(3)]
    files = ObjectFiles([part.save(tmp_path / f"{k}.npz") for k, part in enumerate(parts)])
    assert len(files) == 3
    assert [len(part) for part in files] == [len(part) for part in parts]
    assert rows_of(files[1]) == rows_of(parts[1])
    assert rows_of(*files[1:]) == rows_of(*parts[1:])


def test_what_was_left_out_elsewhere_is_not_counted_for_a_region():
    mask = np.zeros((60, 60), bool)
    mask[10:22, 10:22] = mask[40:52, 40:52] = True  # nuclei
    mask[2, 30] = mask[50, 3] = mask[55, 55] = True  # specks
    found = find_nuclei(maps_of(mask), RULES._replace(min_area=20), (100, 200))
    assert (len(found), found.dropped) == (2, 3)
    part = found.within(100, 200, 130, 240)
    assert (len(part), part.dropped) == (1, 1)
    assert part.left_out.places.tolist() == [[102.5, 230.5]] and part.left_out.areas.tolist() == [1]
