"""LazySlide finds with our model what `segment` finds, in the same part of a real slide."""

import importlib
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import geopandas
import lazyslide as zs
import numpy as np
import pytest
import shapely
import tifffile
import torch
from lazyslide.cv import InstanceMap
from wsidata import WSIData, open_wsi
from wsidata.io import add_tissues, subset_tiles

from monai_seunet import segment
from monai_seunet.config.defaults import DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.lazyslide import SEUNetSegmentation
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.utils.errors import InputError

X, Y, SIDE = 900, 1900, 360  # dermis and epidermis, in pixels of the slide
REGION = shapely.box(X, Y, X + SIDE, Y + SIDE)


@pytest.fixture(scope="module")
def path(data_dir: Path) -> Path:
    return data_dir / "slides" / "cmu_small_region.svs"


def tiled(path: Path, **options) -> WSIData:
    """The slide with its tissue and the tiles around the region."""
    slide = open_wsi(path, store=None)
    zs.pp.find_tissues(slide)
    zs.pp.tile_tissues(slide, 512, edge=True, background_fraction=1, **options)
    subset_tiles(slide, "tiles", np.flatnonzero(slide["tiles"].intersects(REGION)))
    return slide


def in_region(outlines: geopandas.GeoSeries) -> np.ndarray:
    return outlines[outlines.centroid.within(REGION)].to_numpy()


def around_pixels(outlines: geopandas.GeoSeries) -> geopandas.GeoSeries:
    """LazySlide's outlines join the centres of border pixels, which it gives whole numbers; ours go around pixels."""
    return outlines.buffer(0.5).translate(0.5, 0.5)


def f1(first: np.ndarray, second: np.ndarray) -> float:
    """F1 of objects, which match where their IoU is above 0.5."""
    i, j = shapely.STRtree(second).query(first, predicate="intersects")
    shared = shapely.area(shapely.intersection(first[i], second[j]))
    iou = shared / (shapely.area(first[i]) + shapely.area(second[j]) - shared)
    return 2 * int((iou > 0.5).sum()) / (len(first) + len(second))


