"""Label images and outlines in other programs: the nuclei of the table."""

import geopandas
import numpy as np
import tifffile


def test_geopandas_reads_the_outlines(nuclei, tmp_path):
    frame = geopandas.read_file(nuclei.to_geojson(tmp_path / "nuclei.geojson"))
    assert len(frame) == len(nuclei) > 20 and frame.geometry.is_valid.all()
    assert np.allclose(frame.geometry.area, nuclei.table["area_px"], rtol=0.2, atol=5)


def test_tifffile_reads_the_labels(nuclei):
    labels = tifffile.imread(nuclei.result.folder / "labels.ome.tif")
    assert labels.shape == (512, 512)
    assert np.array_equal(np.unique(labels), [0, *sorted(nuclei.table["label"])])
