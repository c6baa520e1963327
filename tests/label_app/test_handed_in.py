"""What annotators hand in: read as they mean it, or refused in words that they understand."""

import gzip
import json

import numpy as np
import pytest
from PIL import Image

from monai_seunet.label_app.labels import submitted as labels
from monai_seunet.label_app.labels.names import check_name, is_inside
from monai_seunet.label_app.labels.submitted import read_submitted
from monai_seunet.utils.errors import InputError
from monai_seunet.writers.raster import write_raster

CLASSES = ("nucleus", "mitosis")
SIZE = (40, 60)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(path)
    return path


def mask():
    mask = np.zeros(SIZE, np.uint8)
    mask[5:15, 10:30], mask[20:30, 40:50] = 1, 2
    return mask


def xml(tmp_path, *outlines, name="label.xml", kind="Polygon"):
    parts = []
    for group, points in outlines:
        places = "".join(f'<Coordinate Order="{i}" X="{x}" Y="{y}" />' for i, (x, y) in enumerate(points))
        start = f'<Annotation Name="a" Type="{kind}" PartOfGroup="{group}">'
        parts.append(f"{start}<Coordinates>{places}</Coordinates></Annotation>")
    path = tmp_path / name
    path.write_text(f"<ASAP_Annotations><Annotations>{''.join(parts)}</Annotations></ASAP_Annotations>")
    return path


def grown(path):
    path.write_text('<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><a>&d;</a>')
    return path


def box(x0, y0, x1, y1):
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


@pytest.mark.parametrize("name", ["m.png", "m.tif", "m.nii.gz", "m.nrrd", "m.mha"])
def test_masks_of_all_formats_are_read(tmp_path, image, name):
    label = read_submitted(write_raster(tmp_path / name, mask()), image, CLASSES)
    assert np.array_equal(label.classes, mask()) and label.corner == (0, 0)


def test_255_is_the_one_class(tmp_path, image):
    path = write_raster(tmp_path / "m.png", (mask() == 1).astype(np.uint8) * 255)
    assert np.array_equal(read_submitted(path, image, CLASSES[:1]).classes, mask() == 1)
    with pytest.raises(InputError, match=r"holds 255; give class numbers from 0 \(background\) to 2"):
        read_submitted(path, image, CLASSES)


def test_outlines_cover_the_pixels_within(tmp_path, image):
    path = xml(tmp_path, ("nucleus", box(10, 5, 30, 15)), ("mitosis", box(40, 20, 50, 30)), ("ink", box(0, 0, 5, 5)))
    label = read_submitted(path, image, CLASSES)
    assert np.array_equal(label.classes, mask()) and label.corner == (0, 0)


def outlines_with_a_hole(form):
    """Of a nucleus around a hole, and of a mitosis; in ImageScope the centre of the first pixel is 0, not 0.5."""
    shapes = [("Nucleus", box(10, 5, 30, 15), box(20, 7, 25, 12)), ("mitosis", box(40, 20, 50, 30), None)]
    if form == "geojson":
        features = []
        for name, *rings in shapes:
            shape = {"type": "Polygon", "coordinates": [[*one, one[0]] for one in rings if one]}
            about = {"classification": {"name": name}}
            features.append({"type": "Feature", "geometry": shape, "properties": about})
        return json.dumps({"type": "FeatureCollection", "features": features})
    layers = []
    for name, *rings in shapes:
        regions = ""
        for negative, one in enumerate(rings):
            points = "".join(f'<Vertex X="{x - 0.5}" Y="{y - 0.5}"/>' for x, y in one or [])
            regions += f'<Region NegativeROA="{negative}"><Vertices>{points}</Vertices></Region>' if one else ""
        layers.append(f'<Annotation Name="{name}"><Regions>{regions}</Regions></Annotation>')
    return f"<Annotations>{''.join(layers)}</Annotations>"


@pytest.mark.parametrize("name", ["label.geojson", "label.geojson.gz", "label.xml"])
def test_outlines_of_other_programs_and_their_holes(tmp_path, image, name):
    content = outlines_with_a_hole("xml" if name.endswith("xml") else "geojson").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    expected = mask()
    expected[7:12, 20:25] = 0
    assert labels.is_label_name(name) and not labels.is_label_name("label.json")
    assert np.array_equal(read_submitted(tmp_path / name, image, CLASSES).classes, expected)


def test_outlines_on_a_large_image_count_around_them_alone_and_a_hole_keeps_its_place(tmp_path, image, monkeypatch):
    monkeypatch.setattr(labels, "WHOLE", 100)
    monkeypatch.setattr(labels, "CONTEXT", 3)
    (tmp_path / "a.geojson").write_text(outlines_with_a_hole("geojson"))
    path, expected = xml(tmp_path, ("nucleus", box(10, 5, 30, 15))), mask() == 1
    for file, hole in ((path, False), (tmp_path / "a.geojson", True)):
        label = read_submitted(file, image, CLASSES[:1])
        expected[7:12, 20:25] = not hole
        assert label.corner == (2, 7) and np.array_equal(label.classes, expected[2:18, 7:33])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: (p / "m.png").touch() or p / "m.png", "is empty"),
        (lambda p: write_raster(p / "m.png", mask()[:-1]), "60 x 39 pixels, its image 60 x 40"),
        (lambda p: write_raster(p / "m.png", mask() + 2), "holds 4"),
        (lambda p: write_raster(p / "m.tif", mask() / 2), "holds whole numbers"),
        (lambda p: write_raster(p / "m.png", np.stack([mask(), mask(), mask() * 0], -1)), "in colours"),
        (lambda p: xml(p), r"no outline of nucleus or mitosis \(the file holds no outline\); "),
        (lambda p: xml(p, ("Tumor", box(1, 1, 5, 5))), r"there are 1 of 'Tumor'"),
        (lambda p: xml(p, *[("nucleus", [(1, 2), (3, 4)])] * 2, kind="Measurement"), "2 measurements, no outline"),
        (lambda p: xml(p, ("nucleus", box(1, 1, 5, 50))), "beyond the 60 x 40 pixels of the image; was it scaled"),
        (lambda p: xml(p, ("nucleus", box(-9, 1, 5, 5))), "beyond"),
        (lambda p: xml(p, ("nucleus", [("nan", 1), (2, 3), (4, 5)])), "which is no pixel"),
        (lambda p: xml(p, ("nucleus", [("x", 1), (2, 3), (4, 5)])), "without readable X and Y"),
        (lambda p: grown(p / "m.xml"), "DTD"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, image, write, message):
    with pytest.raises(InputError, match=message):
        read_submitted(write(tmp_path), image, CLASSES)


@pytest.mark.parametrize("name", ["", "..", "../a", "a/b", "/etc/passwd", ".hidden", "a\\b", "a\nb", "a" * 300])
def test_names_that_lead_elsewhere_are_refused(name):
    with pytest.raises(InputError):
        check_name(name, "image")


def test_links_out_of_a_folder_are_seen(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.png").symlink_to(tmp_path / "secret.png")
    assert not is_inside(tmp_path / "in" / "link.png", tmp_path / "in")
    assert is_inside(tmp_path / "in" / "own.png", tmp_path / "in") and check_name("a b ä", "image") == "a b ä"
