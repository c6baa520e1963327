"""AnnData, SpatialData and COCO in the programs that read them: the nuclei of the table, at their places."""

import json
from dataclasses import replace
from pathlib import Path

import anndata
import geopandas
import numpy as np
import pandas
import pytest
import spatialdata
import zarr
from scipy.spatial import KDTree
from skimage.data import immunohistochemistry
from spatialdata.models import TableModel, get_table_keys
from spatialdata.transformations import get_transformation

from monai_seunet.config.defaults import DEFAULT_MODEL, DEFAULT_NETWORK, default_bundle
from monai_seunet.config.models import find_model
from monai_seunet.nuclei import Nuclei, segment
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.outputs.spatial import spatial_store
from monai_seunet.slides.outputs.spatial.annotated import write_anndata
from monai_seunet.utils.errors import InputError


@pytest.fixture(scope="module")
def scaled(image: Path) -> Nuclei:
    """The nuclei of the image at 0.5 µm per pixel, which the network sees enlarged."""
    found = segment(image, mpp=0.5)
    assert len(found) > 50
    return found


@pytest.fixture(scope="module")
def store(scaled: Nuclei, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scaled.to_spatialdata(tmp_path_factory.mktemp("spatial") / "spatial.zarr")


def test_anndata_has_the_table_of_the_nuclei(nuclei, scaled, tmp_path):
    for found, unit, area, name in ((nuclei, "px", "px", "pixel"), (scaled, "um", "um2", "micrometer")):
        data = anndata.read_h5ad(found.to_anndata(tmp_path / f"{unit}.h5ad"))
        table = found.table.set_index("id")
        ids = [f["id"] for f in json.loads(found.to_geojson(tmp_path / "x.geojson").read_text())["features"]]
        assert list(data.obs_names) == ids == list(table.index)
        assert data.uns["spatial_unit"] == name
        assert np.array_equal(data.obsm["spatial"], table[[f"x_{unit}", f"y_{unit}"]])
        expected = [f"area_{area}", f"perimeter_{unit}", "eccentricity", "solidity", "haematoxylin_od"]
        assert list(data.var_names) == [*expected, f"scale_sigma_{unit}", "confidence"]
        assert np.isfinite(data.X).all() and np.allclose(data.X, table[list(data.var_names)])
        for column in table:
            ours, theirs = table[column], data.obs[column]
            assert pandas.isna(theirs).equals(ours.isna()) and (theirs == ours)[ours.notna()].all(), column


def test_spatialdata_opens_everything_at_its_place(scaled, store):
    data = spatialdata.read_zarr(store)
    assert {element for _, element, _ in data.gen_elements()} == {"image", "nuclei", "nuclei_labels", "table"}
    labels = np.asarray(data["nuclei_labels"])
    assert np.array_equal(labels, scaled.labels) and labels.dtype == np.uint32
    shapes, table = data["nuclei"], scaled.table
    assert list(shapes.index) == list(table["label"]) and shapes.geometry.is_valid.all()
    centres = np.stack([shapes.centroid.x, shapes.centroid.y], 1)
    assert np.abs(centres - table[["x_px", "y_px"]].to_numpy()).max() < 0.5
    for name, number in (("nuclei", 0.5), ("nuclei_labels", 0.5), ("image", 0.25)):
        known = get_transformation(data[name], get_all=True)
        assert set(known) == {"global", "micrometers"}
        matrix = known["micrometers"].to_affine_matrix(("x", "y"), ("x", "y"))
        assert np.allclose(matrix, np.diag([number, number, 1]))
    picture = np.asarray(data["image"])
    assert picture.shape == (3, 1024, 1024) and picture.dtype == np.uint8
    halved = picture.reshape(3, 512, 2, 512, 2).mean(axis=(2, 4))
    assert np.abs(halved - np.moveaxis(immunohistochemistry(), 2, 0)).mean() < 5


def test_the_table_annotates_the_outlines(scaled, store):
    data = spatialdata.read_zarr(store)
    assert get_table_keys(data["table"]) == ("nuclei", "region", "label")
    part = spatialdata.bounding_box_query(
        data, axes=("x", "y"), min_coordinate=[0, 0], max_coordinate=[128, 128], target_coordinate_system="micrometers"
    )
    table = scaled.table
    expected = table[(table["x_um"] < 124) & (table["y_um"] < 124)]
    assert 0 < len(expected) <= part["table"].n_obs < len(table)
    assert set(expected["label"]) <= set(part["table"].obs["label"]) == set(part["nuclei"].index)
    joined = spatialdata.get_values("area_um2", sdata=data, element_name="nuclei", table_name="table")
    assert np.allclose(joined["area_um2"], table["area_um2"], rtol=1e-6)
    assert data.attrs["boundaries_shapes"] == "nuclei"  # where sopa looks


def test_files_are_zarr_3_and_ngff_0_5_and_geoparquet(store, scaled):
    root = zarr.open_group(store, mode="r")
    assert root.metadata.zarr_format == 3
    assert root["labels/nuclei_labels"].attrs["ome"]["version"].startswith("0.5")
    assert len(geopandas.read_parquet(store / "shapes/nuclei/shapes.parquet")) == len(scaled)


def test_a_region_of_a_slide_lies_where_it_was(image, scaled, tmp_path):
    made, _ = configure_segmenter(default_bundle(), DEFAULT_NETWORK, overlays=[find_model(DEFAULT_MODEL).overlay])
    options = replace(made.options, mpp=0.5, region=[100, 60, 200, 150])
    replace(made, options=options, formats=("spatialdata", "anndata"), workers=0).run(image, tmp_path)
    data, table = spatialdata.read_zarr(tmp_path / "spatial.zarr"), anndata.read_h5ad(tmp_path / "objects.h5ad")
    assert 20 < table.n_obs < len(scaled) and list(data["table"].obs_names) == list(table.obs_names)
    distances, _ = KDTree(scaled.table[["x_um", "y_um"]]).query(table.obsm["spatial"])
    assert np.median(distances) < 0.1  # µm; some nuclei differ, since the context of a region ends
    labels = data["nuclei_labels"]
    assert labels.shape == (150, 200) and set(np.unique(labels)) - {0} <= set(table.obs["label"])
    place = get_transformation(labels, "global").to_affine_matrix(("x", "y"), ("x", "y"))
    assert np.array_equal(place, [[1, 0, 100], [0, 1, 60], [0, 0, 1]])
    for shape, label in zip(data["nuclei"].geometry, data["nuclei"].index, strict=True):
        inside = shape.representative_point()
        if 100 < inside.x < 300 and 60 < inside.y < 210:
            assert int(labels[int(inside.y) - 60, int(inside.x) - 100]) in (label, 0)


def test_a_pyramid_in_bands_is_the_label_image(nuclei, tmp_path, monkeypatch):
    monkeypatch.setattr(spatial_store, "CHUNK", 128)
    store = spatial_store.write_spatialdata(tmp_path / "x.zarr", nuclei.result.objects, nuclei.result.geometry)
    finest, coarse = (np.asarray(level.image) for level in spatialdata.read_zarr(store)["nuclei_labels"].values())
    assert np.array_equal(finest, nuclei.labels) and coarse.shape == (128, 128)
    assert len(np.unique(coarse)) > 50 and set(np.unique(coarse)) <= set(np.unique(finest))
    assert [path.name for path in tmp_path.iterdir()] == ["x.zarr"]


def test_only_an_earlier_result_is_replaced(nuclei, tmp_path):
    (tmp_path / "results").mkdir()
    for name, reason in (("results", "ends in .zarr"), ("mine.zarr", "would be replaced"), ("file.zarr", "would be")):
        if name == "file.zarr":
            (tmp_path / name).write_text("mine")
        else:
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=f"{name}.*{reason}"):
            nuclei.to_spatialdata(tmp_path / name)
    other = spatialdata.SpatialData(tables={"cells": TableModel.parse(anndata.AnnData(np.ones((2, 1))))})
    other.write(tmp_path / "xenium.zarr")
    with pytest.raises(InputError, match="would be replaced"):
        nuclei.to_spatialdata(tmp_path / "xenium.zarr")
    assert list(spatialdata.read_zarr(tmp_path / "xenium.zarr").tables) == ["cells"]
    assert all((tmp_path / folder / "notes.txt").exists() for folder in ("results", "mine.zarr"))
    assert (tmp_path / "file.zarr").read_text() == "mine"
    for _ in range(2):  # the second time over the first
        store = nuclei.to_spatialdata(tmp_path / "x.zarr")
        assert len(spatialdata.read_zarr(store)["nuclei"]) == len(nuclei)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "file.zarr",
        "mine.zarr",
        "results",
        "x.zarr",
        "xenium.zarr",
    ]


def test_no_nuclei_are_written_too(nuclei, tmp_path):
    empty = [objects.select(np.zeros(len(objects), bool)) for objects in nuclei.result.objects]
    geometry = nuclei.result.geometry
    assert anndata.read_h5ad(write_anndata(tmp_path / "x.h5ad", empty, geometry)).n_obs == 0
    data = spatialdata.read_zarr(spatial_store.write_spatialdata(tmp_path / "x.zarr", empty, geometry))
    assert not np.asarray(data["nuclei_labels"]).any() and data["table"].n_obs == 0 and not data.shapes


def test_coco_is_read_by_pycocotools(nuclei, tmp_path):
    coco = pytest.importorskip("pycocotools.coco").COCO(str(nuclei.to_coco(tmp_path / "nuclei.coco.json")))
    assert len(coco.getAnnIds()) == len(nuclei)
    (number,) = coco.getImgIds()
    wrong = 0
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=number)):
        mask = coco.annToMask(annotation).astype(bool)
        wrong += np.count_nonzero(mask ^ (nuclei.labels == annotation["id"]))
    assert wrong < 0.1 * np.count_nonzero(nuclei.labels)
