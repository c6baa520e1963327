"""All forms: recognised by content, equal in what they say, safe against files that are not what they seem."""

import gzip
import json

import numpy as np
import pytest
from annotation_files import (
    SQUARE,
    Shape,
    asap,
    coco,
    collection,
    counts_of,
    dsa,
    feature,
    flat,
    imagescope,
    layer,
    mask_of,
    outers,
    polygon,
    read,
    region,
    shifted,
)

from monai_seunet.data.outlines import draw_instances, label_of_classes
from monai_seunet.reading.annotations import read_coco
from monai_seunet.utils.errors import InputError

SIZE = (120, 160)
CLASSES = ("background", "nucleus", "gland")


def random_shapes(seed: int) -> list[Shape]:
    """Star-shaped outlines that lie apart; about half of them with a hole."""
    random = np.random.default_rng(seed)
    shapes = []
    for y in (20, 60, 100):
        for x in (20, 60, 100, 140):
            turns = 2 * np.pi * (np.arange(12) + random.uniform(-0.4, 0.4, 12)) / 12
            radii = random.uniform(6, 19, 12)[:, None]
            points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii
            centre = np.array([x, y]) + random.uniform(-0.5, 0.5, 2)
            rings = [np.round(centre + points * share, 3).tolist() for share in (1, random.uniform(0.3, 0.7))]
            shapes.append(Shape(rings[0], rings[1:] if random.random() < 0.5 else [], CLASSES[1 + random.integers(2)]))
    return shapes


def keyhole(shape: Shape) -> Shape:
    """A shape without holes that goes along a line into each hole and back."""
    outer = list(shape.outer)
    for hole in shape.holes:
        outer = [*outer, outer[0], *hole, hole[0]]
    return shape._replace(outer=outer, holes=[])


def coco_entry(shape: Shape) -> dict:
    mask = {"counts": counts_of(mask_of(shape, SIZE)), "size": list(SIZE)}
    return {"segmentation": mask if shape.holes else [flat(shape.outer)], "category_id": CLASSES.index(shape.name)}