@pytest.fixture(scope="module")
def nuclei(path: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Outlines that our own program finds in the region."""
    settings = {"region": [X, Y, SIDE, SIDE]}
    overlays = [find_model("nuclei_he_free").overlay]
    segmenter, _ = configure_segmenter(default_bundle(), DEFAULT_NETWORK, overlays=overlays, settings=settings)
    result = replace(segmenter, formats=("geojson",), workers=0).run(path, tmp_path_factory.mktemp("segmented"))
    return in_region(geopandas.read_file(result.folder / "objects.geojson").set_crs(None, allow_override=True).geometry)


@pytest.fixture(scope="module")
def slide(path: Path) -> WSIData:
    return tiled(path, overlap=128)


@pytest.fixture(scope="module")
def model(slide: WSIData) -> SEUNetSegmentation:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # there is nothing to remark
        return SEUNetSegmentation(slide)


def test_cells_are_the_nuclei_of_segment(slide, model, nuclei):
    zs.seg.cells(slide, model=model, overlap_ownership=True)
    cells = slide["cells"]
    assert set(cells["class"]) == {"nucleus"} and cells["prob"].between(0.5, 1).all()
    found = in_region(around_pixels(cells.geometry))
    print(f"{len(found)} and {len(nuclei)} nuclei, F1 {f1(nuclei, found):.3f}")
    # the rest: the network sees no context beyond a tile, and a nucleus of two tiles is that of the nearer centre
    assert len(nuclei) > 100 and f1(nuclei, found) > 0.9
    moved = np.array([shapely.affinity.translate(outline, 20, 20) for outline in found])
    assert f1(nuclei, moved) < 0.2


def test_within_a_tile_the_nuclei_are_those_of_segment(slide, model, nuclei):
    tiles = slide["tiles"].geometry
    number = int(tiles.intersection(REGION).area.to_numpy().argmax())
    tile = slide.ds.tile_images(tile_key="tiles")[number]["image"]
    with torch.inference_mode():
        output = model.segment(torch.from_numpy(tile)[None])
    assert output.instance_map.shape == (1, 512, 512) and output.probability_map.shape == (1, 2, 512, 512)
    assert torch.allclose(output.probability_map.sum(1), torch.ones(1, 512, 512), atol=1e-4)
    outlines = InstanceMap(output.instance_map[0].numpy()).to_polygons(detect_holes=False).geometry
    left, top, *_ = tiles.iloc[number].bounds
    inner = tiles.iloc[number].buffer(-40).intersection(REGION)
    found, wanted = (
        frame[frame.centroid.within(inner)].to_numpy()
        for frame in (around_pixels(outlines).translate(left, top), geopandas.GeoSeries(nuclei))
    )
    print(f"{len(found)} and {len(wanted)} nuclei within a tile, F1 {f1(wanted, found):.3f}")
    assert len(wanted) > 50 and f1(wanted, found) > 0.9


def test_semantic_segmentation_has_the_area_of_the_nuclei(slide, model, nuclei):
    tiles = slide["tiles"].geometry
    subset_tiles(slide, "tiles", [int(tiles.intersection(REGION).area.to_numpy().argmax())], "one")
    tile = slide["one"].geometry.iloc[0]
    zs.seg.semantic(slide, model=model, tile_key="one", class_names=model.classes)
    area = slide["anatomical_structures"]
    assert set(area["class"]) == {"nucleus"}
    wanted = shapely.union_all(nuclei).intersection(tile.buffer(-40))
    assert area.union_all().intersection(wanted).area > 0.85 * wanted.area


def test_tiles_without_overlap_lose_nuclei_and_this_is_said(path, nuclei):
    slide = tiled(path)
    with pytest.warns(
        UserWarning, match=r"share 0 pixels, so LazySlide leaves out nuclei at their borders.*overlap=40"
    ):
        model = SEUNetSegmentation(slide)
    zs.seg.cells(slide, model=model)
    borders = slide["tiles"].boundary.union_all()
    assert shapely.intersects(nuclei, borders).sum() > 2
    assert not slide["cells"].intersects(borders).any()


def test_what_cannot_be_segmented_says_what_to_give(path, slide, model):
    with pytest.raises(
        InputError, match=r"tiles: the slide has no such tiles; make them by lazyslide\.pp\.tile_tissues"
    ):
        SEUNetSegmentation(open_wsi(path, store=None))
    with pytest.raises(InputError, match="choose one of nuclei_he_free, nuclei_he"):
        SEUNetSegmentation(slide, "nuclei")
    with pytest.raises(InputError, match=r"not torch.uint8 of \[512, 512, 3\]; give no transform"):
        model.segment(torch.zeros(1, 3, 512, 512))


def test_pixels_off_the_slide_are_white(model):
    tile = np.full((512, 512, 3), 200, np.uint8)
    tile[:, 500:] = 0
    assert model._resized(tile)[:, 1010:].min() == 255 and model._resized(tile)[:, :990].max() == 200


@pytest.mark.filterwarnings("ignore:.*share 0 pixels", "ignore:.*µm per pixel")
def test_black_is_the_background_of_fluorescence(data_dir, tmp_path):
    image = tifffile.imread(sorted((data_dir / "bbbc039" / "images").iterdir())[0])[:300, :400].astype(float)
    pixels = np.zeros((512, 512), np.uint8)  # around the image, rows and columns are black as a whole
    pixels[100:400, 50:450] = np.clip((image - np.median(image)) / np.ptp(image) * 400, 0, 255)
    tifffile.imwrite(tmp_path / "grey.tif", np.dstack([pixels] * 3), photometric="rgb", tile=(128, 128))
    slide = open_wsi(tmp_path / "grey.tif", store=None)
    add_tissues(slide, "tissues", [shapely.box(0, 0, 512, 512)])
    zs.pp.tile_tissues(slide, 512, edge=True, background_filter=False)
    zs.seg.cells(slide, model=SEUNetSegmentation(slide, "nuclei_fluorescence"))
    objects = geopandas.read_file(segment(pixels, "nuclei_fluorescence").to_geojson(tmp_path / "nuclei.geojson"))
    wanted = objects.set_crs(None, allow_override=True).geometry.to_numpy()
    found = around_pixels(slide["cells"].geometry).to_numpy()
    print(f"{len(found)} and {len(wanted)} nuclei in fluorescence, F1 {f1(wanted, found):.3f}")
    assert len(wanted) > 10 and f1(wanted, found) > 0.95


def test_without_lazyslide_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lazyslide_models.base", None)
    monkeypatch.delitem(sys.modules, "monai_seunet.lazyslide")
    with pytest.raises(InputError, match=r'pip install "monai-seunet\[lazyslide\]"'):
        importlib.import_module("monai_seunet.lazyslide")
