"""COCO: polygons, run lengths, and one file for many images."""

import json

import numpy as np
import pytest
from annotation_files import RING, SIZE, Shape, circle, coco, counts_of, drawn, flat, mask_of, outers, read, rectangle

from monai_seunet.reading.annotations import read_coco
from monai_seunet.utils.errors import InputError

# Of pycocotools 2.0, of a ring: 49 < (x - 30)**2 + (y - 18)**2 <= 225.
PACKED = "Zc01R1:I4L4M2N2N2O0ODC0<MJ050M02O000O20N020N020M050K030N020N020N10001N030K063D0=<101N2N2N3L4L7FSa0"
# Of two blocks in 1000 x 1200 pixels, columns 1100 to 1199 of the last ten rows and two pixels of the first column.
PACKED_FAR = "32iUcQ18Ui]nN" + 197 * "0"


def test_polygons_of_several_parts_are_one_object(tmp_path):
    parts = [rectangle(2, 1, 6, 4), circle(30, 20, 5.3)]
    found = read(tmp_path, coco([{"segmentation": [flat(part) for part in parts]}]), "a.json", "a.tif")
    (one,) = found.annotations
    assert found.format == "COCO JSON" and found.size == SIZE and one.name == "nucleus" and len(one.parts) == 2
    assert drawn(one)[1:4, 2:6].all() and np.array_equal(drawn(one)[5:], mask_of(Shape(parts[1]))[5:])


def test_run_lengths_are_the_mask(tmp_path):
    for mask in (mask_of(RING), ~mask_of(RING)):
        text = coco([{"segmentation": {"counts": counts_of(mask), "size": list(SIZE)}, "iscrowd": 1}])
        (one,) = read(tmp_path, text, "a.json").annotations
        assert np.array_equal(drawn(one), mask) and one.crowd


def test_compressed_run_lengths_are_those_of_pycocotools(tmp_path):
    y, x = np.mgrid[:40, :60]
    distance = (x - 30) ** 2 + (y - 18) ** 2
    (one,) = read(tmp_path, coco([{"segmentation": {"counts": PACKED, "size": [40, 60]}}]), "a.json").annotations
    assert np.array_equal(drawn(one), (distance <= 225) & (distance > 49)) and not one.crowd
    far = [{"id": 1, "file_name": "a.png", "height": 1000, "width": 1200}]
    text = coco([{"segmentation": {"counts": PACKED_FAR, "size": [1000, 1200]}}], far)
    mask = drawn(read(tmp_path, text, "a.json").annotations[0], (1000, 1200))
    assert mask.sum() == 1002 and mask[990:, 1100:].all() and mask[3:5, 0].all()


IMAGES = [
    {"id": 5, "file_name": "train/first.jpg", "height": 40, "width": 60},
    {"id": 6, "file_name": "C:\\scans\\second.PNG"},
    {"id": 7, "file_name": "none.png", "height": 40, "width": 60},
]


@pytest.fixture
def many():
    segmentations = [(5, rectangle(0, 0, 5, 5)), (6, circle(20, 20, 5)), (5, rectangle(9, 9, 12, 12))]
    entries = [{"image_id": image, "category_id": 2, "segmentation": [flat(outer)]} for image, outer in segmentations]
    return coco(entries, IMAGES, ("stroma", "gland"))


def test_an_image_is_found_by_its_name_without_folder_and_suffix(tmp_path, many):
    assert outers(read(tmp_path, many, "a.json", "/data/first.tif")) == [rectangle(0, 0, 5, 5), rectangle(9, 9, 12, 12)]
    second = read(tmp_path, many, "a.json", "second.png")
    assert outers(second) == [circle(20, 20, 5)] and second.size is None and second.annotations[0].name == "gland"
    assert read(tmp_path, many, "a.json", "none.png").annotations == []
    source = read_coco(tmp_path / "a.json")
    assert set(source.images) == {"first", "second", "none"} and len(source.of("first").annotations) == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("third.png", "no image 'third.png' among its 3 .the first is 'train/first.jpg'"),
        (None, "3 entries for one image;"),
    ],
)
def test_an_image_that_is_not_clear_is_refused(tmp_path, many, name, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, many, "a.json", name)


def test_two_images_of_one_name_are_refused(tmp_path):
    twice = [{"id": i, "file_name": f"{folder}/a.png"} for i, folder in enumerate("xy")]
    with pytest.raises(InputError, match=r"2 entries for one image 'a\.png'"):
        read(tmp_path, coco([], twice), "a.json", "a.png")


def test_boxes_are_counted(tmp_path):
    entries = [{"bbox": [1, 2, 3, 4]}, {"segmentation": [], "bbox": [1, 2, 3, 4]}, {"segmentation": None}]
    found = read(tmp_path, coco(entries), "a.json")
    assert found.annotations == [] and found.skipped == {"bounding box": 2, "empty annotation": 1}


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([[1, 2, 3, 4, 5]], "odd number"),
        ([[1, 2, 3, "4", 5, 6]], "no pair of numbers"),
        ("text", "neither lists of numbers nor run lengths"),
        ([1, 2, 3, 4, 5, 6], "neither lists of numbers nor run lengths"),
        ({"counts": [3, 4], "size": [40, 60]}, "run lengths are of 7 pixels, but 60 x 40 are 2400"),
        ({"counts": [-3, 2403], "size": [40, 60]}, "no whole numbers"),
        ({"counts": [10**30], "size": [40, 60]}, "no whole numbers"),
        ({"counts": [0.5, 2399.5], "size": [40, 60]}, "no whole numbers"),
        ({"counts": PACKED[:-1], "size": [40, 60]}, "run lengths"),
        ({"counts": "Zc~", "size": [40, 60]}, "damaged"),
        ({"counts": 40 * "o", "size": [40, 60]}, "damaged"),
        ({"counts": [2400], "size": [60, 40]}, "a mask of 40 x 60 pixels in an image of 60 x 40"),
        ({"counts": [2400]}, "without 'size'"),
        ({"size": [40, 60]}, "without 'counts'"),
    ],
)
def test_damaged_segmentations_are_refused_by_their_number(tmp_path, segmentation, message):
    entries = [{"segmentation": [flat(RING.outer)]}, {"segmentation": segmentation}]
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, coco(entries), "a.json")
    assert "a.json: annotation 2" in str(error.value) and "\n" not in str(error.value)


def test_a_few_numbers_do_not_take_all_memory(tmp_path):
    large = [{"id": 1, "file_name": "a.png", "height": 10**6, "width": 10**6}]
    text = coco([{"segmentation": {"counts": [0, 10**12], "size": [10**6, 10**6]}}], large)
    with pytest.raises(InputError, match="more than 67108864 pixels"):
        read(tmp_path, text, "a.json")


@pytest.mark.parametrize(
    "change", [{"images": [7]}, {"annotations": [7]}, {"annotations": 7}, {"images": [{"file_name": 7}]}]
)
def test_another_structure_is_refused(tmp_path, change):
    with pytest.raises(InputError, match=r"a\.json"):
        read(tmp_path, json.dumps(json.loads(coco([])) | change), "a.json")
