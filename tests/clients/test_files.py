"""Label images and outlines in other programs: the nuclei of the table."""

import geopandas
import numpy as np
import tifffile
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader


def test_geopandas_reads_the_outlines(nuclei, tmp_path):
    frame = geopandas.read_file(nuclei.to_geojson(tmp_path / "nuclei.geojson"))
    assert len(frame) == len(nuclei) > 20 and frame.geometry.is_valid.all()
    assert np.allclose(frame.geometry.area, nuclei.table["area_px"], rtol=0.2, atol=5)


def test_tifffile_reads_the_labels(nuclei):
    labels = tifffile.imread(nuclei.result.folder / "labels.ome.tif")
    assert labels.shape == (512, 512)
    assert np.array_equal(np.unique(labels), [0, *sorted(nuclei.table["label"])])


def test_ome_zarr_reads_the_maps(nuclei):
    (node,) = Reader(parse_url(str(nuclei.result.folder / "maps.ome.zarr" / "probability")))()
    assert node.data[0].shape == (1, 512, 512) and [axis["name"] for axis in node.metadata["axes"]] == ["c", "y", "x"]
    inside = nuclei.labels > 0
    assert node.data[0].compute()[0][inside].mean() > 0.65 * 255
