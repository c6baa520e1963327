"""The requests of the script for QuPath, run by Groovy; QuPath itself is not here."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import filled, png
from PIL import Image
from repository import ROOT

from monai_seunet.reading.raster import read_raster

SCRIPT = ROOT / "scripts" / "qupath" / "annotate.groovy"
BOX = (700, 600, 500, 400)
# Loads the class of the requests without running the script, and calls it.
CALLS = """
def loader = new GroovyClassLoader()
loader.parseClass(new File(args[0]))
def server = loader.loadClass('AnnotationServer').newInstance(args[1])
try {
    if (args[2] == 'nucleus') println server.isNucleus(args[3] ?: null, args[4])
    if (args[2] == 'name') println server.nameOf(args[3])
    if (args[2] == 'outlines') new File(args[5]).bytes = server.outlines(args[3], args[4].tokenize(',')*.toInteger())
    if (args[2] == 'image') new File(args[4]).bytes = server.outlines(args[3], null)
    if (args[2] == 'submit') server.submit(args[3], new File(args[4]).text)
    if (args[2] == 'region')
        println server.submitRegion(
            args[3], args[4].tokenize(',')*.toInteger(), new File(args[5]).bytes, new File(args[6]).text)
} catch (IllegalStateException error) { println "error: ${error.message}" }
"""


@pytest.fixture(scope="module")
def groovy(tmp_path_factory: pytest.TempPathFactory):
    """A function that calls the script."""
    program, java = shutil.which("groovy"), shutil.which("java")
    if not (program and java):
        pytest.skip("no groovy or no java; apt-get install groovy default-jre-headless")
    calls = tmp_path_factory.mktemp("groovy") / "calls.groovy"
    calls.write_text(CALLS)
    environment = {
        **os.environ,
        "JAVA_HOME": str(Path(java).resolve().parents[1]),
        "JAVA_OPTS": "-Dfile.encoding=UTF-8",
    }

    def call(url: str, *words: object) -> str:
        command = [program, str(calls), str(SCRIPT), url, *map(str, words)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, ended.stderr[-3000:]
        return ended.stdout.strip()

    return call


def rings(geojson: bytes) -> list[np.ndarray]:
    """The outer outline of every nucleus."""
    features = json.loads(geojson)["features"]
    assert {feature["properties"]["classification"]["name"] for feature in features} == {"nucleus"}
    return [np.array(feature["geometry"]["coordinates"][0]) for feature in features]


def collection(outlines) -> str:
    """GeoJSON of annotations, in the form of QuPath."""
    properties = {"objectType": "annotation", "classification": {"name": "nucleus", "color": [200, 0, 0]}}
    geometries = ({"type": "Polygon", "coordinates": [np.asarray(ring).tolist()]} for ring in outlines)
    features = [{"type": "Feature", "geometry": geometry, "properties": properties} for geometry in geometries]
    return json.dumps({"type": "FeatureCollection", "features": features})


def test_a_region_of_a_slide_is_requested_and_its_corrected_nuclei_are_submitted(server, groovy, tmp_path):
    assert groovy(server.url, "name", "slide.svs") == "slide"
    assert groovy(f"{server.url}/", "name", "pyramid.ome.tif") == "pyramid"
    groovy(server.url, "outlines", "slide", ",".join(map(str, BOX)), tmp_path / "region.geojson")
    found = rings((tmp_path / "region.geojson").read_bytes())
    start, end = np.array(BOX[:2]), np.add(BOX[:2], BOX[2:])
    middles = np.array([ring.mean(axis=0) for ring in found])
    assert len(found) > 30 and (middles > start - 5).all() and (middles < end + 5).all()
    inside = [ring - start for ring in found if (ring >= start).all() and (ring <= end).all()][1:]  # one is removed
    Image.open(server.folder / "slide.svs").convert("RGB").crop((*start, *end)).save(tmp_path / "part.png")
    (tmp_path / "corrected.geojson").write_text(collection(inside))
    files = (tmp_path / "part.png", tmp_path / "corrected.geojson")
    name = groovy(server.url, "region", "slide", ",".join(map(str, BOX)), *files)
    assert name == "slide-patch-700_600_500_400"
    info = server.get(f"/datastore/label/info?label={name}&tag=final").json()
    assert info["labelled_pixels"] == pytest.approx(filled(inside, (BOX[3], BOX[2])).sum(), rel=0.1)
    assert read_raster(server.folder / f"{name}.png").mpp == pytest.approx(0.499, rel=1e-3)


def test_an_image_is_requested_and_submitted_as_a_whole(server, groovy, crops, tmp_path):
    name = "ünï cödé"
    assert groovy(server.url, "name", f"{name}.png") == name
    groovy(server.url, "image", name, tmp_path / "all.geojson")
    found = rings((tmp_path / "all.geojson").read_bytes())
    assert len(found) > 10
    (tmp_path / "all.geojson").write_text(collection(found))
    assert groovy(server.url, "submit", name, tmp_path / "all.geojson") == ""
    stored = server.get("/datastore/label/info", params={"label": name, "tag": "final"}).json()
    assert stored["labelled_pixels"] == pytest.approx(filled(found, crops[0].pixels.shape[:2]).sum(), rel=0.1)


@pytest.mark.parametrize(
    ("classification", "shape", "sent"),
    [
        ("nucleus", "PolygonROI", True),
        ("nucleus", "RectangleROI", True),
        ("", "PolygonROI", True),
        ("", "RectangleROI", False),  # it marked the part that was requested
        ("Tumor", "PolygonROI", False),
    ],
)
def test_what_is_sent_as_a_nucleus(groovy, classification, shape, sent):
    assert groovy("http://127.0.0.1:9", "nucleus", classification, shape) == str(sent).lower()


def test_mistakes_say_what_to_do(server, groovy, tmp_path):
    said = groovy(server.url, "name", "elsewhere.svs")
    assert said.startswith("error: the server has no image elsewhere.svs; copy the file into the folder of the server")
    for address in ("http://127.0.0.1:9", "127.0.0.1:8000", "http://no such"):
        said = groovy(address, "name", "slide.svs")
        assert said.startswith(f"error: no annotation server answers at {address}"), said
        assert "correct ADDRESS at the top of the script, or start the server: scripts/label.sh FOLDER" in said
    (tmp_path / "wrong.geojson").write_text(collection([[[0, 0], [90000, 0], [90000, 90000], [0, 0]]]))
    said = groovy(server.url, "submit", "slide", tmp_path / "wrong.geojson")
    assert re.match("error: the server refuses the request: .*outlines reach .* beyond the 2220 x 2967 pixels", said), (
        said
    )
    (tmp_path / "none.geojson").write_text(collection([]))
    assert "no outline of nucleus" in groovy(server.url, "submit", "slide", tmp_path / "none.geojson")
    assert "outside its 2220 x 2967 pixels" in groovy(
        server.url, "outlines", "slide", "9000,9000,20,20", tmp_path / "x.geojson"
    )


def test_a_tiny_region_and_an_image_of_one_pixel_are_answered(server, groovy, tmp_path):
    groovy(server.url, "outlines", "slide", "700,600,1,1", tmp_path / "one.geojson")
    assert json.loads((tmp_path / "one.geojson").read_bytes())["type"] == "FeatureCollection"
    assert server.put_image("pixel", png(np.full((1, 1, 3), 200, np.uint8))).ok
    groovy(server.url, "image", "pixel", tmp_path / "pixel.geojson")
    assert json.loads((tmp_path / "pixel.geojson").read_bytes())["features"] == []
