"""The programs of other viewers: CVAT's function, the Digital Slide Archive's command line, QuPath's requests."""

import base64
import importlib.util
import json
import logging
import sys
import types
import xml.etree.ElementTree as ET
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from conftest import dice, filled, png
from PIL import Image

from monai_seunet.reading.raster import read_raster

PLUGINS = Path(sys.prefix) / "monailabel" / "plugins"


def load(path: Path, name: str) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cvat(server, crops, monkeypatch):
    monkeypatch.setenv("MONAI_LABEL_SERVER", server.url)
    monkeypatch.setenv("MONAI_LABEL_MODEL", "nuclei")
    detector = load(PLUGINS / "cvat" / "detector.py", "detector")
    context = Namespace(logger=logging.getLogger("cvat"), user_data=Namespace(), Response=lambda **answer: answer)
    detector.init_context(context)
    event = Namespace(body={"image": base64.b64encode(png(crops[3].pixels))})
    answer = detector.handler(context, event)
    assert answer["status_code"] == 200
    found = json.loads(answer["body"])
    assert len(found) > 10 and all(each["type"] == "polygon" and each["label"] == "nucleus" for each in found)
    shape = crops[3].pixels.shape[:2]
    mask = read_raster(server.client.infer("nuclei", crops[3].name, {})[0]).pixels > 0
    points = [np.reshape(each["points"], (-1, 2)) for each in found]
    # the handler makes a JPEG of the image, and whole numbers of the points
    assert dice(filled(points, shape), mask) > 0.9


@pytest.fixture
def dsa(monkeypatch):
    """Its folder on the path, and the class by which it parses its command line, which is not called here."""
    monkeypatch.syspath_prepend(str(PLUGINS / "dsa"))
    for name in ("histomicstk", "histomicstk.cli", "histomicstk.cli.utils"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["histomicstk.cli.utils"].CLIArgumentParser = None
    return load(PLUGINS / "dsa" / "cli" / "MONAILabelAnnotation" / "MONAILabelAnnotation.py", "dsa_annotation")


@pytest.mark.parametrize("roi", [[600, 500, 700, 600], pytest.param([-1, -1, -1, -1], marks=pytest.mark.slow)])
def test_digital_slide_archive(server, dsa, tmp_path, roi):
    files = {"inputImageFile": str(server.folder / "slide.svs"), "outputAnnotationFile": str(tmp_path / "out.anot")}
    parts = {"analysis_roi": roi, "analysis_level": 0, "analysis_tile_size": 512.0, "min_fgnd_frac": -1}
    model = {"model_name": "nuclei", "extra_params": "{}", "min_poly_area": 80.0}
    addresses = {"server": f"{server.url}/", "girderApiUrl": "", "girderToken": ""}
    dsa.main(Namespace(**files, **parts, **model, **addresses))
    annotation = json.loads((tmp_path / "out.anot").read_text())
    points = np.concatenate([element["points"] for element in annotation["elements"]])
    assert len(annotation["elements"]) > (50 if roi[0] > 0 else 500)
    if roi[0] > 0:
        middle = np.array([np.mean(element["points"], axis=0)[:2] for element in annotation["elements"]])
        assert (middle >= np.array(roi[:2]) - 20).all() and (middle <= np.add(roi[:2], roi[2:]) + 20).all()
    assert points[:, 2].max() == 0


def infer_as_qupath(server, image, location, size, file=None):
    """The request of the extension, and the polygons that it makes of the answer."""
    body = {"level": 0, "location": location, "size": size, "tile_size": [256, 256], "min_poly_area": 30}
    body["params"] = {"foreground": [], "background": [], "max_workers": 1}
    if file is None:
        answer = server.post(f"/infer/wsi/nuclei?output=asap&image={image}", json=body)
    else:
        files = {"file": (file.name, file.read_bytes())}
        answer = server.post("/infer/wsi_v2/nuclei?output=asap", files=files, data={"wsi": json.dumps(body)})
    assert answer.status_code == 200, answer.text
    found = []
    for annotation in ET.fromstring(answer.content).iter("Annotation"):
        points = [(float(c.get("X")), float(c.get("Y"))) for c in annotation.iter("Coordinate")]
        found.append((annotation.get("Name"), points))
    return found


def annotations_xml(polygons, box):
    """As the extension writes it: whole numbers, relative to the rectangle."""
    x, y, width, height = box
    root = ET.Element("ASAP_Annotations")
    parts = ET.SubElement(root, "Annotations", Name="", Description="", X=str(x), Y=str(y), W=str(width), H=str(height))
    for name, points in polygons:
        one = ET.SubElement(parts, "Annotation", Name=name, Type="Polygon", PartOfGroup=name, Color="#ff0000")
        places = ET.SubElement(one, "Coordinates")
        for order, (px, py) in enumerate(points):
            ET.SubElement(places, "Coordinate", Order=str(order), X=str(int(px) - x), Y=str(int(py) - y))
    return ET.tostring(root)


def test_qupath(server, tmp_path):
    info = server.get("/info/").json()
    assert set(info["models"]["nuclei"]["labels"]) == {"nucleus"} and info["trainers"]["nuclei"]["config"]["max_epochs"]
    assert server.get("/datastore/image?image=slide").ok
    box = (700, 600, 500, 400)
    found = infer_as_qupath(server, "slide", box[:2], box[2:])
    assert len(found) > 30 and {name for name, _ in found} == {"nucleus"}
    # it hands in the rectangle as an image of its own, with its outlines
    start, end = np.array(box[:2]), np.add(box[:2], box[2:])
    patch, name = tmp_path / "patch.png", "slide-patch-700_600_500_400"
    region = Image.open(server.folder / "slide.svs").convert("RGB").crop((*start, *end))
    region.save(patch)  # without µm per pixel, as QuPath does
    saved = server.put_image(name, patch.read_bytes(), "patch123.png", data={"params": "{}"})
    assert saved.json() == {"image": name}
    inside = [(n, p) for n, p in found if np.min(p) > 0 and (start <= np.array(p)).all() and (p < end).all()]
    saved = server.put_label(name, annotations_xml(inside, box), "slide123.xml", data={"params": "{}"})
    assert saved.json()["label"] == name
    wanted = filled([np.subtract(points, start) for _, points in inside], (box[3], box[2]))
    info = server.get(f"/datastore/label/info?label={name}&tag=final").json()
    assert info["labelled_pixels"] == pytest.approx(wanted.sum(), rel=0.1)
    assert read_raster(server.folder / f"{name}.png").mpp == pytest.approx(0.499, rel=1e-3), "those of its slide"
    again = infer_as_qupath(server, name, [0, 0], [0, 0])
    assert len(again) == pytest.approx(len(inside), rel=0.25), "some are cut by the rectangle now"
    # an image that the server does not have is sent along
    assert not server.get("/datastore/image?image=elsewhere").ok
    assert infer_as_qupath(server, None, [0, 0], [0, 0], patch)