def written(shapes: list[Shape]) -> dict[str, str]:
    image = [{"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]}]
    layers = []
    for i, shape in enumerate(shapes):
        holes = [region(shifted(hole), negative=1) for hole in shape.holes]
        layers.append(layer(region(shifted(shape.outer)), *holes, name=shape.name, number=i))
    return {
        "imagescope.xml": imagescope(*layers),
        "asap.xml": asap(*map(keyhole, shapes)),
        "qupath.geojson": collection(*map(polygon, shapes)),
        "coco.json": coco([coco_entry(shape) for shape in shapes], image, CLASSES[1:]),
        "dsa.json": dsa(*shapes),
    }


@pytest.mark.parametrize("seed", range(6))
def test_the_same_shapes_give_the_same_label_in_every_form(tmp_path, seed):
    shapes = random_shapes(seed)
    instances, classes = np.zeros(SIZE, int), np.zeros(SIZE, int)
    for number, shape in enumerate(shapes, 1):
        instances[mask_of(shape, SIZE)], classes[mask_of(shape, SIZE)] = number, CLASSES.index(shape.name)
    assert any(shape.holes for shape in shapes) and len(np.unique(instances)) == 13
    for name, text in written(shapes).items():
        found = read(tmp_path, text, name)
        problems: list[str] = []
        assert np.array_equal(draw_instances(found.annotations, SIZE).label, instances), name
        assert np.array_equal(label_of_classes(found, CLASSES, SIZE, tmp_path / name, problems), classes), name
        assert not problems and not found.skipped


def test_the_form_is_that_of_the_content_whatever_the_suffix(tmp_path):
    forms = ["ImageScope XML", "ASAP XML", "GeoJSON", "COCO JSON", "JSON of the Digital Slide Archive"]
    for form, text in zip(forms, written([SQUARE]).values(), strict=True):
        for wrong in ("a.xml", "a.geojson", "a.json", "a"):
            found = read(tmp_path, text, wrong)
            assert found.format == form and len(found.annotations) == 1


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16", "windows-1252"])
def test_xml_is_read_in_the_encoding_that_it_declares(tmp_path, encoding):
    head = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n'
    text = imagescope(layer(region(SQUARE.outer), name="Drüse"), head=head)
    assert [one.name for one in read(tmp_path, text.encode(encoding)).annotations] == ["Drüse"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_json_is_read_in_every_unicode_encoding(tmp_path, encoding):
    text = json.dumps([polygon(SQUARE._replace(name="Drüse"))], ensure_ascii=False)
    assert [one.name for one in read(tmp_path, text.encode(encoding), "a.json").annotations] == ["Drüse"]


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]>'
LEAK = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
XML = imagescope(layer(region(SQUARE.outer)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB + XML, "document type"),
        (LEAK + XML, "document type"),
        ("<!DOCTYPE a>" + asap(SQUARE), "document type"),
        (XML[:-5], "cannot be read as XML"),
        ('<?xml version="1.0" encoding="klingon"?>' + XML, "cannot be read as XML"),
        (b'<?xml version="1.0" encoding="utf-8"?>' + XML.replace("nucleus", "Drüse").encode("latin-1"), "as XML"),
        (XML.replace('X="6"', 'X="six"'), "point without readable X and Y"),
        (XML.replace('X="6"', 'W="6"'), "point without readable X and Y"),
        (XML.replace('X="6"', 'X="nan"'), "region 1: a point at .nan, 1., which is no pixel"),
        (XML.replace('X="6"', 'X="1e300"'), "which is no pixel"),
        (asap(SQUARE).replace('Y="4"', 'Y="-inf"'), "annotation 1: a point at .6, -inf."),
        ("<html><body/></html>", "XML of 'html' is not a supported annotation"),
        (gzip.compress(XML.encode(), mtime=0), "unpack it first"),
        (gzip.compress(collection().encode(), mtime=0)[:-9], "cannot be read"),
        ("", "it is empty"),
        (b"\xef\xbb\xbf  ", "it is empty"),
        (b"\x89PNG\r\n", "begins with"),
        ("hello", "begins with b'h'"),
        ("{", "cannot be read as JSON"),
        ('{"a": 1}', "JSON with 'a' is not a supported"),
        ("[1]", "JSON is not a supported"),
        ('{"type": {}}', "JSON with 'type' is not a supported"),
        ("[" * 100_000, "nested too deep"),
        ('{"type": "Feature", "a": ' * 3000, "nested too deep"),
        ('{"type": "Feature", "a": ' + "9" * 9999 + "}", "cannot be read as JSON"),
        ('["Drüse"]'.encode("latin-1"), "save it in UTF-8"),
        (collection({"type": "Feat"}), "feature 1: its type is 'Feat'"),
        (collection(7), "feature 1: an object is expected, got 7"),
        ('{"type": "FeatureCollection", "features": 7}', "'features' must be a list, got 7"),
        (collection(feature("Circle", [])), "its geometry is of type 'Circle'"),
        (collection(feature("Polygon", [[1, 2]])), "no pair of numbers"),
        (collection(feature("Polygon", [1])), "list of lists of points"),
        (collection(feature("MultiPolygon", [7])), "list of lists of points"),
        (collection(feature("Polygon", [[["1", "2"]] * 4])), "no pair of numbers"),
        (collection(feature("Polygon", [[[1, None]] * 4])), "no pair of numbers"),
        (collection(feature("Polygon", [[[1, 2], [3]]])), "no pair of numbers"),
        (collection(feature("Polygon", [[[1, float("nan")]] * 4])), "a point at .1, nan."),
        (collection(feature("Polygon", [[[1, 10**12]] * 4])), "which is no pixel"),
        (collection(feature("Polygon", [[[1, 10**400], [0.5, 1]]])), "no pair of numbers"),
        ('{"type": "Polygon", "coordinates": [[[1, 1e999], [1, 2], [3, 4]]]}', "which is no pixel"),
        (collection(feature("Polygon", [[[[[[1, 2]]]]] * 3])), "no pair of numbers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_files_that_are_no_annotations_are_refused_in_one_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, content, "a.xml")
    assert str(tmp_path / "a.xml") in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.xml: cannot be read .No such file"):
        read_coco(tmp_path / "none.xml")


@pytest.mark.parametrize("text", [XML, collection(polygon(SQUARE)), dsa(SQUARE)])
def test_one_file_for_many_images_must_be_of_coco(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: not a COCO file"):
        read_coco(tmp_path / "a.json")


def test_outlines_of_less_than_three_points_keep_their_place(tmp_path):
    found = read(tmp_path, imagescope(layer(region([(1, 2)]), region([]), region(SQUARE.outer))))
    assert [len(outer) for outer in outers(found)] == [1, 0, 4]
    drawing = draw_instances(found.annotations, (10, 10))
    assert drawing.empty == [0, 1] and set(np.unique(drawing.label)) == {0, 3}


def test_far_coordinates_are_drawn_in_no_time(tmp_path):
    far = Shape([(-(2.0**30), 3.0), (2.0**30, 3.0), (2.0**30, 6.0), (-(2.0**30), 6.0)])
    drawing = draw_instances(read(tmp_path, collection(polygon(far)), "a.json").annotations, (10, 10))
    assert drawing.clipped == [0] and (drawing.label[4:6] == 1).all() and not drawing.label[7:].any()
